//! A catalog from nothing to up to date, then with one change.

use std::fs;

use serde_json::Value;

use crate::shop::{Shop, layer};

/// A tool that is proven.
fn tool(name: &str) -> String {
    format!(
        "tools_provided = [{{ name = \"{name}\", probe = [\"cat\", \"/{name}\"], version = \"{name} 1\" }}],\n  tags = [\"1\", \"latest\"],"
    )
}

fn outcomes(report: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut all: Vec<_> = report["layers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|layer| (text(&layer["layer"]), text(&layer["outcome"])))
        .collect();
    all.sort();
    all
}

/// Numbers without gaps; a layer ends once, after it has begun, and begins after its parents have ended well.
fn events_are_in_order(events: &[Value]) {
    let numbers: Vec<u64> = events.iter().map(|event| event["seq"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (0..events.len() as u64).collect::<Vec<_>>());
    assert_eq!(
        (&events[0]["event"], &events[events.len() - 1]["event"]),
        (&"run-started".into(), &"run-finished".into())
    );
    let place = |kind: &str, layer: &Value| {
        let found = events.iter().enumerate().filter(|(_, event)| event["event"] == kind && event["layer"] == *layer);
        let places: Vec<usize> = found.map(|(place, _)| place).collect();
        assert_eq!(places.len(), 1, "{kind} {layer}");
        places[0]
    };
    for planned in events[0]["layers"].as_array().unwrap() {
        let layer = &planned["layer"];
        let (begun, ended) = (place("layer-started", layer), place("layer-finished", layer));
        assert!(begun < place("layer-built", layer) && place("layer-built", layer) < ended);
        assert_eq!(events[ended]["outcome"], "succeeded");
        for parent in planned["needs"].as_array().unwrap() {
            assert!(place("layer-finished", parent) < begun, "{parent} {layer}");
            assert!(events[begun]["parents"][parent.as_str().unwrap()].is_string());
        }
    }
}

#[test]
fn a_catalog_is_built_then_left_alone_then_built_where_it_changed() {
    let Some(mut shop) = Shop::new("a_catalog_is_built_then_left_alone_then_built_where_it_changed") else { return };
    shop.layer("base", "", "RUN echo base 1 > /base", &tool("base"))
        .layer("left", "base", "RUN cat /base && echo left 1 > /left", &tool("left"))
        .layer(
            "right",
            "base",
            "RUN cat /base && echo right 1 > /right",
            "artifact_paths = [{ path = \"/right\" }],\n  tags = [],",
        )
        .layer("top", "left", "RUN cat /base /left", "tags = [\"latest\"],")
        .lock();

    // Cold.
    let (code, report) = shop.build(&["--all"]);
    assert_eq!((code, report["outcome"].as_str()), (Some(0), Some("succeeded")), "{report:#}");
    let all =
        |outcome: &str| ["base", "left", "right", "top"].map(|name| (name.to_owned(), outcome.to_owned())).to_vec();
    assert_eq!(outcomes(&report), all("succeeded"));
    for name in ["base", "left", "right", "top"] {
        let layer = layer(&report, name);
        let tag = layer["image"].as_str().unwrap().rsplit_once(':').unwrap().1;
        assert_eq!(layer["digest"].as_str().map(str::to_owned), shop.digest(name, tag), "{name}");
        assert_eq!((layer["origin"].as_str(), layer["attempts"].as_u64()), (Some("built"), Some(1)), "{name}");
        assert!(layer["size"].as_u64().is_some_and(|size| size > 0), "{name}");
        assert!(layer["steps_run"].as_u64().is_some_and(|steps| steps > 0), "{name}");
    }
    let probes = |name: &str| layer(&report, name)["probes"].as_array().unwrap().len();
    // A parent's probe runs again on its children.
    assert_eq!(["base", "left", "right", "top"].map(probes), [1, 2, 2, 2]);
    let digest = |name: &str| layer(&report, name)["digest"].as_str().map(str::to_owned);
    for (name, tags) in [("base", vec!["1", "latest"]), ("left", vec!["1", "latest"]), ("top", vec!["latest"])] {
        for tag in tags {
            assert_eq!(shop.digest(name, tag), digest(name), "{name}:{tag}");
        }
    }
    assert!(!shop.tags("right").contains(&"latest".to_owned()));
    let config: Value = serde_json::from_str(&shop.config("left", "latest")).unwrap();
    let labels = &config["config"]["Labels"];
    assert_eq!(
        labels["org.opencontainers.image.base.digest"].as_str().map(str::to_owned),
        digest("base"),
        "{labels:#}"
    );
    assert_eq!(labels["dev.lamina.fingerprint"], layer(&report, "left")["fingerprint"]);

    assert!(
        ["fp-", "proof-", "provenance-"].iter().all(|kind| shop.tags("top").iter().any(|tag| tag.starts_with(kind)))
    );
    events_are_in_order(&shop.events());

    // Nothing to do: no client is needed, none is found, and no history is written.
    let path = shop.env[std::ffi::OsStr::new("PATH")].clone();
    shop.env.insert("PATH".into(), shop.beside("tmp").into());
    let runs =
        || fs::read_dir(shop.beside("state")).unwrap().flat_map(|state| fs::read_dir(state.unwrap().path()).unwrap());
    let history = runs().count();
    let (code, report) = shop.build(&["--all"]);
    assert_eq!((code, outcomes(&report)), (Some(0), all("up-to-date")), "{report:#}");
    assert_eq!(report["promotion"]["tags"], Value::from(Vec::<Value>::new()));
    assert_eq!(runs().count(), history);
    shop.env.insert("PATH".into(), path);

    // One change.
    let before = (digest("base"), digest("left"));
    shop.file("layers/top/stamp", &format!("{} changed\n", shop.unique));
    let (code, report) = shop.build(&["--all"]);
    assert_eq!(code, Some(0), "{report:#}");
    let mut expected = all("up-to-date");
    expected[3].1 = "succeeded".to_owned();
    assert_eq!(outcomes(&report), expected);
    let now = |name: &str| layer(&report, name)["digest"].as_str().map(str::to_owned);
    assert_eq!((now("base"), now("left")), before);
    assert_eq!(shop.digest("top", "latest"), now("top"));
    let moved: Vec<&str> =
        report["promotion"]["tags"].as_array().unwrap().iter().map(|tag| tag["layer"].as_str().unwrap()).collect();
    assert_eq!(moved, ["top"]);
}

#[test]
fn a_change_that_keeps_the_size_of_a_file_is_built() {
    let Some(shop) = Shop::new("a_change_that_keeps_the_size_of_a_file_is_built") else { return };
    for word in ["aaaa", "bbbb"] {
        let probe =
            format!("tools_provided = [{{ name = \"word\", probe = [\"cat\", \"/word\"], version = \"{word}\" }}],");
        shop.layer("base", "", "COPY word /word", &probe).file("layers/base/word", word).lock();
        let (code, report) = shop.build(&["--all"]);
        assert_eq!(code, Some(0), "{report:#}");
    }
    // As long as the one before, and the instruction is another.
    shop.layer("base", "", "COPY word /wort", "tools_provided = [{ name = \"word\", probe = [\"cat\", \"/wort\"] }],");
    let (code, report) = shop.build(&["--all"]);
    assert_eq!(code, Some(0), "{report:#}");
}

#[test]
fn a_dry_run_prints_the_commands_and_runs_none() {
    let Some(mut shop) = Shop::new("a_dry_run_prints_the_commands_and_runs_none") else { return };
    shop.env.insert("LAMINA_SECRET_TOKEN".into(), "not-to-be-seen".into());
    shop.layer("base", "", "RUN --mount=type=secret,id=token true", "build.secrets = [{ id = \"token\" }],")
        .layer("top", "base", "RUN true", "build.args = { GREETING = \"it's me\" },")
        .lock();
    let ran = shop.run(&["build", "--all", "--dry-run"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let lines: Vec<&str> = ran.stdout.lines().collect();
    let [base, top] = lines[..] else { panic!("{ran:?}") };
    assert!(base.contains("id=token,env=LAMINA_SECRET_TOKEN"), "{base}");
    assert!(top.contains(&format!("BUILD_BASE={}/{}/base@<digest of base>'", shop.registry, shop.unique)), "{top}");
    assert!(top.contains("GREETING=it'\\''s me'"), "{top}");
    assert!(!format!("{ran:?}").contains("not-to-be-seen"));
    assert_eq!(shop.tags("base"), Vec::<String>::new());
}

#[test]
fn a_saved_plan_is_run_and_refused_when_the_catalog_has_moved() {
    let Some(shop) = Shop::new("a_saved_plan_is_run_and_refused_when_the_catalog_has_moved") else { return };
    shop.layer("base", "", "RUN true", "").layer("other", "", "RUN true", "").lock();
    let plan = shop.run(&["plan", "base", "--format", "json"]);
    shop.file("plan.json", &plan.stdout);
    let (code, report) = shop.build(&["--plan", "plan.json"]);
    assert_eq!((code, outcomes(&report)), (Some(0), vec![("base".to_owned(), "succeeded".to_owned())]), "{report:#}");
    shop.file("layers/base/stamp", "another\n");
    let ran = shop.run(&["build", "--plan", "plan.json"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(3), ""), "{ran:?}");
    assert!(ran.stderr.contains("the plan in plan.json can't be run"), "{}", ran.stderr);
    let ran = shop.run(&["build", "--plan", "plan.json", "--all"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
}

#[test]
fn what_is_built_because_it_is_needed_is_not_promoted() {
    let Some(shop) = Shop::new("what_is_built_because_it_is_needed_is_not_promoted") else { return };
    shop.layer("base", "", "RUN true", "").layer("top", "base", "RUN true", "").lock();
    let ran = shop.run(&["build", "top", "--no-ancestors"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{ran:?}");
    let (code, report) = shop.build(&["top"]);
    assert_eq!(code, Some(0), "{report:#}");
    assert_eq!(layer(&report, "base")["outcome"], "succeeded");
    assert_eq!((shop.digest("base", "latest"), shop.digest("top", "latest").is_some()), (None, true));
}

#[test]
fn what_is_forced_is_built_once_more_without_a_cache() {
    let Some(shop) = Shop::new("what_is_forced_is_built_once_more_without_a_cache") else { return };
    shop.layer("it", "", "RUN date +%s > /when", "").layer("child", "it", "RUN true", "").lock();
    let (code, first) = shop.build(&["--all"]);
    assert_eq!(code, Some(0), "{first:#}");
    let (code, again) = shop.build(&["it", "--force"]);
    assert_eq!((code, again["layers"].as_array().unwrap().len()), (Some(0), 1), "{again:#}");
    let it = layer(&again, "it");
    assert_eq!((it["origin"].as_str(), it["steps_cached"].as_u64()), (Some("built"), Some(0)), "{it:#}");
    assert_ne!(it["digest"], layer(&first, "it")["digest"]);
    assert_eq!(shop.digest("it", "latest").as_deref(), it["digest"].as_str());
}
