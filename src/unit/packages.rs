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
        // What they are of: folder, name, version.
        let mut units: HashMap<Key, ([&str; 3], Option<u64>)> = HashMap::new();
        for graph in self.cooks.iter().map(|cook| &cook.graph) {
            let shareable = graph.shareable();
            for (place, key) in graph.keys().into_iter().enumerate().filter(|&(place, _)| shareable[place]) {
                let unit = &graph.units[place];
                if let Some(output) = &unit.output {
                    let package = graph.package(unit);
                    let of = [&graph.profile(unit).folder, &package.name, &package.version].map(String::as_str);
                    let (_, known) = units.entry(key).or_insert((of, None));
                    // A unit is measured where it is compiled first, and found there by the calls that follow.
                    *known = known.or(output.cpu_ms);
                }
            }
        }
        let mut sums: HashMap<[&str; 3], u64> = HashMap::new();
        for (of, cpu_ms) in units.into_values() {
            let sum = sums.entry(of).or_default();
            *sum = sum.saturating_add(cpu_ms.unwrap_or(UNKNOWN_MS));
        }
        let mut most = PackageCosts::new();
        for ([_, name, version], sum) in sums {
            let known = most.entry((name, version)).or_default();
            *known = sum.max(*known);
        }
        most
    }
}
