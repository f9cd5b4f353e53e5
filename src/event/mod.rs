//! What happens in a run, as one stream of typed events: what happened, never how it looks.
//!
//! Bars, lines, JSON, logs, the report and the history are readers of this stream; none of them influences a run. The
//! form as JSON lines is stable and versioned: a run that was recorded can be shown by every later lamina.

mod outcome;
mod run_id;

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use outcome::{
    Built, CancelReason, Failure, FailureKind, NotRun, Oom, OomVerdict, Origin, Outcome, ProbeResult, RunOutcome,
    StepFailure,
};
pub use run_id::{RunId, RunIdError};

use crate::model::{Digest, Fingerprint, ImageRef, LayerName, Size};

/// The version of the events. It changes when a field changes its meaning or goes.
pub const VERSION: u32 = 1;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// The run that it happened in.
    pub run: RunId,
    /// Its number in the run, from 0.
    pub seq: u64,
    /// When it happened, on lamina's clock.
    pub at: Timestamp,
    /// What happened.
    #[serde(flatten)]
    pub kind: Kind,
}

/// What happened.
///
/// A run begins with [`Kind::RunStarted`] and ends with [`Kind::RunFinished`]. A layer that is worked at begins with
/// [`Kind::LayerStarted`]; every layer of the plan ends with exactly one [`Kind::LayerFinished`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Kind {
    /// The run begins.
    RunStarted {
        /// [`VERSION`].
        version: u32,
        /// lamina's version.
        lamina: String,
        /// The command: `build` or `verify`.
        command: String,
        /// The catalog's name.
        catalog: String,
        /// The registry that images are pushed to.
        registry: String,
        /// The path in the registry before a layer's name.
        namespace: String,
        /// The most layers at a time.
        jobs: u32,
        /// What builds: client and endpoint.
        engine: String,
        /// What is planned, in order of building.
        layers: Vec<PlannedLayer>,
        /// The selected layers that need nothing.
        skipped: Vec<SkippedLayer>,
    },
    /// Work at a layer begins.
    LayerStarted {
        /// The layer.
        layer: LayerName,
        /// How often it has been begun in this run, from 1.
        attempt: u32,
        /// The images of its parents, as its build gets them.
        parents: BTreeMap<LayerName, Digest>,
    },
    /// A runner was leased for the layer. The engine at hand is not leased.
    Leased {
        /// The layer.
        layer: LayerName,
        /// The lease's name.
        lease: String,
        /// The row of the catalog's table that leased it.
        source: String,
        /// What was asked for.
        size: Size,
        /// The tier that it is, where it is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tier: Option<String>,
        /// Where it builds, without a login.
        endpoint: String,
        /// How long it took.
        ms: u64,
    },
    /// A runner was given back.
    Released {
        /// The layer.
        layer: LayerName,
        /// The lease's name.
        lease: String,
        /// The most memory that was used at a time, in MiB, where somebody has measured it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        peak_memory_mb: Option<u64>,
        /// The processor time that was used, in milliseconds, where somebody has measured it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cpu_ms: Option<u64>,
        /// Why it is still leased, where that is so: the next run, or `lamina runners prune`, tries again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        trouble: Option<String>,
    },
    /// Whether an earlier image of the layer stands in for its Dockerfile's stage `donor`. Told again where a build can't
    /// use the donor that it was given.
    Donor {
        /// The layer.
        layer: LayerName,
        /// The tag that the image was found under.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tag: Option<ImageRef>,
        /// The image.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        digest: Option<Digest>,
        /// Why there is none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        why_none: Option<String>,
    },
    /// A step of a build begins.
    StepStarted {
        /// The layer.
        layer: LayerName,
        /// The step's number in the layer's attempt, from 0, in order of beginning.
        step: u32,
        /// What BuildKit calls it.
        name: String,
        /// The line of the Dockerfile that it comes from, from 1.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        line: Option<u32>,
    },
    /// A step of a build has ended.
    StepFinished {
        /// The layer.
        layer: LayerName,
        /// The step's number.
        step: u32,
        /// How it ended.
        status: StepStatus,
        /// How long it took, on the engine's clock.
        ms: u64,
        /// Why it failed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
    /// A step moves bytes: a pull, a push, a build context.
    Transfer {
        /// The layer.
        layer: LayerName,
        /// The step's number.
        step: u32,
        /// What is moved, as BuildKit calls it.
        id: String,
        /// How many bytes have been moved.
        current: u64,
        /// Of how many; 0 where that is not known.
        total: u64,
    },
    /// A line that a step wrote, with secrets masked.
    Output {
        /// The layer.
        layer: LayerName,
        /// The step's number.
        step: u32,
        /// Whether it was written to stderr.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        stderr: bool,
        /// The line, without its end.
        line: String,
    },
    /// Something that does not stop anything and should be known.
    Warning {
        /// The layer that it is about.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        layer: Option<LayerName>,
        /// What.
        message: String,
    },
    /// The layer cache in the registry stands for what it stood for before, because the layer is no good.
    CacheRolledBack {
        /// The layer.
        layer: LayerName,
        /// The cache.
        reference: ImageRef,
        /// What it stands for; nothing where there was none before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        digest: Option<Digest>,
        /// Why it could not be done: it may stand for what the bad build has left.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        trouble: Option<String>,
    },
    /// What sccache did in a step of a build.
    Sccache {
        /// The layer.
        layer: LayerName,
        /// What it did.
        #[serde(flatten)]
        used: SccacheUse,
    },
    /// An attempt failed in a way that may pass.
    Retrying {
        /// The layer.
        layer: LayerName,
        /// The attempt that failed.
        attempt: u32,
        /// Why.
        reason: String,
        /// How long is waited.
        wait_ms: u64,
        /// That memory ran out, where that is why; then the next attempt has the next larger size.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        oom: Option<Oom>,
    },
    /// The layer's image is in the registry.
    LayerBuilt {
        /// The layer.
        layer: LayerName,
        /// The image.
        built: Built,
    },
    /// A probe was run in the layer's image.
    Probed {
        /// The layer.
        layer: LayerName,
        /// What came out.
        probe: ProbeResult,
    },
    /// All probes of the layer's image were right, and the registry has the proof.
    Proved {
        /// The layer.
        layer: LayerName,
        /// The image.
        digest: Digest,
        /// How many probes.
        probes: u32,
    },
    /// Work at a layer has ended, or will not begin.
    LayerFinished {
        /// The layer.
        layer: LayerName,
        /// How.
        #[serde(flatten)]
        outcome: Outcome,
        /// How long it took in all, retries included; 0 for a layer that was not begun.
        ms: u64,
    },
    /// A tag for people stands for a layer's image now.
    Promoted {
        /// The layer.
        layer: LayerName,
        /// The tag.
        tag: ImageRef,
        /// The image.
        digest: Digest,
        /// What the tag stood for before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        before: Option<Digest>,
    },
    /// No tag for people was moved.
    PromotionSkipped {
        /// Why.
        reason: String,
    },
    /// The run is to end early. Announced again only for a graver reason.
    CancelRequested {
        /// Why.
        reason: CancelReason,
    },
    /// The run has ended.
    RunFinished {
        /// How.
        outcome: RunOutcome,
        /// How long it took.
        ms: u64,
    },
}

