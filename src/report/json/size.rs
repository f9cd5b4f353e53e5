//! What the builds of layers get, and why.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::Answer;
use crate::model::LayerName;
use crate::size::{Origin, Sizing};
use crate::snapshot::Snapshot;

/// What the builds of layers get, and why.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Sizes<'a> {
    /// The layers, by name.
    layers: Vec<Layer<'a>>,
}

/// What the build of a layer gets.
#[derive(Debug, Serialize, JsonSchema)]
struct Layer<'a> {
    /// Its name.
    layer: &'a str,
    /// Processors.
    cpu: Figure<'a>,
    /// Memory, in MiB.
    memory_mb: Figure<'a>,
    /// Minutes after which the build is ended.
    minutes: Figure<'a>,
    /// The smallest tier of the catalog that has this; null where none is as large.
    tier: Option<Tier<'a>>,
}

/// A figure, and who says it.
#[derive(Debug, Serialize, JsonSchema)]
struct Figure<'a> {
    /// The figure.
    value: u64,
    /// Who says it: `declared` (`build.resources`), `build-spec`, `measured`, `language`, or `out-of-memory`.
    by: &'static str,
    /// The file, where it is a build spec.
    file: Option<&'a str>,
    /// What was measured, where that is who says it.
    measured: Option<Measured<'a>>,
    /// The language, where that is who says it: `rust`, `go`, `jvm`, `other`.
    language: Option<&'static str>,
}

/// What earlier builds have used.
#[derive(Debug, Serialize, JsonSchema)]
struct Measured<'a> {
    /// What 95 of 100 builds did not exceed: processors in thousandths, or MiB.
    p95: u64,
    /// How many builds; 0 where that is not known.
    builds: u64,
    /// The runner of the catalog whose orchestrator has measured; null for this machine.
    runner: Option<&'a str>,
}

/// A tier of the catalog.
#[derive(Debug, Serialize, JsonSchema)]
struct Tier<'a> {
    /// Its name.
    name: &'a str,
    /// What its machines run.
    platform: &'a str,
    /// Processors.
    cpu: u64,
    /// Memory, in MiB.
    memory_mb: u64,
}

impl Answer for Sizes<'_> {
    const NAME: &'static str = "size";
}

impl<'a> Sizes<'a> {
    /// The sizes of layers.
    pub fn new(snapshot: &'a Snapshot, sizes: &'a BTreeMap<LayerName, Sizing>) -> Self {
        let layer = |(name, sizing): (&'a LayerName, &'a Sizing)| {
            let spec = snapshot.catalog.layers.get(name).and_then(|loaded| loaded.build_spec.as_ref());
            let file = spec.map(|spec| spec.file.as_str());
            Layer {
                layer: name.as_str(),
                cpu: Figure::new(sizing.needs.cpu, &sizing.cpu_by, file),
                memory_mb: Figure::new(sizing.needs.memory_mb, &sizing.memory_by, file),
                minutes: Figure::new(sizing.minutes, &sizing.minutes_by, file),
                tier: sizing.tier.as_ref().map(|tier| Tier {
                    name: &tier.name,
                    platform: tier.platform.as_str(),
                    cpu: tier.size.cpu,
                    memory_mb: tier.size.memory_mb,
                }),
            }
        };
        Self { layers: sizes.iter().map(layer).collect() }
    }
}

impl<'a> Figure<'a> {
    fn new(value: u64, origin: &'a Origin, file: Option<&'a str>) -> Self {
        let (by, measured, language) = match origin {
            Origin::Declared => ("declared", None, None),
            Origin::BuildSpec => ("build-spec", None, None),
            Origin::Measured { p95, builds, by } => {
                ("measured", Some(Measured { p95: *p95, builds: *builds, runner: by.as_deref() }), None)
            }
            Origin::Language(language) => ("language", None, Some(language.as_str())),
            Origin::Given => ("given", None, None),
            Origin::OutOfMemory => ("out-of-memory", None, None),
        };
        let file = file.filter(|_| *origin == Origin::BuildSpec);
        Self { value, by, file, measured, language }
    }
}
