//! What `lamina crates` says, as text and Markdown.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use super::{count, duration, table};
use crate::crates::{BuildGraph, Bump, Change, Moved, Second, Step, Work};
use crate::model::{Ceilings, LayerName};

/// How a graph is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Basis {
    /// From the unit manifest of the layer's image.
    Manifest,
    /// From the committed build-graph snapshot.
    Snapshot,
    /// From cargo's unit graph.
    Cargo,
    /// From Cargo.lock alone: packages stand for units, and features are not known, so it is an upper bound.
    Lock,
}

impl Basis {
    /// As it stands in a sentence.
    pub fn words(self) -> &'static str {
        match self {
            Basis::Manifest => "by the unit manifest of its image",
            Basis::Snapshot => "by its build-graph snapshot",
            Basis::Cargo => "by cargo's unit graph",
            Basis::Lock => "by Cargo.lock alone, so an upper bound: packages stand for units",
        }
    }
}

/// The cones of crates in a set or a project.
#[derive(Debug)]
pub struct Cones<'a> {
    /// The layer's name, or the project's folder.
    pub subject: &'a str,
    /// How its graph is known.
    pub basis: Basis,
    /// All that is compiled of it.
    pub whole: Work,
    /// How many units cost a guess.
    pub guessed: usize,
    /// The crates.
    pub bumps: &'a [Bump],
}

/// What a change of a lock comes to.
#[derive(Debug)]
pub struct Diff<'a> {
    /// The layer's name, or the project's folder.
    pub subject: &'a str,
    /// How the graphs are known.
    pub basis: Basis,
    /// The change, cook by cook; that of the first cook tells the packages.
    pub changes: &'a [(String, Change)],
    /// What is compiled again, of all cooks together.
    pub work: Work,
    /// All that is compiled.
    pub whole: Work,
    /// How many units cost a guess.
    pub guessed: usize,
}

/// The build-graph snapshot of a layer's set.
#[derive(Debug)]
pub struct SetState<'a> {
    /// The layer.
    pub layer: &'a LayerName,
    /// The file.
    pub file: String,
    /// How it is doing.
    pub state: SnapshotState,
    /// What it says; none where there is none that fits.
    pub graph: Option<&'a BuildGraph>,
    /// Its ceilings.
    pub ceilings: &'a Ceilings,
    /// What is compiled although the layer below has it; none where it stands on no other set.
    pub second: Option<Vec<Second>>,
}

/// How a build-graph snapshot is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SnapshotState {
    /// It fits its set.
    Fresh,
    /// The set has changed since it was written, or it can't be read.
    Stale,
    /// There is none.
    Missing,
    /// It says something else than cargo does now.
    Wrong,
    /// It was written.
    Written,
}

impl SnapshotState {
    fn word(self) -> &'static str {
        match self {
            SnapshotState::Fresh => "fresh",
            SnapshotState::Stale => "stale",
            SnapshotState::Missing => "missing",
            SnapshotState::Wrong => "wrong",
            SnapshotState::Written => "written",
        }
    }
}

/// Processor time, as people read it.
pub fn cpu(milliseconds: u64) -> String {
    duration(Duration::from_millis(milliseconds))
}

/// A part of a whole, in percent.
fn share(part: u64, whole: u64) -> String {
    let tenths = (part * 1000).checked_div(whole).unwrap_or_default();
    format!("{}.{} %", tenths / 10, tenths % 10)
}

fn sizes(work: Work, whole: Work) -> String {
    format!(
        "{} of {}, {} of {}, {} of {} of processor time",
        work.packages,
        count(whole.packages, "package"),
        work.units,
        count(whole.units, "unit"),
        cpu(work.cpu_ms),
        cpu(whole.cpu_ms),
    )
}

/// What is to be known of figures, in a line.
pub fn provenance(subject: &str, basis: Basis, guessed: usize, whole: Work) -> String {
    let mut words = format!("{subject}: {}", basis.words());
    if guessed > 0 {
        words.push_str(&format!(
            "; processor time is an estimate: {guessed} of {} were measured nowhere",
            count(whole.units, "unit")
        ));
    }
    words
}

