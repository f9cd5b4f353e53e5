//! `lamina verify`: images of a real registry, proven by a real engine.

use std::path::PathBuf;

use lamina::engine::{self, Engine, Environment, Options, Output, Solve};
use lamina::registry;
use lamina::report::json::Shape;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::registry::Namespace;
use crate::workshop::{CATALOG, Workshop};

/// A catalog of layers on an image with a shell, a registry of its own, and an engine.
struct Setting {
    shop: Workshop,
    namespace: Namespace,
    engine: Box<dyn Engine>,
    busybox: String,
}

impl Setting {
    fn new() -> Option<Self> {
        let namespace = Namespace::new()?;
        if std::env::var_os("DOCKER_HOST").is_none() {
            eprintln!("skipped: DOCKER_HOST is not set, so there is no engine to ask");
            return None;
        }
        let lamina = Some(PathBuf::from(env!("CARGO_BIN_EXE_lamina")));
        let engine = engine::open(&Options { env: Environment::of_process(), lamina, ..Options::default() });
        let shop = Workshop::new();
        let catalog = CATALOG
            .replace("\"localhost:5000\"", &format!("\"{}\"", namespace.host))
            .replace(
                "namespace | default = \"workshop\"",
                &format!("namespace | default = \"{}\"", namespace.repository("v")),
            )
            .replace("  registry |", &format!("  plain_http = [\"{}\"],\n  registry |", namespace.host));
        shop.file("catalog/catalog.ncl", &catalog).remove("lamina.lock");
        let busybox = format!("{}/library/busybox:stable", namespace.host);
        Some(Self { shop, namespace, engine: engine.unwrap(), busybox })
    }

    fn layer(&self, name: &str, steps: &str, fields: &str) {
        self.shop.layer_with(name, &self.busybox, fields);
        self.shop.dockerfile(name, &format!("ARG BUILD_BASE=rust:1\nFROM ${{BUILD_BASE}}\n{steps}"));
    }

    fn run(&self, args: &[&str]) -> crate::workshop::Run {
        let of_process = |name: &'static str| (name, std::env::var(name).unwrap_or_default());
        let env = ["DOCKER_HOST", "DOCKER_CONFIG"].map(of_process);
        let env = env.iter().map(|(name, value)| (*name, value.as_str())).collect::<Vec<_>>();
        self.shop.run_with(args, "", b"", &env)
    }

    /// Builds a layer and pushes it under its fingerprint; returns its digest.
    fn push(&self, name: &str) -> String {
        let plan = self.run(&["plan", name, "--force", "--format", "json"]).any_stderr().json(0);
        let image = plan["steps"][0]["image"].as_str().unwrap().parse().unwrap();
        let context = self.shop.root().join("layers").join(name);
        let solve = Solve {
            dockerfile: context.join("Dockerfile"),
            context,
            args: [("BUILD_BASE".to_owned(), self.busybox.clone())].into(),
            output: Output::Push(image),
            ..Solve::default()
        };
        let (mut ignore, cancel) = (|_| {}, CancellationToken::new());
        let solved = registry::block_on(self.engine.solve(&solve, &mut ignore, &cancel)).unwrap().unwrap();
        solved.digest.unwrap().to_string()
    }

    fn states(&self, answer: &Value) -> Vec<(String, String, bool)> {
        let errors: Vec<_> = jsonschema::validator_for(&Shape::find("verify").unwrap().schema())
            .unwrap()
            .iter_errors(answer)
            .map(|error| error.to_string())
            .collect();
        assert!(errors.is_empty(), "{errors:?}");
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let layers = answer["layers"].as_array().unwrap().iter();
        layers.map(|layer| (text(&layer["layer"]), text(&layer["state"]), layer["recorded"] == json!(true))).collect()
    }
}

fn state(layer: &str, state: &str, recorded: bool) -> (String, String, bool) {
    (layer.to_owned(), state.to_owned(), recorded)
}

const TOOL: &str = "tools_provided = [\n  { name = \"tool\", probe = [\"tool\", \"--version\"], version = \"1.0\" },\n],\n\
                    artifact_paths = [{ path = \"/bin/tool\" }],";
const WRITES: &str = "RUN printf '#!/bin/sh\\necho tool 1.0\\n' > /bin/tool && chmod +x /bin/tool\n";

