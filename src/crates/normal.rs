//! From cargo's unit graph to what is the same on every machine.

use std::collections::{BTreeMap, BTreeSet};

use super::Section;
use crate::unit::{Kind, Package, Profile, Unit, UnitGraph};

/// The place of units for the machine that compiles: procedural macros, build scripts and all that they need.
pub(super) const HOST: &str = "host";
/// The place of units for the machine that runs the program, where cargo was not told another one.
pub(super) const TARGET: &str = "target";

/// The graph of a cook as a snapshot has it: without the set's own packages, without profiles' settings, in order.
/// Where a unit is compiled for the host is in cargo's graph only between the lines: it is there for a procedural
/// macro or a build script alone.
pub fn normalised(cook: &str, graph: &UnitGraph) -> Section {
    let own: BTreeSet<usize> = graph.roots.iter().map(|&root| graph.units[root].package).collect();
    let targets = for_the_target(graph, &own);
    let is_kept = |unit: usize| !own.contains(&graph.units[unit].package);
    let packages: BTreeSet<&Package> =
        (0..graph.units.len()).filter(|&unit| is_kept(unit)).map(|unit| graph.package(&graph.units[unit])).collect();
    let packages: Vec<Package> = packages.into_iter().cloned().collect();
    let host = usize::from(true);
    let mut units: Vec<(usize, Unit)> = Vec::new();
    for (old, unit) in graph.units.iter().enumerate().filter(|(old, _)| is_kept(*old)) {
        let package = packages.binary_search(graph.package(unit)).unwrap_or_default();
        let is_host = unit.platform.is_none() && !targets.contains(&old);
        let mut features = unit.features.clone();
        features.sort();
        features.dedup();
        let plain = Unit {
            package,
            kind: unit.kind,
            target: target(graph.package(unit), unit.kind),
            crate_types: Vec::new(),
            platform: unit.platform.clone(),
            features,
            profile: if is_host { host } else { 0 },
            dependencies: unit.dependencies.iter().copied().filter(|&dependency| is_kept(dependency)).collect(),
            output: None,
        };
        units.push((old, plain));
    }
    let direct: BTreeSet<usize> = (0..graph.units.len())
        .filter(|&unit| !is_kept(unit))
        .flat_map(|unit| graph.units[unit].dependencies.iter().copied())
        .filter(|&unit| is_kept(unit))
        .collect();
    let profiles = vec![profile(TARGET), profile(HOST)];
    let (units, roots) = ordered(units, &direct);
    let graph = UnitGraph { packages, profiles, units, roots };
    Section { cooks: vec![cook.to_owned()], graph, new_units: BTreeSet::new(), new_edges: BTreeSet::new() }
}

/// The profile that stands for a place.
pub(super) fn profile(place: &str) -> Profile {
    Profile { folder: place.to_owned(), settings: BTreeMap::new() }
}

/// What stands for a target's name: a package that others depend on has one library.
pub(super) fn target(package: &Package, kind: Kind) -> String {
    match kind {
        Kind::BuildScript | Kind::BuildScriptRun => "build_script_build".to_owned(),
        Kind::Lib | Kind::ProcMacro | Kind::Bin | Kind::Check => package.name.replace('-', "_"),
    }
}

/// Where a unit of a normalised graph is for: `host`, `target`, or a target triple.
pub(super) fn place<'a>(graph: &'a UnitGraph, unit: &'a Unit) -> &'a str {
    unit.platform.as_deref().unwrap_or(&graph.profile(unit).folder)
}

/// The units that are reached from the set itself by a way without a procedural macro or a build script.
fn for_the_target(graph: &UnitGraph, own: &BTreeSet<usize>) -> BTreeSet<usize> {
    let runs_elsewhere = |unit: usize| matches!(graph.units[unit].kind, Kind::ProcMacro | Kind::BuildScript);
    let mut reached = BTreeSet::new();
    let own = (0..graph.units.len()).filter(|&unit| own.contains(&graph.units[unit].package));
    let mut waiting: Vec<usize> = own.filter(|&unit| !runs_elsewhere(unit)).collect();
    while let Some(unit) = waiting.pop() {
        if reached.insert(unit) {
            waiting.extend(graph.units[unit].dependencies.iter().copied().filter(|&next| !runs_elsewhere(next)));
        }
    }
    reached
}

/// Puts units in order, and their dependencies to the new places. Equal ones with equal dependencies become one.
fn ordered(units: Vec<(usize, Unit)>, direct: &BTreeSet<usize>) -> (Vec<Unit>, Vec<usize>) {
    // Two units can be equal but for what they depend on, so the order looks at these, by their ranks, until nothing
    // moves any more.
    let plain = |unit: &Unit| {
        (unit.package, unit.kind, unit.target.clone(), unit.profile, unit.platform.clone(), unit.features.clone())
    };
    let mut ranks: BTreeMap<usize, usize> = BTreeMap::new();
    let mut distinct = 0;
    loop {
        let mut keyed: Vec<_> = units
            .iter()
            .map(|(old, unit)| {
                let mut needs: Vec<usize> =
                    unit.dependencies.iter().map(|need| ranks.get(need).copied().unwrap_or_default()).collect();
                needs.sort_unstable();
                needs.dedup();
                (plain(unit), needs, *old)
            })
            .collect();
        keyed.sort();
        let mut rank = 0;
        let mut next = BTreeMap::new();
        for (at, (unit, needs, old)) in keyed.iter().enumerate() {
            if at > 0 && (unit, needs) != (&keyed[at - 1].0, &keyed[at - 1].1) {
                rank += 1;
            }
            next.insert(*old, rank);
        }
        let found = if keyed.is_empty() { 0 } else { rank + 1 };
        let is_stable = found == distinct && next == ranks;
        (ranks, distinct) = (next, found);
        if is_stable {
            break;
        }
    }
    let mut sorted: Vec<Option<Unit>> = vec![None; distinct];
    for (old, mut unit) in units {
        let mut needs: Vec<usize> = unit.dependencies.iter().map(|need| ranks[need]).collect();
        needs.sort_unstable();
        needs.dedup();
        unit.dependencies = needs;
        sorted[ranks[&old]].get_or_insert(unit);
    }
    let roots: BTreeSet<usize> = direct.iter().filter_map(|unit| ranks.get(unit).copied()).collect();
    (sorted.into_iter().flatten().collect(), roots.into_iter().collect())
}

/// A graph as it is, under the name of a cook.
pub fn sole(cook: &str, graph: UnitGraph) -> Section {
    Section { cooks: vec![cook.to_owned()], graph, new_units: BTreeSet::new(), new_edges: BTreeSet::new() }
}

/// Cooks with the same graph become one section, in the place of the first.
pub fn joined(sections: Vec<Section>) -> Vec<Section> {
    let mut joined: Vec<Section> = Vec::new();
    for section in sections {
        match joined.iter_mut().find(|other| other.graph == section.graph) {
            Some(other) => other.cooks.extend(section.cooks),
            None => joined.push(section),
        }
    }
    joined
}
