//! An evaluated workflow, with the names of `schemas/workflow.ncl`. Fields without a value are left out.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::words::{Base, Class};
use crate::model;

/// A layer's evaluated workflow, with the names of docs/workflow.md. Fields without a value are left out.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Workflow<'a> {
    /// The layer's name.
    layer: &'a str,
    /// Its class.
    class: Class,
    /// One line about it.
    summary: &'a str,
    /// Markdown for those who use it.
    #[serde(skip_serializing_if = "Option::is_none")]
    docs: Option<&'a str>,
    /// What its build starts from.
    build_base: Base<'a>,
    /// What its finished image stands on.
    runtime_base: Base<'a>,
    /// What its Dockerfile copies from besides.
    donors: Vec<Donor<'a>>,
    /// The C libraries that it needs itself.
    native_deps: Vec<NativeDep<'a>>,
    /// The programs that it adds.
    tools_provided: Vec<Tool<'a>>,
    /// What consumers copy from its image.
    artifact_paths: Vec<Artifact<'a>>,
    /// The dependency set that it compiles.
    #[serde(skip_serializing_if = "Option::is_none")]
    cooked: Option<Cooked<'a>>,
    /// The tags for people that its image gets when it is promoted.
    tags: &'a [String],
    /// How its image is built.
    build: Build<'a>,
    /// Commands beside its build.
    hooks: Hooks<'a>,
}

/// A layer or an image that a Dockerfile copies from.
#[derive(Debug, Serialize, JsonSchema)]
struct Donor<'a> {
    #[serde(flatten)]
    base: Base<'a>,
    /// The build argument that the Dockerfile takes it by.
    arg: &'a str,
}

/// A C library.
#[derive(Debug, Serialize, JsonSchema)]
struct NativeDep<'a> {
    /// The package's name.
    package: &'a str,
    /// The library's pkg-config name or file name.
    library: &'a str,
    /// When it is needed.
    needed: Needed,
    /// Where it comes from.
    source: NativeSource,
}

/// When a native dependency is needed.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Needed {
    /// While crates compile.
    Build,
    /// Beside the finished program.
    Run,
    /// At either time.
    Both,
}

/// Where a native dependency comes from.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum NativeSource {
    /// Debian's archive.
    Apt,
    /// The sources in a crate.
    Vendored,
}

/// A program with its proof.
#[derive(Debug, Serialize, JsonSchema)]
struct Tool<'a> {
    /// The program's name on PATH.
    name: &'a str,
    /// The command that proves that it works: program and arguments.
    probe: &'a [String],
    /// A text that the probe's output has to hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'a str>,
}

/// A path that consumers copy.
#[derive(Debug, Serialize, JsonSchema)]
struct Artifact<'a> {
    /// Where it lies in the image.
    path: &'a str,
    /// What a consumer does with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
}

/// A dependency set that is compiled ahead.
#[derive(Debug, Serialize, JsonSchema)]
struct Cooked<'a> {
    /// The folder with Cargo.toml and Cargo.lock, relative to the catalog's root.
    path: &'a str,
    /// The cargo profiles, as `NAME` or `NAME:key=value,…`.
    profiles: Vec<String>,
    /// What cargo is given besides the profile, call by call.
    calls: &'a [Vec<String>],
    /// Cargo's target folder in the image.
    target_dir: &'a str,
    /// The unit manifest in the image.
    units: &'a str,
    /// What it may not exceed.
    #[serde(skip_serializing_if = "Option::is_none")]
    ceilings: Option<Ceilings<'a>>,
}

/// What a dependency set may not exceed; what is absent has no bound.
#[derive(Debug, Serialize, JsonSchema)]
struct Ceilings<'a> {
    /// Packages that are compiled.
    #[serde(skip_serializing_if = "Option::is_none")]
    packages: Option<u64>,
    /// Units of compilation, of all profiles together.
    #[serde(skip_serializing_if = "Option::is_none")]
    units: Option<u64>,
    /// Packages of which there is another version.
    #[serde(skip_serializing_if = "Option::is_none")]
    duplicates: Option<u64>,
    /// Units that are compiled although the layer below has them.
    #[serde(skip_serializing_if = "Option::is_none")]
    second_time: Option<u64>,
    /// Processor seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_s: Option<u64>,
    /// Bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    /// By a crate's name, the most units that a new version of it has compiled again.
    cone: &'a BTreeMap<String, u64>,
}

