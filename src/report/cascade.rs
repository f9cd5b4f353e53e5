//! A cascade as text, names, waves and JSON.

use std::collections::BTreeSet;

use super::reason;
use super::{count, json, pins, table};
use crate::cascade::Cascade;
use crate::lock::Move;
use crate::model::{LayerName, RelPath};
use crate::snapshot::Snapshot;

/// Changed paths that make nothing stale, by the reason why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unaffecting {
    /// Outside of the catalog's folders.
    pub outside: Vec<String>,
    /// Matched by a glob of the catalog's list, which is named.
    pub ignored: Vec<(RelPath, String)>,
    /// Part of the catalog, but no layer is built from it; with the reason.
    pub not_built: Vec<(RelPath, &'static str)>,
    /// Claimed by no layer, and ignored because that was asked for.
    pub unclaimed: Vec<RelPath>,
}

impl Unaffecting {
    /// What is said about them: how many there are, and all of them where that is asked for.
    pub fn remarks(&self, verbose: bool) -> Vec<String> {
        let mut remarks = Vec::new();
        let mut say = |what: &str, named: Vec<String>| {
            if named.is_empty() {
                return;
            }
            remarks.push(format!(
                "{} {what}{}",
                count(named.len(), "path"),
                if verbose { "" } else { " (-v names them)" }
            ));
            if verbose {
                remarks.extend(named.into_iter().map(|name| format!("  {name}")));
            }
        };
        say("outside of the catalog's folders", self.outside.clone());
        say(
            "ignored by the catalog's list",
            self.ignored.iter().map(|(file, glob)| format!("{file} ({glob})")).collect(),
        );
        say(
            "of the catalog from which no layer is built",
            self.not_built.iter().map(|(file, why)| format!("{file} ({why})")).collect(),
        );
        say("claimed by no layer, and ignored", self.unclaimed.iter().map(RelPath::to_string).collect());
        remarks
    }
}

/// A cascade with what a report on it needs.
#[derive(Debug)]
pub struct CascadeReport<'a> {
    /// The catalog as it is now.
    pub snapshot: &'a Snapshot,
    /// The revision that it is compared with, where it is compared with one that can be read.
    pub old: Option<&'a Snapshot>,
    /// What is stale.
    pub cascade: &'a Cascade,
    /// What of it is wanted, in waves of building.
    pub waves: &'a [Vec<&'a LayerName>],
    /// The paths that changed nothing.
    pub unaffecting: &'a Unaffecting,
    /// The revision it is compared with.
    pub since: Option<&'a str>,
    /// The revision that stands for now; the work tree where it is absent.
    pub until: Option<&'a str>,
    /// Whether all reasons are told.
    pub verbose: bool,
}

impl CascadeReport<'_> {
    /// The layers that are wanted.
    pub fn selected(&self) -> BTreeSet<LayerName> {
        self.waves.iter().flatten().map(|name| (*name).clone()).collect()
    }

    /// The locked images that moved since the other revision.
    pub fn moves(&self) -> Vec<Move<'_>> {
        self.old.map(|old| self.snapshot.lock.moves_since(&old.lock)).unwrap_or_default()
    }

    /// A line a layer: its name, and the way from a change to it.
    pub fn text(&self) -> String {
        let row = |name: &LayerName| [name.to_string(), reason::chain(self.cascade, name, self.verbose)];
        let mut text = table(&self.waves.concat().into_iter().map(row).collect::<Vec<_>>());
        for name in &self.cascade.removed {
            text.push_str(&format!("{name}  removed\n"));
        }
        if text.is_empty() { "no layer is affected\n".to_owned() } else { text }
    }

    /// A name a line, in order of building.
    pub fn names(&self) -> String {
        self.waves.concat().into_iter().map(|name| format!("{name}\n")).collect()
    }

    /// A wave a line: the names that can be built at the same time, separated by blanks.
    pub fn wave_lines(&self) -> String {
        let line = |wave: &Vec<&LayerName>| wave.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(" ") + "\n";
        self.waves.iter().map(line).collect()
    }

    /// Everything, as JSON.
    pub fn json(&self) -> String {
        json::answer(json::cascade::Cascade::new(self))
    }

    /// What is said beside the answer: how much is affected, what is not locked, which paths meant nothing.
    pub fn remarks(&self) -> Vec<String> {
        let waves = self.waves;
        let affected = waves.iter().map(Vec::len).sum::<usize>();
        let all = self.snapshot.graph.names().len();
        let mut remarks = Vec::new();
        if affected > 0 {
            let verb = if affected == 1 { "is" } else { "are" };
            remarks.push(format!(
                "{} of {} {verb} affected, in {}",
                affected,
                count(all, "layer"),
                count(waves.len(), "wave")
            ));
        }
        remarks.extend(pins::unlocked(self.snapshot));
        remarks.extend(self.unaffecting.remarks(self.verbose));
        remarks
    }
}
