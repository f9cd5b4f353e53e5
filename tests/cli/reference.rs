//! The reference pages say what the program does: they are compared with the tables and types they describe.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use lamina::catalog::raw;
use lamina::checks::CHECKS;
use lamina::diag::Severity;
use lamina::report::suggest;
use lamina::unit::Hindrance;
use serde_json::Value;

use crate::workshop::Workshop;

fn page(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// What stands below each heading of a level, up to the next heading.
fn sections<'a>(page: &'a str, level: &str) -> Vec<(&'a str, &'a str)> {
    let mut sections = Vec::new();
    for part in page.split(&format!("\n{level} ")).skip(1) {
        let (heading, text) = part.split_once('\n').unwrap();
        sections.push((heading, text.split("\n#").next().unwrap().trim()));
    }
    sections
}

#[test]
fn checks_md_has_every_check_and_code_in_its_words() {
    let mut expected = String::new();
    for check in CHECKS {
        expected.push_str(&format!("## {}\n\n{}\n\n", check.name, check.summary));
        if check.thorough {
            expected.push_str("Runs with `--check-dag`.\n\n");
        }
        for code in check.codes {
            let severity = match code.severity() {
                Severity::Error => "error",
                Severity::Warning => "warning",
                Severity::Note => "note",
            };
            expected.push_str(&format!("### {code}\n\n{severity}: {}\n\n{}\n\n", code.summary(), code.explanation()));
        }
    }
    let page = page("docs/checks.md");
    let written = page.split_once("\n## ").map(|(_, rest)| format!("## {rest}")).unwrap();
    assert_eq!(written.trim(), expected.trim());
}

#[test]
fn obstacles_md_has_every_obstacle_in_its_words() {
    let mut expected = String::new();
    for hindrance in Hindrance::ALL {
        let (summary, explanation) = (suggest::summary(hindrance), suggest::explanation(hindrance));
        expected.push_str(&format!("## {}\n\n{summary}\n\n{explanation}\n\n", hindrance.code()));
        let told = Workshop::bare("").run(["explain", hindrance.code()]).answer(0);
        assert_eq!(told, format!("{} (obstacle to reuse)\n\n{summary}\n\n{explanation}\n", hindrance.code()));
    }
    let page = page("docs/obstacles.md");
    let written = page.split_once("\n## ").map(|(_, rest)| format!("## {rest}")).unwrap();
    assert_eq!(written.trim(), expected.trim());
}

#[test]
fn runs_md_has_every_event_with_all_its_fields() {
    let page = page("docs/runs.md");
    let mut documented: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (heading, text) in sections(&page, "###") {
        let fields =
            text.lines().filter_map(|line| line.strip_prefix("| `")).map(|line| line.split('`').next().unwrap());
        documented.insert(heading.trim_matches('`').to_owned(), fields.map(str::to_owned).collect());
    }
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for event in crate::recording::complete().events {
        let Value::Object(mut event) = serde_json::to_value(&event).unwrap() else { panic!("an event is an object") };
        let name = event.remove("event").unwrap().as_str().unwrap().to_owned();
        for common in ["run", "seq", "at"] {
            assert!(event.remove(common).is_some());
            assert!(page.contains(&format!("| `{common}` | ")), "{common}");
        }
        found.entry(name).or_default().extend(event.keys().cloned());
    }
    assert_eq!(documented, found);
}

/// A workflow with every field, each list with one element.
fn whole_workflow() -> raw::Workflow {
    let base = || raw::Base { layer: Some("a".to_owned()), image: Some("b:1".to_owned()) };
    let text = || "x".to_owned();
    let hook = || raw::Hook { command: vec![text()], timeout_s: 1.0, env: vec![text()] };
    raw::Workflow {
        layer: text(),
        class: raw::Class::Toolchain,
        summary: text(),
        docs: Some(text()),
        build_base: base(),
        runtime_base: base(),
        donors: vec![raw::Donor { layer: Some(text()), image: Some(text()), arg: Some(text()) }],
        native_deps: vec![raw::NativeDep {
            package: text(),
            library: text(),
            needed: raw::Needed::Build,
            source: raw::NativeSource::Apt,
        }],
        tools_provided: vec![raw::Tool { name: text(), probe: vec![text()], version: Some(text()) }],
        artifact_paths: vec![raw::Artifact { path: text(), description: Some(text()) }],
        cooked: Some(raw::Cooked {
            path: text(),
            profile: None,
            profiles: vec![text()],
            calls: vec![vec![text()]],
            target_dir: text(),
            units: Some(text()),
            ceilings: Some(raw::Ceilings {
                packages: Some(1.0),
                units: Some(1.0),
                duplicates: Some(1.0),
                second_time: Some(1.0),
                cpu_s: Some(1.0),
                bytes: Some(1.0),
                cone: BTreeMap::new(),
            }),
        }),
        tags: vec![text()],
        build: raw::Build {
            dockerfile: text(),
            context: text(),
            target: Some(text()),
            args: BTreeMap::new(),
            secrets: vec![raw::Secret { id: text(), required: false, purpose: Some(text()) }],
            contexts: BTreeMap::new(),
            ssh: vec![text()],
            network: lamina::model::Network::Host,
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            platforms: Some(vec![text()]),
            resources: raw::Resources {
                cpu: Some(1.0),
                memory_mb: Some(1.0),
                disk_mb: 1.0,
                time_budget_min: Some(1.0),
                expected_min: Some(1.0),
            },
            cache_version: 0.0,
        },
        hooks: raw::Hooks {
            before_build: vec![vec![text()]],
            after_build: vec![vec![text()]],
            pre_build: vec![hook()],
            post_build: vec![hook()],
            pre_promote: vec![hook()],
        },
    }
}

