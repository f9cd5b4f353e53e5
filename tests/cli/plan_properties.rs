//! What holds for every plan, tried on random catalogs with random images in the registry.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use lamina::event::Action;
use lamina::model::{Digest, LayerName};
use lamina::plan::{Attempt, Image, Past, Plan, PlanError, Reason, SkipReason, Step, Wanted, asked};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::properties::{Spec, picks, spec};

/// What the registry has of each layer: 0 nothing, 1 an image, 2 one that is proven.
pub fn images(spec: &Spec, states: &[u8]) -> BTreeMap<LayerName, Image> {
    let image = |(at, state): (usize, u8)| match state {
        0 => Image::Missing,
        1 => Image::Unproven(digest(at)),
        _ => Image::Proven(digest(at)),
    };
    let states = states.iter().copied().chain(std::iter::repeat(2));
    spec.layers.iter().zip(states.enumerate()).map(|(layer, state)| (layer.name.clone(), image(state))).collect()
}

fn digest(number: usize) -> Digest {
    crate::workshop::digest(u8::try_from(number).unwrap()).parse().unwrap()
}

/// States for all layers of a catalog.
pub fn states() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(0..3u8, 12)
}

fn wanted(spec: &Spec, selected: &[Index], forced: &[Index]) -> Wanted {
    let selected = spec.some(selected);
    let forced = spec.some(forced).intersection(&selected).cloned().collect();
    Wanted { selected, forced, ancestors: true, causes: BTreeMap::new() }
}

fn plan(spec: &Spec, wanted: &Wanted, images: &BTreeMap<LayerName, Image>) -> Plan {
    Plan::of(&spec.snapshot(), wanted, images, &Past::default()).unwrap()
}

