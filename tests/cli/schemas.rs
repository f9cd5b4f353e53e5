//! The JSON Schemas in `schemas/json/` are those of the types, and every answer keeps its schema.
//!
//! They are written anew with `LAMINA_WRITE_SCHEMAS=1 cargo test --test cli the_published_schemas`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use jsonschema::Validator;
use lamina::report::json::{SHAPES, Shape, VERSION, to_text};
use serde_json::Value;

use crate::workshop::{DEBIAN, RUST, Workshop, manifest_folder};

fn folder() -> PathBuf {
    manifest_folder().join(format!("schemas/json/v{VERSION}"))
}

/// The published schemas by name.
fn published() -> BTreeMap<String, Value> {
    let mut schemas = BTreeMap::new();
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        schemas.insert(name, serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap());
    }
    schemas
}

fn validators() -> BTreeMap<String, Validator> {
    let validator = |(name, schema): (String, Value)| (name, jsonschema::validator_for(&schema).unwrap());
    published().into_iter().map(validator).collect()
}

/// The one schema that an answer keeps. What no schema claims, and what two claim, fails the test.
#[track_caller]
fn claimed<'v>(validators: &'v BTreeMap<String, Validator>, what: &str, answer: &Value) -> &'v str {
    let claims: Vec<&str> =
        validators.iter().filter(|(_, schema)| schema.is_valid(answer)).map(|(name, _)| name.as_str()).collect();
    if let [one] = claims[..] {
        return one;
    }
    let command = answer["command"].as_str().unwrap_or_default();
    let near = validators.iter().filter(|(name, _)| name.starts_with(command));
    let errors: Vec<String> = near
        .flat_map(|(name, schema)| {
            schema.iter_errors(answer).map(move |error| format!("{name}: {}: {error}", error.instance_path()))
        })
        .collect();
    panic!("{what} is claimed by {claims:?}\n{}", errors.join("\n"));
}

#[test]
fn the_published_schemas_are_those_of_the_types() {
    if std::env::var_os("LAMINA_WRITE_SCHEMAS").is_some() {
        fs::create_dir_all(folder()).unwrap();
        for shape in SHAPES {
            fs::write(folder().join(format!("{}.json", shape.name)), to_text(&shape.schema())).unwrap();
        }
    }
    let published = published();
    let names: BTreeSet<&str> = SHAPES.iter().map(|shape| shape.name).collect();
    assert_eq!(published.keys().map(String::as_str).collect::<BTreeSet<_>>(), names);
    for shape in SHAPES {
        let file = fs::read_to_string(folder().join(format!("{}.json", shape.name))).unwrap();
        assert!(file == to_text(&shape.schema()), "{} is out of date: see the top of this file", shape.name);
    }
}

#[test]
fn each_schema_is_a_schema_and_describes_all_its_fields() {
    for Shape { name, .. } in SHAPES {
        let schema = &published()[*name];
        jsonschema::meta::validate(schema).unwrap();
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        assert_eq!(schema["$id"], format!("urn:lamina:json:v{VERSION}:{name}"));
        let definitions = schema.get("$defs").and_then(Value::as_object);
        let objects = definitions.into_iter().flat_map(|all| all.values()).chain([schema]);
        for object in objects {
            assert!(object["description"].as_str().is_some_and(|text| text.ends_with('.')), "{name}: {object:#}");
            let text = object.to_string();
            assert!(!text.contains("additionalProperties\":false"), "{name} would refuse a field that is added");
            for (field, value) in object["properties"].as_object().into_iter().flatten() {
                assert!(value["description"].as_str().is_some_and(|text| text.ends_with('.')), "{name}: {field}");
            }
        }
    }
}

