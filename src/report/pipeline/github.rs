//! Matrices for GitHub Actions, in one line of JSON. docs/github.md describes the shape.
//!
//! Limits of the platform, from "Actions limits" and "Defining outputs for jobs" of GitHub's documentation: 256 jobs a
//! matrix; 1 MB of outputs a job, counted as UTF-16.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Pipeline, Step, equations};
use crate::model::Network;
use crate::report::json;

/// The version of the shape. It changes when a field changes its meaning or goes.
pub const VERSION: u32 = 1;

/// The most jobs that GitHub makes of a matrix.
pub const MAX_JOBS: usize = 256;

/// The most UTF-16 units of an answer: what GitHub takes from a job, less some room for its other outputs.
pub const MAX_UNITS: usize = 500_000;

/// An answer that is too large to be an output of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the matrices have {units} UTF-16 units, and GitHub takes {MAX_UNITS} from a job")]
pub struct TooLarge {
    /// Its size in UTF-16 units.
    pub units: usize,
}

/// The builds of a cascade as matrices.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Matrices {
    /// The version of this shape.
    pub version: u32,
    /// How many layers are built.
    pub affected: usize,
    /// In how many waves.
    pub waves: usize,
    /// How long that takes.
    pub estimate: Minutes,
    /// Matrices that are run one after the other: a wave each, or a part of a wave with more than 256 layers.
    pub stages: Vec<Matrix>,
    /// The same builds in order of building, as few matrices as can be.
    pub flat: Vec<Matrix>,
}

/// Minutes that are expected.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Minutes {
    /// Of all builds together.
    pub machine: u64,
    /// From the first build's start to the last one's end, with machines enough.
    pub wall: u64,
    /// The layers that say nothing of their minutes. While there is one, the numbers are lower bounds.
    pub without_figure: Vec<String>,
}

/// What `strategy.matrix` takes.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Matrix {
    /// The jobs; never empty.
    pub include: Vec<Job>,
}

/// The build of a layer.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Job {
    /// The layer.
    pub layer: String,
    /// The wave that it is built in, from 1.
    pub wave: usize,
    /// The stage that it is built in, from 1: `stages[stage - 1]`.
    pub stage: usize,
    /// The layer's class.
    pub class: &'static str,
    /// The image without a tag: `REGISTRY/NAMESPACE/LAYER`.
    pub image: String,
    /// The image's tag, which names its inputs: `fp-…`.
    pub tag: String,
    /// The Dockerfile, relative to the catalog.
    pub dockerfile: String,
    /// The build context, relative to the catalog.
    pub context: String,
    /// The stage of the Dockerfile that becomes the image; absent for the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The platforms it is built for.
    pub platforms: Vec<String>,
    /// The build arguments as `NAME=value`, with the bases and donors.
    pub build_args: Vec<String>,
    /// The secrets that the Dockerfile mounts.
    pub secrets: Vec<JobSecret>,
    /// The named contexts as `NAME=FOLDER`, relative to the catalog; absent where there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub build_contexts: Vec<String>,
    /// The ids of the SSH agents that the Dockerfile mounts; absent where there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ssh: Vec<String>,
    /// The network of its steps, `none` or `host`; absent for the engine's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<&'static str>,
    /// Labels of the image as `NAME=value`; absent where there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// Annotations of its manifest as `NAME=value`; absent where there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub annotations: Vec<String>,
    /// The processors it needs.
    pub cpu: u64,
    /// The memory it needs, in MiB.
    pub memory_mb: u64,
    /// Minutes after which the build is ended as failed.
    pub timeout_minutes: u64,
    /// Minutes that the build takes as a rule; absent where the layer does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_minutes: Option<u64>,
    /// Why the layer is stale, in at most 300 characters.
    pub reason: String,
}

/// A secret of a build.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct JobSecret {
    /// The id that the Dockerfile mounts it by.
    pub id: String,
    /// Whether the build fails without it.
    pub required: bool,
}

/// The matrices in one line, with a line end.
///
/// # Errors
/// When the line is too large to be an output of a job.
pub fn line(pipeline: &Pipeline<'_>) -> Result<String, TooLarge> {
    // Text keys and finite numbers always have a JSON form.
    let line = json::to_line(&matrices(pipeline));
    let units = line.encode_utf16().count();
    if units > MAX_UNITS { Err(TooLarge { units }) } else { Ok(line + "\n") }
}

fn matrices(pipeline: &Pipeline<'_>) -> Matrices {
    let mut stages: Vec<Matrix> = Vec::new();
    for (wave, steps) in pipeline.waves.iter().enumerate() {
        for part in steps.chunks(MAX_JOBS) {
            let stage = stages.len() + 1;
            stages.push(Matrix { include: part.iter().map(|step| job(step, wave + 1, stage)).collect() });
        }
    }
    let all: Vec<Job> = stages.iter().flat_map(|stage| stage.include.iter().cloned()).collect();
    let estimate = &pipeline.estimate;
    Matrices {
        version: VERSION,
        affected: all.len(),
        waves: pipeline.waves.len(),
        estimate: Minutes {
            machine: estimate.machine_min,
            wall: estimate.wall_min,
            without_figure: estimate.without_figure.iter().map(ToString::to_string).collect(),
        },
        stages,
        flat: all.chunks(MAX_JOBS).map(|part| Matrix { include: part.to_vec() }).collect(),
    }
}

fn job(step: &Step<'_>, wave: usize, stage: usize) -> Job {
    let (cpu, memory_mb, timeout_minutes) = step.recipe.layer.build.resources.declared_or_common();
    let layer = step.recipe.layer;
    let secret = |secret: &crate::model::Secret| JobSecret { id: secret.id.clone(), required: secret.required };
    Job {
        layer: layer.name.to_string(),
        wave,
        stage,
        class: layer.class.as_str(),
        image: step.recipe.repository(),
        tag: step.recipe.image.tag().to_owned(),
        dockerfile: layer.build.dockerfile.to_string(),
        context: layer.build.context.to_string(),
        target: layer.build.target.clone(),
        platforms: layer.build.platforms.iter().map(ToString::to_string).collect(),
        build_args: step.recipe.build_args().collect(),
        secrets: layer.build.secrets.iter().map(secret).collect(),
        build_contexts: layer.build.contexts.iter().map(|(name, folder)| format!("{name}={folder}")).collect(),
        ssh: layer.build.ssh.clone(),
        network: Some(layer.build.network).filter(|network| *network != Network::Default).map(Network::as_str),
        labels: equations(&layer.build.labels),
        annotations: equations(&layer.build.annotations),
        cpu,
        memory_mb,
        timeout_minutes,
        expected_minutes: layer.build.resources.expected_min,
        reason: step.reason.clone(),
    }
}
