//! A cascade.

use rayon::prelude::*;
use schemars::JsonSchema;
use serde::Serialize;

use super::Answer;
use super::change::Change;
use super::words::{Class, Link, waves};
use crate::model::{LayerName, RelPath};
use crate::report::cascade::{CascadeReport, Unaffecting};
use crate::report::reason;

/// Which layers a change makes stale, in which order, and why.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Cascade<'a> {
    /// The catalog's name.
    catalog: &'a str,
    /// The revision of `--since`, as it was typed.
    since: Option<&'a str>,
    /// The revision of `--until`; null is the work tree.
    until: Option<&'a str>,
    /// The selected layers in order of building.
    affected: Vec<Affected<'a>>,
    /// The names by wave: layers that can be built at the same time.
    waves: Vec<Vec<&'a str>>,
    /// Layers that the other revision has and this one has not (only with `--since`).
    removed: Vec<&'a str>,
    /// All layers of the catalog.
    layers: usize,
    /// External images without a digest in the lock.
    unlocked: Vec<String>,
    /// The changed paths that make nothing stale.
    paths: Paths<'a>,
}

/// A stale layer.
#[derive(Debug, Serialize, JsonSchema)]
struct Affected<'a> {
    /// Its name.
    layer: &'a str,
    /// Its class.
    class: Class,
    /// Its wave, from 1; the waves are those of the selection.
    wave: usize,
    /// Edges to the nearest changed layer; 0 for a changed one.
    distance: usize,
    /// Its fingerprint now; null where an input can't be read.
    fingerprint: Option<String>,
    /// The reason in words, as in text.
    reason: String,
    /// What changed of the layer itself; empty for one that is only reached.
    changes: Vec<Change<'a>>,
    /// The stale parents; a parent with two roles stands twice.
    via: Vec<Link<'a>>,
    /// The changed layer that the reason begins with.
    origin: &'a str,
    /// The way from there to the layer: each step with its role for the step before; empty for a changed layer.
    chain: Vec<Link<'a>>,
}

/// Changed paths that make nothing stale, by the reason why.
#[derive(Debug, Serialize, JsonSchema)]
struct Paths<'a> {
    /// Outside of the catalog's folders.
    outside: &'a [String],
    /// Matched by a glob of the catalog's `ignored`.
    ignored: Vec<Ignored<'a>>,
    /// Of the catalog, but no layer is built from it.
    not_built: Vec<NotBuilt<'a>>,
    /// Claimed by no layer, and ignored because of `--unknown=ignore`.
    unclaimed: Vec<&'a str>,
}

/// A path that the catalog ignores.
#[derive(Debug, Serialize, JsonSchema)]
struct Ignored<'a> {
    /// The path, relative to the catalog's root.
    path: &'a str,
    /// The glob that matches it.
    glob: &'a str,
}

/// A path of the catalog that no layer is built from.
#[derive(Debug, Serialize, JsonSchema)]
struct NotBuilt<'a> {
    /// The path, relative to the catalog's root.
    path: &'a str,
    /// Why, in words.
    why: &'static str,
}

impl Answer for Cascade<'_> {
    const NAME: &'static str = "cascade";
}

impl<'a> Cascade<'a> {
    /// What a report on a cascade has to say. The layers are looked at on all processors.
    pub fn new(report: &CascadeReport<'a>) -> Self {
        let snapshot = report.snapshot;
        let selected =
            report.waves.iter().zip(1..).flat_map(|(names, wave)| names.iter().map(move |name| (wave, *name)));
        let selected: Vec<(usize, &LayerName)> = selected.collect();
        Self {
            catalog: snapshot.catalog.config.as_ref().map_or("", |config| &config.name),
            since: report.since,
            until: report.until,
            affected: selected.into_par_iter().filter_map(|(wave, name)| affected(report, wave, name)).collect(),
            waves: waves(report.waves),
            removed: report.cascade.removed.iter().map(LayerName::as_str).collect(),
            layers: snapshot.graph.names().len(),
            unlocked: snapshot.unlocked().iter().map(ToString::to_string).collect(),
            paths: Paths::new(report.unaffecting),
        }
    }
}

/// A layer of the cascade; what is selected is in the snapshot and was reached.
fn affected<'a>(report: &CascadeReport<'a>, wave: usize, name: &'a LayerName) -> Option<Affected<'a>> {
    let reached = report.cascade.reached.get(name)?;
    let chain = report.cascade.chain(name)?;
    let changes = report.cascade.changed.get(name);
    Some(Affected {
        layer: name.as_str(),
        class: report.snapshot.layer(name)?.class.into(),
        wave,
        distance: reached.distance,
        fingerprint: report.snapshot.fingerprints().get(name).map(|fingerprint| fingerprint.to_string()),
        reason: reason::chain(report.cascade, name, false),
        changes: changes.into_iter().flatten().map(Change::from).collect(),
        via: reached.via.iter().map(|via| Link::new(&via.parent, via.edge)).collect(),
        origin: chain.origin.as_str(),
        chain: chain.steps.iter().map(|(edge, layer)| Link::new(layer, *edge)).collect(),
    })
}

impl<'a> Paths<'a> {
    fn new(paths: &'a Unaffecting) -> Self {
        Self {
            outside: &paths.outside,
            ignored: paths.ignored.iter().map(|(path, glob)| Ignored { path: path.as_str(), glob }).collect(),
            not_built: paths.not_built.iter().map(|(path, why)| NotBuilt { path: path.as_str(), why }).collect(),
            unclaimed: paths.unclaimed.iter().map(RelPath::as_str).collect(),
        }
    }
}