/// How an image is built.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Build<'a> {
    /// The Dockerfile, relative to the catalog's root.
    dockerfile: &'a str,
    /// The build context's folder, relative to the catalog's root.
    context: &'a str,
    /// The stage that becomes the image; the last one where it is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<&'a str>,
    /// Build arguments by name.
    args: &'a BTreeMap<String, String>,
    /// The secrets that the Dockerfile mounts.
    secrets: Vec<Secret<'a>>,
    /// The folders that it copies from besides the context, relative to the catalog's root, by name.
    contexts: BTreeMap<&'a str, &'a str>,
    /// The ids of the SSH agents that the Dockerfile mounts.
    ssh: &'a [String],
    /// The network of its steps.
    network: Network,
    /// Labels of the image, besides those that lamina gives it.
    labels: &'a BTreeMap<String, String>,
    /// Annotations of its manifest.
    annotations: &'a BTreeMap<String, String>,
    /// The platforms that it is built for.
    platforms: Vec<&'a str>,
    /// What a build needs.
    resources: Resources,
    /// The knob that has the layer rebuilt.
    cache_version: u64,
}

/// Which network the steps of a build have.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Network {
    /// The engine's.
    Default,
    /// None.
    None,
    /// That of the engine's machine.
    Host,
}

/// A BuildKit secret; never its value.
#[derive(Debug, Serialize, JsonSchema)]
struct Secret<'a> {
    /// The id that the Dockerfile mounts it by.
    id: &'a str,
    /// Whether the build fails without it.
    required: bool,
    /// What it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    purpose: Option<&'a str>,
}

/// What one build needs.
#[derive(Debug, Serialize, JsonSchema)]
struct Resources {
    /// Processors.
    cpu: u64,
    /// Memory, in MiB.
    memory_mb: u64,
    /// Disk, in MiB.
    disk_mb: u64,
    /// Minutes after which a build is ended.
    time_budget_min: u64,
    /// Minutes that one build takes as a rule; null where the layer does not say.
    expected_min: Option<u64>,
}

/// Commands beside a build.
#[derive(Debug, Serialize, JsonSchema)]
struct Hooks<'a> {
    /// The commands of `pre_build`: program and arguments each.
    before_build: Vec<&'a [String]>,
    /// The commands of `post_build`.
    after_build: Vec<&'a [String]>,
    /// Run before the build context is sent.
    pre_build: Vec<Hook<'a>>,
    /// Run after a successful build.
    post_build: Vec<Hook<'a>>,
    /// Run before tags for people move to the image.
    pre_promote: Vec<Hook<'a>>,
}

/// A command beside a build.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Hook<'a> {
    /// Program and arguments.
    command: &'a [String],
    /// Seconds until it is killed.
    timeout_s: u64,
    /// The variables that it gets besides PATH, HOME and LANG.
    env: &'a [String],
}

impl From<model::NativeSource> for NativeSource {
    fn from(source: model::NativeSource) -> Self {
        match source {
            model::NativeSource::Apt => NativeSource::Apt,
            model::NativeSource::Vendored => NativeSource::Vendored,
        }
    }
}

impl From<model::Network> for Network {
    fn from(network: model::Network) -> Self {
        match network {
            model::Network::Default => Network::Default,
            model::Network::None => Network::None,
            model::Network::Host => Network::Host,
        }
    }
}

