//! What a change makes stale, and why. One computation answers `cascade` and `why`.
//!
//! [`Cascade::between`] compares two snapshots by their fingerprints' inputs; [`Cascade::of`] starts from named
//! changes. Both are monotone: one more change never removes a layer.

mod estimate;
mod listed;
mod paths;
mod scope;
mod select;

use std::collections::{BTreeMap, BTreeSet};

pub use estimate::Estimate;
pub use listed::listed_paths;
pub use paths::{Claims, Verdict};
pub use scope::Scope;
pub use select::{Only, OnlyError, Selection};

use crate::graph::Reached;
use crate::model::{Change, EdgeKind, LayerName};
use crate::snapshot::Snapshot;

/// What is stale.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cascade {
    /// The layers that changed themselves, with all that changed of them.
    pub changed: BTreeMap<LayerName, Vec<Change>>,
    /// Those, and all that depend on them, with every stale parent.
    pub reached: BTreeMap<LayerName, Reached>,
    /// The layers that are gone.
    pub removed: Vec<LayerName>,
}

/// The shortest way from a changed layer to a stale one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain<'a> {
    /// The changed layer.
    pub origin: &'a LayerName,
    /// The layers behind it, each with its role for the one before; empty for a changed layer.
    pub steps: Vec<(EdgeKind, &'a LayerName)>,
}

/// What holds where a layer of the other revision can't be evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// It counts as changed.
    IsChanged,
    /// It counts as unchanged.
    IsUnchanged,
}

impl Cascade {
    /// Follows changes of layers to all that depend on them.
    pub fn of(new: &Snapshot, changed: BTreeMap<LayerName, Vec<Change>>) -> Self {
        let mut changed = changed;
        for changes in changed.values_mut() {
            changes.sort();
            changes.dedup();
        }
        let reached = new.graph.reach(changed.keys());
        Self { changed, reached, removed: Vec::new() }
    }

    /// Compares two revisions: a layer has changed when the inputs of its fingerprint differ.
    pub fn between(old: &Snapshot, new: &Snapshot, unreadable: Unreadable) -> Self {
        let (before, after) = (old.fingerprints(), new.fingerprints());
        let (old_names, names) = (old.names(), new.names());
        let mut changed = BTreeMap::new();
        for name in new.graph.names() {
            let changes = match (before.inputs(name), after.inputs(name)) {
                (Some(old), Some(new)) => new.changes_since(old),
                (None, _) if !old_names.contains(name) => vec![Change::New],
                _ if unreadable == Unreadable::IsChanged => vec![Change::OldUnreadable],
                _ => Vec::new(),
            };
            if !changes.is_empty() {
                changed.insert(name.clone(), changes);
            }
        }
        let removed = old_names.into_iter().filter(|name| !names.contains(name)).cloned().collect();
        Self { removed, ..Self::of(new, changed) }
    }

    /// What holds where the other revision can't be read at all.
    pub fn without_old(new: &Snapshot, unreadable: Unreadable) -> Self {
        let changed = match unreadable {
            Unreadable::IsUnchanged => BTreeMap::new(),
            Unreadable::IsChanged => {
                new.graph.names().map(|name| (name.clone(), vec![Change::OldUnreadable])).collect()
            }
        };
        Self::of(new, changed)
    }

    /// Whether a layer of this name is gone.
    pub fn is_removed(&self, name: &str) -> bool {
        self.removed.iter().any(|removed| removed.as_str() == name)
    }

    /// Whether a layer is stale.
    pub fn contains(&self, name: &LayerName) -> bool {
        self.reached.contains_key(name)
    }

    /// The shortest way by which a layer became stale.
    pub fn chain(&self, name: &LayerName) -> Option<Chain<'_>> {
        let mut at = self.reached.get_key_value(name)?.0;
        let mut steps = Vec::new();
        while let Some(via) = self.nearest_parent(at) {
            steps.push((via.edge, at));
            at = &via.parent;
        }
        steps.reverse();
        Some(Chain { origin: at, steps })
    }

    /// The parent through which a layer that did not change itself became stale.
    fn nearest_parent(&self, name: &LayerName) -> Option<&crate::model::Via> {
        let reached = self.reached.get(name)?;
        if reached.distance == 0 { None } else { reached.via.first() }
    }

    /// The layers that a selection leaves, in waves of building.
    pub fn waves<'a>(&self, new: &'a Snapshot, selection: &Selection) -> Vec<Vec<&'a LayerName>> {
        new.graph.waves(&self.selected(new, selection))
    }

    /// The layers that a selection leaves.
    pub fn selected(&self, new: &Snapshot, selection: &Selection) -> BTreeSet<LayerName> {
        self.reached
            .iter()
            .filter(|(name, reached)| new.layer(name).is_some_and(|layer| selection.matches(layer, reached.distance)))
            .map(|(name, _)| name.clone())
            .collect()
    }
}