impl Cones<'_> {
    /// Each crate with all that it reaches.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for bump in self.bumps {
            text.push_str(&format!("{} {}: {}\n", bump.name, bump.versions.join(", "), sizes(bump.work, self.whole)));
            let rows: Vec<[String; 2]> = bump
                .reached
                .iter()
                .map(|reached| [format!("  {} {}", reached.name, reached.version), reached.chain.clone()])
                .collect();
            text.push_str(&table(&rows));
        }
        text
    }

    /// A line for each crate.
    pub fn ranking(&self) -> String {
        let head = ["crate", "versions", "packages", "units", "cpu", "share"].map(str::to_owned);
        let rows: Vec<[String; 6]> =
            std::iter::once(head).chain(self.bumps.iter().map(|bump| self.row(bump))).collect();
        table(&rows)
    }

    /// A table for a comment.
    pub fn markdown(&self) -> String {
        let mut text = "| crate | versions | packages | units | CPU | share |\n|--|--|--:|--:|--:|--:|\n".to_owned();
        for bump in self.bumps {
            text.push_str(&format!("| {} |\n", self.row(bump).join(" | ")));
        }
        text
    }

    fn row(&self, bump: &Bump) -> [String; 6] {
        let Work { cpu_ms, units, packages } = bump.work;
        let share = share(cpu_ms, self.whole.cpu_ms);
        [bump.name.clone(), bump.versions.join(", "), packages.to_string(), units.to_string(), cpu(cpu_ms), share]
    }
}

impl Diff<'_> {
    /// The packages that moved, and what is compiled again.
    pub fn text(&self) -> String {
        let mut text = format!("{}: {} compiled again\n", self.subject, sizes(self.work, self.whole));
        let mut rows = Vec::new();
        for step in self.steps() {
            let cone = match step.cone {
                0 => String::new(),
                units => format!("reaches {}", count(units, "unit")),
            };
            rows.push([format!("  {}", step.name), step.version.clone(), moved(&step.moved), cone]);
        }
        text.push_str(&table(&rows));
        text
    }

    /// The same as a table for a comment.
    pub fn markdown(&self) -> String {
        let mut text = format!("**{}**: {} compiled again\n", self.subject, sizes(self.work, self.whole));
        if self.steps().next().is_some() {
            text.push_str("\n| crate | version | what happened | units reached |\n|--|--|--|--:|\n");
        }
        for step in self.steps() {
            text.push_str(&format!("| {} | {} | {} | {} |\n", step.name, step.version, moved(&step.moved), step.cone));
        }
        text + "\n"
    }

    /// The packages that moved in any cook, each once.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        let all: Vec<&Step> = self.changes.iter().flat_map(|(_, change)| &change.steps).collect();
        let mut kept: Vec<&Step> = Vec::new();
        for step in all {
            let same = |other: &&&Step| {
                (&other.name, &other.version, &other.moved) == (&step.name, &step.version, &step.moved)
            };
            if kept.iter().find(same).is_none() {
                kept.push(step);
            }
        }
        kept.sort_by(|a, b| (&a.name, &a.version).cmp(&(&b.name, &b.version)));
        kept.into_iter()
    }
}

/// What happened to a package, in a few words.
fn moved(moved: &Moved) -> String {
    match moved {
        Moved::Added => "is new".to_owned(),
        Moved::Removed => "is gone".to_owned(),
        Moved::Version(old) => format!("was {old}"),
        Moved::Features { on, off } => {
            let on = on.iter().map(|feature| format!("+{feature}"));
            on.chain(off.iter().map(|feature| format!("-{feature}"))).collect::<Vec<_>>().join(" ")
        }
    }
}

