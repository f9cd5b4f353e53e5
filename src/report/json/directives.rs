//! What a layer is built with.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::Answer;
use super::workflow::{Build, Hook};
use crate::model::{self, Fingerprint, RunnerSource};
use crate::size::Sizing;
use crate::snapshot::Recipe;

/// What a layer is built with: the answer of `lamina directives`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Directives<'a> {
    /// The layer.
    layer: &'a str,
    /// Its fingerprint.
    fingerprint: Option<String>,
    /// The image's name, with the tag of the fingerprint.
    image: String,
    /// All build arguments by name: the layer's own, its bases and donors, what it cooks. A parent layer is given by the
    /// image of its fingerprint; a build gives it by its digest.
    args: &'a BTreeMap<&'a str, String>,
    /// The layer's own directives, with the names of docs/workflow.md.
    build: Build<'a>,
    /// The variables that secrets are looked for in where nothing else is said, by the secret's id.
    secret_variables: BTreeMap<&'a str, String>,
    /// Commands that run beside the build.
    hooks: Hooks<'a>,
    /// The layer caches that CI reads and writes; other actors have others (`lamina cache explain`).
    cache: Cache,
    /// What a runner has to offer.
    runner: Runner<'a>,
}

/// Commands beside a build.
#[derive(Debug, Serialize, JsonSchema)]
struct Hooks<'a> {
    /// Run before the build context is sent.
    pre_build: Vec<Hook<'a>>,
    /// Run after a successful build.
    post_build: Vec<Hook<'a>>,
    /// Run before tags for people move to the image.
    pre_promote: Vec<Hook<'a>>,
}

/// Layer caches in a registry.
#[derive(Debug, Serialize, JsonSchema)]
struct Cache {
    /// Read, in this order.
    from: Vec<String>,
    /// Written; null where none is.
    to: Option<String>,
}

/// What a runner has to offer to build a layer.
#[derive(Debug, Serialize, JsonSchema)]
struct Runner<'a> {
    /// Processors.
    cpu: u64,
    /// Memory, in MiB.
    memory_mb: u64,
    /// The smallest tier of the catalog that has both; null where none has.
    tier: Option<&'a str>,
    /// The platforms that it builds for.
    platforms: Vec<&'a str>,
    /// The rows of the catalog's table `runners` that offer it, in order of preference; none where the catalog has no such
    /// table, and the engine at hand builds.
    sources: Vec<&'a str>,
}

impl Answer for Directives<'_> {
    const NAME: &'static str = "directives";
}

impl<'a> Directives<'a> {
    /// What a layer with this recipe and size is built with; `cache` are the references that are read, and the one that
    /// is written.
    pub fn new(
        recipe: &'a Recipe<'a>,
        fingerprint: Option<Fingerprint>,
        sizing: &'a Sizing,
        runners: &'a [RunnerSource],
        (from, to): (Vec<String>, Option<String>),
    ) -> Self {
        let layer = recipe.layer;
        let size = sizing.leased();
        let platforms = &layer.build.platforms;
        let offers = |row: &&RunnerSource| {
            let builds = |platform: &model::Platform| row.platforms.is_empty() || row.platforms.contains(platform);
            row.largest.is_none_or(|largest| size.fits(largest)) && platforms.iter().all(builds)
        };
        Self {
            layer: layer.name.as_str(),
            fingerprint: fingerprint.map(|fingerprint| fingerprint.to_string()),
            image: recipe.image.to_string(),
            args: &recipe.args,
            build: Build::new(&layer.build),
            secret_variables: layer.build.secrets.iter().map(|s| (s.id.as_str(), s.variable())).collect(),
            hooks: Hooks {
                pre_build: Hook::all(&layer.hooks.pre_build),
                post_build: Hook::all(&layer.hooks.post_build),
                pre_promote: Hook::all(&layer.hooks.pre_promote),
            },
            cache: Cache { from, to },
            runner: Runner {
                cpu: size.cpu,
                memory_mb: size.memory_mb,
                tier: sizing.tier.as_ref().map(|tier| tier.name.as_str()),
                platforms: platforms.iter().map(model::Platform::as_str).collect(),
                sources: runners.iter().filter(offers).map(|row| row.name.as_str()).collect(),
            },
        }
    }
}
