//! What a layer holds, in the two forms that it is looked up in.

use std::collections::HashMap;
use std::hash::Hash;

use sha2::{Digest as _, Sha256};

use crate::unit::{Environment, Key, Manifest, UNKNOWN_MS, UnitGraph};

/// The units of a layer that others can take, by what they are.
#[derive(Clone, Debug)]
pub struct HeldUnits<'a> {
    manifest: &'a Manifest,
    /// What each cost, in milliseconds of processor time.
    units: HashMap<Key, Option<u64>>,
    shapes: HashMap<Shape, Option<u64>>,
}

/// The packages of a layer, each with the most that one build can save by it, in milliseconds of processor time.
pub type HeldPackages<'a> = HashMap<(&'a str, &'a str), u64>;

/// A unit but for the profiles that it and its dependencies are compiled with: what it could be shared by if these were
/// the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shape(u64);

impl<'a> HeldUnits<'a> {
    /// The units of a manifest.
    pub fn of(manifest: &'a Manifest) -> Self {
        let mut held = Self { manifest, units: HashMap::new(), shapes: HashMap::new() };
        for graph in manifest.cooks.iter().map(|cook| &cook.graph) {
            let (shareable, keys, shapes) = (graph.shareable(), graph.keys(), shapes(graph));
            for (place, unit) in graph.units.iter().enumerate() {
                if let Some(output) = unit.output.as_ref().filter(|_| shareable[place]) {
                    // A unit is measured where it is compiled first, and found there by the calls that follow.
                    measured(&mut held.units, keys[place], output.cpu_ms);
                    measured(&mut held.shapes, shapes[place], output.cpu_ms);
                }
            }
        }
        held
    }

    /// What a unit cost, if it is here.
    pub fn unit(&self, key: Key) -> Option<u64> {
        self.units.get(&key).map(|cpu_ms| cpu_ms.unwrap_or(UNKNOWN_MS))
    }

    /// All units with what they cost.
    pub fn units(&self) -> impl Iterator<Item = (Key, u64)> {
        self.units.iter().map(|(key, cpu_ms)| (*key, cpu_ms.unwrap_or(UNKNOWN_MS)))
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

/// The packages of a manifest.
pub fn packages(manifest: &Manifest) -> HeldPackages<'_> {
    let cooks = manifest.cooks.iter().map(|cook| {
        let shareable = cook.graph.shareable();
        let mut packages: HeldPackages<'_> = HashMap::new();
        for (unit, _) in cook.graph.units.iter().zip(shareable).filter(|(_, shareable)| *shareable) {
            if let Some(output) = &unit.output {
                let package = cook.graph.package(unit);
                let sum = packages.entry((&package.name, &package.version)).or_default();
                *sum += output.cpu_ms.unwrap_or(UNKNOWN_MS);
            }
        }
        ((&cook.profile, &cook.settings), packages)
    });
    at_most(cooks)
}

/// The most that one build saves by each package. A build has one profile, so what was cooked with several counts once,
/// by the dearest of them.
pub fn at_most<'a, P: PartialEq>(
    cooks: impl IntoIterator<Item = (P, impl IntoIterator<Item = ((&'a str, &'a str), u64)>)>,
) -> HeldPackages<'a> {
    let mut of_profile: Vec<(P, HeldPackages<'a>)> = Vec::new();
    for (profile, packages) in cooks {
        let place = of_profile.iter().position(|(known, _)| *known == profile).unwrap_or(of_profile.len());
        if place == of_profile.len() {
            of_profile.push((profile, HashMap::new()));
        }
        let sums = &mut of_profile[place].1;
        packages.into_iter().for_each(|(package, cpu_ms)| *sums.entry(package).or_default() += cpu_ms);
    }
    let mut most: HeldPackages<'a> = HashMap::new();
    for (package, cpu_ms) in of_profile.into_iter().flat_map(|(_, sums)| sums) {
        let known = most.entry(package).or_default();
        *known = cpu_ms.max(*known);
    }
    most
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