/// How the snapshots of sets are doing, a line a layer.
pub fn states(sets: &[SetState<'_>]) -> String {
    let head = ["layer", "snapshot", "packages", "units", "duplicates", "second time"].map(str::to_owned);
    let rows = sets.iter().map(|set| {
        let of = |is: usize, ceiling: Option<u64>| match ceiling {
            Some(ceiling) => format!("{is} of {ceiling}"),
            None => is.to_string(),
        };
        let counts = set.graph.map(BuildGraph::counts);
        let cell = |pick: &dyn Fn(crate::crates::Counts) -> (usize, Option<u64>)| {
            counts.map(pick).map(|(is, ceiling)| of(is, ceiling)).unwrap_or_default()
        };
        let second = set.second.as_ref().map(|second| of(second.len(), set.ceilings.second_time));
        [
            set.layer.to_string(),
            set.state.word().to_owned(),
            cell(&|counts| (counts.packages, set.ceilings.packages)),
            cell(&|counts| (counts.units, set.ceilings.units)),
            cell(&|counts| (counts.duplicates, set.ceilings.duplicates)),
            second.unwrap_or_default(),
        ]
    });
    table(&std::iter::once(head).chain(rows).collect::<Vec<_>>())
}

/// A crate that is behind the index.
#[derive(Debug)]
pub struct Old<'a> {
    /// Its name.
    pub name: &'a str,
    /// The version that is compiled.
    pub version: String,
    /// The newest version that the manifests allow, where it is newer.
    pub compatible: Option<String>,
    /// The newest version of all, where it is yet newer.
    pub newest: Option<String>,
    /// What a new version has compiled again: the packages of the set where they are most, units and processor time of
    /// all sets together.
    pub work: Work,
    /// The layers that compile it.
    pub layers: Vec<&'a LayerName>,
    /// The layers that depend on these, and are built again with them.
    pub dependents: Vec<LayerName>,
}

/// The crates that are behind, a line each.
pub fn outdated(crates: &[Old<'_>]) -> String {
    let head = ["crate", "version", "compatible", "newest", "packages", "units", "cpu", "layers", "and these"];
    let rows = crates.iter().map(|old| {
        let layers: Vec<&str> = old.layers.iter().map(|layer| layer.as_str()).collect();
        let dependents: Vec<&str> = old.dependents.iter().map(LayerName::as_str).collect();
        [
            old.name.to_owned(),
            old.version.clone(),
            old.compatible.clone().unwrap_or_else(|| "-".to_owned()),
            old.newest.clone().unwrap_or_else(|| "-".to_owned()),
            old.work.packages.to_string(),
            old.work.units.to_string(),
            cpu(old.work.cpu_ms),
            layers.join(" "),
            dependents.join(" "),
        ]
    });
    let rows: Vec<[String; 9]> = std::iter::once(head.map(str::to_owned)).chain(rows).collect();
    if crates.is_empty() { String::new() } else { table(&rows) }
}

/// What to declare so that a child compiles nothing a second time.
#[derive(Debug)]
pub struct Align<'a> {
    /// The layer below.
    pub parent: &'a LayerName,
    /// The layer that is cooked on top of it.
    pub child: &'a LayerName,
    /// What is compiled a second time as it is.
    pub before: Vec<Second>,
    /// What is to be changed.
    pub steps: &'a [AlignStep],
    /// What would be compiled a second time even so.
    pub after: Vec<Second>,
}

/// Something to be changed in one of two layers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AlignStep {
    /// The layer.
    pub layer: LayerName,
    /// What to change.
    pub what: AlignWhat,
}

/// What is to be changed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AlignWhat {
    /// A line of the Cargo.toml, in place of the one of the same name if there is one.
    Line {
        /// Its table: `dependencies`, `build-dependencies`.
        table: String,
        /// The line.
        line: String,
    },
    /// A build script: without one, cargo compiles no build dependencies.
    BuildScript,
    /// A command to run in the folder of the set.
    Command(String),
}

impl Align<'_> {
    /// The lines, ready to be pasted.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let mut place = (None, "");
        for step in self.steps {
            let table = match &step.what {
                AlignWhat::Line { table, .. } => table.as_str(),
                AlignWhat::BuildScript | AlignWhat::Command(_) => "",
            };
            if place.0 != Some(&step.layer) {
                text.push_str(&format!("# {}\n", step.layer));
            }
            if !table.is_empty() && place != (Some(&step.layer), table) {
                text.push_str(&format!("[{table}]\n"));
            }
            place = (Some(&step.layer), table);
            match &step.what {
                AlignWhat::Line { line, .. } => text.push_str(&format!("{line}\n")),
                AlignWhat::BuildScript => text
                    .push_str("# a build.rs with `fn main() {}`: without one, cargo compiles no build dependencies\n"),
                AlignWhat::Command(command) => text.push_str(&format!("# {command}\n")),
            }
        }
        text
    }
}
