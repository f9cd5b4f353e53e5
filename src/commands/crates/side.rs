//! One of two sets that are to agree: a copy that is changed, for cargo to say what it comes to.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use toml_edit::{Array, DocumentMut, InlineTable, Item, Table, Value};

use super::set::{self, Call, Copy};
use crate::cargo::Project;
use crate::commands::error::CommandError;
use crate::crates::BuildGraph;
use crate::model::{Cooked, LayerName};
use crate::report::crates::{AlignStep, AlignWhat};
use crate::snapshot::Snapshot;

/// A copy of a set that is changed.
pub struct Side<'a> {
    /// The layer.
    pub layer: &'a LayerName,
    copy: Copy,
    calls: Vec<Call>,
    manifest: String,
    lock: String,
    has_build_script: bool,
    /// What cargo said last: most trials change one side alone.
    last: RefCell<Option<Trial>>,
    /// The one with most changes. Its lock has all crates that one with fewer needs, so cargo need not look for them
    /// in the index, which takes longer than all else.
    widest: RefCell<Option<Trial>>,
}

/// Changes that cargo was asked about.
#[derive(Clone)]
struct Trial {
    ops: Vec<Op>,
    lock: String,
    graph: BuildGraph,
}

/// Something to be changed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Op {
    /// Whether it is in the child; else in the parent.
    pub in_child: bool,
    /// The crate.
    pub name: String,
    /// Its version, as it is now.
    pub version: String,
    /// What to do about it.
    pub how: How,
}

/// What to do about a crate.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum How {
    /// It moves to another version.
    Update(String),
    /// Features are turned on, for the target or for the host.
    Declare {
        /// Whether it is for the host.
        is_host: bool,
        /// The features.
        features: Vec<String>,
    },
}