/// The paths of all fields: `donors[].layer`.
fn paths(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                paths(value, &path, found);
                found.insert(path);
            }
        }
        Value::Array(items) => {
            items.iter().filter(|item| item.is_object()).for_each(|item| paths(item, &format!("{path}[]"), found));
        }
        _ => {}
    }
}

#[test]
fn workflow_md_documents_the_fields_that_lamina_reads_in_the_schemas_words() {
    let page = page("docs/workflow.md");
    let schemas: String = ["workflow", "build_directives", "catalog", "adr"]
        .map(|schema| self::page(&format!("schemas/{schema}.ncl")))
        .concat();
    let mut documented = BTreeSet::new();
    for (heading, text) in sections(&page, "###") {
        let Some(path) = heading.strip_prefix('`').and_then(|heading| heading.strip_suffix('`')) else { continue };
        // The catalog's and the decisions' fields come behind those of the workflow.
        if path == "name" {
            break;
        }
        documented.insert(path.to_owned());
        let words = text.rsplit("\n\n").next().unwrap();
        let quoted = words.replace('\\', "\\\\").replace('"', "\\\"");
        let is_shared = self::page("schemas/types.ncl").contains(&quoted);
        assert!(schemas.contains(&quoted) || is_shared, "{path}: no schema says {words:?}");
    }
    let mut read = BTreeSet::new();
    paths(&serde_json::to_value(whole_workflow()).unwrap(), "", &mut read);
    // Older schemas had them; they are read to say so, or because they still mean something.
    for old in ["cooked.profile", "hooks.before_build", "hooks.after_build"] {
        assert!(read.remove(old));
    }
    assert_eq!(documented, read);
}

#[test]
fn every_field_that_lamina_reads_is_known_to_the_schema() {
    let shop = Workshop::new();
    shop.layer("base", crate::workshop::RUST);
    shop.layer_with(
        "whole",
        "base",
        "docs = \"d\",
         donors = [{ layer = \"base\", arg = \"DONOR\" }],
         native_deps = [{ package = \"p\", library = \"l\", needed = 'run, source = 'vendored }],
         tools_provided = [{ name = \"t\", probe = [\"t\"], version = \"1\" }],
         artifact_paths = [{ path = \"/a\", description = \"d\" }],
         cooked = {
           path = \".\", profiles = [\"release:lto=thin\", \"dev\"], calls = [[\"--locked\"]], target_dir = \"/t\", units = \"/u\",
           ceilings = {
             packages = 1, units = 1, duplicates = 1, second_time = 0, cpu_s = 1, bytes = 1, cone.libc = 1,
           },
         },
         tags = [\"1.0\"],
         build = {
           dockerfile = \"Dockerfile\", context = \".\", target = \"x\", args.A = \"1\",
           secrets = [{ id = \"s\", required = true, purpose = \"p\" }],
           contexts.shared = \"../base\", ssh = [\"default\"], network = 'host, labels.l = \"1\", annotations.a = \"1\",
           platforms = [\"linux/amd64\"],
           resources = { cpu = 1, memory_mb = 1, disk_mb = 1, time_budget_min = 1, expected_min = 1 },
           cache_version = 1,
         },
         hooks = {
           pre_build = [{ command = [\"a\"], timeout_s = 1, env = [\"A\"] }],
           post_build = [{ command = [\"b\"] }],
           pre_promote = [{ command = [\"c\"] }],
         },",
    );
    let answer = shop.run(["validate", "--only", "contracts", "names", "dag", "--format", "json"]).any_stderr().json(0);
    assert_eq!(answer["findings"], Value::Array(Vec::new()));
}
