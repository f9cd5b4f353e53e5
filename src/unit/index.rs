//! What a manifest comes to for those who look through many: keys computed, and nothing that they don't ask for.
//!
//! A manifest of a large layer has a megabyte of JSON. To rank a thousand layers, their indexes are read in its place:
//! they are written when a manifest is fetched, and say all that a key or a name is looked up for.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Environment, Key, Kind, Manifest, UNKNOWN_MS};

/// The units of one layer that others can reuse.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    /// The version of this form; one of another is made anew from the manifest.
    pub version: u32,
    /// The layer's name.
    pub layer: String,
    /// What compiled it.
    pub environment: Environment,
    /// The units, by their keys, each once.
    pub units: Vec<Summary>,
}

/// One unit of a layer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Summary {
    /// What it is for cargo.
    pub key: Key,
    /// Its package's name.
    pub name: String,
    /// Its package's version.
    pub version: String,
    /// What it is.
    pub kind: Kind,
    /// Processor time of making it, in milliseconds; the usual where it was not measured.
    pub cpu_ms: u64,
    /// The bytes of its files.
    pub bytes: u64,
}

/// What a layer holds of one version of a package.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Its units.
    pub units: usize,
    /// Their processor time, in milliseconds.
    pub cpu_ms: u64,
}

impl Index {
    /// The version that is written and read.
    pub const VERSION: u32 = 1;

    /// The index of a manifest.
    pub fn of(manifest: &Manifest) -> Index {
        let mut units = BTreeMap::new();
        for graph in manifest.cooks.iter().map(|cook| &cook.graph) {
            let shareable = graph.shareable();
            for ((unit, key), shareable) in graph.units.iter().zip(graph.keys()).zip(shareable) {
                let Some(output) = unit.output.as_ref().filter(|_| shareable) else { continue };
                let package = graph.package(unit);
                units.entry(key).or_insert_with(|| Summary {
                    key,
                    name: package.name.clone(),
                    version: package.version.clone(),
                    kind: unit.kind,
                    cpu_ms: output.cpu_ms.unwrap_or(UNKNOWN_MS),
                    bytes: output.bytes,
                });
            }
        }
        Index {
            version: Self::VERSION,
            layer: manifest.layer.clone(),
            environment: manifest.environment.clone(),
            units: units.into_values().collect(),
        }
    }

    /// The unit with a key.
    pub fn get(&self, key: &Key) -> Option<&Summary> {
        let place = self.units.binary_search_by(|unit| unit.key.cmp(key)).ok()?;
        self.units.get(place)
    }

    /// What it holds at most of packages that are known by name and version alone, as a lock has them: an upper bound
    /// of what cargo takes.
    ///
    /// A package that was cooked several times, with other features, for the host and for the target, or with several
    /// profiles, counts each of these: which of them a project needs is not in its lock.
    pub fn at_most(&self, lock: &BTreeSet<(&str, &str)>) -> Held {
        let mut held = Held::default();
        for unit in self.units.iter().filter(|unit| lock.contains(&(unit.name.as_str(), unit.version.as_str()))) {
            held.units += 1;
            held.cpu_ms = held.cpu_ms.saturating_add(unit.cpu_ms);
        }
        held
    }
}
