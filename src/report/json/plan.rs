//! A plan. It is an answer and a file that `lamina build --plan` reads: `plan/document.rs` is its reader.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use super::Answer;
use super::words::Edge;
use crate::event::Action;
use crate::model::LayerName;
use crate::plan;
use crate::report::plan::PlanReport;
use crate::report::reason;

/// What a build would do, and why.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Plan<'a> {
    /// The catalog's name.
    catalog: &'a str,
    /// The registry of the layers' images.
    registry: &'a str,
    /// The namespace of the layers' images.
    namespace: &'a str,
    /// Whether `--frozen` was given, and so every external image that a build needs is in the lock.
    frozen: bool,
    /// The layers to build or to prove, in order of building.
    steps: Vec<Step<'a>>,
    /// The selected layers that need nothing, in order of building.
    skipped: Vec<Skipped<'a>>,
    /// How long the builds take.
    expected: Expected<'a>,
}

/// A layer to build or to prove.
#[derive(Debug, Serialize, JsonSchema)]
struct Step<'a> {
    /// The layer.
    layer: &'a str,
    /// What is done.
    action: Action,
    /// Its fingerprint.
    fingerprint: String,
    /// The image's name, with the tag of the fingerprint.
    image: String,
    /// The reasons in words.
    reason: String,
    /// The reasons; at least one.
    reasons: Vec<Reason<'a>>,
    /// The way from a change to the layer, in words; null where no change was named.
    cause: Option<&'a str>,
    /// The layers of this plan that have to be done before.
    needs: Vec<&'a str>,
    /// The parents that are there already, by layer, each with the digest of its image.
    present: BTreeMap<&'a str, &'a str>,
    /// Whether it is built although the registry has its image.
    forced: bool,
    /// How many milliseconds it is expected to take; null where nobody says.
    expected_ms: Option<u64>,
}

/// A selected layer that needs nothing.
#[derive(Debug, Serialize, JsonSchema)]
struct Skipped<'a> {
    /// The layer.
    layer: &'a str,
    /// Its fingerprint.
    fingerprint: String,
    /// The digest of its image.
    digest: &'a str,
    /// The reason in words.
    reason: String,
    /// The reason.
    code: SkipCode,
    /// The way from a change to the layer, in words; null where no change was named.
    cause: Option<&'a str>,
}

/// Why a selected layer needs nothing.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum SkipCode {
    /// The registry has a proven image of its fingerprint.
    UpToDate,
}

/// Why a layer is built or proven. `text` says it in words, the other fields depend on the code.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(tag = "code", rename_all = "kebab-case")]
enum Reason<'a> {
    /// The registry has no image of its fingerprint.
    NoImage {
        /// The same in words.
        text: String,
    },
    /// It was asked for with `--force`.
    Forced {
        /// The same in words.
        text: String,
    },
    /// A parent is built once more by request, and this layer is in the selection.
    ParentForced {
        /// The same in words.
        text: String,
        /// The parent.
        parent: &'a str,
        /// The parent's role.
        edge: Edge,
    },
    /// A parent is built as well.
    ParentBuilt {
        /// The same in words.
        text: String,
        /// The parent.
        parent: &'a str,
        /// The parent's role.
        edge: Edge,
    },
    /// It is outside of the selection, and a layer of the plan needs its image.
    NeededBy {
        /// The same in words.
        text: String,
        /// The layer that needs it.
        child: &'a str,
    },
    /// The registry has its image, and no proof that it is good.
    ProofMissing {
        /// The same in words.
        text: String,
    },
    /// It failed in an earlier run.
    FailedBefore {
        /// The same in words.
        text: String,
        /// The run.
        run: &'a str,
    },
}

/// How long the builds take, as far as earlier runs or the layers say. Proofs are not counted.
#[derive(Debug, Serialize, JsonSchema)]
struct Expected<'a> {
    /// Milliseconds of all builds together.
    machine_ms: u64,
    /// Milliseconds of the longest way from parent to child: with as many machines as can be used.
    wall_ms: u64,
    /// The layers on that way, parents first.
    critical: Vec<&'a str>,
    /// The builds without a figure; while there are any, the times are a lower bound.
    without_figure: Vec<&'a str>,
}

impl Answer for Plan<'_> {
    const NAME: &'static str = "plan";
}

impl<'a> Plan<'a> {
    /// What a report on a plan has to say.
    pub fn new(report: &PlanReport<'a>) -> Self {
        let config = report.snapshot.catalog.config.as_ref();
        let cause = |layer: &LayerName| report.plan.causes.get(layer).map(String::as_str);
        let skipped = |skipped: &'a plan::Skipped| Skipped {
            layer: skipped.layer.as_str(),
            fingerprint: skipped.fingerprint.to_string(),
            digest: skipped.digest.as_str(),
            reason: reason::skipped(&skipped.reason),
            code: match skipped.reason {
                plan::SkipReason::UpToDate => SkipCode::UpToDate,
            },
            cause: cause(&skipped.layer),
        };
        Self {
            catalog: config.map_or("", |config| &config.name),
            registry: config.map_or("", |config| &config.registry),
            namespace: config.map_or("", |config| &config.namespace),
            frozen: report.frozen,
            steps: report.plan.steps.iter().map(|step| Step::new(step, cause(&step.layer))).collect(),
            skipped: report.plan.skipped.iter().map(skipped).collect(),
            expected: Expected::new(&report.plan.estimate()),
        }
    }
}

impl<'a> Step<'a> {
    fn new(step: &'a plan::Step, cause: Option<&'a str>) -> Self {
        Self {
            layer: step.layer.as_str(),
            action: step.action,
            fingerprint: step.fingerprint.to_string(),
            image: step.image.to_string(),
            reason: reason::all_planned(&step.reasons),
            reasons: step.reasons.iter().map(Reason::from).collect(),
            cause,
            needs: step.needs.iter().map(LayerName::as_str).collect(),
            present: step.present.iter().map(|(name, digest)| (name.as_str(), digest.as_str())).collect(),
            forced: step.forced,
            expected_ms: step.expected.map(milliseconds),
        }
    }
}

impl<'a> From<&'a plan::Reason> for Reason<'a> {
    fn from(reason: &'a plan::Reason) -> Self {
        use plan::Reason as Known;
        let text = reason::planned(reason);
        match reason {
            Known::NoImage => Reason::NoImage { text },
            Known::Forced => Reason::Forced { text },
            Known::ParentForced { parent, edge } => {
                Reason::ParentForced { text, parent: parent.as_str(), edge: (*edge).into() }
            }
            Known::ParentBuilt { parent, edge } => {
                Reason::ParentBuilt { text, parent: parent.as_str(), edge: (*edge).into() }
            }
            Known::NeededBy { child } => Reason::NeededBy { text, child: child.as_str() },
            Known::ProofMissing => Reason::ProofMissing { text },
            Known::FailedBefore { run } => Reason::FailedBefore { text, run: run.as_str() },
        }
    }
}

impl<'a> Expected<'a> {
    fn new(estimate: &plan::Estimate<'a>) -> Self {
        Self {
            machine_ms: milliseconds(estimate.machine),
            wall_ms: milliseconds(estimate.wall),
            critical: estimate.critical.iter().map(|name| name.as_str()).collect(),
            without_figure: estimate.without_figure.iter().map(|name| name.as_str()).collect(),
        }
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