fn steps(plan: &Plan) -> BTreeMap<&LayerName, &Step> {
    plan.steps.iter().map(|step| (&step.layer, step)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_plan_says_what_is_needed_and_why(spec in spec(), states in states(), selected in picks(), forced in picks()) {
        let (wanted, images) = (wanted(&spec, &selected, &forced), images(&spec, &states));
        let plan = plan(&spec, &wanted, &images);
        let planned = steps(&plan);
        prop_assert_eq!(planned.len(), plan.steps.len());
        let mut done = BTreeSet::new();
        for step in &plan.steps {
            let name = &step.layer;
            prop_assert!(!step.reasons.is_empty());
            // Parents come first, and whatever a build stands on is built before, or there.
            prop_assert!(step.needs.is_subset(&done), "{} before what it needs", name);
            for parent in spec.layers.iter().map(|layer| &layer.name).filter(|parent| spec.depends(name, parent)) {
                match (step.needs.contains(parent), step.present.get(parent)) {
                    (true, None) => {}
                    (false, Some(digest)) => prop_assert_eq!(images[parent].digest(), Some(digest)),
                    (false, None) => prop_assert_eq!(step.action, Action::Prove),
                    (true, Some(_)) => prop_assert!(false, "{} is done and there", parent),
                }
            }
            let related = step.needs.iter().chain(step.present.keys());
            prop_assert!(related.into_iter().all(|parent| spec.depends(name, parent)));
            // What is there and good is left alone, and nobody gets what nobody asked for.
            match (&images[name], step.action) {
                (Image::Missing, action) => prop_assert_eq!(action, Action::Build),
                (Image::Unproven(_), Action::Prove) => prop_assert!(step.reasons.contains(&Reason::ProofMissing)),
                _ => prop_assert!(step.forced),
            }
            let needed_by = |reason: &Reason| match reason {
                Reason::NeededBy { child } => planned[child].needs.contains(name) && planned[child].action == Action::Build,
                _ => false,
            };
            prop_assert_eq!(wanted.selected.contains(name), !step.reasons.iter().any(needed_by));
            prop_assert!(!step.forced || wanted.selected.contains(name));
            done.insert(name.clone());
        }
        // A selected layer is done, or is good already; forced ones, and selected ones on top of them, are built.
        for name in &wanted.selected {
            let skipped = plan.skipped.iter().find(|skipped| skipped.layer == *name);
            prop_assert_eq!(skipped.is_none(), planned.contains_key(name));
            if let Some(skipped) = skipped {
                prop_assert_eq!(&skipped.reason, &SkipReason::UpToDate);
                prop_assert_eq!(&images[name], &Image::Proven(skipped.digest.clone()));
            }
            let on_forced = planned.values().any(|step| step.forced && spec.depends(name, &step.layer));
            let is_forced = planned.get(name).is_some_and(|step| step.forced);
            prop_assert_eq!(is_forced, wanted.forced.contains(name) || on_forced);
        }
        prop_assert_eq!(plan.skipped.len() + planned.keys().filter(|name| wanted.selected.contains(**name)).count(), wanted.selected.len());
    }

    #[test]
    fn one_more_missing_image_takes_no_step_away(
        spec in spec(), states in states(), gone in any::<Index>(), selected in picks(), forced in picks()
    ) {
        let wanted = wanted(&spec, &selected, &forced);
        let before = images(&spec, &states);
        let mut after = before.clone();
        after.insert(gone.get(&spec.layers).name.clone(), Image::Missing);
        let (few, many) = (plan(&spec, &wanted, &before), plan(&spec, &wanted, &after));
        let many = steps(&many);
        for step in &few.steps {
            prop_assert!(many.contains_key(&step.layer), "{} is not planned any more", step.layer);
            prop_assert!(step.action != Action::Build || many[&step.layer].action == Action::Build);
        }
    }

    #[test]
    fn after_a_plan_was_done_there_is_nothing_to_do(spec in spec(), states in states(), selected in picks()) {
        let wanted = wanted(&spec, &selected, &[]);
        let mut images = images(&spec, &states);
        for step in plan(&spec, &wanted, &images).steps {
            images.insert(step.layer, Image::Proven(digest(99)));
        }
        prop_assert_eq!(plan(&spec, &wanted, &images).steps, Vec::new());
    }

    #[test]
    fn only_the_state_of_selected_layers_and_their_ancestors_is_looked_at(
        spec in spec(), states in states(), selected in picks(), forced in picks()
    ) {
        let (wanted, all) = (wanted(&spec, &selected, &forced), images(&spec, &states));
        let snapshot = spec.snapshot();
        let names = asked(&snapshot, &wanted.selected);
        let ancestors: BTreeSet<LayerName> = spec.layers.iter().map(|layer| layer.name.clone()).filter(|name| {
            !spec.reachable(&BTreeSet::from([name.clone()])).is_disjoint(&wanted.selected)
        }).collect();
        prop_assert_eq!(&names, &ancestors);
        let known: BTreeMap<_, _> = all.iter().filter(|(name, _)| names.contains(*name)).map(|(name, image)| (name.clone(), image.clone())).collect();
        prop_assert_eq!(Plan::of(&snapshot, &wanted, &known, &Past::default()).unwrap(), plan(&spec, &wanted, &all));
        // What was not asked is no answer.
        if let Some(first) = wanted.selected.first() {
            let without: BTreeMap<_, _> = known.into_iter().filter(|(name, _)| name != first).collect();
            let refused = Plan::of(&snapshot, &wanted, &without, &Past::default()).unwrap_err();
            prop_assert_eq!(refused, PlanError::NotAsked(first.clone()));
        }
    }

    #[test]
    fn without_ancestors_a_plan_has_selected_layers_alone_or_is_none(spec in spec(), states in states(), selected in picks()) {
        let with = wanted(&spec, &selected, &[]);
        let without = Wanted { ancestors: false, ..with.clone() };
        let images = images(&spec, &states);
        let full = plan(&spec, &with, &images);
        let added: BTreeSet<&LayerName> = full.steps.iter().map(|step| &step.layer).filter(|name| !with.selected.contains(*name)).collect();
        match Plan::of(&spec.snapshot(), &without, &images, &Past::default()) {
            Ok(plan) => {
                prop_assert!(added.is_empty());
                prop_assert_eq!(plan, full);
            }
            Err(PlanError::Ancestors(lacking)) => {
                prop_assert!(!lacking.is_empty());
                for lacking in lacking {
                    prop_assert!(added.contains(&lacking.layer) && spec.depends(&lacking.child, &lacking.layer));
                    prop_assert!(!matches!(lacking.image, Image::Proven(_)));
                }
            }
            Err(other) => prop_assert!(false, "{}", other),
        }
    }

    #[test]
    fn the_past_changes_no_more_than_reasons_and_estimates(spec in spec(), states in states(), selected in picks(), failed in picks()) {
        let (wanted, images) = (wanted(&spec, &selected, &[]), images(&spec, &states));
        let attempt = Attempt { run: "20261121-180802-x3k9".parse().unwrap(), at: "2026-11-21T18:10:00Z".parse().unwrap() };
        let failed = spec.some(&failed);
        let past = Past {
            durations: failed.iter().map(|name| (name.clone(), Duration::from_secs(7))).collect(),
            failed: failed.iter().map(|name| (name.clone(), attempt.clone())).collect(),
            ..Past::default()
        };
        let without = plan(&spec, &wanted, &images);
        let with = Plan::of(&spec.snapshot(), &wanted, &images, &past).unwrap();
        prop_assert_eq!(&with.skipped, &without.skipped);
        for (new, old) in with.steps.iter().zip(&without.steps) {
            let told = new.reasons.contains(&Reason::FailedBefore { run: attempt.run.clone() });
            prop_assert_eq!(told, failed.contains(&new.layer));
            let minutes = match (new.action, failed.contains(&new.layer)) {
                (Action::Prove, _) => None,
                (Action::Build, true) => Some(Duration::from_secs(7)),
                (Action::Build, false) => Some(Duration::from_secs(60)),
            };
            prop_assert_eq!(new.expected, minutes);
            let mut same = new.clone();
            same.reasons.retain(|reason| !matches!(reason, Reason::FailedBefore { .. }));
            same.expected = old.expected;
            prop_assert_eq!(&same, old);
        }
        prop_assert_eq!(with.steps.len(), without.steps.len());
    }
}

#[test]
fn a_layer_that_does_not_exist_is_no_silent_nothing() {
    let spec = Spec::of_one();
    let name: LayerName = "nothing".parse().unwrap();
    let wanted = Wanted { selected: [name.clone()].into(), ..Wanted::default() };
    let refused = Plan::of(&spec.snapshot(), &wanted, &BTreeMap::new(), &Past::default()).unwrap_err();
    assert_eq!(refused, PlanError::NoLayer(name));
}
