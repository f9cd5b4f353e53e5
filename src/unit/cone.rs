//! What a change makes stale: all that is reached from it against the direction of dependencies.

use std::collections::VecDeque;

use super::{Package, UnitGraph};

/// What must be compiled again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cone {
    /// The units, in order; those that changed are among them.
    pub units: Vec<usize>,
    /// Their packages, in order.
    pub packages: Vec<usize>,
    /// For each unit of the graph the dependency by which it is in the cone; itself for one that changed.
    via: Vec<Option<usize>>,
}

/// The units of the packages that changed, and all that depend on them.
pub fn cone(graph: &UnitGraph, changed: impl Fn(&Package) -> bool) -> Cone {
    let changed: Vec<bool> = graph.packages.iter().map(changed).collect();
    let starts = (0..graph.units.len()).filter(|&place| changed[graph.units[place].package]);
    cone_of(graph, starts)
}

/// These units, and all that depend on them.
pub fn cone_of(graph: &UnitGraph, starts: impl IntoIterator<Item = usize>) -> Cone {
    let dependents = graph.dependents();
    let mut via: Vec<Option<usize>> = vec![None; graph.units.len()];
    let mut waiting = VecDeque::new();
    for start in starts {
        via[start] = Some(start);
        waiting.push_back(start);
    }
    // Breadth first, so that each chain is a shortest one.
    while let Some(place) = waiting.pop_front() {
        for &dependent in &dependents[place] {
            if via[dependent].is_none() {
                via[dependent] = Some(place);
                waiting.push_back(dependent);
            }
        }
    }
    let units: Vec<usize> = (0..via.len()).filter(|&place| via[place].is_some()).collect();
    let mut packages: Vec<usize> = units.iter().map(|&place| graph.units[place].package).collect();
    packages.sort_unstable();
    packages.dedup();
    Cone { units, packages, via }
}

impl Cone {
    /// Whether a unit is in it.
    pub fn holds(&self, unit: usize) -> bool {
        self.via.get(unit).copied().flatten().is_some()
    }

    /// Why a unit is in it: a shortest way from it to one that changed, both included; empty for one outside.
    pub fn chain(&self, unit: usize) -> Vec<usize> {
        let mut chain = Vec::new();
        let mut next = self.via.get(unit).copied().flatten().map(|_| unit);
        while let Some(place) = next {
            chain.push(place);
            next = self.via[place].filter(|&below| below != place);
        }
        chain
    }
}

impl UnitGraph {
    /// For each unit those that need it directly, in order, each once.
    pub fn dependents(&self) -> Vec<Vec<usize>> {
        let mut dependents: Vec<Vec<usize>> = vec![Vec::new(); self.units.len()];
        for (place, unit) in self.units.iter().enumerate() {
            for &dependency in &unit.dependencies {
                if dependents[dependency].last() != Some(&place) {
                    dependents[dependency].push(place);
                }
            }
        }
        dependents
    }
}
