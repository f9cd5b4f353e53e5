//! Layer caches in a real registry: who writes where, what is refused, what becomes of a session's cache, what prune
//! removes.

use lamina::model::ImageRef;
use lamina::registry::Registry;
use serde_json::Value;

use crate::proxy::{Do, Proxy};
use crate::shop::{Shop, layer};

/// What a cache of the layer `it` stands for.
fn cached(shop: &Shop, namespace: &str) -> Option<String> {
    let Shop { registry, unique, .. } = shop;
    let image: ImageRef = format!("{registry}/{unique}/cache/{namespace}/it:latest").parse().unwrap();
    shop.ask(async |registry| registry.digest(&image).await.ok().map(|digest| digest.to_string()))
}

/// A catalog with one layer, whose build does these lines.
fn shop(test: &str, lines: &str, fields: &str) -> Option<Shop> {
    let shop = Shop::new(test)?;
    shop.layer("it", "", lines, fields).lock();
    Some(shop)
}

/// Builds `it` anew, as somebody; the exit code, and the steps that were run and that were in a cache.
fn build(shop: &Shop, actor: &str, args: &[&str]) -> (Option<i32>, Value) {
    let mut all = vec!["it", "--promote", "none", "--actor", actor];
    all.extend(args);
    shop.build(&all)
}

#[test]
fn everybody_writes_to_their_own_caches_and_ci_to_the_canonical_ones() {
    let Some(shop) = shop("everybody_writes_to_their_own_caches", "RUN echo one", "") else { return };
    let (code, report) = build(&shop, "human:ann", &[]);
    assert_eq!(code, Some(0), "{report:#}");
    assert!(cached(&shop, "dev/human.ann-mini").is_some() && cached(&shop, "ci/mini").is_none());
    shop.layer("it", "", "RUN echo two", "");
    let (code, report) = build(&shop, "ci", &[]);
    assert_eq!(code, Some(0), "{report:#}");
    assert!(cached(&shop, "ci/mini").is_some());
    let (before, own) = (cached(&shop, "ci/mini"), cached(&shop, "dev/human.ann-mini"));
    shop.layer("it", "", "RUN echo three", "");
    let (code, report) = build(&shop, "agent:fix", &["--workspace", "pr-7"]);
    assert_eq!(code, Some(0), "{report:#}");
    assert!(cached(&shop, "dev/agent.fix-pr-7").is_some());
    assert_eq!((cached(&shop, "ci/mini"), cached(&shop, "dev/human.ann-mini")), (before, own));
    let listed: Value = serde_json::from_str(&shop.run(&["cache", "list", "--format", "json"]).stdout).unwrap();
    let mut found: Vec<&str> =
        listed["caches"].as_array().unwrap().iter().map(|cache| cache["namespace"].as_str().unwrap()).collect();
    found.sort_unstable();
    assert_eq!(found, ["ci/mini", "dev/agent.fix-pr-7", "dev/human.ann-mini"], "{listed:#}");
    assert!(listed["caches"].as_array().unwrap().iter().all(|cache| cache["created"].is_string()), "{listed:#}");
}

#[test]
fn what_the_rule_forbids_is_refused_before_anything_is_built() {
    let Some(shop) = shop("what_the_rule_forbids_is_refused", "RUN true", "") else { return };
    for (actor, option, namespace, code) in [
        ("ci", "--cache-from", "dev/human.ann-mini", "cache-ci-takes-nothing"),
        ("ci", "--cache-to", "dev/human.ann-mini", "cache-ci-takes-nothing"),
        ("ci-aux:docs", "--cache-from", "dev/human.ann-mini", "cache-ci-takes-nothing"),
        ("ci-aux:docs", "--cache-to", "ci/mini", "cache-not-granted"),
        ("human:ann", "--cache-to", "ci/mini", "cache-canonical"),
        ("human:ann", "--cache-from", "dev/agent.ann-mini", "cache-foreign"),
        ("agent:fix", "--cache-to", "dev/agent.fixer-mini", "cache-foreign"),
    ] {
        let ran = shop.run(&["build", "it", "--actor", actor, option, namespace]);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{actor} {option} {namespace}: {ran:?}");
        assert!(ran.stderr.contains(&format!("refused ({code})")), "{actor} {option} {namespace}: {ran:?}");
    }
    assert_eq!(shop.tags("it"), Vec::<String>::new());
}

#[test]
fn a_granted_pipeline_writes_its_layers_and_another_one_builds_without_writing() {
    let Some(shop) = shop("a_granted_pipeline_writes_its_layers", "RUN true", "") else { return };
    let (code, report) = build(&shop, "ci-aux:docs", &[]);
    assert_eq!((code, cached(&shop, "ci/mini")), (Some(0), None), "{report:#}");
    let path = shop.root().join("catalog/catalog.ncl");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("  platforms", "  caches.granted = { docs = [\"it\"] },\n  platforms")).unwrap();
    let (code, report) = build(&shop, "ci-aux:docs", &["--force"]);
    assert_eq!(code, Some(0), "{report:#}");
    assert!(cached(&shop, "ci/mini").is_some());
}