/// The Cargo.toml of a set with changes.
struct Changed {
    manifest: String,
    /// The lines that are other than before, by table and key.
    lines: BTreeMap<(&'static str, String), String>,
    needs_build_script: bool,
}

impl<'a> Side<'a> {
    /// A copy of a layer's set.
    ///
    /// # Errors
    /// When a file of it can't be read.
    pub fn new(snapshot: &Snapshot, layer: &'a LayerName, cooked: &Cooked) -> Result<Side<'a>, CommandError> {
        let copy = Copy::of(snapshot.catalog.files.tree(), &cooked.path)?;
        let read = |file: &str| {
            let failed = |error| CommandError::failure(format!("{layer} has no {file} that can be read"), error);
            fs::read_to_string(copy.path().join(file)).map_err(failed)
        };
        let (manifest, lock) = (read("Cargo.toml")?, read("Cargo.lock")?);
        let has_build_script = copy.path().join("build.rs").exists();
        let calls = set::calls(cooked)?.into_iter().map(Call::unlocked).collect();
        let (last, widest) = (RefCell::new(None), RefCell::new(None));
        Ok(Side { layer, calls, manifest, lock, has_build_script, copy, last, widest })
    }

    /// The graph with these changes, from what the set was at first.
    ///
    /// # Errors
    /// When cargo gives no answer.
    pub fn graph(&self, ops: Vec<Op>) -> Result<BuildGraph, CommandError> {
        if let Some(known) = &*self.last.borrow()
            && known.ops == ops
        {
            return Ok(known.graph.clone());
        }
        self.write(&ops)?;
        let graph = BuildGraph { sections: self.copy.sections(&self.calls)?, ..BuildGraph::default() };
        let lock = fs::read_to_string(self.copy.path().join("Cargo.lock")).map_err(unchangeable)?;
        let trial = Trial { ops, lock, graph: graph.clone() };
        let is_wider = |widest: &Trial| widest.ops.iter().all(|op| trial.ops.contains(op));
        if self.widest.borrow().as_ref().is_none_or(is_wider) {
            *self.widest.borrow_mut() = Some(trial.clone());
        }
        *self.last.borrow_mut() = Some(trial);
        Ok(graph)
    }

    /// The changes without the features that others of the same crate turn on.
    ///
    /// # Errors
    /// When cargo gives no answer.
    pub fn short(&self, ops: Vec<Op>) -> Result<Vec<Op>, CommandError> {
        if ops.is_empty() {
            return Ok(ops);
        }
        self.graph(ops.clone())?;
        let known = Project::open(self.copy.path())?.features()?;
        let short = |op: Op| match (&op.how, known.get(&(op.name.clone(), op.version.clone()))) {
            (How::Declare { is_host, features }, Some(known)) => {
                Op { how: How::Declare { is_host: *is_host, features: known.leading(features) }, ..op }
            }
            _ => op,
        };
        Ok(ops.into_iter().map(short).collect())
    }

    /// What these changes come to, for people.
    ///
    /// # Errors
    /// When the Cargo.toml is not one that can be changed.
    pub fn steps(&self, ops: &[Op]) -> Result<Vec<AlignStep>, CommandError> {
        let Changed { lines, needs_build_script, .. } = self.changed(ops)?;
        let mut whats: Vec<AlignWhat> =
            lines.into_iter().map(|((table, _), line)| AlignWhat::Line { table: table.to_owned(), line }).collect();
        whats.extend((needs_build_script && !self.has_build_script).then_some(AlignWhat::BuildScript));
        whats.extend(
            updates(ops).map(|(package, to)| AlignWhat::Command(format!("cargo update -p {package} --precise {to}"))),
        );
        Ok(whats.into_iter().map(|what| AlignStep { layer: self.layer.clone(), what }).collect())
    }

    /// Changes the copy, from what it was at first.
    fn write(&self, ops: &[Op]) -> Result<(), CommandError> {
        let folder = self.copy.path();
        let Changed { manifest, needs_build_script, .. } = self.changed(ops)?;
        let widest = self.widest.borrow();
        let known = widest.as_ref().filter(|known| updates(&known.ops).eq(updates(ops)));
        let lock = known.map_or(&self.lock, |known| &known.lock);
        fs::write(folder.join("Cargo.toml"), manifest).map_err(unchangeable)?;
        fs::write(folder.join("Cargo.lock"), lock).map_err(unchangeable)?;
        let build_script = folder.join("build.rs");
        if needs_build_script {
            fs::write(&build_script, "").map_err(unchangeable)?;
        } else if build_script.exists() {
            fs::remove_file(&build_script).map_err(unchangeable)?;
        }
        if known.is_none() {
            for (package, to) in updates(ops) {
                Project::open(folder)?.update(&["-p", &package, "--precise", to])?;
            }
        }
        Ok(())
    }

    /// The Cargo.toml with these changes.
    fn changed(&self, ops: &[Op]) -> Result<Changed, CommandError> {
        let mut manifest: DocumentMut = self.manifest.parse().map_err(unchangeable)?;
        let mut lines = BTreeMap::new();
        let mut needs_build_script = self.has_build_script;
        for op in ops {
            let How::Declare { is_host, features } = &op.how else { continue };
            needs_build_script |= is_host;
            let table = if *is_host { "build-dependencies" } else { "dependencies" };
            let entries = manifest.entry(table).or_insert_with(|| Item::Table(Table::new()));
            let Some(entries) = entries.as_table_mut() else {
                return Err(unchangeable("its dependencies are no table"));
            };
            let (key, line) = declare(entries, &op.name, &op.version, features);
            lines.insert((table, key), line);
        }
        Ok(Changed { manifest: manifest.to_string(), lines, needs_build_script })
    }
}

fn unchangeable(cause: impl std::fmt::Display) -> CommandError {
    CommandError::failure("the copy of the set can't be changed", cause)
}

/// What cargo is to move, and to which version.
fn updates(ops: &[Op]) -> impl Iterator<Item = (String, &String)> {
    ops.iter().filter_map(|op| match &op.how {
        How::Update(to) => Some((format!("{}@{}", op.name, op.version), to)),
        How::Declare { .. } => None,
    })
}

/// Adds features to the entry of a crate, or an entry with them; returns its key and its line.
fn declare(entries: &mut Table, name: &str, version: &str, features: &[String]) -> (String, String) {
    let version = semver::Version::parse(version).ok();
    let fits = |item: &Item| {
        let text = item.as_str().or_else(|| item.get("version").and_then(Item::as_str));
        let requirement = text.and_then(|text| semver::VersionReq::parse(text).ok());
        requirement.zip(version.as_ref()).is_none_or(|(requirement, version)| requirement.matches(version))
    };
    let package = |key: &str, item: &Item| item.get("package").and_then(Item::as_str).unwrap_or(key).to_owned();
    let known =
        entries.iter().find(|(key, item)| package(key, item) == name && fits(item)).map(|(key, _)| key.to_owned());
    let line = version.as_ref().map(|version| match (version.major, version.minor) {
        (0, 0) => format!("0.0.{}", version.patch),
        (0, minor) => format!("0.{minor}"),
        (major, _) => major.to_string(),
    });
    let line = line.unwrap_or_else(|| "*".to_owned());
    let is_taken = known.is_none() && entries.contains_key(name);
    let key = known.clone().unwrap_or_else(|| match is_taken {
        true => format!("{name}-{}", line.replace('.', "-")),
        false => name.to_owned(),
    });
    let mut table = match entries.get(&key) {
        Some(item) if item.as_str().is_some() => {
            InlineTable::from_iter([("version", item.as_str().unwrap_or_default())])
        }
        Some(item) => item.as_table_like().map(inline).unwrap_or_default(),
        None => {
            let mut table = InlineTable::new();
            if is_taken {
                table.insert("package", name.into());
            }
            table.insert("version", line.as_str().into());
            table.insert("default-features", false.into());
            table
        }
    };
    let mut all: BTreeSet<String> = features.iter().cloned().collect();
    if all.remove("default") {
        table.remove("default-features");
    }
    let had = table.get("features").and_then(Value::as_array).cloned().unwrap_or_default();
    all.extend(had.iter().filter_map(Value::as_str).map(str::to_owned));
    if !all.is_empty() {
        table.insert("features", Array::from_iter(all).into());
    }
    table.fmt();
    let value: Value = match table.get("version") {
        Some(version) if table.len() == 1 => version.as_str().unwrap_or_default().into(),
        _ => table.into(),
    };
    let line = format!("{key} = {value}");
    entries.insert(&key, Item::Value(value));
    (key, line)
}

fn inline(table: &dyn toml_edit::TableLike) -> InlineTable {
    table.iter().filter_map(|(key, item)| Some((key, item.as_value()?.clone()))).collect()
}