impl<'a> Workflow<'a> {
    pub fn new(layer: &'a model::Layer) -> Self {
        Self {
            layer: layer.name.as_str(),
            class: layer.class.into(),
            summary: &layer.summary,
            docs: layer.docs.as_deref(),
            build_base: Base::familiar(&layer.build_base),
            runtime_base: Base::familiar(&layer.runtime_base),
            donors: layer.donors.iter().map(|d| Donor { base: Base::familiar(&d.base), arg: &d.arg }).collect(),
            native_deps: layer.native_deps.iter().map(NativeDep::new).collect(),
            tools_provided: layer.tools.iter().map(Tool::new).collect(),
            artifact_paths: layer.artifacts.iter().map(Artifact::new).collect(),
            cooked: layer.cooked.as_ref().map(Cooked::new),
            tags: &layer.tags,
            build: Build::new(&layer.build),
            hooks: Hooks::new(&layer.hooks),
        }
    }
}

impl<'a> Hooks<'a> {
    fn new(hooks: &'a model::Hooks) -> Self {
        let commands = |hooks: &'a [model::Hook]| hooks.iter().map(|hook| &hook.command[..]).collect();
        Self {
            before_build: commands(&hooks.pre_build),
            after_build: commands(&hooks.post_build),
            pre_build: Hook::all(&hooks.pre_build),
            post_build: Hook::all(&hooks.post_build),
            pre_promote: Hook::all(&hooks.pre_promote),
        }
    }
}

impl<'a> Hook<'a> {
    pub fn all(hooks: &'a [model::Hook]) -> Vec<Self> {
        let hook = |hook: &'a model::Hook| Self { command: &hook.command, timeout_s: hook.timeout_s, env: &hook.env };
        hooks.iter().map(hook).collect()
    }
}

impl<'a> NativeDep<'a> {
    fn new(dep: &'a model::NativeDep) -> Self {
        let needed = match dep.needed {
            model::Needed::Build => Needed::Build,
            model::Needed::Run => Needed::Run,
            model::Needed::Both => Needed::Both,
        };
        Self { package: &dep.package, library: &dep.library, needed, source: dep.source.into() }
    }
}

impl<'a> Tool<'a> {
    fn new(tool: &'a model::Tool) -> Self {
        Self { name: &tool.name, probe: &tool.probe, version: tool.version.as_deref() }
    }
}

impl<'a> Artifact<'a> {
    fn new(artifact: &'a model::Artifact) -> Self {
        Self { path: &artifact.path, description: artifact.description.as_deref() }
    }
}

impl<'a> Cooked<'a> {
    fn new(cooked: &'a model::Cooked) -> Self {
        Self {
            path: cooked.path.as_str(),
            profiles: cooked.profiles.iter().map(ToString::to_string).collect(),
            calls: &cooked.calls,
            target_dir: &cooked.target_dir,
            units: &cooked.units,
            ceilings: (!cooked.ceilings.is_empty()).then(|| Ceilings::new(&cooked.ceilings)),
        }
    }
}

impl<'a> Ceilings<'a> {
    fn new(ceilings: &'a model::Ceilings) -> Self {
        let model::Ceilings { packages, units, duplicates, second_time, cpu_s, bytes, ref cone } = *ceilings;
        Self { packages, units, duplicates, second_time, cpu_s, bytes, cone }
    }
}

impl<'a> Build<'a> {
    pub fn new(build: &'a model::Build) -> Self {
        let secret = |s: &'a model::Secret| Secret { id: &s.id, required: s.required, purpose: s.purpose.as_deref() };
        let model::Resources { disk_mb, expected_min, .. } = build.resources;
        let (cpu, memory_mb, time_budget_min) = build.resources.declared_or_common();
        Self {
            dockerfile: build.dockerfile.as_str(),
            context: build.context.as_str(),
            target: build.target.as_deref(),
            args: &build.args,
            secrets: build.secrets.iter().map(secret).collect(),
            contexts: build.contexts.iter().map(|(name, folder)| (name.as_str(), folder.as_str())).collect(),
            ssh: &build.ssh,
            network: build.network.into(),
            labels: &build.labels,
            annotations: &build.annotations,
            platforms: build.platforms.iter().map(|platform| platform.as_str()).collect(),
            resources: Resources { cpu, memory_mb, disk_mb, time_budget_min, expected_min },
            cache_version: build.cache_version,
        }
    }
}
