use std::collections::BTreeSet;
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
}

pub fn run(context: &Context<'_>, args: &Args) -> Result<Exit, CommandError> {
    let snapshot = context.snapshot()?;
    let (parent, child) = (Side::new(&snapshot, &args.parent)?, Side::new(&snapshot, &args.child)?);
    let before = second(&parent, &child)?;
    let mut after = before.clone();
    let mut steps: BTreeSet<AlignStep> = BTreeSet::new();
    for _ in 0..ROUNDS {
        let known = steps.len();
        for one in after.iter().filter(|one| one.why.is_own()) {
            align(one, &parent, &child, &mut steps)?;
        }
        if steps.len() == known {
            break;
        }
        after = second(&parent, &child)?;
    }
    let steps = last_lines(steps);
    let align = Align { parent: parent.layer, child: child.layer, before, steps: &steps, after };
    let answer = match args.format {
        Format::Text => align.text(),
        Format::Json => json::answer(json::crates::CratesAlign::new(&align)),
    };
    context.ui.answer(&answer)?;
    let (before, after) = (align.before.len(), &align.after);
    if after.is_empty() {
        let then = if before == 0 { String::new() } else { "; with this it compiles none, by cargo's graphs".to_owned() };
        let units = count(before, "unit");
        context.ui.remark(&format!("{} compiles {units} of {} a second time{then}", child.layer, parent.layer));
        return Ok(Exit::Success);
    }
    let message = format!("{} of {before} units would still be compiled a second time", after.len());
    let mut error = CommandError::new(Exit::Failure, message);
    for one in after.iter().filter(|one| one.why.is_own()).take(5) {
        error = error.hint(one.sentence());
    }
    Err(error)
}

