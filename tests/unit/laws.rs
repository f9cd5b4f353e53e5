//! Laws of keys, cones and ranges, on random graphs.

use std::collections::{BTreeMap, BTreeSet};

use lamina::unit::{
    Cook, Environment, Kind, Manifest, Output, Package, Profile, Unit, UnitGraph, cone_of, reuse, wall,
};
use proptest::prelude::*;
use proptest::sample::{Index as Place, select, subsequence};

const KINDS: &[(Kind, &str)] = &[
    (Kind::Lib, "lib"),
    (Kind::Lib, "rlib"),
    (Kind::Lib, "cdylib"),
    (Kind::Lib, "dylib"),
    (Kind::ProcMacro, "proc-macro"),
    (Kind::BuildScript, "bin"),
    (Kind::BuildScriptRun, "bin"),
    (Kind::Bin, "bin"),
    (Kind::Check, "lib"),
];

/// Units that need such before them, of a handful of packages and profiles.
pub fn graphs() -> impl Strategy<Value = UnitGraph> {
    let package = (select(vec!["a", "b", "c"]), select(vec!["1.0.0", "2.0.0"]), any::<bool>());
    let package = package.prop_map(|(name, version, shared)| Package {
        name: name.to_owned(),
        version: version.to_owned(),
        source: shared.then(|| "registry+https://example.com/index".to_owned()),
    });
    let profile = (select(vec!["\"3\"", "\"0\""]), select(vec!["\"false\"", "\"off\"", "\"thin\""]));
    let profile = profile.prop_map(|(level, lto)| Profile {
        folder: "release".to_owned(),
        settings: [("opt_level", level), ("lto", lto)].map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
    });
    let unit = (
        any::<Place>(),
        select(KINDS),
        subsequence(vec!["x", "y", "z"], 0..=3),
        any::<Place>(),
        prop::collection::vec(any::<Place>(), 0..4),
        any::<bool>(),
    );
    let lists = (prop::collection::vec(package, 1..4), prop::collection::vec(profile, 1..3));
    (lists, prop::collection::vec(unit, 1..12), prop::collection::vec(any::<Place>(), 1..4)).prop_map(
        |((packages, profiles), units, roots)| {
            let mut graph = UnitGraph { packages, profiles, ..UnitGraph::default() };
            for (number, (package, (kind, crate_type), features, profile, below, cross)) in
                units.into_iter().enumerate()
            {
                let below: BTreeSet<usize> =
                    below.iter().filter(|_| number > 0).map(|place| place.index(number)).collect();
                graph.units.push(Unit {
                    package: package.index(graph.packages.len()),
                    kind,
                    target: "target".to_owned(),
                    crate_types: vec![crate_type.to_owned()],
                    platform: cross.then(|| "wasm32-unknown-unknown".to_owned()),
                    features: features.into_iter().map(str::to_owned).collect(),
                    profile: profile.index(graph.profiles.len()),
                    dependencies: below.into_iter().collect(),
                    output: Some(Output {
                        folder: format!("f-{number}"),
                        cpu_ms: Some(7),
                        bytes: 1,
                        sha256: None,
                        watches: Vec::new(),
                    }),
                });
            }
            graph.roots = roots.iter().map(|root| root.index(graph.units.len())).collect();
            graph
        },
    )
}

/// All that reach some units against the direction of dependencies, found slowly.
fn reached(graph: &UnitGraph, start: usize) -> BTreeSet<usize> {
    let mut reached = BTreeSet::from([start]);
    loop {
        let more = (0..graph.units.len())
            .filter(|place| graph.units[*place].dependencies.iter().any(|below| reached.contains(below)));
        let before = reached.len();
        reached.extend(more.collect::<Vec<_>>());
        if reached.len() == before {
            return reached;
        }
    }
}

pub fn manifest(graph: UnitGraph) -> Manifest {
    let cook = Cook {
        profile: "release".to_owned(),
        settings: BTreeMap::new(),
        target_dir: "/target".to_owned(),
        arguments: Vec::new(),
        graph,
    };
    Manifest {
        version: Manifest::VERSION,
        layer: "layer".to_owned(),
        environment: Environment::default(),
        cooks: vec![cook],
    }
}

