//! Which units of a project lie in which layer.

use std::collections::HashMap;

use super::{Key, Manifest, Output, Unit, UnitGraph};

/// Where a unit can be had: places in the list of manifests, its `cooks` and their `units`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Source {
    /// The manifest.
    pub manifest: usize,
    /// The call of cargo in it.
    pub cook: usize,
    /// The unit in its graph.
    pub unit: usize,
}

/// What a project gets from layers, unit by unit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reuse {
    /// For each unit of the project the first layer that has it.
    pub units: Vec<Option<Source>>,
}

/// Finds each unit of a project that others could have made in the layers; of several the first has it. Environments
/// are not compared here: see [`obstacles`](super::obstacles).
pub fn reuse(project: &UnitGraph, manifests: &[&Manifest]) -> Reuse {
    let mut held: HashMap<Key, Source> = HashMap::new();
    for (manifest, cook, graph) in graphs(manifests) {
        let there = graph.shareable();
        for (unit, key) in graph.keys().into_iter().enumerate() {
            if there[unit] && graph.units[unit].output.is_some() {
                held.entry(key).or_insert(Source { manifest, cook, unit });
            }
        }
    }
    let own = project.keys().into_iter().zip(project.shareable());
    let units = own.map(|(key, shareable)| held.get(&key).copied().filter(|_| shareable));
    Reuse { units: units.collect() }
}

/// All graphs of manifests, with their places.
fn graphs<'m>(manifests: &'m [&'m Manifest]) -> impl Iterator<Item = (usize, usize, &'m UnitGraph)> {
    manifests.iter().enumerate().flat_map(|(manifest, content)| {
        content.cooks.iter().enumerate().map(move |(cook, content)| (manifest, cook, &content.graph))
    })
}

impl Source {
    /// The unit.
    pub fn unit<'m>(&self, manifests: &[&'m Manifest]) -> &'m Unit {
        let manifest: &'m Manifest = manifests[self.manifest];
        &manifest.cooks[self.cook].graph.units[self.unit]
    }

    /// What came of it.
    pub fn output<'m>(&self, manifests: &[&'m Manifest]) -> Option<&'m Output> {
        self.unit(manifests).output.as_ref()
    }
}

impl Reuse {
    /// How many units are there.
    pub fn count(&self) -> usize {
        self.units.iter().flatten().count()
    }

    /// The places of the project's units that are there.
    pub fn found(&self) -> impl Iterator<Item = (usize, Source)> {
        self.units.iter().enumerate().filter_map(|(place, source)| Some((place, (*source)?)))
    }

    /// The processor time of the units that are there, by what each costs.
    pub fn cpu_ms(&self, costs: &[u64]) -> u64 {
        self.found().filter_map(|(place, _)| costs.get(place)).fold(0, |sum, &cost| sum.saturating_add(cost))
    }

    /// The bytes of the units that are there, each counted once.
    pub fn bytes(&self, manifests: &[&Manifest]) -> u64 {
        let mut sources: Vec<Source> = self.found().map(|(_, source)| source).collect();
        sources.sort_unstable();
        sources.dedup();
        let bytes = sources.iter().filter_map(|source| source.output(manifests)).map(|output| output.bytes);
        bytes.fold(0, u64::saturating_add)
    }
}
