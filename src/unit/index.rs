//! What a ranking needs of a manifest: keys computed, and nothing that is not asked for.
//!
//! A manifest of a large layer has a megabyte of JSON. To rank a thousand layers, their indexes are read in its place:
//! some kilobytes each, kept beside the cached manifest and made anew where one is gone.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{Environment, Key, Manifest, Output, UNKNOWN_MS, UnitGraph};

/// The version of the encoding; another one is made anew.
const VERSION: u32 = 1;

/// What a layer holds, as a ranking sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Index<'a> {
    version: u32,
    /// What compiled it.
    pub environment: Environment,
    /// The packages, by name and version.
    #[serde(borrow)]
    pub packages: Vec<Held<'a>>,
    /// The units that can be copied, by key; of equal ones the first.
    pub units: Vec<HeldUnit>,
    /// The folders of cargo's targets in the image, each once.
    pub target_dirs: Vec<String>,
}

/// A package in a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its version.
    pub version: &'a str,
    /// The most processor time that one build can save by it, in milliseconds.
    pub cpu_ms: u64,
}

/// A unit in a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldUnit {
    /// What it is to cargo.
    pub key: Key,
    /// What it is but for profiles.
    pub shape: Shape,
    /// What it cost, in milliseconds of processor time; absent where that was not measured.
    pub cpu_ms: Option<u64>,
}

/// A unit but for the profiles that it and its dependencies are compiled with: what it could be shared by if these were
/// the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Shape(u64);

impl UnitGraph {
    /// The shape of each unit, in the order of `units`.
    pub fn shapes(&self) -> Vec<Shape> {
        let mut shapes = vec![Shape(0); self.units.len()];
        for place in self.order().unwrap_or_default() {
            let unit = &self.units[place];
            let package = self.package(unit);
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
}

impl<'a> Index<'a> {
    /// The index of a manifest.
    pub fn of(manifest: &'a Manifest) -> Self {
        let mut units = Vec::new();
        for graph in manifest.cooks.iter().map(|cook| &cook.graph) {
            let shapes = graph.shapes();
            let unit = |(place, key, output): (usize, _, &Output)| {
                HeldUnit { key, shape: shapes[place], cpu_ms: output.cpu_ms }
            };
            units.extend(held(graph).map(unit));
        }
        units.sort_by_key(|unit| unit.key);
        units.dedup_by_key(|unit| unit.key);
        let mut target_dirs: Vec<String> = manifest.cooks.iter().map(|cook| cook.target_dir.clone()).collect();
        target_dirs.dedup();
        let environment = manifest.environment.clone();
        Self { version: VERSION, environment, packages: packages(manifest), units, target_dirs }
    }

    /// Reads what [`Index::to_bytes`] wrote; nothing where it is something else.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        // The version comes first, whatever follows in another one.
        postcard::take_from_bytes::<u32>(bytes).ok().filter(|(version, _)| *version == VERSION)?;
        postcard::from_bytes(bytes).ok()
    }

    /// The index in a form to be kept.
    pub fn to_bytes(&self) -> Vec<u8> {
        postcard::to_stdvec(self).unwrap_or_default()
    }

    /// A unit by its key.
    pub fn unit(&self, key: Key) -> Option<&HeldUnit> {
        self.units.binary_search_by_key(&key, |unit| unit.key).ok().map(|place| &self.units[place])
    }

    /// A package by name and version.
    pub fn package(&self, name: &str, version: &str) -> Option<&Held<'a>> {
        let place = self.packages.binary_search_by_key(&(name, version), |held| (held.name, held.version));
        place.ok().map(|place| &self.packages[place])
    }
}

/// The units of a cook that are there and that others can take.
fn held(graph: &UnitGraph) -> impl Iterator<Item = (usize, Key, &Output)> {
    let shareable = graph.shareable();
    let units = graph.units.iter().zip(graph.keys()).enumerate();
    units.filter_map(move |(place, (unit, key))| Some((place, key, unit.output.as_ref().filter(|_| shareable[place])?)))
}

/// The packages, each with the most that one build can save by it. A build has one profile, so of several that were
/// cooked the dearest counts for each unit, and not their sum.
fn packages(manifest: &Manifest) -> Vec<Held<'_>> {
    type Identity<'a> = (&'a str, &'a str, u8, &'a str, &'a [String], Option<&'a str>);
    let mut of_profile: BTreeMap<(&str, Vec<(&str, &str)>), BTreeMap<Identity<'_>, BTreeMap<Key, u64>>> =
        BTreeMap::new();
    for cook in &manifest.cooks {
        let settings = cook.settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let identities = of_profile.entry((&cook.profile, settings)).or_default();
        for (place, key, output) in held(&cook.graph) {
            let unit = &cook.graph.units[place];
            let package = cook.graph.package(unit);
            let kind = unit.kind as u8;
            let platform = unit.platform.as_deref();
            let identity =
                (package.name.as_str(), package.version.as_str(), kind, &*unit.target, &*unit.features, platform);
            identities.entry(identity).or_default().insert(key, output.cpu_ms.unwrap_or(UNKNOWN_MS));
        }
    }
    let mut most: BTreeMap<Identity<'_>, u64> = BTreeMap::new();
    for identities in of_profile.into_values() {
        for (identity, units) in identities {
            let sum: u64 = units.values().sum();
            most.entry(identity).and_modify(|known| *known = sum.max(*known)).or_insert(sum);
        }
    }
    let mut packages: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for ((name, version, ..), cpu_ms) in most {
        *packages.entry((name, version)).or_default() += cpu_ms;
    }
    packages.into_iter().map(|((name, version), cpu_ms)| Held { name, version, cpu_ms }).collect()
}
