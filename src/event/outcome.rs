//! How layers and runs end.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::{Digest, LayerName};

/// How work at a layer ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Outcome {
    /// Its image is in the registry and was proven.
    Succeeded {
        /// The image.
        built: Built,
    },
    /// It failed.
    Failed {
        /// Why.
        failure: Box<Failure>,
    },
    /// It was ended by request.
    Cancelled,
    /// It was not begun.
    NotRun {
        /// Why.
        why: NotRun,
    },
}

/// Why a layer was not begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "kebab-case")]
pub enum NotRun {
    /// A parent failed, or was itself not built because of this one.
    ParentFailed {
        /// The layer that failed.
        parent: LayerName,
    },
    /// Another layer failed, and nothing new was to be begun after that.
    RunFailed {
        /// The layer that failed first.
        layer: LayerName,
    },
    /// The run was cancelled before.
    Cancelled,
}

/// A layer's image in the registry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Built {
    /// The manifest's digest; the index's where there are several platforms.
    #[schemars(with = "String")]
    pub digest: Digest,
    /// Who built it.
    pub origin: Origin,
    /// The bytes of all its compressed layers, those of its bases included; null where that was not looked up.
    pub size: Option<u64>,
    /// How many steps of its Dockerfile were run.
    pub steps_run: u32,
    /// How many steps of its Dockerfile were in a cache.
    pub steps_cached: u32,
}

/// Who built an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// This run.
    Built,
    /// Somebody else, between the plan and the layer's turn.
    Found,
    /// It was there when the run was planned.
    Present,
}

/// Why work at a layer failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Failure {
    /// What kind of failure.
    pub kind: FailureKind,
    /// What failed and why, in a line.
    pub message: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hints: Vec<String>,
    /// The step that failed, where one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<StepFailure>,
    /// That memory ran out, where that is so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oom: Option<Oom>,
    /// The file with all that the build wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<PathBuf>,
}

/// That something was killed because memory ran out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Oom {
    /// How sure that is.
    pub verdict: OomVerdict,
    /// What says so, as text.
    pub evidence: String,
}

/// How sure it is that memory ran out. Both earn the one further attempt on a larger runner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OomVerdict {
    /// The failure looks like it.
    Probable,
    /// BuildKit, the kernel, or who runs the runner says so.
    Certain,
}

/// The kinds of failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FailureKind {
    /// A step of the Dockerfile ended with a failure.
    Step,
    /// The Dockerfile can't be read or parsed.
    Dockerfile,
    /// A base image is not there, or not for a wanted platform.
    Base,
    /// A file that is copied is not in the build context.
    Context,
    /// A declared secret or SSH agent is missing.
    Secret,
    /// A registry refuses the login.
    Unauthorized,
    /// A registry can't be asked, or its answer can't be trusted.
    Registry,
    /// The engine can't be reached, or went away.
    Engine,
    /// No runner can be had.
    Runner,
    /// Memory or disk were not enough.
    Resources,
    /// It was not done in its time.
    TimedOut,
    /// A command before or after the build failed.
    Hook,
    /// A probe failed, or an artifact is not there.
    Proof,
    /// The catalog's files changed while lamina ran.
    Moved,
    /// Anything else.
    Other,
}

/// The step that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StepFailure {
    /// What BuildKit calls it: `[2/4] RUN cargo chef cook`.
    pub name: String,
    /// The Dockerfile, relative to the catalog's root.
    pub dockerfile: Option<String>,
    /// The lines of the Dockerfile around it, with their numbers, from 1.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<(u32, String)>,
    /// Which of these are the step's own: first and last.
    pub span: Option<(u32, u32)>,
    /// The command's exit code.
    pub exit_code: Option<i32>,
    /// The last lines that it wrote, with secrets masked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub output: Vec<String>,
}

/// What came out of a probe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProbeResult {
    /// What was proven: a tool's name, or an artifact's path.
    pub what: String,
    /// The layer that declares it: the layer itself, or one that its image stands on.
    #[schemars(with = "String")]
    pub declared_by: LayerName,
    /// The command that was run; empty for an artifact.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// The platform.
    pub platform: String,
    /// The text that its output has to hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// The last lines that it wrote.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub output: Vec<String>,
    /// Why it is wrong; absent where it is right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wrong: Option<String>,
}

/// Why a run ends early, from the least grave reason to the gravest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CancelReason {
    /// A layer failed: what runs is finished, nothing new is begun.
    LayerFailed,
    /// lamina was asked to end: SIGTERM, SIGHUP.
    Terminated,
    /// Ctrl-C.
    Interrupted,
    /// A second signal: nothing is waited for any more.
    SecondSignal,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RunOutcome {
    /// Every layer is good.
    Succeeded,
    /// A layer failed.
    Failed,
    /// It was ended by request.
    Cancelled,
}
