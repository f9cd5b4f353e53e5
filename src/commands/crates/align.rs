use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use toml_edit::{Array, DocumentMut, InlineTable, Item, Table, Value};

use super::set::{self, Call, Copy};
use super::source::cooked_of;
use crate::cargo::Project;
use crate::commands::Format;
use crate::commands::context::{Context, find_layer};
use crate::commands::error::CommandError;
use crate::commands::exit::Exit;
use crate::crates::{self, BuildGraph, Difference, Second};
use crate::model::LayerName;
use crate::report::crates::{Align, AlignStep, AlignWhat};
use crate::report::{count, json};
use crate::snapshot::Snapshot;
use crate::unit::UnitGraph;

/// Say what to declare so that a layer compiles nothing that the layer below it has
///
/// A crate is taken over where version and features are the same in both sets. What is missing is declared in the one
/// or the other, in copies, until cargo's graphs agree; the lines are those of the Cargo.toml then.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lamina crates align stratumiops stratumiops-ia
  lamina crates align stratumiops stratumiops-ia --format json")]
pub struct Args {
    /// The layer below
    #[arg(value_name = "PARENT")]
    parent: String,
    /// The layer that is cooked on top of it
    #[arg(value_name = "CHILD")]
    child: String,
    /// How the answer looks
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// A change can bring another difference to light; more rounds than this come to no end.
const ROUNDS: usize = 10;

/// A copy of a set that is changed.
struct Side<'a> {
    layer: &'a LayerName,
    copy: Copy,
    calls: Vec<Call>,
    manifest: String,
    lock: String,
    has_build_script: bool,
    /// The graph that cargo gave last, with the changes that it is of: most trials change one side alone.
    last: RefCell<Option<(Vec<Op>, BuildGraph)>>,
}

/// Something to be changed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Op {
    /// Whether it is in the child; else in the parent.
    in_child: bool,
    name: String,
    version: String,
    how: How,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum How {
    /// The crate moves to another version.
    Update(String),
    /// Features are turned on, for the target or for the host.
    Declare { is_host: bool, features: Vec<String> },
}

/// Both sets.
struct Pair<'a> {
    parent: Side<'a>,
    child: Side<'a>,
}

pub fn run(context: &Context<'_>, args: &Args) -> Result<Exit, CommandError> {
    let snapshot = context.snapshot()?;
    let pair = Pair { parent: Side::new(&snapshot, &args.parent)?, child: Side::new(&snapshot, &args.child)? };
    let before = pair.second(&[])?;
    let mut after = before.clone();
    let mut ops: Vec<Op> = Vec::new();
    for _ in 0..ROUNDS {
        let known = ops.len();
        let found: Vec<Op> = after.iter().map(|one| pair.mend(one)).collect::<Result<Vec<_>, _>>()?.concat();
        for op in found {
            if !ops.contains(&op) {
                ops.push(op);
            }
        }
        if ops.len() == known {
            break;
        }
        after = pair.second(&ops)?;
    }
    if after.is_empty() {
        ops = pair.fewest(ops);
    }
    let steps = pair.steps(&ops)?;
    let align = Align { parent: pair.parent.layer, child: pair.child.layer, before, steps: &steps, after };
    let answer = match args.format {
        Format::Text => align.text(),
        Format::Json => json::answer(json::crates::CratesAlign::new(&align)),
    };
    context.ui.answer(&answer)?;
    let (before, after) = (align.before.len(), &align.after);
    if after.is_empty() {
        let then = if before == 0 { "" } else { "; with this it compiles none, by cargo's graphs" };
        let units = count(before, "unit");
        context.ui.remark(&format!("{} compiles {units} of {} a second time{then}", align.child, align.parent));
        return Ok(Exit::Success);
    }
    let message = format!("{} of {before} units would still be compiled a second time", after.len());
    let mut error = CommandError::new(Exit::Failure, message);
    for one in after.iter().filter(|one| one.why.is_own()).take(5) {
        error = error.hint(one.sentence());
    }
    Err(error)
}

impl Pair<'_> {
    /// What is compiled a second time with these changes.
    fn second(&self, ops: &[Op]) -> Result<Vec<Second>, CommandError> {
        let of = |in_child: bool| ops.iter().filter(|op| op.in_child == in_child).cloned().collect::<Vec<Op>>();
        Ok(crates::second_time(&self.child.graph(of(true))?, &self.parent.graph(of(false))?))
    }

    /// Changes both copies, from what they were at first; says what was done.
    fn steps(&self, ops: &[Op]) -> Result<Vec<AlignStep>, CommandError> {
        let of = |in_child: bool| ops.iter().filter(|op| op.in_child == in_child).cloned().collect::<Vec<Op>>();
        let mut steps = self.parent.apply(&of(false))?;
        steps.extend(self.child.apply(&of(true))?);
        Ok(steps)
    }

    /// What mends one difference, in the set that lacks something.
    fn mend(&self, one: &Second) -> Result<Vec<Op>, CommandError> {
        let is_host = one.place == "host";
        let Second { package, why, .. } = one;
        let op = |in_child: bool, version: &str, how: How| Op {
            in_child,
            name: package.name.clone(),
            version: version.to_owned(),
            how,
        };
        Ok(match why {
            Difference::Below => Vec::new(),
            Difference::Place => {
                vec![op(false, &package.version, How::Declare { is_host, features: self.child.features(one)? })]
            }
            Difference::Features { missing, extra } => [(false, missing), (true, extra)]
                .into_iter()
                .filter(|(_, features)| !features.is_empty())
                .map(|(in_child, features)| {
                    op(in_child, &package.version, How::Declare { is_host, features: features.clone() })
                })
                .collect(),
            Difference::Version(version) => {
                let (mine, its) = (semver::Version::parse(&package.version), semver::Version::parse(version));
                match (mine, its) {
                    (Ok(mine), Ok(its)) if mine > its => vec![op(false, version, How::Update(package.version.clone()))],
                    _ => vec![op(true, &package.version, How::Update(version.clone()))],
                }
            }
        })
    }

    /// The changes that are needed: what another one brings along anyway is left out. Whole parts are tried first,
    /// then smaller ones.
    fn fewest(&self, mut ops: Vec<Op>) -> Vec<Op> {
        let mut part = ops.len() / 2;
        while part > 0 {
            let mut at = 0;
            while at < ops.len() {
                let end = (at + part).min(ops.len());
                let without = [&ops[..at], &ops[end..]].concat();
                match self.second(&without) {
                    Ok(second) if second.is_empty() => ops = without,
                    _ => at = end,
                }
            }
            part /= 2;
        }
        ops
    }
}

