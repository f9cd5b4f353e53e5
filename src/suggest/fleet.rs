//! Many projects at once: what layers save a day, and which layer would save most next.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::exact::{Units, Usable};
use super::held::HeldUnits;
use super::set;
use crate::model::LayerName;
use crate::unit::Key;

/// A project of a fleet.
#[derive(Debug)]
pub struct Crew<'u, 'a> {
    /// Its name.
    pub name: &'a str,
    /// How often it is built a day.
    pub weight: u64,
    /// What it needs.
    pub units: &'u Units<'a>,
}

/// What a layer saves the projects of a fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FleetLayer<'a> {
    /// The layer.
    pub layer: &'a LayerName,
    /// What it saves a day, in milliseconds of processor time.
    pub saved_ms: u64,
    /// What it saves each project in one build, in the order of the projects.
    pub projects: Vec<u64>,
}

/// What a fleet is advised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FleetAdvice<'a> {
    /// What the dependencies of all projects cost a day, in milliseconds of processor time.
    pub total_ms: u64,
    /// The layers that save anything, the best first.
    pub layers: Vec<FleetLayer<'a>>,
    /// The layers that together save most, and what each adds a day.
    pub set: Vec<(&'a LayerName, u64)>,
}

/// What to do next for a fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal<'a> {
    /// What.
    pub action: Action<'a>,
    /// What that saves a day at most, in milliseconds of processor time, beyond what the layers save already.
    pub saved_ms: u64,
    /// The bytes that it adds to the registry, before compression, by what such units have elsewhere; or that each pull
    /// is spared.
    pub bytes: u64,
}

/// What could be done.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action<'a> {
    /// A layer from a project's own lock.
    Add {
        /// The project.
        project: &'a str,
        /// The other projects that it helps.
        also: Vec<&'a str>,
    },
    /// A layer cooked again, with the versions that the projects have by now.
    Recook {
        /// The layer.
        layer: &'a LayerName,
        /// How many of its packages the projects have in another version.
        packages: usize,
    },
    /// A layer divided, for most of what it holds is used by none.
    Split {
        /// The layer.
        layer: &'a LayerName,
        /// How many of its units are used.
        used: usize,
        /// How many it has.
        units: usize,
    },
}

/// Of a layer that is to be split, at most this part of a hundred is used, and at least so many bytes are not.
const SPLIT_PERCENT: u64 = 30;
const SPLIT_BYTES: u64 = 50_000_000;

/// Ranks layers for all projects, by what they save a day. `usable` says what a project can use of a layer.
pub fn fleet<'a, 'v>(
    crew: &[Crew<'_, 'a>],
    layers: &[(&'a LayerName, &HeldUnits<'_>)],
    usable: impl Fn(usize, usize) -> Option<Usable<'v, 'v>>,
) -> FleetAdvice<'a> {
    let saved = |project: usize, places: &[usize]| {
        let usable: Vec<_> = places.iter().filter_map(|&layer| usable(project, layer)).collect();
        crew[project].units.saving(&usable).saved_ms
    };
    let weighed = |places: &[usize]| {
        (0..crew.len()).map(|project| crew[project].weight.saturating_mul(saved(project, places))).sum::<u64>()
    };
    let of_layer = |(place, (layer, _)): (usize, &(&'a LayerName, &HeldUnits<'_>))| FleetLayer {
        layer,
        saved_ms: weighed(&[place]),
        projects: (0..crew.len()).map(|project| saved(project, &[place])).collect(),
    };
    let mut ranked: Vec<FleetLayer<'a>> = layers.iter().enumerate().map(of_layer).collect();
    ranked.retain(|layer| layer.saved_ms > 0);
    ranked.sort_by_key(|layer| Reverse(layer.saved_ms));
    let total_ms = crew.iter().map(|project| project.weight.saturating_mul(project.units.total_ms())).sum();
    let alone: Vec<u64> = (0..layers.len()).map(|layer| weighed(&[layer])).collect();
    let picks = set::greedy(&alone, total_ms, weighed);
    let set = picks.into_iter().map(|pick| (layers[pick.layer].0, pick.gain_ms)).collect();
    FleetAdvice { total_ms, layers: ranked, set }
}

