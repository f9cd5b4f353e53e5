//! How long units take: processor time each, and what that is by the clock.

use std::collections::HashMap;

use super::{Key, Kind, Manifest, UnitGraph};

/// What a unit is taken for that nobody has measured, in milliseconds: the median of what was measured of cooked sets.
pub const UNKNOWN_MS: u64 = 300;

/// What each unit of a project costs in processor time, and how that is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Costs {
    /// Milliseconds, in the order of the project's units.
    pub cpu_ms: Vec<u64>,
    /// How many of them are a guess: nobody has compiled anything of that name.
    pub guessed: usize,
}

impl Costs {
    /// All of it, in milliseconds.
    pub fn total_ms(&self) -> u64 {
        self.cpu_ms.iter().fold(0, |sum, &cost| sum.saturating_add(cost))
    }
}

/// What layers measured of units.
#[derive(Clone, Debug, Default)]
pub struct Measured<'a> {
    /// The most that any layer measured of a unit, so that none saves more than the whole.
    units: HashMap<Key, u64>,
    versions: HashMap<(&'a str, Kind, &'a str), u64>,
    named: HashMap<(&'a str, Kind), u64>,
}

impl<'a> Measured<'a> {
    /// What was measured of the units of these graphs, which have these keys.
    pub fn of<'k>(graphs: impl IntoIterator<Item = (&'a UnitGraph, &'k [Key])>) -> Self {
        let mut measured = Self::default();
        let mut versions: HashMap<(&str, Kind, &str), Vec<u64>> = HashMap::new();
        let mut named: HashMap<(&str, Kind), Vec<u64>> = HashMap::new();
        for (graph, keys) in graphs {
            for (unit, key) in graph.units.iter().zip(keys) {
                if let Some(cost) = unit.output.as_ref().and_then(|output| output.cpu_ms) {
                    let package = graph.package(unit);
                    let known = measured.units.entry(*key).or_default();
                    *known = cost.max(*known);
                    versions.entry((&package.name, unit.kind, &package.version)).or_default().push(cost);
                    named.entry((&package.name, unit.kind)).or_default().push(cost);
                }
            }
        }
        measured.versions = versions.into_iter().map(|(unit, costs)| (unit, median(costs))).collect();
        measured.named = named.into_iter().map(|(unit, costs)| (unit, median(costs))).collect();
        measured
    }

    /// What the units of a project cost, which have these keys: what was measured of the very unit; else the median over
    /// units of the same package and kind and, if there are any, the same version. A crate takes about the same with
    /// other features, so a measurement of another unit of it is better than none.
    pub fn costs(&self, project: &UnitGraph, keys: &[Key]) -> Costs {
        let mut costs = Costs::default();
        for (unit, key) in project.units.iter().zip(keys) {
            let package = project.package(unit);
            let (name, version) = (package.name.as_str(), package.version.as_str());
            // One that was measured itself, as those of a layer's own graph are.
            let own = unit.output.as_ref().and_then(|output| output.cpu_ms);
            let known = own
                .or_else(|| self.units.get(key).copied())
                .or_else(|| self.versions.get(&(name, unit.kind, version)).copied())
                .or_else(|| self.named.get(&(name, unit.kind)).copied());
            costs.guessed += usize::from(known.is_none());
            costs.cpu_ms.push(known.unwrap_or(UNKNOWN_MS));
        }
        costs
    }
}

/// What the units of graphs cost, by what was measured when layers were cooked: see [`Measured::costs`].
pub fn costs<'g>(wanted: impl IntoIterator<Item = &'g UnitGraph>, manifests: &[&Manifest]) -> Vec<Costs> {
    let graphs = manifests.iter().flat_map(|manifest| &manifest.cooks).map(|cook| &cook.graph);
    let keyed: Vec<(&UnitGraph, Vec<Key>)> = graphs.map(|graph| (graph, graph.keys())).collect();
    let measured = Measured::of(keyed.iter().map(|(graph, keys)| (*graph, &keys[..])));
    wanted.into_iter().map(|graph| measured.costs(graph, &graph.keys())).collect()
}

/// The middle one of some numbers, the lower of two; 0 of none.
pub fn median(mut numbers: Vec<u64>) -> u64 {
    let middle = numbers.len().saturating_sub(1) / 2;
    match numbers.is_empty() {
        true => 0,
        false => *numbers.select_nth_unstable(middle).1,
    }
}

/// How long a build takes by the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wall {
    /// No order of units is faster: the longest chain, or all time spread evenly over the cores.
    pub least_ms: u64,
    /// No order is slower in which a core never waits while something could be compiled: both of them, the chain
    /// counted for what the other cores can't take of it (Graham's bound).
    pub most_ms: u64,
}

/// The range of a build's time on so many cores, by what each unit costs; 0 for those that are there already.
///
/// rustc itself uses several threads in places, and cargo starts a unit when its dependencies' metadata are there, so
/// a true build may be somewhat below.
pub fn wall(graph: &UnitGraph, cpu_ms: &[u64], cores: usize) -> Wall {
    let cores = cores.max(1) as u64;
    let cost = |place: usize| cpu_ms.get(place).copied().unwrap_or_default();
    let mut done = vec![0u64; graph.units.len()];
    for place in graph.order().unwrap_or_default() {
        let start = graph.units[place].dependencies.iter().map(|&below| done[below]).max().unwrap_or_default();
        done[place] = start.saturating_add(cost(place));
    }
    let chain = done.into_iter().max().unwrap_or_default();
    let total = (0..graph.units.len()).fold(0u64, |sum, place| sum.saturating_add(cost(place)));
    Wall {
        least_ms: chain.max(total.div_ceil(cores)),
        most_ms: chain.saturating_add(total.saturating_sub(chain).div_ceil(cores)),
    }
}
