//! Why a layer is stale, or why it is not.

use schemars::JsonSchema;
use serde::Serialize;

use super::Answer;
use super::change::Change;
use super::words::Link;
use crate::report::explanation::Explanation;
use crate::report::reason;
use crate::snapshot::Snapshot;

/// Why a layer is stale, or why it is not.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Why<'a> {
    /// The layer that was asked about.
    layer: &'a str,
    /// The revision as it was typed.
    since: &'a str,
    /// Whether its fingerprint differs.
    affected: bool,
    /// The reason in words; null where it is not affected.
    reason: Option<String>,
    /// Its fingerprint in both revisions.
    fingerprint: Fingerprints,
    /// Its stale parents; a parent with two roles stands twice.
    via: Vec<Link<'a>>,
    /// The changed layers that it depends on, itself included, nearest first.
    origins: Vec<Origin<'a>>,
}

/// A layer's fingerprint in both revisions.
#[derive(Debug, Serialize, JsonSchema)]
struct Fingerprints {
    /// In the other revision; null where there is none.
    old: Option<String>,
    /// Now; null where there is none.
    new: Option<String>,
}

/// A changed layer.
#[derive(Debug, Serialize, JsonSchema)]
struct Origin<'a> {
    /// Its name.
    layer: &'a str,
    /// What changed of it.
    changes: Vec<Change<'a>>,
}

impl Answer for Why<'_> {
    const NAME: &'static str = "why";
}

impl<'a> Why<'a> {
    /// What an explanation has to say.
    pub fn new(explanation: &Explanation<'a>) -> Self {
        let Explanation { old, new, cascade, layer, since } = *explanation;
        let reached = cascade.reached.get(layer);
        let fingerprint = |snapshot: &Snapshot| snapshot.fingerprints().get(layer).map(|value| value.to_string());
        let via = reached.map(|reached| reached.via.as_slice()).unwrap_or_default();
        let origins = explanation.origins().into_iter().map(|origin| Origin {
            layer: origin.as_str(),
            changes: cascade.changed.get(origin).into_iter().flatten().map(Change::from).collect(),
        });
        Self {
            layer: layer.as_str(),
            since,
            affected: reached.is_some(),
            reason: reached.map(|_| reason::chain(cascade, layer, false)),
            fingerprint: Fingerprints { old: old.and_then(fingerprint), new: fingerprint(new) },
            via: via.iter().map(|via| Link::new(&via.parent, via.edge)).collect(),
            origins: origins.collect(),
        }
    }
}