/// What would save most next: each by itself, the best first.
pub fn propose<'a, 'v>(
    crew: &[Crew<'_, 'a>],
    layers: &[(&'a LayerName, &HeldUnits<'_>)],
    usable: impl Fn(usize, usize) -> Option<Usable<'v, 'v>>,
) -> Vec<Proposal<'a>> {
    // What each project has from layers already.
    let had: Vec<Vec<bool>> = (0..crew.len())
        .map(|project| {
            let usable: Vec<_> = (0..layers.len()).filter_map(|layer| usable(project, layer)).collect();
            crew[project].units.saving(&usable).units
        })
        .collect();
    let missing = |project: usize| -> BTreeMap<Key, u64> {
        let units = crew[project].units;
        let shareable = units.graph().shareable();
        let places = (0..units.keys().len()).filter(|&place| shareable[place] && !had[project][place]);
        places.map(|place| (units.keys()[place], units.costs()[place])).collect()
    };
    let missing: Vec<BTreeMap<Key, u64>> = (0..crew.len()).map(missing).collect();
    let bytes = typical_bytes(layers);
    let mut proposals = Vec::new();
    for (project, own) in missing.iter().enumerate() {
        // Whoever shares a unit with the project has it from the new layer, too.
        let shared = |other: usize| -> u64 {
            missing[other].iter().filter(|(key, _)| own.contains_key(*key)).map(|(_, cost)| cost).sum()
        };
        let saved_ms = (0..crew.len()).map(|other| crew[other].weight.saturating_mul(shared(other))).sum();
        let also = (0..crew.len()).filter(|&other| other != project && shared(other) > 0);
        let also = also.map(|other| crew[other].name).collect();
        let action = Action::Add { project: crew[project].name, also };
        proposals.push(Proposal { action, saved_ms, bytes: bytes.saturating_mul(own.len() as u64) });
    }
    for (layer, held) in layers {
        proposals.extend(recook(crew, &had, layer, held));
        proposals.extend(split(crew, layer, held));
    }
    proposals.retain(|proposal| proposal.saved_ms > 0 || matches!(proposal.action, Action::Split { .. }));
    proposals.sort_by(|one, other| (Reverse(one.saved_ms), &one.action).cmp(&(Reverse(other.saved_ms), &other.action)));
    proposals
}

/// What a layer would save more with the versions that the projects have: at most, for features may differ.
fn recook<'a>(
    crew: &[Crew<'_, 'a>],
    had: &[Vec<bool>],
    layer: &'a LayerName,
    held: &HeldUnits<'_>,
) -> Option<Proposal<'a>> {
    let graphs = held.manifest().cooks.iter().map(|cook| &cook.graph);
    let packages = graphs.flat_map(|graph| graph.packages.iter().filter(|package| package.source.is_some()));
    let own: BTreeSet<(&str, &str)> =
        packages.map(|package| (package.name.as_str(), package.version.as_str())).collect();
    let names: BTreeSet<&str> = own.iter().map(|(name, _)| *name).collect();
    // One version of each moves in: the one that saves most.
    let mut wanted: BTreeMap<&str, BTreeMap<&str, u64>> = BTreeMap::new();
    for (project, had) in crew.iter().zip(had) {
        let graph = project.units.graph();
        let shareable = graph.shareable();
        for (place, unit) in graph.units.iter().enumerate().filter(|(place, _)| shareable[*place] && !had[*place]) {
            let package = graph.package(unit);
            let (name, version) = (package.name.as_str(), package.version.as_str());
            if names.contains(name) && !own.contains(&(name, version)) {
                let saved = project.weight.saturating_mul(project.units.costs()[place]);
                *wanted.entry(name).or_default().entry(version).or_default() += saved;
            }
        }
    }
    let packages = wanted.len();
    let saved_ms = wanted.into_values().filter_map(|versions| versions.into_values().max()).sum();
    (saved_ms > 0).then_some(Proposal { action: Action::Recook { layer, packages }, saved_ms, bytes: 0 })
}

fn split<'a>(crew: &[Crew<'_, 'a>], layer: &'a LayerName, held: &HeldUnits<'_>) -> Option<Proposal<'a>> {
    let wanted: BTreeSet<Key> = crew.iter().flat_map(|project| project.units.keys().iter().copied()).collect();
    let (mut used, mut units, mut unused_bytes) = (0, 0, 0u64);
    let mut seen = BTreeSet::new();
    for (graph, keys) in held.graphs() {
        for (key, unit) in keys.iter().zip(&graph.units) {
            let Some(output) = unit.output.as_ref().filter(|_| seen.insert(*key)) else { continue };
            units += 1;
            match wanted.contains(key) {
                true => used += 1,
                false => unused_bytes = unused_bytes.saturating_add(output.bytes),
            }
        }
    }
    let little = (used as u64) * 100 <= (units as u64) * SPLIT_PERCENT;
    (used > 0 && little && unused_bytes >= SPLIT_BYTES).then_some(Proposal {
        action: Action::Split { layer, used, units },
        saved_ms: 0,
        bytes: unused_bytes,
    })
}

/// What a unit has of bytes as a rule: the mean of what layers hold; a megabyte where they hold nothing.
fn typical_bytes(layers: &[(&LayerName, &HeldUnits<'_>)]) -> u64 {
    let graphs = layers.iter().flat_map(|(_, held)| &held.manifest().cooks).map(|cook| &cook.graph);
    let outputs: Vec<u64> =
        graphs.flat_map(|graph| &graph.units).filter_map(|unit| Some(unit.output.as_ref()?.bytes)).collect();
    let sum = outputs.iter().fold(0u64, |sum, bytes| sum.saturating_add(*bytes));
    sum.checked_div(outputs.len() as u64).unwrap_or(1_000_000)
}
