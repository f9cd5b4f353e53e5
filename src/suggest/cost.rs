//! What units cost: as measured where the very unit was cooked, else as the units of that package were elsewhere, else
//! what a unit costs as a rule.

use std::collections::{BTreeMap, HashMap};

use super::held::{HeldPackages, HeldUnits};
use crate::unit::{Key, Kind, UNKNOWN_MS, Unit, UnitGraph};

/// The costs of units and packages, in milliseconds of processor time.
#[derive(Debug, Default)]
pub struct Costs<'a> {
    units: HashMap<Key, u64>,
    /// Of libraries and macros by name and by name and version: the median.
    named: HashMap<(&'a str, Kind), u64>,
    versions: HashMap<(&'a str, Kind, &'a str), u64>,
    /// By name and version: the most that any layer says, so that none saves more than the whole.
    packages: HashMap<(&'a str, &'a str), u64>,
    /// By name: the median of the versions.
    names: BTreeMap<&'a str, u64>,
}

impl<'a> Costs<'a> {
    /// What these layers measured of packages.
    pub fn of_packages(layers: &[&HeldPackages<'a>]) -> Self {
        let mut costs = Self::default();
        for (package, cpu_ms) in layers.iter().flat_map(|layer| layer.iter()) {
            let known = costs.packages.entry(*package).or_default();
            *known = (*cpu_ms).max(*known);
        }
        let mut names: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
        for (&(name, _), &cpu_ms) in &costs.packages {
            names.entry(name).or_default().push(cpu_ms);
        }
        costs.names = names.into_iter().map(|(name, all)| (name, median(all))).collect();
        costs
    }

    /// Adds what these layers measured of units.
    #[must_use]
    pub fn with_units(mut self, layers: &[&HeldUnits<'a>]) -> Self {
        let mut named: HashMap<_, Vec<u64>> = HashMap::new();
        let mut versions: HashMap<_, Vec<u64>> = HashMap::new();
        for layer in layers {
            for (key, cpu_ms) in layer.units() {
                let known = self.units.entry(key).or_default();
                *known = cpu_ms.max(*known);
            }
            let graphs = layer.manifest().cooks.iter().map(|cook| &cook.graph);
            for (graph, unit) in graphs.flat_map(|graph| graph.units.iter().map(move |unit| (graph, unit))) {
                if let Some(cpu_ms) = unit.output.as_ref().and_then(|output| output.cpu_ms) {
                    let package = graph.package(unit);
                    let (name, version) = (package.name.as_str(), package.version.as_str());
                    named.entry((name, unit.kind)).or_default().push(cpu_ms);
                    versions.entry((name, unit.kind, version)).or_default().push(cpu_ms);
                }
            }
        }
        self.named = named.into_iter().map(|(unit, all)| (unit, median(all))).collect();
        self.versions = versions.into_iter().map(|(unit, all)| (unit, median(all))).collect();
        self
    }

    /// What a package's units cost together.
    pub fn package(&self, name: &str, version: &str) -> u64 {
        let known = self.packages.get(&(name, version)).or_else(|| self.names.get(name));
        known.copied().unwrap_or(UNKNOWN_MS)
    }

    /// What each unit of a project costs.
    pub fn units(&self, graph: &UnitGraph, keys: &[Key]) -> Vec<u64> {
        let cost = |(unit, key): (&Unit, &Key)| {
            let package = graph.package(unit);
            let (name, version) = (package.name.as_str(), package.version.as_str());
            let known = self.units.get(key).or_else(|| self.versions.get(&(name, unit.kind, version)));
            known.or_else(|| self.named.get(&(name, unit.kind))).copied().unwrap_or(UNKNOWN_MS)
        };
        graph.units.iter().zip(keys).map(cost).collect()
    }
}

/// The middle one of some numbers, the lower of two; 0 of none.
fn median(mut all: Vec<u64>) -> u64 {
    all.sort_unstable();
    all.get(all.len().saturating_sub(1) / 2).copied().unwrap_or_default()
}
