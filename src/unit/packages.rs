//! What a layer spares a build at most, package by package: all that can be told where only names and versions are
//! compared.

use std::collections::{BTreeMap, HashMap};

use super::{Key, Manifest, UNKNOWN_MS};

/// Name and version, with milliseconds of processor time.
pub type PackageCosts<'a> = BTreeMap<(&'a str, &'a str), u64>;

impl Manifest {
    /// The packages of its units that others can have, each with the most that one build is spared by them, in
    /// milliseconds of processor time: all units of the package in one folder of profiles, for a build has one; each
    /// counted once, as it was measured, and for [`UNKNOWN_MS`] where it was not.
    ///
    /// No build is spared more: it needs each unit once, and takes none of another folder.
    pub fn packages(&self) -> PackageCosts<'_> {
        let mut units: HashMap<Key, (&str, (&str, &str), Option<u64>)> = HashMap::new();
        for graph in self.cooks.iter().map(|cook| &cook.graph) {
            let shareable = graph.shareable();
            for (place, key) in graph.keys().into_iter().enumerate().filter(|&(place, _)| shareable[place]) {
                let unit = &graph.units[place];
                if let Some(output) = &unit.output {
                    let package = graph.package(unit);
                    let folder = graph.profile(unit).folder.as_str();
                    let known = units.entry(key).or_insert((folder, (&package.name, &package.version), None));
                    // A unit is measured where it is compiled first, and found there by the calls that follow.
                    known.2 = known.2.or(output.cpu_ms);
                }
            }
        }
        let mut sums: HashMap<(&str, (&str, &str)), u64> = HashMap::new();
        for (folder, package, cpu_ms) in units.into_values() {
            let sum = sums.entry((folder, package)).or_default();
            *sum = sum.saturating_add(cpu_ms.unwrap_or(UNKNOWN_MS));
        }
        let mut most = PackageCosts::new();
        for ((_, package), sum) in sums {
            let known = most.entry(package).or_default();
            *known = sum.max(*known);
        }
        most
    }
}
