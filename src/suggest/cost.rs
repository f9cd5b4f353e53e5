//! What units and packages cost: as measured where the very unit was cooked, else as the units of that package were
//! elsewhere, else what a unit costs as a rule.

use std::collections::{BTreeMap, HashMap};

use super::held::{HeldPackages, HeldUnits};
use crate::unit::{Key, Measured, UNKNOWN_MS, UnitGraph, median};

/// The costs of units and packages, in milliseconds of processor time.
#[derive(Debug, Default)]
pub struct Costs<'a> {
    units: Measured<'a>,
    /// By name and version: the most that any layer says, so that none saves more than the whole.
    packages: HashMap<(&'a str, &'a str), u64>,
    /// By name: the median of the versions.
    names: HashMap<&'a str, u64>,
}

impl<'a> Costs<'a> {
    /// What these layers measured of packages.
    pub fn of_packages(layers: &[&HeldPackages<'a>]) -> Self {
        let mut packages: HashMap<(&'a str, &'a str), u64> = HashMap::new();
        for (package, cpu_ms) in layers.iter().flat_map(|layer| layer.iter()) {
            let known = packages.entry(*package).or_default();
            *known = (*cpu_ms).max(*known);
        }
        let mut names: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
        for (&(name, _), &cpu_ms) in &packages {
            names.entry(name).or_default().push(cpu_ms);
        }
        let names = names.into_iter().map(|(name, all)| (name, median(all))).collect();
        Self { units: Measured::default(), packages, names }
    }

    /// Adds what these layers measured of units.
    #[must_use]
    pub fn with_units(mut self, layers: &[&HeldUnits<'a>]) -> Self {
        self.units = Measured::of(layers.iter().flat_map(|layer| layer.graphs()));
        self
    }

    /// What a package's units cost together.
    pub fn package(&self, name: &str, version: &str) -> u64 {
        let known = self.packages.get(&(name, version)).or_else(|| self.names.get(name));
        known.copied().unwrap_or(UNKNOWN_MS)
    }

    /// What each unit of a project costs.
    pub fn units(&self, graph: &UnitGraph, keys: &[Key]) -> Vec<u64> {
        self.units.costs(graph, keys).cpu_ms
    }
}
