//! What layers save at most, by the lock alone: a package of the same name and version may be reused, and no other.

use std::collections::{BTreeSet, HashMap};

use super::Costs;
use super::held::HeldPackages;

/// The packages of a project that others can have compiled: name and version.
pub type Packages<'a> = BTreeSet<(&'a str, &'a str)>;

/// What a layer, or several together, save at most.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bound<'a> {
    /// The packages that are there.
    pub packages: Packages<'a>,
    /// Their processor time, in milliseconds.
    pub saved_ms: u64,
}

/// What packages cost, in milliseconds of processor time.
pub fn total_ms(project: &Packages<'_>, costs: &Costs<'_>) -> u64 {
    project.iter().fold(0, |sum, (name, version)| sum.saturating_add(costs.package(name, version)))
}

/// What layers together save at most: of each package what the best of them has. For one layer nothing is above it; of
/// several, one could have some units of a package and one others.
pub fn bound<'a>(project: &Packages<'a>, layers: &[&HeldPackages<'a>]) -> Bound<'a> {
    let mut most: HashMap<(&'a str, &'a str), u64> = HashMap::new();
    for (package, &cpu_ms) in layers.iter().flat_map(|layer| layer.iter()) {
        if let Some(package) = project.get(package) {
            let known = most.entry(*package).or_default();
            *known = cpu_ms.max(*known);
        }
    }
    Bound { saved_ms: most.values().copied().fold(0, u64::saturating_add), packages: most.into_keys().collect() }
}

/// What a layer would save at most that has not been cooked yet, by the lock of its set.
pub fn of_lock<'a>(project: &Packages<'a>, lock: &Packages<'_>, costs: &Costs<'_>) -> Bound<'a> {
    let packages: Packages<'a> = project.iter().filter(|package| lock.contains(*package)).copied().collect();
    let saved_ms = total_ms(&packages, costs);
    Bound { packages, saved_ms }
}