/// What can be changed of a unit without changing what link-time optimisation does.
fn change(graph: &mut UnitGraph, place: usize, what: usize) {
    let unit = graph.units[place].clone();
    match what {
        0 => {
            let mut package = graph.packages[unit.package].clone();
            package.version = "9.9.9".to_owned();
            graph.packages.push(package);
            graph.units[place].package = graph.packages.len() - 1;
        }
        1 => graph.units[place].features.push("more".to_owned()),
        2 => {
            let mut profile = graph.profiles[unit.profile].clone();
            profile.settings.insert("debuginfo".to_owned(), "2".to_owned());
            graph.profiles.push(profile);
            graph.units[place].profile = graph.profiles.len() - 1;
        }
        3 => graph.units[place].platform = Some("riscv64gc-unknown-linux-gnu".to_owned()),
        4 => graph.units[place].target = "other".to_owned(),
        _ => {
            let mut profile = graph.profiles[unit.profile].clone();
            profile.folder = "debug".to_owned();
            graph.profiles.push(profile);
            graph.units[place].profile = graph.profiles.len() - 1;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_key_changes_if_and_only_if_something_below_does(graph in graphs(), place: Place, what in 0..6usize) {
        let place = place.index(graph.units.len());
        let mut changed = graph.clone();
        change(&mut changed, place, what);
        let (before, after) = (graph.keys(), changed.keys());
        let different: BTreeSet<usize> = (0..before.len()).filter(|place| before[*place] != after[*place]).collect();
        prop_assert_eq!(different, reached(&graph, place));
    }

    #[test]
    fn the_order_of_lists_does_not_matter(graph in graphs(), places in Just((0..12).collect::<Vec<usize>>()).prop_shuffle()) {
        // Where a unit goes to.
        let order: Vec<usize> = places.into_iter().filter(|place| *place < graph.units.len()).collect();
        let to = |place: usize| order.iter().position(|from| *from == place).unwrap();
        let mut other = graph.clone();
        other.packages.reverse();
        other.profiles.reverse();
        other.roots = graph.roots.iter().rev().map(|root| to(*root)).collect();
        other.units = order.iter().map(|from| {
            let mut unit = graph.units[*from].clone();
            unit.package = graph.packages.len() - 1 - unit.package;
            unit.profile = graph.profiles.len() - 1 - unit.profile;
            unit.features.reverse();
            unit.dependencies = unit.dependencies.iter().rev().map(|below| to(*below)).collect();
            unit
        }).collect();
        let (keys, others) = (graph.keys(), other.keys());
        for (place, key) in keys.iter().enumerate() {
            prop_assert_eq!(*key, others[to(place)]);
        }
    }

    #[test]
    fn a_cone_is_all_that_reaches_the_change_by_shortest_chains(graph in graphs(), place: Place) {
        let place = place.index(graph.units.len());
        let cone = cone_of(&graph, [place]);
        let slow = reached(&graph, place);
        prop_assert_eq!(&cone.units, &slow.iter().copied().collect::<Vec<_>>());
        for unit in 0..graph.units.len() {
            let chain = cone.chain(unit);
            prop_assert_eq!(!chain.is_empty(), slow.contains(&unit));
            prop_assert_eq!(cone.holds(unit), slow.contains(&unit));
            if let (Some(first), Some(last)) = (chain.first(), chain.last()) {
                prop_assert_eq!((*first, *last), (unit, place));
                prop_assert!(chain.windows(2).all(|step| graph.units[step[0]].dependencies.contains(&step[1])));
                // No dependency in the cone is more than one step nearer.
                let below = graph.units[unit].dependencies.iter().map(|below| cone.chain(*below).len());
                let nearest = below.filter(|length| *length > 0).min();
                prop_assert!(unit == place || Some(chain.len()) == nearest.map(|length| length + 1));
            }
        }
    }

    #[test]
    fn every_order_of_work_lies_in_the_range(
        graph in graphs(),
        costs in prop::collection::vec(0..100u64, 12),
        urgent in Just((0..12).collect::<Vec<usize>>()).prop_shuffle(),
        cores in 1..5usize,
    ) {
        let range = wall(&graph, &costs, cores);
        let took = scheduled(&graph, &costs, &urgent, cores);
        prop_assert!(range.least_ms <= took && took <= range.most_ms, "{took} in {range:?}");
        if cores == 1 {
            prop_assert_eq!(range.least_ms, range.most_ms);
        }
    }

    #[test]
    fn a_layer_serves_what_was_cooked_in_it(graph in graphs()) {
        let layer = manifest(graph.clone());
        let found = reuse(&graph, &[&layer]);
        let shareable = graph.shareable();
        for (place, source) in found.units.iter().enumerate() {
            prop_assert_eq!(source.is_some(), shareable[place]);
            let whole = graph.units[place].dependencies.iter().all(|below| shareable[*below]);
            prop_assert!(!shareable[place] || whole && graph.is_shareable(&graph.units[place]));
        }
        // A manifest says the same after a journey.
        prop_assert_eq!(Manifest::parse(&serde_json::to_vec(&layer).unwrap()).unwrap(), layer);
    }
}

/// How long some cores take that begin what is most urgent of all that can be begun.
fn scheduled(graph: &UnitGraph, costs: &[u64], urgent: &[usize], cores: usize) -> u64 {
    let count = graph.units.len();
    let mut ends: Vec<Option<u64>> = vec![None; count];
    let mut now = 0;
    loop {
        let running = ends.iter().flatten().filter(|end| **end > now).count();
        let ready = |place: &usize| {
            *place < count
                && ends[*place].is_none()
                && graph.units[*place].dependencies.iter().all(|below| ends[*below].is_some_and(|end| end <= now))
        };
        match urgent.iter().copied().find(ready).filter(|_| running < cores) {
            Some(next) => ends[next] = Some(now + costs[next]),
            None => match ends.iter().flatten().filter(|end| **end > now).min() {
                Some(end) => now = *end,
                None => return now,
            },
        }
    }
}