#[test]
fn every_layer_is_proven_found_wrong_or_missing() {
    let Some(setting) = Setting::new() else { return };
    setting.layer("good", WRITES, TOOL);
    setting.layer("plain", "RUN true\n", "");
    setting.layer("none", WRITES, TOOL);
    setting.layer("wrong", &WRITES.replace("1.0", "2.0"), TOOL);
    let [good, plain, wrong] = ["good", "plain", "wrong"].map(|name| setting.push(name));

    let first = setting.run(&["verify", "good", "--no-record", "--format", "json"]).any_stderr().json(0);
    assert_eq!(setting.states(&first), [state("good", "proven", false)]);
    let plan = |layer: &str| setting.run(&["plan", layer, "--format", "json"]).any_stderr().json(0);
    assert_eq!(plan("good")["steps"][0]["action"], "prove", "nothing was recorded");

    let all = setting.run(&["verify", "--all", "--format", "json"]).any_stderr().json(7);
    let expected = [
        state("good", "proven", true),
        state("none", "missing", false),
        state("plain", "proven", false),
        state("wrong", "wrong", false),
    ];
    assert_eq!(setting.states(&all), expected);
    assert_eq!(plan("good")["skipped"][0]["digest"], good.as_str());
    let probe = &all["layers"][3]["probes"][0];
    assert_eq!((&probe["what"], &probe["output"]), (&json!("tool"), &json!(["tool 2.0"])));
    assert_eq!(probe["wrong"], "its output does not hold `1.0`");

    setting
        .run(&["verify", "--all", "--no-record"])
        .stdout(&format!(
            "proven   good   2 probes: {good}\n\
             missing  none   the registry has no image of its fingerprint\n\
             proven   plain  nothing is declared to be proven: {plain}\n\
             wrong    wrong  1 of 2 probes: {wrong}\n  \
             tool on linux/amd64: its output does not hold `1.0`\n    \
             $ tool --version\n    expected: 1.0\n    | tool 2.0\n"
        ))
        .stderr(
            "proving good (1 of 4)\nproving none (2 of 4)\nproving plain (3 of 4)\nproving wrong (4 of 4)\n\
             error: 2 of 4 layers not proven\n\
             hint: `lamina build` builds what is missing\n\
             hint: the image is not what its workflow.ncl says: mend either, and build again\n",
        )
        .code(7);
}

#[test]
fn another_image_of_the_layer_is_proven_and_not_recorded() {
    let Some(setting) = Setting::new() else { return };
    setting.layer("tool", &WRITES.replace("1.0", "2.0"), TOOL);
    let wrong = setting.push("tool");
    setting.layer("tool", WRITES, TOOL);
    let good = setting.push("tool");
    let verify = |digest: &str, code| {
        let answer = setting.run(&["verify", "tool", "--digest", digest, "--format", "json"]).any_stderr().json(code);
        assert_eq!(answer["layers"][0]["digest"], digest);
        setting.states(&answer)
    };
    assert_eq!(verify(&wrong, 7), [state("tool", "wrong", false)]);
    assert_eq!(verify(&good, 0), [state("tool", "proven", true)], "it is the image of the fingerprint");
    setting.shop.replace("layers/tool/workflow.ncl", "version = \"1.0\"", "version = \"tool\"");
    assert_eq!(verify(&wrong, 0), [state("tool", "proven", false)]);
    setting.layer("other", WRITES, TOOL);
    setting
        .run(&["verify", "--all", "--digest", &good])
        .stderr("error: --digest is the image of one layer\nhint: name that layer alone\n")
        .code(2);
    let nowhere = format!("sha256:{}", "0".repeat(64));
    let answer = setting.run(&["verify", "tool", "--digest", &nowhere, "--format", "json"]).any_stderr().json(7);
    assert_eq!(setting.states(&answer), [state("tool", "failed", false)]);
}

#[test]
fn without_an_engine_or_a_registry_nothing_is_proven() {
    let Some(setting) = Setting::new() else { return };
    setting.layer("tool", WRITES, TOOL);
    setting.push("tool");
    // A client, and nobody behind it.
    let config = std::env::var("DOCKER_CONFIG").unwrap_or_default();
    let nowhere = [("DOCKER_HOST", "unix:///nowhere/docker.sock"), ("DOCKER_CONFIG", &*config)];
    let answer = setting.shop.run_with(&["verify", "tool", "--format", "json"], "", b"", &nowhere);
    assert_eq!(setting.states(&answer.any_stderr().json(8)), [state("tool", "failed", false)]);
    let host = setting.namespace.host.clone();
    setting.shop.replace("catalog/catalog.ncl", &format!("default = \"{host}\""), "default = \"127.0.0.1:1\"");
    setting.shop.replace("catalog/catalog.ncl", &format!("[\"{host}\"]"), "[\"127.0.0.1:1\"]");
    let answer = setting.run(&["verify", "tool", "--registry-retries", "0", "--format", "json"]);
    assert_eq!(setting.states(&answer.any_stderr().json(6)), []);
}
