//! Why a layer is stale, or why it is not.

use std::sync::Arc;

use super::{count, json, reason};
use crate::cascade::Cascade;
use crate::model::{Change, ContextChange, LayerName, RelPath};
use crate::snapshot::Snapshot;

/// How many lines of a file's difference are shown.
const MAX_DIFF_LINES: usize = 60;

/// The answer to "why is this layer stale".
#[derive(Debug)]
pub struct Explanation<'a> {
    /// The other revision; `None` where it can't be read.
    pub old: Option<&'a Snapshot>,
    /// The catalog as it is now.
    pub new: &'a Snapshot,
    /// What differs.
    pub cascade: &'a Cascade,
    /// The layer that is asked about.
    pub layer: &'a LayerName,
    /// The revision as it was asked for.
    pub since: &'a str,
}

impl<'a> Explanation<'a> {
    /// The changed layers that the layer depends on, itself included, nearest first.
    pub fn origins(&self) -> Vec<&'a LayerName> {
        let mut origins = Vec::new();
        let mut open = std::collections::VecDeque::from([self.layer]);
        let mut seen = std::collections::BTreeSet::from([self.layer]);
        while let Some(name) = open.pop_front() {
            let Some((name, reached)) = self.cascade.reached.get_key_value(name) else { continue };
            if self.cascade.changed.contains_key(name) {
                origins.push(name);
            }
            for via in &reached.via {
                if seen.insert(&via.parent) {
                    open.push_back(&via.parent);
                }
            }
        }
        origins
    }

    /// For people.
    pub fn text(&self) -> String {
        let name = self.layer;
        let fingerprint = |snapshot: Option<&Snapshot>| {
            let fingerprint = snapshot.and_then(|snapshot| snapshot.fingerprints().get(name));
            fingerprint.map_or_else(|| "none".to_owned(), |fingerprint| fingerprint.to_string()[..20].to_owned())
        };
        let (before, now) = (fingerprint(self.old), fingerprint(Some(self.new)));
        if !self.cascade.contains(name) {
            let mut text = format!("{name} is the same as in {}: its fingerprint is {now}\n", self.since);
            let others = self.cascade.reached.len();
            if others == 0 {
                text.push_str("no layer differs\n");
            } else {
                let parents = self.new.graph.ancestors(
                    name,
                    &[crate::model::EdgeKind::Build, crate::model::EdgeKind::Runtime, crate::model::EdgeKind::Donor],
                );
                let verb = if others == 1 { "differs" } else { "differ" };
                text.push_str(&format!(
                    "{} {verb}, and {name} depends on none of them (it depends on {})\n",
                    count(others, "layer"),
                    if parents.is_empty() { "no layer".to_owned() } else { super::enumeration(&parents) }
                ));
            }
            return text;
        }
        let mut text = format!("{name} differs from {}: its fingerprint was {before}, is {now}\n", self.since);
        text.push_str(&format!("  {}\n", reason::chain(self.cascade, name, false)));
        let via = &self.cascade.reached[name].via;
        if !via.is_empty() {
            let parents = super::with_roles(via.iter().map(|via| (&via.parent, via.edge)));
            text.push_str(&format!("stale parents: {}\n", super::enumeration(&parents)));
        }
        for origin in self.origins() {
            text.push_str(&format!("\n{origin}\n"));
            for change in &self.cascade.changed[origin] {
                text.push_str(&self.change(change));
            }
        }
        text
    }

    fn change(&self, change: &Change) -> String {
        match change {
            Change::Field { path, old, new } => {
                let line = |sign: char, value: &Option<String>| {
                    value.as_ref().map(|value| format!("  {sign} {path} = {value}\n")).unwrap_or_default()
                };
                line('-', old) + &line('+', new)
            }
            Change::Dockerfile { file } | Change::Context { file, change: ContextChange::Content } => {
                format!("  {}\n{}", reason::change(change), self.diff(file))
            }
            Change::Image { old, new, .. } => {
                let digest = |digest: &Option<crate::model::Digest>| {
                    digest.as_ref().map_or_else(|| "not locked".to_owned(), ToString::to_string)
                };
                format!("  {}\n  - {}\n  + {}\n", reason::change(change), digest(old), digest(new))
            }
            change => format!("  {}\n", reason::change(change)),
        }
    }

    /// The difference of a text file, line by line; nothing for other files.
    fn diff(&self, file: &RelPath) -> String {
        let text = |snapshot: &Snapshot| -> Option<Arc<str>> { Some(snapshot.catalog.files.text(file).ok()??.text) };
        let (Some(old), Some(new)) = (self.old.and_then(text), text(self.new)) else { return String::new() };
        let diff = similar::TextDiff::from_lines(&*old, &*new);
        let unified = diff.unified_diff().context_radius(2).to_string();
        let lines: Vec<&str> = unified.lines().collect();
        let mut text: String = lines.iter().take(MAX_DIFF_LINES).map(|line| format!("    {line}\n")).collect();
        if lines.len() > MAX_DIFF_LINES {
            text.push_str(&format!("    … {} more\n", count(lines.len() - MAX_DIFF_LINES, "line")));
        }
        text
    }

    /// Everything, as JSON.
    pub fn json(&self) -> String {
        json::answer(json::why::Why::new(self))
    }
}
