//! `lamina size`: how large a runner builds get, and who says so.

use lamina::event::{Kind, Outcome};
use lamina::model::{Platform, Size, Tier};
use lamina::size::{FLOOR, Measured, Origin, Sizing, p95, smallest};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::properties::spec;
use crate::recording::{Recording, built, history, name, planned};
use crate::workshop::{RUST, Workshop};

/// The answer about a layer, without what is null.
fn size(shop: &Workshop, layer: &str) -> Value {
    let mut answer = shop.run(["size", layer, "--format", "json"]).json(0);
    let mut layer = answer["layers"][0].take();
    for figure in ["cpu", "memory_mb", "minutes"] {
        layer[figure].as_object_mut().unwrap().retain(|_, value| !value.is_null());
    }
    layer
}

fn by(layer: &Value) -> [&str; 3] {
    ["cpu", "memory_mb", "minutes"].map(|figure| layer[figure]["by"].as_str().unwrap())
}

fn values(layer: &Value) -> [u64; 3] {
    ["cpu", "memory_mb", "minutes"].map(|figure| layer[figure]["value"].as_u64().unwrap())
}

const SPEC: &str = "let { BuildSpec, .. } = import \"../../schemas/build_spec.ncl\" in\n";

#[test]
fn what_says_a_figure_first_holds() {
    let shop = Workshop::new();
    shop.layer("plain", RUST);
    let plain = size(&shop, "plain");
    assert_eq!((values(&plain), by(&plain)), ([2, 4096, 30], ["language"; 3]));
    assert_eq!(plain["tier"]["name"], "cx22");
    for (file, language, expected) in [
        ("build.sbt", "jvm", [4, 8192, 45]),
        ("pom.xml", "jvm", [4, 8192, 45]),
        ("build.gradle.kts", "jvm", [4, 8192, 45]),
        ("go.mod", "go", [2, 4096, 30]),
        ("Cargo.toml", "rust", [4, 8192, 60]),
    ] {
        shop.file(&format!("layers/plain/{file}"), "");
        let found = size(&shop, "plain");
        assert_eq!((&found["cpu"]["language"], values(&found)), (&json!(language), expected), "{file}");
    }
    // Left out of the context, it is no sign.
    shop.file("layers/plain/.dockerignore", "Cargo.toml\ngo.mod\n");
    assert_eq!(size(&shop, "plain")["cpu"]["language"], "jvm");
    shop.file("layers/plain/.build-spec.ncl", &format!("{SPEC}{{ cpu = 6, memory_mb = 12288 }} | BuildSpec"));
    let spec = size(&shop, "plain");
    assert_eq!((values(&spec), by(&spec)), ([6, 12288, 45], ["build-spec", "build-spec", "language"]));
    assert_eq!((&spec["cpu"]["file"], &spec["tier"]["name"]), (&json!("layers/plain/.build-spec.ncl"), &json!("cx42")));
    shop.layer_with("plain", RUST, "build.resources = { cpu = 1, time_budget_min = 5 },");
    let declared = size(&shop, "plain");
    assert_eq!((values(&declared), by(&declared)), ([1, 12288, 5], ["declared", "build-spec", "declared"]));
    shop.layer_with("plain", RUST, "build.resources = { memory_mb = 999999 },");
    let huge = size(&shop, "plain");
    assert_eq!((values(&huge)[1], &huge["tier"]), (999_999, &Value::Null));
}

#[test]
fn a_build_spec_makes_no_layer_stale() {
    let shop = Workshop::new();
    shop.layer("app", RUST).file("layers/app/file", "x").lock(&[RUST]).commit("first");
    let fingerprint = || shop.run(["show", "app", "--format", "json"]).json(0)["fingerprint"].clone();
    let before = fingerprint();
    shop.file("layers/app/.build-spec.ncl", &format!("{SPEC}{{ cpu = 6 }} | BuildSpec"));
    assert_eq!((fingerprint(), values(&size(&shop, "app"))[0]), (before, 6));
    for changed in ["layers/app/.build-spec.ncl", "schemas/build_spec.ncl"] {
        let cascade = shop.run(["cascade", "--changed", changed, "--format", "json"]).any_stderr().json(0);
        assert_eq!(cascade["affected"], json!([]), "{changed}");
    }
    let since = shop.run(["cascade", "--since", "HEAD", "--format", "json"]).any_stderr().json(0);
    assert_eq!(since["affected"], json!([]));
}

