//! What evaluation yields, before it is checked: the shapes of `schemas/*.ncl`, field by field.
//!
//! Numbers stay `f64`: Nickel's deserialiser rounds and saturates in silence when asked for an integer.
//! Fields that these types don't have are passed over: a catalog may extend its schemas, and a mistyped field is the
//! contract's to refuse. What lamina does not read makes no layer stale.
//!
//! Fields that were added later have a default here too: the schemas of an earlier revision don't know them, and its
//! layers are still read for `--since`.
//!
//! These types travel from the evaluation worker and lie in the cache, so they use no serde feature
//! that needs a self-describing format.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use crate::model::{
    Adr, Axiom, Class, Disposing, NativeSource, Needed, Network, Promoting, ProviderKind, Sccache, Storing,
};

macro_rules! record {
    ($(#[$meta:meta])* $name:ident { $($(#[$field_meta:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[allow(missing_docs, reason = "schemas/*.ncl document every field, and docs/workflow.md prints that")]
        pub struct $name { $($(#[$field_meta])* pub $field: $type,)* }
    };
}

record!(/// A `workflow.ncl`.
Workflow {
    layer: String,
    class: Class,
    summary: String,
    docs: Option<String>,
    build_base: Base,
    runtime_base: Base,
    donors: Vec<Donor>,
    native_deps: Vec<NativeDep>,
    tools_provided: Vec<Tool>,
    artifact_paths: Vec<Artifact>,
    cooked: Option<Cooked>,
    #[serde(default = "latest")]
    tags: Vec<String>,
    build: Build,
    hooks: Hooks,
});

/// As `schemas/workflow.ncl` has it.
fn latest() -> Vec<String> {
    vec!["latest".to_owned()]
}

record!(/// A base: exactly one of both.
Base { layer: Option<String>, image: Option<String>, });

record!(/// A donor: a layer or an image, and the argument that it is passed by.
Donor { layer: Option<String>, image: Option<String>, arg: Option<String>, });

record!(/// A C library.
NativeDep { package: String, library: String, needed: Needed, source: NativeSource, });

record!(/// A program with its proof.
Tool { name: String, probe: Vec<String>, version: Option<String>, });

record!(/// A path that consumers copy.
Artifact { path: String, description: Option<String>, });

record!(/// A dependency set that is compiled ahead.
Cooked {
    path: String,
    /// What it was before `profiles`, in catalogs with older schemas.
    #[serde(default)]
    profile: Option<String>,
    #[serde(default = "release")]
    profiles: Vec<String>,
    #[serde(default = "no_arguments")]
    calls: Vec<Vec<String>>,
    target_dir: String,
    #[serde(default)]
    units: Option<String>,
    #[serde(default)]
    ceilings: Option<Ceilings>,
});

/// As `schemas/workflow.ncl` has it.
fn release() -> Vec<String> {
    vec![crate::model::Cooked::DEFAULT_PROFILE.to_owned()]
}

/// As `schemas/workflow.ncl` has it: one call, without arguments.
fn no_arguments() -> Vec<Vec<String>> {
    vec![Vec::new()]
}

record!(/// What a dependency set may not exceed.
Ceilings {
    packages: Option<f64>,
    units: Option<f64>,
    duplicates: Option<f64>,
    second_time: Option<f64>,
    cpu_s: Option<f64>,
    bytes: Option<f64>,
    cone: BTreeMap<String, f64>,
});

record!(/// How the image is built.
Build {
    dockerfile: String,
    context: String,
    target: Option<String>,
    args: BTreeMap<String, String>,
    secrets: Vec<Secret>,
    #[serde(default)]
    contexts: BTreeMap<String, String>,
    #[serde(default)]
    ssh: Vec<String>,
    #[serde(default)]
    network: Network,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    platforms: Option<Vec<String>>,
    resources: Resources,
    cache_version: f64,
});

record!(/// A BuildKit secret.
Secret { id: String, required: bool, purpose: Option<String>, });

record!(/// What a build needs.
Resources {
    cpu: Option<f64>,
    memory_mb: Option<f64>,
    disk_mb: f64,
    time_budget_min: Option<f64>,
    expected_min: Option<f64>,
});

record!(/// A `.build-spec.ncl`.
BuildSpec { cpu: Option<f64>, memory_mb: Option<f64>, time_budget_min: Option<f64>, });

record!(/// Commands beside the build.
Hooks {
    /// What `pre_build` was in older schemas.
    #[serde(default)]
    before_build: Vec<Vec<String>>,
    /// What `post_build` was in older schemas.
    #[serde(default)]
    after_build: Vec<Vec<String>>,
    #[serde(default)]
    pre_build: Vec<Hook>,
    #[serde(default)]
    post_build: Vec<Hook>,
    #[serde(default)]
    pre_promote: Vec<Hook>,
});

record!(/// A command beside the build.
Hook { command: Vec<String>, timeout_s: f64, env: Vec<String>, });

record!(/// `catalog/catalog.ncl`, merged with the overlays.
Catalog {
    name: String,
    rust: Rust,
    debian: Debian,
    images: BTreeMap<String, String>,
    registry: String,
    namespace: String,
    platforms: Vec<String>,
    mirrors: BTreeMap<String, String>,
    plain_http: Vec<String>,
    ignored: Vec<String>,
    #[serde(default)]
    runners: Vec<Runner>,
    #[serde(default)]
    tiers: Vec<Tier>,
    #[serde(default)]
    events: Option<Events>,
    #[serde(default)]
    caches: Option<Caches>,
    #[serde(default)]
    sccache: Option<SccacheSettings>,
    cache_version: f64,
});

record!(/// Compiled crates below the layers.
SccacheSettings { backend: Sccache, });

record!(/// Who may write which layer caches.
Caches { granted: BTreeMap<String, Vec<String>>, });

record!(/// A source of runners.
Runner {
    name: String,
    provider: ProviderKind,
    capacity: Option<f64>,
    platforms: Vec<String>,
    largest: Option<Size>,
    timeout_s: f64,
});

record!(/// Where builds tell what happens.
Events { url: Option<String>, prefix: String, workspace: Option<String>, });

record!(/// What a build gets of a machine.
Size { cpu: f64, memory_mb: f64, });

record!(/// A size that runners are leased in.
Tier { name: String, platform: String, cpu: f64, memory_mb: f64, });

record!(/// The Rust toolchain.
Rust { version: String, });

record!(/// The Debian release.
Debian { release: String, });

record!(/// What a caller asks of one run.
Directives {
    workspace: Option<String>,
    layers: DirectedLayers,
    compute: Compute,
    registry: Option<DirectedRegistry>,
    cache: DirectedCache,
    promote: Option<Promoting>,
    events: DirectedEvents,
});

record!(/// Which layers are built.
DirectedLayers {
    names: Vec<String>,
    all: bool,
    changed: Vec<String>,
    since: Option<String>,
    dependents: Option<bool>,
    only: Vec<String>,
});

record!(/// On what.
Compute { runners: Vec<String>, size: Option<Size>, jobs: Option<f64>, });

record!(/// Where images go.
DirectedRegistry { host: String, namespace: String, });

record!(/// Which layer caches are used.
DirectedCache { actor: Option<String>, disposition: Option<Disposing>, store: Option<Storing>, });

record!(/// Where other programs are told what happens.
DirectedEvents { url: Option<String>, prefix: Option<String>, });