#[test]
fn the_command_prints_the_schemas_and_their_names() {
    let shop = Workshop::bare("");
    let names: Vec<&str> = SHAPES.iter().map(|shape| shape.name).collect();
    let listed = shop.run(["schema"]).answer(0);
    assert_eq!(listed.lines().map(|line| line.split_once("  ").unwrap().0).collect::<Vec<_>>(), names);
    let page = fs::read_to_string(manifest_folder().join("docs/commands.md")).unwrap();
    assert!(page.contains(&format!("$ lamina schema\n{listed}```")), "docs/commands.md lists other schemas");
    let json = shop.run(["schema", "--format", "json"]).json(0);
    for (shape, named) in SHAPES.iter().zip(json["schemas"].as_array().unwrap()) {
        assert_eq!((&named["schema"], &named["id"]), (&shape.name.into(), &shape.id().into()));
        assert_eq!(shop.run(["schema", shape.name]).json(0), shape.schema());
    }
    shop.run(["schema", "cascad"])
        .stderr("error: there is no schema `cascad`\nhint: did you mean `cascade`?\n")
        .code(2);
}

/// The JSON samples of a page, each with the line that it begins in.
fn samples(page: &str) -> Vec<(usize, Value)> {
    let mut samples = Vec::new();
    let mut lines = page.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        if line.trim() == "```json" {
            let text: Vec<&str> =
                lines.by_ref().map(|(_, line)| line).take_while(|line| line.trim() != "```").collect();
            let sample = serde_json::from_str(&text.join("\n"));
            samples.push((number + 1, sample.unwrap_or_else(|error| panic!("line {}: {error}", number + 1))));
        }
    }
    samples
}

