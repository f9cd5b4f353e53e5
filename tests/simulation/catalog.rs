//! Catalogs of a few layers, as values: no Nickel, no disk.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use lamina::model::{Base, Layer, LayerName, Resources, Tool};
use lamina::run::staging::{Stage, StageError, Staged};
use lamina::snapshot::Snapshot;

use crate::small;
use crate::world::World;

/// Files that nobody has to copy.
pub struct Nothing;

impl Stage for Nothing {
    fn stage<'a>(&'a self, _: &'a Arc<Snapshot>, layer: &'a LayerName) -> BoxFuture<'a, Result<Staged, StageError>> {
        let folder = PathBuf::from("/simulated").join(layer.as_str());
        ready(Ok(Staged::at(folder.join("Dockerfile"), folder))).boxed()
    }
}

/// A catalog of two to seven layers, each on one before it or on an image.
pub fn snapshot(world: &World) -> Arc<Snapshot> {
    let count = world.between(2, 7);
    let mut files = BTreeMap::new();
    let mut layers = Vec::new();
    for number in 0..count {
        let parent = (number > 0 && world.chance(0.8)).then(|| world.between(0, number - 1));
        let base = match parent {
            Some(parent) => Base::Layer(small::name(&format!("layer{parent}"))),
            None => Base::Image("busybox:stable".parse().unwrap()),
        };
        let layer = layer(world, &format!("layer{number}"), base);
        let text = "ARG BUILD_BASE=busybox\nFROM ${BUILD_BASE}\nRUN work\n";
        files.insert(layer.build.dockerfile.to_string(), text.as_bytes().to_vec());
        layers.push(layer);
    }
    let mut snapshot = small::snapshot(layers, files);
    let config = snapshot.catalog.config.as_mut().unwrap();
    config.registry = "r.test".to_owned();
    config.tiers = crate::tiers();
    Arc::new(snapshot)
}

fn layer(world: &World, name: &str, base: Base) -> Layer {
    let tool = || Tool { name: "tool".to_owned(), probe: vec!["tool".to_owned()], version: None };
    let mut layer = small::layer(name, base);
    layer.tools = world.chance(0.8).then(tool).into_iter().collect();
    layer.tags = vec!["latest".to_owned()];
    let (cpu, memory_mb, minutes) = (Some(2), Some(4096), Some(20));
    layer.build.resources = Resources { cpu, memory_mb, disk_mb: 1, time_budget_min: minutes, expected_min: None };
    layer
}