/// A layer that a run is to build or to prove.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlannedLayer {
    /// The layer.
    #[schemars(with = "String")]
    pub layer: LayerName,
    /// What is to be done.
    pub action: Action,
    /// Its fingerprint.
    #[schemars(with = "String")]
    pub fingerprint: Fingerprint,
    /// The image's name, with the tag of the fingerprint.
    #[schemars(with = "String")]
    pub image: ImageRef,
    /// Why, in words.
    pub reason: String,
    /// The planned layers that have to be done before.
    #[schemars(with = "Vec<String>")]
    pub needs: Vec<LayerName>,
    /// How long it is expected to take, in milliseconds.
    pub expected_ms: Option<u64>,
}

/// A selected layer that needs nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SkippedLayer {
    /// The layer.
    #[schemars(with = "String")]
    pub layer: LayerName,
    /// Its fingerprint.
    #[schemars(with = "String")]
    pub fingerprint: Fingerprint,
    /// The image that the registry has.
    #[schemars(with = "Option<String>")]
    pub digest: Option<Digest>,
    /// Why, in words.
    pub reason: String,
}

/// What is done with a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// It is built, then proven.
    Build,
    /// Its image is there and is proven.
    Prove,
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepStatus {
    /// It did its work.
    Done,
    /// Its result was in the cache.
    Cached,
    /// It failed.
    Failed,
    /// It was ended because something else failed, or by request.
    Cancelled,
}

impl Kind {
    /// The names of all kinds, as the field `event` has them.
    pub const NAMES: [&'static str; 21] = [
        "run-started",
        "layer-started",
        "leased",
        "released",
        "donor",
        "step-started",
        "step-finished",
        "transfer",
        "output",
        "warning",
        "cache-rolled-back",
        "sccache",
        "retrying",
        "layer-built",
        "probed",
        "proved",
        "layer-finished",
        "promoted",
        "promotion-skipped",
        "cancel-requested",
        "run-finished",
    ];

    /// The layer that it is about, where it is about one.
    pub fn layer(&self) -> Option<&LayerName> {
        match self {
            Kind::LayerStarted { layer, .. }
            | Kind::Leased { layer, .. }
            | Kind::Released { layer, .. }
            | Kind::Donor { layer, .. }
            | Kind::StepStarted { layer, .. }
            | Kind::StepFinished { layer, .. }
            | Kind::Transfer { layer, .. }
            | Kind::Output { layer, .. }
            | Kind::CacheRolledBack { layer, .. }
            | Kind::Sccache { layer, .. }
            | Kind::Retrying { layer, .. }
            | Kind::LayerBuilt { layer, .. }
            | Kind::Probed { layer, .. }
            | Kind::Proved { layer, .. }
            | Kind::LayerFinished { layer, .. }
            | Kind::Promoted { layer, .. } => Some(layer),
            Kind::Warning { layer, .. } => layer.as_ref(),
            Kind::RunStarted { .. }
            | Kind::PromotionSkipped { .. }
            | Kind::CancelRequested { .. }
            | Kind::RunFinished { .. } => None,
        }
    }
}

/// What sccache did: compiled crates that it had, and that it had not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SccacheUse {
    /// Where it keeps them: `s3`, `redis`, `webdav`, `local`, `other`.
    pub backend: String,
    /// How many it had.
    pub hits: u64,
    /// How many it had not, and compiled.
    pub misses: u64,
    /// How often its storage failed it.
    pub errors: u64,
    /// Why the rest was compiled without it, where it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub off: Option<String>,
}

/// Who reads events while they happen.
pub trait Reader {
    /// Takes an event. What goes wrong in a reader is its own matter and is told once by [`Reader::trouble`].
    fn read(&mut self, event: &Event);

    /// What went wrong while reading, to be told in the stream; `None` where nothing did, or it was told.
    fn trouble(&mut self) -> Option<String> {
        None
    }
}
