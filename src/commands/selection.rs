//! Which layers are meant: what `plan`, `build`, `status` and `verify` share.

use std::collections::{BTreeMap, BTreeSet};

use super::cascade::{RevisionArgs, compare};
use super::changes::{Changes, UnknownPolicy};
use super::context::{Context, find_layer};
use super::error::CommandError;
use super::exit::Exit;
use crate::cascade::{Cascade, Only, Selection};
use crate::model::{Change, LayerName};
use crate::report::reason;
use crate::snapshot::Snapshot;

/// Which layers are meant.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct SelectionArgs {
    /// The layers
    #[arg(value_name = "LAYER", conflicts_with_all = ["all", "changed", "since"])]
    layers: Vec<String>,
    /// All layers
    #[arg(long, conflicts_with_all = ["changed", "since"])]
    all: bool,
    /// The layers that a change makes stale: layers, paths, external images; `-` reads paths from stdin
    #[arg(long, value_name = "X", num_args = 1.., conflicts_with = "since")]
    changed: Vec<String>,
    /// The layers whose fingerprints differ from those of a git revision
    #[arg(long, value_name = "REV")]
    since: Option<String>,
    /// What to do about a path that no layer claims, or a revision that can't be evaluated
    #[arg(long, value_name = "POLICY", value_enum, default_value_t)]
    unknown: UnknownPolicy,
    /// Add all layers that depend on them; --changed and --since do so by themselves
    #[arg(long, conflicts_with = "no_dependents")]
    dependents: bool,
    /// With --changed and --since: leave out the layers that did not change themselves
    #[arg(long)]
    no_dependents: bool,
    /// Leave out all layers but these: class=CLASS or name=GLOB; may be repeated
    #[arg(long, value_name = "CONDITION")]
    only: Vec<Only>,
}

/// The layers that are meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selected {
    /// The layers.
    pub layers: BTreeSet<LayerName>,
    /// Those of them that were asked for by name; all, where none was.
    pub named: BTreeSet<LayerName>,
    /// By layer, the way from the change to it, where a change was named.
    pub causes: BTreeMap<LayerName, String>,
}

impl SelectionArgs {
    /// The layers that are meant, in the catalog that they are of. There may be none: a change need not reach any.
    ///
    /// # Errors
    /// When nothing was selected, a name means nothing, or a change can't be judged.
    pub fn select(&self, context: &Context<'_>) -> Result<(Snapshot, Selected), CommandError> {
        if self.is_empty() {
            let error = CommandError::new(Exit::Usage, "no layer is selected");
            return Err(error.hint("name layers, or say --all, --changed X… or --since REV"));
        }
        if self.all { self.every(context) } else { self.reached(context) }
    }

    /// As [`SelectionArgs::select`], where nothing stands for all layers.
    ///
    /// # Errors
    /// When a name means nothing, or a change can't be judged.
    pub fn select_or_all(&self, context: &Context<'_>) -> Result<(Snapshot, Selected), CommandError> {
        if self.is_empty() || self.all { self.every(context) } else { self.reached(context) }
    }

    fn is_empty(&self) -> bool {
        self.layers.is_empty() && !self.all && self.changed.is_empty() && self.since.is_none()
    }

    fn every(&self, context: &Context<'_>) -> Result<(Snapshot, Selected), CommandError> {
        let snapshot = context.snapshot()?;
        let wanted = self.wanted(false);
        let wanted = snapshot.layers().filter(|loaded| wanted.matches(&loaded.layer, 0));
        let layers: BTreeSet<LayerName> = wanted.map(|loaded| loaded.layer.name.clone()).collect();
        Ok((snapshot, Selected { named: layers.clone(), layers, causes: BTreeMap::new() }))
    }

    /// Named layers are a change as well, one that is nobody's reason.
    fn reached(&self, context: &Context<'_>) -> Result<(Snapshot, Selected), CommandError> {
        let is_change = self.layers.is_empty();
        let (snapshot, cascade) = match &self.since {
            Some(since) => {
                let revisions = RevisionArgs { since: Some(since.clone()), until: None, unknown: self.unknown };
                let (_, snapshot, cascade) = compare(context, since, &revisions)?;
                (snapshot, cascade)
            }
            None => {
                let snapshot = context.snapshot()?;
                let changed = if is_change { self.changes(context, &snapshot)? } else { self.names(&snapshot)? };
                let cascade = Cascade::of(&snapshot, changed);
                (snapshot, cascade)
            }
        };
        let with_dependents = if is_change { !self.no_dependents } else { self.dependents };
        let layers = cascade.selected(&snapshot, &self.wanted(!with_dependents));
        let verbose = context.verbose();
        let cause = |name: &LayerName| (name.clone(), reason::chain(&cascade, name, verbose));
        let causes = if is_change { layers.iter().map(cause).collect() } else { BTreeMap::new() };
        let named = match is_change {
            true => layers.clone(),
            false => layers.iter().filter(|name| cascade.changed.contains_key(*name)).cloned().collect(),
        };
        Ok((snapshot, Selected { layers, named, causes }))
    }

    fn names(&self, snapshot: &Snapshot) -> Result<BTreeMap<LayerName, Vec<Change>>, CommandError> {
        let named = self.layers.iter().map(|typed| {
            let (name, _) = find_layer(snapshot, typed)?;
            Ok((name.clone(), vec![Change::Named]))
        });
        named.collect()
    }

    fn changes(
        &self,
        context: &Context<'_>,
        snapshot: &Snapshot,
    ) -> Result<BTreeMap<LayerName, Vec<Change>>, CommandError> {
        let mut changes = Changes::new(context, snapshot, self.unknown);
        self.changed.iter().try_for_each(|word| changes.add(word))?;
        let (changed, unaffecting) = changes.finish()?;
        unaffecting.remarks(context.verbose()).iter().for_each(|remark| context.ui.remark(remark));
        Ok(changed)
    }

    fn wanted(&self, changed_only: bool) -> Selection {
        let max_distance = changed_only.then_some(0);
        Selection { dependents_only: false, max_distance, only: self.only.clone() }
    }
}
