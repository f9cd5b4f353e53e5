//! A cascade as text, names, waves and JSON.

use std::collections::BTreeSet;

use rayon::prelude::*;
use serde_json::{Value, json};

use super::reason;
use super::{count, json, table};
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
        let waves = self.waves;
        let fingerprints = self.snapshot.fingerprints();
        let layer = |wave: usize, name: &LayerName| {
            let reached = &self.cascade.reached[name];
            let chain = self.cascade.chain(name);
            let step = |(edge, layer): &(crate::model::EdgeKind, &LayerName)| json!({ "layer": layer.as_str(), "edge": edge.as_str() });
            json!({
                "layer": name.as_str(),
                "class": self.snapshot.layer(name).map(|layer| layer.class.as_str()),
                "wave": wave + 1,
                "distance": reached.distance,
                "fingerprint": fingerprints.get(name).map(|fingerprint| fingerprint.to_string()),
                "reason": reason::chain(self.cascade, name, false),
                "changes": self.cascade.changed.get(name).into_iter().flatten().map(reason::change_json).collect::<Vec<_>>(),
                "via": reached.via.iter().map(|via| json!({ "layer": via.parent.as_str(), "edge": via.edge.as_str() })).collect::<Vec<_>>(),
                "origin": chain.as_ref().map(|chain| chain.origin.as_str()),
                "chain": chain.as_ref().map(|chain| chain.steps.iter().map(step).collect::<Vec<_>>()),
            })
        };
        let numbered: Vec<(usize, &LayerName)> =
            waves.iter().enumerate().flat_map(|(wave, names)| names.iter().map(move |name| (wave, *name))).collect();
        let affected: Vec<Value> = numbered.into_par_iter().map(|(wave, name)| layer(wave, name)).collect();
        let paths = self.unaffecting;
        let path = |path: &RelPath| Value::from(path.as_str());
        let body = json!({
            "catalog": self.snapshot.catalog.config.as_ref().map(|config| &config.name),
            "since": self.since,
            "until": self.until,
            "affected": affected,
            "waves": waves.iter().map(|wave| wave.iter().map(|name| name.as_str()).collect::<Vec<_>>()).collect::<Vec<_>>(),
            "removed": self.cascade.removed.iter().map(LayerName::as_str).collect::<Vec<_>>(),
            "layers": self.snapshot.graph.names().len(),
            "unlocked": self.snapshot.unlocked().iter().map(ToString::to_string).collect::<Vec<_>>(),
            "paths": {
                "outside": paths.outside,
                "ignored": paths.ignored.iter().map(|(file, glob)| json!({ "path": path(file), "glob": glob })).collect::<Vec<_>>(),
                "not_built": paths.not_built.iter().map(|(file, why)| json!({ "path": path(file), "why": why })).collect::<Vec<_>>(),
                "unclaimed": paths.unclaimed.iter().map(path).collect::<Vec<_>>(),
            },
        });
        json::answer("cascade", body)
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
        for image in self.snapshot.unlocked() {
            remarks.push(format!("{} has no digest in the lock: a move of its tag goes unnoticed", image.familiar()));
        }
        let paths = self.unaffecting;
        let mut say = |what: &str, named: Vec<String>| {
            if named.is_empty() {
                return;
            }
            remarks.push(format!(
                "{} {what}{}",
                count(named.len(), "path"),
                if self.verbose { "" } else { " (-v names them)" }
            ));
            if self.verbose {
                remarks.extend(named.into_iter().map(|name| format!("  {name}")));
            }
        };
        say("outside of the catalog's folders", paths.outside.clone());
        say(
            "ignored by the catalog's list",
            paths.ignored.iter().map(|(file, glob)| format!("{file} ({glob})")).collect(),
        );
        say(
            "of the catalog from which no layer is built",
            paths.not_built.iter().map(|(file, why)| format!("{file} ({why})")).collect(),
        );
        say("claimed by no layer, and ignored", paths.unclaimed.iter().map(RelPath::to_string).collect());
        remarks
    }
}
