//! What holds for all layers.

use std::collections::{BTreeMap, BTreeSet};

use super::{ActorName, Events, LayerName, Platform, RunnerSource, Sccache, Tier};

/// `catalog/catalog.ncl`, merged with the overlays.
#[derive(Clone, Debug, PartialEq)]
pub struct Catalog {
    /// The catalog's name, for people.
    pub name: String,
    /// The version of rustc and cargo.
    pub rust_version: String,
    /// Debian's release by code name.
    pub debian_release: String,
    /// The registry that finished layers are pushed to.
    pub registry: String,
    /// The path in the registry before a layer's name.
    pub namespace: String,
    /// What layers are built for, where they do not say otherwise.
    pub platforms: Vec<Platform>,
    /// Where images of a registry are pulled from instead.
    pub mirrors: Vec<Mirror>,
    /// The registry hosts that are spoken to without TLS.
    pub plain_http: Vec<String>,
    /// Globs of files whose change makes no layer stale, where no layer claims them.
    pub ignored: Vec<String>,
    /// Where builds run, in order of preference; the engine that is there where it is empty.
    pub runners: Vec<RunnerSource>,
    /// The sizes that runners are leased in.
    pub tiers: Vec<Tier>,
    /// Where builds tell other programs what happens.
    pub events: Events,
    /// The layers whose canonical caches pipelines beside CI may write, by the pipeline's name.
    pub granted: BTreeMap<ActorName, BTreeSet<LayerName>>,
    /// Where compiled crates are shared below the layers, where they are.
    pub sccache: Option<Sccache>,
    /// The knob that has all layers rebuilt.
    pub cache_version: u64,
}

/// A registry and the host that stands in for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    /// The registry as images name it: `docker.io`.
    pub registry: String,
    /// The host that is asked instead: `mirror.example.com:5000`.
    pub host: String,
}
