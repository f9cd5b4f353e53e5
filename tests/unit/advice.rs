//! What is advised, on random graphs and manifests: figures by the lock alone are bounds, and watched variables count.

use std::collections::BTreeSet;

use lamina::model::{Class, LayerName};
use lamina::suggest::{Advice, Costs, HeldPackages, HeldUnits, Holding, Offer, Packages, Units, Usable, Wanted};
use lamina::unit::{Cook, Kind, Manifest, UnitGraph};
use proptest::prelude::*;

use crate::laws::{graphs, manifest};

/// A manifest of some cooks, of which every other one has its own folder, with costs that were partly measured.
fn manifests() -> impl Strategy<Value = Manifest> {
    let cost = prop::collection::vec(prop::option::of(0u64..5_000), 1..7);
    (prop::collection::vec((graphs(), any::<bool>()), 1..4), cost).prop_map(|(graphs, costs)| {
        let cook = |(mut graph, is_dev): (UnitGraph, bool)| {
            if is_dev {
                graph.profiles.iter_mut().for_each(|profile| profile.folder = "debug".to_owned());
            }
            for (place, unit) in graph.units.iter_mut().enumerate() {
                let output = unit.output.as_mut().expect("each unit of these graphs has come of something");
                output.cpu_ms = costs[place % costs.len()];
            }
            manifest(graph).cooks.remove(0)
        };
        let cooks: Vec<Cook> = graphs.into_iter().map(cook).collect();
        Manifest { cooks, ..manifest(UnitGraph::default()) }
    })
}

/// A project: what a layer has cooked, from all its calls in one folder of profiles, and something of its own.
fn joined(manifest: &Manifest, own: UnitGraph, folder: &str) -> UnitGraph {
    let mut whole = UnitGraph::default();
    let cooked = manifest.cooks.iter().map(|cook| cook.graph.clone()).chain([own]);
    for mut graph in cooked {
        graph.profiles.iter_mut().for_each(|profile| profile.folder = folder.to_owned());
        let (packages, profiles, units) = (whole.packages.len(), whole.profiles.len(), whole.units.len());
        whole.packages.append(&mut graph.packages);
        whole.profiles.append(&mut graph.profiles);
        whole.units.extend(graph.units.into_iter().map(|mut unit| {
            unit.package += packages;
            unit.profile += profiles;
            unit.dependencies.iter_mut().for_each(|below| *below += units);
            unit.output = None;
            unit
        }));
        whole.roots.extend(graph.roots.into_iter().map(|root| root + units));
    }
    whole
}

/// What a layer saves a project, unit by unit and by the lock alone.
fn figures(project: &UnitGraph, manifest: &Manifest) -> (u64, u64) {
    let layer: LayerName = "layer".parse().unwrap();
    let lock = project.packages.iter().filter(|package| package.source.is_some());
    let lock: BTreeSet<(String, String)> =
        lock.map(|package| (package.name.clone(), package.version.clone())).collect();
    let lock: Packages<'_> = lock.iter().map(|(name, version)| (name.as_str(), version.as_str())).collect();
    let units = HeldUnits::of(manifest);
    let packages: HeldPackages<'_> = manifest.packages().into_iter().collect();
    let costs = Costs::of_packages(&[&packages]).with_units(&[&units]);
    let of = |wanted: Wanted<'_, '_>, holding: Holding<'_>| {
        let (image, obstacles, differing) = (None, Vec::new(), Vec::new());
        let offer = Offer { layer: &layer, class: Class::SourceDep, holding, image, obstacles, differing };
        let advice = Advice::of(wanted, vec![offer], &costs, &lock, 2);
        advice.layers.first().map_or(0, |ranked| ranked.saved_ms)
    };
    let wanted = Units::new(project, &costs);
    (of(Wanted::Units(&wanted), Holding::Units(&units)), of(Wanted::Packages(&lock), Holding::Packages(&packages)))
}

proptest! {
    #[test]
    fn the_lock_alone_never_promises_less_than_the_truth(
        manifest in manifests(), own in graphs(), folder in prop::sample::select(vec!["release", "debug"]),
    ) {
        let project = joined(&manifest, own, folder);
        let (exact, bound) = figures(&project, &manifest);
        prop_assert!(bound >= exact, "{bound} by the lock, {exact} in truth");
    }

    #[test]
    fn what_was_cooked_once_is_spared_whole(graph in graphs()) {
        // A project of nothing but the layer's own units, each measured: both figures are their sum.
        let manifest = manifest(graph);
        let project = joined(&manifest, UnitGraph::default(), "release");
        let (exact, bound) = figures(&project, &manifest);
        let graph = &manifest.cooks[0].graph;
        let shareable = graph.shareable();
        let keys: BTreeSet<_> =
            graph.keys().into_iter().zip(shareable).filter(|(_, shareable)| *shareable).map(|(key, _)| key).collect();
        prop_assert_eq!((exact, bound), (7 * keys.len() as u64, 7 * keys.len() as u64));
    }

    #[test]
    fn a_run_that_watches_a_variable_and_all_above_it_are_not_reused_where_it_differs(graph in graphs()) {
        let mut manifest = manifest(graph);
        for unit in &mut manifest.cooks[0].graph.units {
            if unit.kind == Kind::BuildScriptRun {
                unit.output.as_mut().unwrap().watches = vec!["CC".to_owned()];
            }
        }
        let graph = &manifest.cooks[0].graph;
        let held = HeldUnits::of(&manifest);
        let costs = Costs::of_packages(&[]).with_units(&[&held]);
        let units = Units::new(graph, &costs);
        let saving = |differing| units.saving(&[Usable { held: &held, host_only: false, differing }]);
        let (same, other) = (saving(&[]), saving(&["CC", "CFLAGS"]));
        let runs = (0..graph.units.len()).filter(|&place| graph.units[place].kind == Kind::BuildScriptRun);
        let stale = lamina::unit::cone_of(graph, runs);
        for place in 0..graph.units.len() {
            prop_assert_eq!(other.units[place], same.units[place] && !stale.holds(place));
        }
    }
}
