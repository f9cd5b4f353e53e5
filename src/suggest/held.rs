//! What a layer holds, in the two forms that it is looked up in.

use std::collections::HashMap;
use std::hash::Hash;

use sha2::{Digest as _, Sha256};

use crate::unit::{Environment, Key, Manifest, UNKNOWN_MS, UnitGraph};

/// The units of a layer that others can take, by what they are.
#[derive(Clone, Debug)]
pub struct HeldUnits<'a> {
    manifest: &'a Manifest,
    /// The keys of the units, cook by cook.
    keys: Vec<Vec<Key>>,
    /// What each cost, in milliseconds of processor time.
    units: HashMap<Key, Option<u64>>,
    shapes: HashMap<Shape, Option<u64>>,
    /// The variables that runs of build scripts watch.
    watches: HashMap<Key, &'a [String]>,
}

/// The packages of a layer, each with the most that one build is spared by it, in milliseconds of processor time: see
/// [`Manifest::packages`].
pub type HeldPackages<'a> = HashMap<(&'a str, &'a str), u64>;

/// A unit but for the profiles that it and its dependencies are compiled with: what it could be shared by if these were
/// the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shape(u64);

impl<'a> HeldUnits<'a> {
    /// The units of a manifest.
    pub fn of(manifest: &'a Manifest) -> Self {
        let keys = manifest.cooks.iter().map(|cook| cook.graph.keys()).collect();
        let mut held = Self { manifest, keys, units: HashMap::new(), shapes: HashMap::new(), watches: HashMap::new() };
        for (graph, keys) in manifest.cooks.iter().map(|cook| &cook.graph).zip(&held.keys) {
            let (shareable, shapes) = (graph.shareable(), shapes(graph));
            for (place, unit) in graph.units.iter().enumerate() {
                if let Some(output) = unit.output.as_ref().filter(|_| shareable[place]) {
                    // A unit is measured where it is compiled first, and found there by the calls that follow.
                    measured(&mut held.units, keys[place], output.cpu_ms);
                    measured(&mut held.shapes, shapes[place], output.cpu_ms);
                    if !output.watches.is_empty() {
                        held.watches.insert(keys[place], &output.watches);
                    }
                }
            }
        }
        held
    }

    /// The graphs of its cooks, with the keys of their units.
    pub fn graphs(&self) -> impl Iterator<Item = (&'a UnitGraph, &[Key])> {
        let graphs = self.manifest.cooks.iter().map(|cook| &cook.graph);
        graphs.zip(self.keys.iter().map(Vec::as_slice))
    }

    /// The variables that a run of a build script watches.
    pub fn watches(&self, key: Key) -> &'a [String] {
        self.watches.get(&key).copied().unwrap_or_default()
    }

    /// What a unit cost, if it is here.
    pub fn unit(&self, key: Key) -> Option<u64> {
        self.units.get(&key).map(|cpu_ms| cpu_ms.unwrap_or(UNKNOWN_MS))
    }

    /// What a unit of this shape cost, if there is one.
    pub fn shape(&self, shape: Shape) -> Option<u64> {
        self.shapes.get(&shape).map(|cpu_ms| cpu_ms.unwrap_or(UNKNOWN_MS))
    }

    /// What compiled them.
    pub fn environment(&self) -> &'a Environment {
        &self.manifest.environment
    }

    /// The manifest.
    pub fn manifest(&self) -> &'a Manifest {
        self.manifest
    }
}

fn measured<K: Eq + Hash>(known: &mut HashMap<K, Option<u64>>, unit: K, cpu_ms: Option<u64>) {
    let entry = known.entry(unit).or_default();
    *entry = (*entry).or(cpu_ms);
}

/// The shape of each unit, in the order of `units`.
pub(super) fn shapes(graph: &UnitGraph) -> Vec<Shape> {
    let mut shapes = vec![Shape(0); graph.units.len()];
    for place in graph.order().unwrap_or_default() {
        let unit = &graph.units[place];
        let package = graph.package(unit);
        let mut hash = Sha256::new();
        let mut field = |text: &str| {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text);
        };
        [&package.name, &package.version, &unit.target].into_iter().for_each(|word| field(word));
        field(package.source.as_deref().unwrap_or_default());
        field(unit.platform.as_deref().unwrap_or_default());
        unit.features.iter().for_each(|feature| field(feature));
        let mut below: Vec<Shape> = unit.dependencies.iter().map(|&dependency| shapes[dependency]).collect();
        below.sort_unstable();
        hash.update([unit.kind as u8]);
        below.iter().for_each(|shape| hash.update(shape.0.to_le_bytes()));
        let digest = hash.finalize();
        shapes[place] = Shape(digest.iter().take(8).fold(0, |sum, &byte| sum << 8 | u64::from(byte)));
    }
    shapes
}