#[test]
fn a_build_spec_is_held_to_its_contract() {
    let shop = Workshop::new();
    shop.layer("app", RUST);
    for (spec, field) in [
        ("{ cpu = 257 } | BuildSpec", "cpu"),
        ("{ cpu = 0 } | BuildSpec", "cpu"),
        ("{ cpu = 1.5 } | BuildSpec", "cpu"),
        ("{ time_budget_min = 1441 } | BuildSpec", "time_budget_min"),
        ("{ memory_mb = \"8G\" } | BuildSpec", "memory_mb"),
        ("{ memory = 1 } | BuildSpec", "memory"),
        // One that does not apply its contract is held to it all the same.
        ("{ cpu = 257, memory_mb = 1, time_budget_min = 1 }", "cpu"),
        ("{ cpu = 1, memory_mb = 1, time_budget_min = 1441 }", "time_budget_min"),
    ] {
        shop.file("layers/app/.build-spec.ncl", &format!("{SPEC}{spec}"));
        let answer = shop.run(["validate", "--format", "json"]).any_stderr().json(3);
        let findings = answer["findings"].as_array().unwrap();
        let of = |finding: &&Value| finding["file"] == "layers/app/.build-spec.ncl";
        let found: Vec<&Value> = findings.iter().filter(of).map(|finding| &finding["field"]).collect();
        assert_eq!(found, [field], "{spec}: {answer:#}");
    }
    // It imports and computes as all files of the catalog, confined as they are.
    shop.file(
        "layers/app/.build-spec.ncl",
        &format!("{SPEC}{{ cpu = import \"../../../../etc/passwd\" }} | BuildSpec"),
    );
    shop.run(["size", "app"]).any_stderr().code(3);
    shop.file(
        "layers/app/.build-spec.ncl",
        &format!("{SPEC}{{ cpu = (import \"../../shared.ncl\").cpu }} | BuildSpec"),
    );
    shop.file("shared.ncl", "{ cpu = 8 }");
    assert_eq!(values(&size(&shop, "app"))[0], 8);
    shop.file("shared.ncl", "{ cpu = 16 }");
    assert_eq!(values(&size(&shop, "app"))[0], 16);
}

/// A run in which the layer was built on a runner for ten seconds, and has used this.
fn run(second: i64, peak_memory_mb: u64, cpu_ms: u64, outcome: Outcome) -> Recording {
    let mut run = Recording::planned(second, vec![planned("app", &[], None)], Vec::new());
    let lease = "lamina-20261122-040502-3k9w2m7q".to_owned();
    run.begin("app", 1).add(Kind::Leased {
        layer: name("app"),
        lease: lease.clone(),
        source: "pool".to_owned(),
        size: Size { cpu: 4, memory_mb: 8192 },
        tier: None,
        endpoint: "tcp://10.0.0.1:1234".to_owned(),
        ms: 10,
    });
    for _ in 0..9 {
        run.output("app", 0, "compiling");
    }
    let (peak_memory_mb, cpu_ms) = (Some(peak_memory_mb), Some(cpu_ms));
    run.add(Kind::Released { layer: name("app"), lease, peak_memory_mb, cpu_ms, trouble: None });
    run.end("app", outcome).finish(lamina::event::RunOutcome::Succeeded);
    run
}

#[test]
fn what_builds_have_used_comes_before_the_language() {
    let shop = Workshop::new();
    shop.layer("app", RUST).file("layers/app/go.mod", "");
    let history = history(&shop);
    let good = || Outcome::Succeeded { built: built(1) };
    for n in 0..60 {
        // The first ten are forgotten. One build takes ten seconds.
        let memory = if n < 10 { 60_000 } else { 5000 + 10 * (n as u64 % 20) };
        run(n * 100, memory, 21_000, good()).record(&history);
    }
    let found = size(&shop, "app");
    assert_eq!((values(&found), by(&found)), ([3, 6228, 30], ["measured", "measured", "language"]));
    assert_eq!(found["memory_mb"]["measured"], json!({ "p95": 5190, "builds": 50, "runner": null }));
    assert_eq!(found["cpu"]["measured"]["p95"], 2100);
    assert_eq!(found["tier"]["name"], "cx32");
    // Builds that failed, and those of which nobody knows, say nothing.
    let failure = crate::recording::failure(None);
    run(9000, 90_000, 1, Outcome::Failed { failure: Box::new(failure) }).record(&history);
    assert_eq!(size(&shop, "app"), found);
    insta::assert_snapshot!(shop.run(["size", "app"]).snapshot());
    // The file is made anew from the runs.
    std::fs::remove_file(history.folder().join("layers.json")).unwrap();
    let anew = size(&shop, "app");
    assert_eq!(anew["memory_mb"]["by"], "measured");
    // What the layer says comes before.
    shop.layer_with("app", RUST, "build.resources.memory_mb = 2048,");
    assert_eq!(values(&size(&shop, "app")), [3, 2048, 30]);
}

