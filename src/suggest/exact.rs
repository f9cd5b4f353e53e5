//! What layers save, unit by unit: the project's units as cargo plans them, looked up in what layers hold.

use std::collections::HashSet;

use super::Costs;
use super::held::{HeldUnits, Shape, shapes};
use crate::unit::{Key, Unit, UnitGraph, Wall, wall};

/// A project's units, ready to be looked up.
#[derive(Debug)]
pub struct Units<'a> {
    graph: &'a UnitGraph,
    keys: Vec<Key>,
    shapes: Vec<Shape>,
    shareable: Vec<bool>,
    /// Whether no other unit before it has its key: cargo compiles one of them.
    first: Vec<bool>,
    order: Vec<usize>,
    costs: Vec<u64>,
}

/// A layer's units, as far as a project can use them.
#[derive(Clone, Copy, Debug)]
pub struct Usable<'u, 'a> {
    /// The units.
    pub held: &'u HeldUnits<'a>,
    /// Whether those for the host alone are usable.
    pub host_only: bool,
    /// The variables that have another value in the project: runs of build scripts that watch them are not usable.
    pub differing: &'u [&'u str],
}

impl Usable<'_, '_> {
    /// What a unit cost, if it can be used.
    fn unit(&self, unit: &Unit, key: Key) -> Option<u64> {
        let cost = self.held.unit(key)?;
        let differs = |name: &String| self.differing.contains(&name.as_str());
        let hindered = self.host_only && unit.platform.is_some() || self.held.watches(key).iter().any(differs);
        (!hindered).then_some(cost)
    }
}

/// What a layer, or several together, save of a project.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Saving {
    /// For each unit of the project, whether it is there.
    pub units: Vec<bool>,
    /// Their processor time, in milliseconds.
    pub saved_ms: u64,
}

impl<'a> Units<'a> {
    /// The units of a project with what each of them costs.
    pub fn new(graph: &'a UnitGraph, costs: &Costs<'_>) -> Self {
        let keys = graph.keys();
        let costs = costs.units(graph, &keys);
        let order = graph.order().unwrap_or_default();
        let mut seen = HashSet::new();
        let first = keys.iter().map(|key| seen.insert(*key)).collect();
        Self { graph, shapes: shapes(graph), shareable: graph.shareable(), first, order, costs, keys }
    }

    /// The graph.
    pub fn graph(&self) -> &'a UnitGraph {
        self.graph
    }

    /// The units' keys.
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// The units' costs, in milliseconds of processor time.
    pub fn costs(&self) -> &[u64] {
        &self.costs
    }

    /// How many units others can have compiled: those of packages from registries and from git.
    pub fn needed(&self) -> usize {
        self.shareable.iter().filter(|&&shareable| shareable).count()
    }

    /// What these cost together, in milliseconds of processor time.
    pub fn total_ms(&self) -> u64 {
        let counts = |place: &usize| self.shareable[*place] && self.first[*place];
        (0..self.costs.len()).filter(counts).fold(0, |sum, place| sum.saturating_add(self.costs[place]))
    }

    /// What layers together save. A unit is taken where all that it depends on is taken, too.
    pub fn saving(&self, layers: &[Usable<'_, '_>]) -> Saving {
        let mut saving = Saving { units: vec![false; self.graph.units.len()], saved_ms: 0 };
        for &place in self.order.iter().filter(|&&place| self.shareable[place]) {
            let unit = &self.graph.units[place];
            let Some(held) = layers.iter().find_map(|layer| layer.unit(unit, self.keys[place])) else { continue };
            if unit.dependencies.iter().all(|&below| saving.units[below]) {
                saving.units[place] = true;
                saving.saved_ms = saving.saved_ms.saturating_add(if self.first[place] { held } else { 0 });
            }
        }
        saving
    }

    /// How long a build takes by the clock where these units are there.
    pub fn wall(&self, there: &[bool], cores: usize) -> Wall {
        let cost = |(place, cost): (usize, &u64)| if there.get(place) == Some(&true) { 0 } else { *cost };
        let costs: Vec<u64> = self.costs.iter().enumerate().map(cost).collect();
        wall(self.graph, &costs, cores)
    }

    /// What a layer would save if both sides had the same profiles.
    pub fn could_save(&self, layer: &HeldUnits<'_>) -> u64 {
        let places = self.order.iter().filter(|&&place| self.shareable[place]);
        places.filter_map(|&place| layer.shape(self.shapes[place])).fold(0, u64::saturating_add)
    }
}
