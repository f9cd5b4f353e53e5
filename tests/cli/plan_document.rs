//! A plan that is written down and read again is the same plan, or it is refused with the reason.

use std::collections::{BTreeMap, BTreeSet};

use lamina::model::LayerName;
use lamina::plan::{Past, Plan, Saved, SavedError, Wanted};
use lamina::report::json;
use lamina::report::plan::PlanReport;
use lamina::snapshot::Snapshot;
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json as value};

use crate::plan_properties::{images, states};
use crate::properties::{INPUTS, Spec, change_input, picks, spec};

/// The answer of `lamina plan --format json`.
fn document(snapshot: &Snapshot, plan: &Plan, frozen: bool) -> String {
    json::answer(json::plan::Plan::new(&PlanReport { snapshot, plan, frozen, verbose: false }))
}

/// A plan of a catalog, of some of its layers.
fn planned(spec: &Spec, snapshot: &Snapshot, states: &[u8], selected: &[Index], forced: &[Index]) -> Plan {
    let selected = spec.some(selected);
    let causes: BTreeMap<LayerName, String> =
        selected.iter().map(|name| (name.clone(), format!("{name} → \"changed\""))).collect();
    let wanted = Wanted { selected, forced: spec.some(forced), ancestors: true, causes };
    Plan::of(snapshot, &wanted, &images(spec, states), &Past::default()).unwrap()
}

/// Two layers of which the second stands on the first, and a plan to build the second.
fn two() -> (Snapshot, Value) {
    let spec = Spec::of_two();
    let snapshot = spec.snapshot();
    let names: Vec<LayerName> = spec.layers.iter().map(|layer| layer.name.clone()).collect();
    let wanted = Wanted { selected: names.iter().cloned().collect(), ancestors: true, ..Wanted::default() };
    let plan = Plan::of(&snapshot, &wanted, &images(&spec, &[2, 0]), &Past::default()).unwrap();
    let text = document(&snapshot, &plan, false);
    (snapshot, serde_json::from_str(&text).unwrap())
}

/// Why an edited document is refused.
#[track_caller]
fn refused(edit: impl Fn(&mut Value)) -> String {
    let (snapshot, mut document) = two();
    edit(&mut document);
    match Saved::read(document.to_string().as_bytes()).and_then(|saved| saved.plan(&snapshot)) {
        Ok(plan) => panic!("{plan:#?}"),
        Err(error) => error.to_string(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_plan_that_is_read_again_is_the_same(
        spec in spec(), states in states(), selected in picks(), forced in picks(), frozen: bool
    ) {
        let snapshot = spec.snapshot();
        let plan = planned(&spec, &snapshot, &states, &selected, &forced);
        let saved = Saved::read(document(&snapshot, &plan, frozen).as_bytes()).unwrap();
        prop_assert_eq!(saved.frozen, frozen);
        prop_assert_eq!(saved.plan(&snapshot).unwrap(), plan);
    }

    #[test]
    fn a_plan_is_refused_if_and_only_if_a_layer_of_it_has_moved(
        spec in spec(), states in states(), selected in picks(), at: Index, kind in 0..INPUTS
    ) {
        let snapshot = spec.snapshot();
        let plan = planned(&spec, &snapshot, &states, &selected, &[]);
        let saved = Saved::read(document(&snapshot, &plan, false).as_bytes()).unwrap();
        let mut changed = spec.clone();
        change_input(&mut changed, at.index(spec.layers.len()), kind);
        let stale = spec.reachable(&BTreeSet::from([at.get(&spec.layers).name.clone()]));
        let named = plan.steps.iter().map(|step| &step.layer).chain(plan.skipped.iter().map(|skipped| &skipped.layer));
        let moved: BTreeSet<LayerName> = named.filter(|name| stale.contains(*name)).cloned().collect();
        match saved.plan(&changed.snapshot()) {
            Ok(same) => {
                prop_assert!(moved.is_empty());
                prop_assert_eq!(same, plan);
            }
            Err(error) => {
                prop_assert!(!moved.is_empty());
                prop_assert_eq!(error, SavedError::Moved(moved.into_iter().collect()));
            }
        }
    }

    #[test]
    fn a_torn_or_flipped_document_ends_no_process(at: Index, byte: u8, cut: Index) {
        let (snapshot, document) = two();
        let mut bytes = document.to_string().into_bytes();
        let place = at.index(bytes.len());
        bytes[place] = byte;
        bytes.truncate(cut.index(bytes.len() * 3) + 1);
        // Whatever is read is a plan of these two layers, or none.
        if let Ok(plan) = Saved::read(&bytes).and_then(|saved| saved.plan(&snapshot)) {
            prop_assert!(plan.steps.len() + plan.skipped.len() <= 2);
        }
    }
}

#[test]
fn what_is_no_plan_is_refused_with_the_reason() {
    let read = |text: &str| Saved::read(text.as_bytes()).unwrap_err().to_string();
    assert_eq!(read("{}"), "it is no plan: missing field `version` at line 1 column 2");
    assert_eq!(read(r#"{"version":1,"command":"cascade"}"#), "it is the answer of `lamina cascade`, and no plan");
    assert_eq!(read(r#"{"version":2,"command":"plan"}"#), "it is of version 2, and this lamina reads version 1");
    assert!(read("").starts_with("it is no plan: EOF") && read(&"[".repeat(100_000)).starts_with("it is no plan:"));
    let large = vec![b' '; usize::try_from(lamina::plan::MAX_DOCUMENT).unwrap() + 1];
    assert_eq!(Saved::read(&large).unwrap_err(), SavedError::TooLarge);
}

#[test]
fn a_plan_that_contradicts_the_catalog_is_refused() {
    let twice = refused(|plan| {
        let step = plan["steps"][0].clone();
        plan["steps"].as_array_mut().unwrap().push(step);
    });
    assert_eq!(twice, "layer-2 stands in it twice");
    let both = refused(|plan| plan["skipped"][0]["layer"] = value!("layer-2"));
    assert_eq!(both, "layer-2 stands in it twice");
    let elsewhere = refused(|plan| plan["namespace"] = value!("other"));
    assert_eq!(elsewhere, "it was made for r.test/other, and the catalog's images are in r.test/n");
    let gone = refused(|plan| plan["skipped"][0]["layer"] = value!("gone"));
    assert_eq!(gone, "the catalog has moved since the plan was made: gone");
    for (edit, why) in [
        (value!({ "present": {} }), "the image of layer-1, on which it stands, is missing"),
        (value!({ "needs": ["layer-1"] }), "it needs other layers of the plan than the catalog says"),
        (value!({ "reasons": [] }), "it is planned without a reason"),
        (value!({ "image": "r.test/n/other:tag" }), "its image is not r.test/n/other:tag"),
    ] {
        let found = refused(|plan| {
            edit.as_object().unwrap().iter().for_each(|(field, value)| plan["steps"][0][field] = value.clone());
        });
        assert_eq!(found, format!("what it says of layer-2 can't be: {why}"));
    }
    let stranger = refused(|plan| {
        let digest = plan["skipped"][0]["digest"].clone();
        plan["steps"][0]["present"]["layer-2"] = digest;
    });
    assert_eq!(stranger, "what it says of layer-2 can't be: layer-2 is no parent of it that is there already");
    for (field, wrong) in
        [("layer", value!("A")), ("image", value!("a")), ("action", value!("push")), ("fingerprint", value!("0"))]
    {
        let found = refused(|plan| plan["steps"][0][field] = wrong.clone());
        assert!(found.starts_with("it is no plan: "), "{found}");
    }
}