#[test]
fn every_sample_in_the_pages_keeps_a_schema() {
    let validators = validators();
    let pages = fs::read_dir(manifest_folder().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let mut found = BTreeSet::new();
    for path in pages.chain([manifest_folder().join("README.md")]) {
        let page = fs::read_to_string(&path).unwrap();
        for (line, sample) in samples(&page) {
            found.insert(claimed(&validators, &format!("{}:{line}", path.display()), &sample));
        }
    }
    for command in ["cascade", "why", "validate", "list", "show", "graph", "adr", "axioms", "explain", "crates-align"] {
        assert!(found.contains(command), "{command} has no sample");
    }
}

#[test]
fn every_answer_among_the_snapshots_keeps_a_schema() {
    let validators = validators();
    let mut found = 0;
    for entry in fs::read_dir(manifest_folder().join("tests/cli/snapshots")).unwrap() {
        let path = entry.unwrap().path();
        // What is written down for another tool keeps that tool's shape.
        if path.file_name().unwrap().to_string_lossy().contains("the_file_for_bake") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let Some((_, stdout)) = text.split_once("----- stdout\n") else { continue };
        let stdout = stdout.split("----- stderr\n").next().unwrap();
        if stdout.starts_with('{') {
            let answer = serde_json::from_str(stdout).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            claimed(&validators, &path.display().to_string(), &answer);
            found += 1;
        }
    }
    assert!(found >= 10, "{found}");
}

#[test]
fn fresh_answers_keep_their_schemas() {
    let validators = validators();
    let check = |expected: &str, shop: &Workshop, args: &[&str], code: i32| {
        let answer = shop.run_with(&[args, &["--format", "json"]].concat(), "", b"", &[]).any_stderr().json(code);
        assert_eq!(claimed(&validators, &args.join(" "), &answer), expected, "{args:?}");
    };
    let real = Workshop::real();
    for (expected, args) in [
        ("cascade", &["cascade", "--changed", "rust", "lamina.lock", "README.md", DEBIAN][..]),
        ("cascade", &["cascade", "--changed", "README.md", "adrs/001-distinct-bases.ncl"]),
        ("list", &["list"]),
        ("show", &["show", "secretumvault"]),
        ("show", &["show", "nushell"]),
        ("graph", &["graph"]),
        ("adr", &["adr"]),
        ("axioms", &["axioms"]),
        ("validate", &["validate", "--check-dag"]),
        ("validate-list", &["validate", "--list"]),
        ("validate-explain", &["validate", "--explain", "cycle"]),
        ("explain", &["explain", "lock-unused"]),
        ("schema", &["schema"]),
    ] {
        check(expected, &real, args, 0);
    }
    // What GitHub reads has a schema as well.
    let matrix = real.run(["cascade", "--changed", "rust", "--format", "github-matrix"]).any_stderr().json(0);
    assert_eq!(claimed(&validators, "github-matrix", &matrix), "cascade-github-matrix");
    // A catalog with all that an answer about changes can say.
    let shop = Workshop::new();
    shop.layer("base", RUST).layer("old", RUST).layer_with("app", "base", "build.args.A = \"1\",");
    shop.dockerfile("app", "ARG BUILD_BASE\nFROM ${BUILD_BASE}\nARG A=1\nCOPY . /\n");
    shop.file("layers/app/gone", "").file("layers/app/content", "1").file("layers/app/run", "").commit("first");
    shop.replace("layers/app/workflow.ncl", "A = \"1\"", "A = \"2\", build.target = \"x\"");
    shop.replace("layers/app/Dockerfile", "FROM ${BUILD_BASE}", "FROM ${BUILD_BASE} AS x");
    shop.remove("layers/app/gone").file("layers/app/new", "").file("layers/app/content", "2");
    shop.executable("layers/app/run").remove("layers/old").layer("new", DEBIAN);
    shop.file("lamina.lock", &shop.read("lamina.lock").replace("01", "02"));
    for args in [
        &["cascade", "--since", "HEAD"][..],
        &["cascade", "--changed", "base", "layers/app", "schemas/types.ncl", "lamina.lock", RUST],
        &["cascade", "--changed", "layers/nothing/x", "--unknown", "all"],
        &["cascade", "--changed", "layers/nothing/x", "--unknown", "ignore"],
        &["cascade", "--since", "nothing", "--unknown", "all"],
    ] {
        check("cascade", &shop, args, 0);
    }
    check("why", &shop, &["why", "app", "--since", "HEAD"], 0);
    check("why", &shop, &["why", "new", "--since", "HEAD"], 0);
    // A broken one: findings with places in several files, without a place, and of a file that is no text.
    shop.layer("worse", "bsae").replace("layers/new/workflow.ncl", "'toolchain", "'tool");
    shop.remove("layers/base/Dockerfile").file("layers/empty/x", "").bytes("layers/app/Dockerfile", b"FROM \xff");
    check("validate", &shop, &["validate", "--check-dag"], 3);
    let shop = Workshop::new();
    check("validate", shop.file("catalog/catalog.ncl", "{"), &["validate"], 3);
}

#[test]
fn fields_may_be_added_and_none_may_go() {
    let validators = validators();
    for (line, mut sample) in samples(&fs::read_to_string(manifest_folder().join("docs/json.md")).unwrap()) {
        let name = claimed(&validators, "docs/json.md", &sample);
        let schema = &validators[name];
        let fields: Vec<String> = sample.as_object().unwrap().keys().cloned().collect();
        for field in fields {
            let value = sample.as_object_mut().unwrap().remove(&field).unwrap();
            assert!(!schema.is_valid(&sample), "docs/json.md:{line}: {name} does not ask for {field}");
            sample[field] = value;
        }
        sample["added"] = "later".into();
        assert!(schema.is_valid(&sample), "docs/json.md:{line}");
        sample["version"] = (VERSION + 1).into();
        assert!(!schema.is_valid(&sample), "docs/json.md:{line}");
    }
}

#[test]
fn a_published_schema_is_of_no_concern_to_layers() {
    let shop = Workshop::new();
    shop.layer("app", RUST).file("schemas/json/v1/cascade.json", "{}").commit("first");
    for path in ["schemas/json/v1/cascade.json", "schemas/json/v1/gone.json", "schemas/json"] {
        let why = "JSON Schemas of lamina's answers are not built from";
        shop.run(["cascade", "-v", "--changed", path])
            .stdout("no layer is affected\n")
            .stderr(&format!("1 path of the catalog from which no layer is built\n  {path} ({why})\n"))
            .success();
    }
    shop.file("schemas/json/v1/cascade.json", "{ \"other\": 1 }");
    shop.run(["cascade", "--since", "HEAD"]).stdout("no layer is affected\n").success();
    // Where a layer reads one, it is the layer's.
    shop.replace(
        "layers/app/workflow.ncl",
        "summary =",
        "docs = (import \"../../schemas/json/v1/cascade.json\").other |> std.to_string,\n  summary =",
    );
    let names = shop.run(["cascade", "--changed", "schemas/json/v1/cascade.json", "--format", "names"]).answer(0);
    assert_eq!(names, "app\n");
    // A name that only begins alike is as unknown as ever.
    shop.run(["cascade", "--changed", "schemas/json.ncl"]).any_stderr().code(5);
}