const GOOD: &str = "tools_provided = [{ name = \"it\", probe = [\"cat\", \"/version\"], version = \"1\" }],";

#[test]
fn a_session_exports_discards_or_rolls_back() {
    let Some(shop) = shop("a_session_exports_discards_or_rolls_back", "RUN echo 1 >/version", GOOD) else { return };
    let namespace = "dev/agent.fix-mini";
    let (code, report) = build(&shop, "agent:fix", &["--cache-disposition", "discard"]);
    assert_eq!((code, cached(&shop, namespace)), (Some(0), None), "{report:#}");
    // The image is good to build and no good to use: nothing was there before, and nothing is afterwards.
    shop.layer("it", "", "RUN echo 2 >/version", GOOD);
    let (code, report) = build(&shop, "agent:fix", &["--cache-disposition", "rollback"]);
    assert_eq!((code, layer(&report, "it")["failure"]["kind"].as_str()), (Some(7), Some("proof")), "{report:#}");
    assert_eq!(cached(&shop, namespace), None, "{report:#}");
    shop.layer("it", "", "RUN echo 1 >/version; echo good", GOOD);
    let (code, report) = build(&shop, "agent:fix", &["--cache-disposition", "rollback"]);
    let good = cached(&shop, namespace);
    assert!(code == Some(0) && good.is_some(), "{report:#}");
    shop.layer("it", "", "RUN echo 3 >/version", GOOD);
    let (code, report) = build(&shop, "agent:fix", &["--cache-disposition", "rollback"]);
    assert_eq!((code, cached(&shop, namespace)), (Some(7), good.clone()), "{report:#}");
    let told = shop.events().into_iter().find(|event| event["event"] == "cache-rolled-back").unwrap();
    assert_eq!(told["digest"].as_str().map(str::to_owned), good, "{told:#}");
    // Without it, the cache is the bad build's: BuildKit has written it before anybody could prove the image.
    shop.layer("it", "", "RUN echo 4 >/version", GOOD);
    let (code, report) = build(&shop, "agent:fix", &[]);
    assert_eq!(code, Some(7), "{report:#}");
    assert_ne!(cached(&shop, namespace), good);
}

#[test]
fn prune_removes_what_is_old_of_the_actors_own() {
    let Some(shop) = shop("prune_removes_what_is_old_of_the_actors_own", "RUN true", "") else { return };
    for actor in ["human:ann", "human:bo", "ci"] {
        let (code, report) = build(&shop, actor, &["--force"]);
        assert_eq!(code, Some(0), "{report:#}");
    }
    let prune = |args: &[&str]| {
        let mut all = vec!["cache", "prune", "--actor", "human:ann", "--format", "json", "--keep-days", "0"];
        all.extend(args);
        let ran = shop.run(&all);
        let answer: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
        (ran.code, answer)
    };
    let there = |namespace| cached(&shop, namespace).is_some();
    let (code, kept) = prune(&[]);
    assert_eq!((code, kept["tags"][0]["fate"].as_str()), (Some(0), Some("kept")), "young: {kept:#}");
    let (code, kept) = prune(&["--grace-hours", "0", "--keep-last", "1"]);
    assert_eq!((code, kept["tags"][0]["fate"].as_str()), (Some(0), Some("kept")), "the last one: {kept:#}");
    let (code, planned) = prune(&["--grace-hours", "0", "--dry-run"]);
    assert_eq!((code, planned["tags"][0]["fate"].as_str()), (Some(0), Some("planned")), "{planned:#}");
    assert!(there("dev/human.ann-mini"));
    // A registry that does not delete: it is said, and is no success.
    let proxy = Proxy::start(&shop.registry, |method, _| if method == "DELETE" { Do::Refuse } else { Do::Pass });
    shop.catalog(&proxy.host);
    let (code, failed) = prune(&["--grace-hours", "0"]);
    assert_eq!((code, failed["tags"][0]["fate"].as_str()), (Some(6), Some("failed")), "{failed:#}");
    // One that can't be read stays, and is said.
    let proxy =
        Proxy::start(&shop.registry, |_, path| if path.ends_with("/manifests/latest") { Do::Fail } else { Do::Pass });
    shop.catalog(&proxy.host);
    let (code, unread) = prune(&["--grace-hours", "0", "--registry-retries", "0"]);
    assert_eq!((code, unread["unread"].as_array().map(Vec::len)), (Some(6), Some(1)), "{unread:#}");
    shop.catalog(&shop.registry);
    assert!(there("dev/human.ann-mini"));
    let (code, removed) = prune(&["--grace-hours", "0"]);
    assert_eq!((code, removed["tags"][0]["fate"].as_str()), (Some(0), Some("removed")), "{removed:#}");
    assert_eq!(removed["tags"].as_array().map(Vec::len), Some(1), "{removed:#}");
    assert!(!there("dev/human.ann-mini") && there("dev/human.bo-mini") && there("ci/mini"));
}
