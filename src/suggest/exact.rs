//! What layers save, unit by unit: the project's units as cargo plans them, looked up in what layers hold.

use super::Costs;
use super::held::{HeldUnits, Shape, shapes};
use crate::unit::{Key, UnitGraph, Wall, wall};

/// A project's units, ready to be looked up.
#[derive(Debug)]
pub struct Units<'a> {
    graph: &'a UnitGraph,
    keys: Vec<Key>,
    shapes: Vec<Shape>,
    shareable: Vec<bool>,
    order: Vec<usize>,
    costs: Vec<u64>,
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
        Self { graph, shapes: shapes(graph), shareable: graph.shareable(), order, costs, keys }
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
        self.shareable.iter().zip(&self.costs).filter(|(shareable, _)| **shareable).map(|(_, cost)| cost).sum()
    }

    /// What layers together save, or what of that is compiled for the host. A unit is taken where all that it depends on
    /// is taken, too.
    pub fn saving(&self, layers: &[&HeldUnits<'_>], host_only: bool) -> Saving {
        let mut saving = Saving { units: vec![false; self.graph.units.len()], saved_ms: 0 };
        for &place in self.order.iter().filter(|&&place| self.shareable[place]) {
            if host_only && self.graph.units[place].platform.is_some() {
                continue;
            }
            let Some(held) = layers.iter().find_map(|layer| layer.unit(self.keys[place])) else { continue };
            if self.graph.units[place].dependencies.iter().all(|&below| saving.units[below]) {
                saving.units[place] = true;
                saving.saved_ms += held;
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
        places.filter_map(|&place| layer.shape(self.shapes[place])).sum()
    }
}