impl<'a> Side<'a> {
    fn new(snapshot: &'a Snapshot, typed: &str) -> Result<Side<'a>, CommandError> {
        let (layer, loaded) = find_layer(snapshot, typed)?;
        let cooked = cooked_of(loaded)?;
        let copy = Copy::of(snapshot.catalog.files.tree(), &cooked.path)?;
        let read = |file: &str| {
            let failed = |error| CommandError::failure(format!("{layer} has no {file} that can be read"), error);
            fs::read_to_string(copy.path().join(file)).map_err(failed)
        };
        let (manifest, lock) = (read("Cargo.toml")?, read("Cargo.lock")?);
        let has_build_script = copy.path().join("build.rs").exists();
        let last = RefCell::new(None);
        Ok(Side { layer, calls: set::calls(cooked)?, manifest, lock, has_build_script, copy, last })
    }

    /// The graph with these changes.
    fn graph(&self, ops: Vec<Op>) -> Result<BuildGraph, CommandError> {
        if let Some((known, graph)) = &*self.last.borrow()
            && *known == ops
        {
            return Ok(graph.clone());
        }
        self.apply(&ops)?;
        let graph = BuildGraph { sections: self.copy.sections(&self.calls)?, ..BuildGraph::default() };
        *self.last.borrow_mut() = Some((ops, graph.clone()));
        Ok(graph)
    }

    /// The features that a unit has.
    fn features(&self, one: &Second) -> Result<Vec<String>, CommandError> {
        let last = self.last.borrow();
        let Some((_, graph)) = &*last else { return Ok(Vec::new()) };
        let of = |graph: &UnitGraph| {
            let mut units =
                graph.units.iter().filter(|unit| *graph.package(unit) == one.package && unit.kind == one.kind);
            units.next().map(|unit| unit.features.clone())
        };
        Ok(graph.sections.iter().find_map(|section| of(&section.graph)).unwrap_or_default())
    }

    /// Changes the copy, from what it was at first.
    fn apply(&self, ops: &[Op]) -> Result<Vec<AlignStep>, CommandError> {
        let failed = |error: &dyn std::fmt::Display| CommandError::failure("the copy can't be changed", error);
        let folder = self.copy.path();
        let build_script = folder.join("build.rs");
        let mut manifest: DocumentMut = self.manifest.parse().map_err(|error| failed(&error))?;
        let mut lines: BTreeMap<(&str, String), String> = BTreeMap::new();
        let mut updates = Vec::new();
        let mut is_host_used = self.has_build_script;
        for op in ops {
            let (is_host, features) = match &op.how {
                How::Update(to) => {
                    updates.push((format!("{}@{}", op.name, op.version), to));
                    continue;
                }
                How::Declare { is_host, features } => (*is_host, features),
            };
            is_host_used |= is_host;
            let table = if is_host { "build-dependencies" } else { "dependencies" };
            let entries = manifest.entry(table).or_insert_with(|| Item::Table(Table::new()));
            let Some(entries) = entries.as_table_mut() else { return Err(failed(&"its dependencies are no table")) };
            let (key, line) = declare(entries, &op.name, &op.version, features);
            lines.insert((table, key), line);
        }
        fs::write(folder.join("Cargo.toml"), manifest.to_string()).map_err(|error| failed(&error))?;
        fs::write(folder.join("Cargo.lock"), &self.lock).map_err(|error| failed(&error))?;
        if is_host_used {
            fs::write(&build_script, "").map_err(|error| failed(&error))?;
        } else if build_script.exists() {
            fs::remove_file(&build_script).map_err(|error| failed(&error))?;
        }
        if !lines.is_empty() {
            Project::open(folder)?.update(&["--workspace"])?;
        }
        let step = |what| AlignStep { layer: self.layer.clone(), what };
        let mut steps = Vec::new();
        for ((table, _), line) in lines {
            steps.push(step(AlignWhat::Line { table: table.to_owned(), line }));
        }
        if is_host_used && !self.has_build_script {
            steps.push(step(AlignWhat::BuildScript));
        }
        for (package, to) in updates {
            Project::open(folder)?.update(&["-p", &package, "--precise", to])?;
            steps.push(step(AlignWhat::Command(format!("cargo update -p {package} --precise {to}"))));
        }
        Ok(steps)
    }
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
    let line = format!("{key} = {table}");
    entries.insert(&key, Item::Value(table.into()));
    (key, line)
}

fn inline(table: &dyn toml_edit::TableLike) -> InlineTable {
    table.iter().filter_map(|(key, item)| Some((key, item.as_value()?.clone()))).collect()
}