#[test]
fn layers_are_named_or_all_are_meant() {
    let shop = Workshop::new();
    shop.layer("base", RUST).layer("app", "base");
    let names = |args: &[&str]| {
        let answer = shop.run_with(args, "", b"", &[]).json(0);
        answer["layers"].as_array().unwrap().iter().map(|layer| layer["layer"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(&["size", "--all", "--format", "json"]), ["app", "base"]);
    assert_eq!(names(&["size", "base", "app", "--format", "json"]), ["app", "base"]);
    shop.run(["size", "aap"]).stderr("error: there is no layer `aap`\nhint: did you mean `app`?\n").code(2);
    shop.run(["size"]).any_stderr().code(2);
}

#[test]
fn an_orchestrator_that_can_not_be_asked_costs_its_figures() {
    let shop = Workshop::new();
    shop.layer("app", RUST);
    let row = "{ name = \"cloud\", provider = 'orchestrator { url = \"http://127.0.0.1:1\", token_env = \"NO_SUCH_TOKEN\" } }";
    shop.replace("catalog/catalog.ncl", "platforms |", &format!("runners = [{row}],\n  platforms |"));
    let said = shop.run(["size", "app", "--format", "json"]);
    let said = said.stderr("sizes are taken without runner cloud: the variable NO_SUCH_TOKEN is not set\n");
    assert_eq!(said.json(0)["layers"][0]["cpu"]["by"], "language");
}

fn tiers() -> impl Strategy<Value = Vec<Tier>> {
    let tier = (1u64..64, 1u64..65_536, prop::bool::ANY).prop_map(|(cpu, memory_mb, arm)| Tier {
        name: format!("t{cpu}-{memory_mb}"),
        platform: if arm { "linux/arm64" } else { "linux/amd64" }.parse().unwrap(),
        size: Size { cpu, memory_mb },
    });
    prop::collection::vec(tier, 0..8)
}

proptest! {
    #[test]
    fn sizes_keep_their_laws(
        model in spec(),
        tiers in tiers(),
        memory in prop::collection::vec(0u64..1 << 40, 0..12),
        cpu in prop::collection::vec(0u64..1 << 40, 0..12),
        more in 0u64..1 << 20,
    ) {
        let snapshot = model.snapshot();
        for loaded in snapshot.layers() {
            let mut loaded = loaded.clone();
            let resources = &mut loaded.layer.build.resources;
            (resources.cpu, resources.memory_mb) = (None, None);
            let platform: Option<Platform> = loaded.layer.build.platforms.first().cloned();
            let size = |more: u64| {
                let of = |figures: &[u64]| p95(figures.iter().map(|figure| figure + more));
                let measured = Measured { cpu_milli: of(&cpu), memory_mb: of(&memory), by: None };
                Sizing::of(&loaded, &snapshot.catalog.files, Some(&measured), &tiers)
            };
            let (one, larger) = (size(0), size(more));
            prop_assert!(FLOOR.fits(one.needs), "{one:?}");
            prop_assert!(one.needs.fits(larger.needs), "{one:?} {larger:?}");
            match &one.tier {
                Some(tier) => {
                    prop_assert!(one.needs.fits(tier.size) && platform.as_ref().is_none_or(|p| tier.platform == *p));
                    let fitting = tiers.iter().filter(|tier| platform.as_ref().is_none_or(|p| tier.platform == *p));
                    let mut fitting = fitting.filter(|tier| one.needs.fits(tier.size));
                    prop_assert!(fitting.all(|other| tier.size.memory_mb <= other.size.memory_mb));
                }
                None => prop_assert_eq!(smallest(&tiers, platform.as_ref(), one.needs), None),
            }
            prop_assert_eq!(matches!(one.memory_by, Origin::Measured { .. }), !memory.is_empty());
            if let Some(next) = one.larger(&tiers, platform.as_ref()) {
                prop_assert!(next.needs.memory_mb > one.leased().memory_mb && next.needs.cpu >= one.leased().cpu);
            }
        }
    }

    #[test]
    fn p95_is_one_of_the_figures_that_few_exceed(figures in prop::collection::vec(any::<u64>(), 1..200)) {
        let (found, count) = p95(figures.iter().copied()).unwrap();
        prop_assert!(figures.contains(&found) && count == figures.len() as u64);
        prop_assert!(figures.iter().filter(|figure| **figure > found).count() * 20 <= figures.len());
        prop_assert!(figures.iter().filter(|figure| **figure < found).count() * 100 < figures.len() * 95);
    }
}
