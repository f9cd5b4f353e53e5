//! `lamina status` against a real registry.

use lamina::event::{Action, Event, Failure, FailureKind, Kind, Outcome, PlannedLayer, Reader, RunId};
use lamina::history::{History, Retention};

use crate::built::{PROBE, push, push_proof, shop_in, tags};
use crate::registry::Namespace;
use crate::workshop::{RUST, Workshop};

const RUN: &str = "20260102-030405-x3k9";

/// Writes a run down in which the layer failed, as it is now.
fn failed(shop: &Workshop, layer: &str) {
    let shown = shop.run(["show", layer, "--format", "json"]).json(0);
    let planned = PlannedLayer {
        layer: layer.parse().unwrap(),
        action: Action::Build,
        fingerprint: shown["fingerprint"].as_str().unwrap().parse().unwrap(),
        image: "localhost:1/n/x:1".parse().unwrap(),
        reason: String::new(),
        needs: Vec::new(),
        expected_ms: None,
    };
    let failure = Failure {
        kind: FailureKind::Step,
        message: "a step failed".to_owned(),
        hints: Vec::new(),
        step: None,
        oom: None,
        log: None,
    };
    let kinds = [
        Kind::RunStarted {
            version: 1,
            lamina: String::new(),
            command: "build".to_owned(),
            catalog: String::new(),
            registry: String::new(),
            namespace: String::new(),
            jobs: 1,
            engine: String::new(),
            layers: vec![planned],
            skipped: Vec::new(),
        },
        Kind::LayerFinished {
            layer: layer.parse().unwrap(),
            outcome: Outcome::Failed { failure: Box::new(failure) },
            ms: 1000,
        },
    ];
    let state = shop.outside().join("home/.local/state/lamina");
    let mut journal = History::new(&state, shop.root()).journal(Retention::default());
    let run: RunId = RUN.parse().unwrap();
    for (seq, kind) in (0..).zip(kinds) {
        journal.read(&Event { run: run.clone(), seq, at: "2026-01-02T03:04:09Z".parse().unwrap(), kind });
        assert_eq!(journal.trouble(), None);
    }
}

#[test]
fn each_layer_is_built_or_has_a_reason_why_it_is_not() {
    let Some(namespace) = Namespace::new() else { return };
    let shop = shop_in(&namespace);
    shop.layer("built", RUST).layer("stale", RUST).layer("never", RUST).layer("broken", RUST);
    shop.layer_with("proven", RUST, PROBE).layer_with("unproven", RUST, PROBE);
    for layer in ["built", "stale", "broken", "unproven", "proven"] {
        let digest = push(&namespace, &shop, layer);
        if layer == "proven" {
            push_proof(&namespace, layer, &digest);
        }
    }
    // Tags for people are no fingerprints.
    namespace.push("stale", "1.0", "a release");
    namespace.push("never", "latest", "a release");
    for layer in ["stale", "broken"] {
        shop.append(&format!("layers/{layer}/Dockerfile"), "RUN true\n");
    }
    failed(&shop, "broken");
    let answer = shop.run(["status"]).any_stderr().answer(0);
    // How long ago that was depends on the day, and so does the width of its column.
    let answer = regex::Regex::new(r"\d+ days ago").unwrap().replace(&answer, "[AGE]").into_owned();
    let answer = regex::Regex::new("  +").unwrap().replace_all(&answer, "  ").into_owned();
    assert_eq!(
        answer,
        format!(
            "broken  failed  [AGE]  failed in run {RUN}; no image of this fingerprint; another fingerprint is there\n\
             built  built  the registry has its image\n\
             never  stale  no image of any fingerprint\n\
             proven  built  the registry has its image\n\
             stale  stale  no image of this fingerprint; another fingerprint is there\n\
             unproven  unproven  an image without a proof that it is good\n"
        )
    );
    let json = shop.run(["status", "--format", "json"]).json(0);
    let layers = json["layers"].as_array().unwrap();
    let of = |name: &str| layers.iter().find(|layer| layer["layer"] == name).unwrap();
    assert_eq!(of("broken")["last"], serde_json::json!({ "run": RUN, "at": "2026-01-02T03:04:09Z" }));
    assert_eq!((&of("built")["last"], &of("built")["others"]), (&serde_json::Value::Null, &serde_json::json!([])));
    let others = of("stale")["others"].as_array().unwrap();
    assert!(others.len() == 1 && others[0] != tags(&shop)["stale"].as_str(), "{others:?}");
    let plan = shop.run(["plan", "broken", "--format", "json"]).json(0);
    let codes: Vec<_> = plan["steps"][0]["reasons"].as_array().unwrap().iter().map(|reason| &reason["code"]).collect();
    assert_eq!(codes, ["no-image", "failed-before"]);
    // A failure is of a fingerprint: another one has not been tried yet.
    shop.append("layers/broken/Dockerfile", "RUN false\n");
    let json = shop.run(["status", "broken", "--format", "json"]).json(0);
    assert_eq!((&json["layers"][0]["state"], &json["layers"][0]["last"]), (&"stale".into(), &serde_json::Value::Null));
    assert_eq!(json["layers"].as_array().unwrap().len(), 1);
}

#[test]
fn what_is_selected_is_told_and_how_many_are_how() {
    let Some(namespace) = Namespace::new() else { return };
    let shop = shop_in(&namespace);
    shop.layer("base", RUST).layer("app", "base");
    push(&namespace, &shop, "base");
    shop.run(["status"])
        .stdout(
            "base  built  the registry has its image\n\
             app   stale  no image of any fingerprint\n",
        )
        .stderr("2 layers: 1 built, 1 stale\n")
        .success();
    shop.run(["status", "base"])
        .stdout("base  built  the registry has its image\n")
        .stderr("1 layer: 1 built\n")
        .success();
    shop.run(["status", "bas"]).stderr("error: there is no layer `bas`\nhint: did you mean `base`?\n").code(2);
    let one = shop.run(["status", "--changed", "app"]).any_stderr().answer(0);
    assert_eq!(one, "app  stale  no image of any fingerprint\n");
}