impl<'a> Side<'a> {
    fn new(snapshot: &'a Snapshot, typed: &str) -> Result<Side<'a>, CommandError> {
        let (layer, loaded) = find_layer(snapshot, typed)?;
        let cooked = cooked_of(loaded)?;
        let copy = Copy::of(snapshot.catalog.files.tree(), &cooked.path)?;
        Ok(Side { layer, copy, calls: set::calls(cooked)? })
    }

    fn graph(&self) -> Result<BuildGraph, CommandError> {
        Ok(BuildGraph { sections: self.copy.sections(&self.calls)?, ..BuildGraph::default() })
    }

    /// Turns features of a crate on, by a line in the Cargo.toml.
    fn declare(&self, one: &Second, features: &[String], steps: &mut BTreeSet<AlignStep>) -> Result<(), CommandError> {
        let path = self.copy.path().join("Cargo.toml");
        let failed = |error: &dyn std::fmt::Display| CommandError::failure("the copy can't be changed", error);
        let text = fs::read_to_string(&path).map_err(|error| failed(&error))?;
        let mut manifest: DocumentMut = text.parse().map_err(|error| failed(&error))?;
        let table = if one.place == "host" { "build-dependencies" } else { "dependencies" };
        let build_script = self.copy.path().join("build.rs");
        if one.place == "host" && !build_script.exists() {
            fs::write(&build_script, "").map_err(|error| failed(&error))?;
            steps.insert(AlignStep { layer: self.layer.clone(), what: AlignWhat::BuildScript });
        }
        let entries = manifest.entry(table).or_insert_with(|| Item::Table(Table::new()));
        let Some(entries) = entries.as_table_mut() else { return Err(failed(&"its dependencies are no table")) };
        let line = declare(entries, &one.package.name, &one.package.version, features);
        fs::write(&path, manifest.to_string()).map_err(|error| failed(&error))?;
        Project::open(self.copy.path())?.update(&["--workspace"])?;
        let what = AlignWhat::Line { table: table.to_owned(), line };
        steps.insert(AlignStep { layer: self.layer.clone(), what });
        Ok(())
    }

    /// Moves a crate to another version.
    fn update(&self, name: &str, from: &str, to: &str, steps: &mut BTreeSet<AlignStep>) -> Result<(), CommandError> {
        let package = format!("{name}@{from}");
        Project::open(self.copy.path())?.update(&["-p", &package, "--precise", to])?;
        let command = format!("cargo update -p {package} --precise {to}");
        steps.insert(AlignStep { layer: self.layer.clone(), what: AlignWhat::Command(command) });
        Ok(())
    }
}

fn second(parent: &Side<'_>, child: &Side<'_>) -> Result<Vec<Second>, CommandError> {
    Ok(crates::second_time(&child.graph()?, &parent.graph()?))
}

/// Mends one difference, in the side that lacks something.
fn align(one: &Second, parent: &Side<'_>, child: &Side<'_>, steps: &mut BTreeSet<AlignStep>) -> Result<(), CommandError> {
    let Second { package, .. } = one;
    match &one.why {
        Difference::Below => Ok(()),
        Difference::Place => parent.declare(one, &features(child, one)?, steps),
        Difference::Features { missing, extra } => {
            if !missing.is_empty() {
                parent.declare(one, missing, steps)?;
            }
            if extra.is_empty() { Ok(()) } else { child.declare(one, extra, steps) }
        }
        Difference::Version(version) => {
            let (mine, its) = (semver::Version::parse(&package.version), semver::Version::parse(version));
            match (mine, its) {
                (Ok(mine), Ok(its)) if mine > its => parent.update(&package.name, version, &package.version, steps),
                _ => child.update(&package.name, &package.version, version, steps),
            }
        }
    }
}

/// The features that a child's unit has.
fn features(child: &Side<'_>, one: &Second) -> Result<Vec<String>, CommandError> {
    let graph = child.graph()?;
    let of = |graph: &UnitGraph| {
        let mut units = graph.units.iter().filter(|unit| *graph.package(unit) == one.package && unit.kind == one.kind);
        units.next().map(|unit| unit.features.clone())
    };
    Ok(graph.sections.iter().find_map(|section| of(&section.graph)).unwrap_or_default())
}

/// Adds features to the entry of a crate, or an entry with them; returns its line.
fn declare(entries: &mut Table, name: &str, version: &str, features: &[String]) -> String {
    let version = semver::Version::parse(version).ok();
    let fits = |item: &Item| {
        let text = item.as_str().or_else(|| item.get("version").and_then(Item::as_str));
        let requirement = text.and_then(|text| semver::VersionReq::parse(text).ok());
        requirement.zip(version.as_ref()).is_none_or(|(requirement, version)| requirement.matches(version))
    };
    let package = |key: &str, item: &Item| item.get("package").and_then(Item::as_str).unwrap_or(key).to_owned();
    let known = entries.iter().find(|(key, item)| package(key, item) == name && fits(item)).map(|(key, _)| key.to_owned());
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
    line
}

fn inline(table: &dyn toml_edit::TableLike) -> InlineTable {
    table.iter().filter_map(|(key, item)| Some((key, item.as_value()?.clone()))).collect()
}

/// Of several lines for the same entry only the last one counts, which has all of them.
fn last_lines(steps: BTreeSet<AlignStep>) -> Vec<AlignStep> {
    let entry = |step: &AlignStep| match &step.what {
        AlignWhat::Line { table, line } => {
            Some((step.layer.clone(), table.clone(), line.split(' ').next().unwrap_or_default().to_owned()))
        }
        _ => None,
    };
    let all: Vec<AlignStep> = steps.into_iter().collect();
    let longest = |step: &AlignStep| {
        let same = all.iter().filter(|other| entry(step).is_some() && entry(other) == entry(step));
        // Features are only ever added.
        same.map(|other| match &other.what {
            AlignWhat::Line { line, .. } => line.len(),
            _ => 0,
        })
        .max()
    };
    let is_last = |step: &&AlignStep| match &step.what {
        AlignWhat::Line { line, .. } => longest(step) == Some(line.len()),
        _ => true,
    };
    all.iter().filter(is_last).cloned().collect()
}
