//! `lamina show --units`, against a real registry.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::built::{push, shop_in, tags};
use crate::registry::Namespace;
use crate::workshop::{RUST, Workshop, manifest_folder};

const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

fn unit(package: usize, kind: &str, cpu_ms: Option<u64>, bytes: u64, folder: &str) -> Value {
    let mut output = json!({ "folder": folder, "bytes": bytes });
    if let Some(cpu_ms) = cpu_ms {
        output["cpu_ms"] = cpu_ms.into();
    }
    let types = if kind == "build-script-run" { json!([]) } else { json!(["lib"]) };
    json!({
        "package": package, "kind": kind, "target": "t", "crate_types": types, "features": ["default"],
        "profile": 0, "dependencies": [], "output": output,
    })
}

fn cook(profile: &str, units: Vec<Value>) -> Value {
    let folder = if profile == "dev" { "debug" } else { "release" };
    json!({
        "profile": profile,
        "settings": if profile == "dev" { json!({ "opt-level": "1" }) } else { json!({}) },
        "target_dir": "/cooked/target",
        "arguments": ["--no-default-features"],
        "graph": {
            "packages": [
                { "name": "itoa", "version": "1.0.15", "source": CRATES_IO },
                { "name": "rustls", "version": "0.23.36", "source": CRATES_IO },
                { "name": "web", "version": "0.0.0" },
            ],
            "profiles": [{ "folder": folder, "settings": { "lto": "false" } }],
            "units": units,
            "roots": [0],
        },
    })
}

/// What the layer `web` says of itself: two calls of cargo that share a unit.
fn manifest() -> Value {
    json!({
        "version": 1,
        "layer": "web",
        "environment": {
            "rustc": "rustc 1.97.1 (8b53d4a1c 2026-07-10)\nbinary: rustc\nhost: x86_64-unknown-linux-gnu\n",
            "cargo": "cargo 1.97.1 (1c7d2e3f4 2026-07-02)",
            "cargo_home": "/usr/local/cargo",
            "rustflags": [],
            "config": {},
            "variables": { "CC": null },
        },
        "cooks": [
            cook("release", vec![
                unit(0, "lib", Some(412), 183_204, "itoa-04c2e949dadc8657"),
                unit(1, "lib", Some(19_300), 12_345_678, "rustls-14c2e949dadc8657"),
                unit(1, "build-script-run", None, 12, "rustls-24c2e949dadc8657"),
            ]),
            cook("release", vec![unit(0, "lib", None, 183_204, "itoa-04c2e949dadc8657")]),
            cook("dev", vec![unit(0, "lib", Some(100), 200_000, "itoa-34c2e949dadc8657")]),
        ],
    })
}

fn web() -> Option<(Namespace, Workshop)> {
    let namespace = Namespace::new()?;
    let shop = shop_in(&namespace);
    shop.layer_with("web", RUST, "class = 'source-dep,\ncooked = {},").layer("tool", RUST);
    Some((namespace, shop))
}

fn push_units(namespace: &Namespace, image: &str, about: &str, content: &[u8]) {
    let tag = format!("units-{}", &image["sha256:".len()..][..20]);
    namespace.push_document("web", &tag, "application/vnd.lamina.units.v1+json", about, content);
}

/// A machine without a network: what asks, asks a proxy that is not there.
const OFFLINE: &[(&str, &str)] = &[("http_proxy", "http://127.0.0.1:9"), ("LAMINA_REGISTRY_RETRIES", "0")];

fn documents(shop: &Workshop) -> Vec<PathBuf> {
    let units = shop.cache().join("units");
    let files = fs::read_dir(units).unwrap().map(|file| file.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "json")).collect()
}

#[test]
fn the_units_of_a_layer_come_most_expensive_first_and_each_once() {
    let Some((namespace, shop)) = web() else { return };
    let image = push(&namespace, &shop, "web");
    push_units(&namespace, &image, &image, manifest().to_string().as_bytes());
    let tag = &tags(&shop)["web"];
    let name = namespace.image("web");
    shop.run(["show", "web", "--units"])
        .stdout(&format!(
            "image       {name}:{tag}@{image}\n\
             rustc       rustc 1.97.1 (8b53d4a1c 2026-07-10)\n\
             cargo       cargo 1.97.1 (1c7d2e3f4 2026-07-02)\n\
             profiles    release, release, dev:opt-level=1\n\
             CARGO_HOME  /usr/local/cargo\n\n\
             CPU     share   size      crate   version  kind              profile          features\n\
             19.3 s  97.4 %  12.3 MB   rustls  0.23.36  lib               release          default\n\
             0.4 s   2.1 %   183.2 kB  itoa    1.0.15   lib               release          default\n\
             0.1 s   0.5 %   200.0 kB  itoa    1.0.15   lib               dev:opt-level=1  default\n\
             -       -       12 B      rustls  0.23.36  build-script-run  release          default\n\n\
             4 units of 2 packages: 19.8 s of CPU, 12.7 MB\n"
        ))
        .success();
    let answer = shop.run(["show", "web", "--units", "--format", "json"]).json(0);
    let schema = fs::read_to_string(manifest_folder().join("schemas/json/v1/show-units.json")).unwrap();
    jsonschema::validate(&serde_json::from_str(&schema).unwrap(), &answer).unwrap();
    assert_eq!((&answer["digest"], &answer["current"]), (&image.as_str().into(), &true.into()));
    assert_eq!(answer["totals"], json!({ "units": 4, "packages": 2, "cpu_ms": 19_812, "bytes": 12_728_894 }));
    let units = answer["units"].as_array().unwrap();
    let folders: Vec<_> = units.iter().map(|unit| unit["folder"].as_str().unwrap()).collect();
    assert_eq!(folders[..2], ["rustls-14c2e949dadc8657", "itoa-04c2e949dadc8657"]);
    assert_eq!((&units[2]["profile"], &units[2]["cook"]), (&"debug".into(), &2.into()));
    assert_eq!((&units[3]["cpu_ms"], &units[3]["share"]), (&Value::Null, &Value::Null));
    // The document keeps the schema that is published for others.
    let schema = fs::read_to_string(manifest_folder().join("schemas/json/v1/units.json")).unwrap();
    jsonschema::validate(&serde_json::from_str(&schema).unwrap(), &manifest()).unwrap();
}

#[test]
fn what_was_read_once_is_asked_for_no_more() {
    let Some((namespace, shop)) = web() else { return };
    let image = push(&namespace, &shop, "web");
    push_units(&namespace, &image, &image, manifest().to_string().as_bytes());
    let ask = |env: &[(&str, &str)]| shop.run_with(&["show", "web", "--units"], "", b"", env);
    assert_eq!(ask(OFFLINE).any_stderr().exit_code(), Some(6));
    let answer = ask(&[]).answer(0);
    assert_eq!(ask(OFFLINE).answer(0), answer);

    // What is torn, or something else than it was, is not there: it is read again, and is whole then.
    let [document] = &documents(&shop)[..] else { panic!("{:?}", documents(&shop)) };
    let whole = fs::read(document).unwrap();
    let poisoned = manifest().to_string().replace("rustls", "evil").into_bytes();
    for bytes in [&whole[..whole.len() / 2], &[], &poisoned] {
        fs::write(document, bytes).unwrap();
        assert_eq!(ask(OFFLINE).any_stderr().exit_code(), Some(6));
        assert_eq!(ask(&[]).answer(0), answer);
        assert_eq!(fs::read(document).unwrap(), whole);
    }
    let index = shop.cache().join("units/index-2");
    let whole = fs::read(&index).unwrap();
    let mut flipped = whole.clone();
    flipped[40] ^= 1;
    for bytes in [&whole[..whole.len() - 1], &[], &flipped] {
        fs::write(&index, bytes).unwrap();
        assert_eq!(ask(&[]).answer(0), answer);
        assert_eq!(fs::read(&index).unwrap(), whole);
    }
    // A folder that can't be written costs time, and no answer.
    fs::remove_dir_all(shop.cache().join("units")).unwrap();
    fs::write(shop.cache().join("units"), "").unwrap();
    assert_eq!(ask(&[]).answer(0), answer);
    // Nobody wants it kept.
    fs::remove_file(shop.cache().join("units")).unwrap();
    assert_eq!(shop.run(["show", "web", "--units", "--no-cache"]).answer(0), answer);
    assert!(!shop.cache().join("units").exists());
}

#[test]
fn a_layer_that_is_not_built_as_it_is_shows_what_was_promoted_last() {
    let Some((namespace, shop)) = web() else { return };
    let image = namespace.push("web", "latest", "a release");
    push_units(&namespace, &image, &image, manifest().to_string().as_bytes());
    let name = namespace.image("web");
    let remark = format!("web is not built as it is now: this is what {name}:latest has\n");
    let answer = shop.run(["show", "web", "--units", "--format", "json"]).stderr(&remark).json(0);
    assert_eq!((&answer["current"], &answer["image"]), (&false.into(), &format!("{name}:latest").into()));
    // A tag for people is asked for each time, and without a network stands for what it stood for.
    let other = namespace.push("web", "latest", "another release");
    push_units(&namespace, &other, &other, manifest().to_string().as_bytes());
    let answer = shop.run(["show", "web", "--units", "--format", "json"]).stderr(&remark).json(0);
    assert_eq!(answer["digest"], other);
    let offline = shop.run_with(&["show", "web", "--units", "--format", "json"], "", b"", OFFLINE);
    assert_eq!(offline.stderr(&remark).json(0), answer);
}

#[test]
fn what_has_no_units_says_why_and_what_to_do() {
    let Some((namespace, shop)) = web() else { return };
    shop.run(["show", "tool", "--units"])
        .stderr("error: the units of tool are not known: it cooks nothing\nhint: cooked are: web\n")
        .code(2);
    shop.run(["show", "web", "--units"])
        .stderr(
            "error: the units of web are not known: the registry has no image of it\nhint: `lamina build web` builds it\n",
        )
        .code(1);
    let image = push(&namespace, &shop, "web");
    let at = format!("{}:{}@{}", namespace.image("web"), tags(&shop)["web"], &image["sha256:".len()..][..12]);
    let hint = "hint: `lamina verify web` takes it out of the image; an image without one is built anew by \
                `lamina build web --force`\n";
    shop.run(["show", "web", "--units"])
        .stderr(&format!("error: the units of web are not known: {at} has no unit manifest\n{hint}"))
        .code(1);
    let other = namespace.push("web", "other", "another image");
    let newer = json!({ "version": 2, "layer": "web" }).to_string();
    let circle = manifest().to_string().replace("\"dependencies\":[]", "\"dependencies\":[0]");
    for (about, content, why) in [
        (&other, manifest().to_string(), "it is no unit manifest: what has its tag is about another image"),
        (&image, newer, "it has version 2, this lamina reads version 1"),
        (&image, circle, "it is no unit manifest: units depend on each other in a circle"),
    ] {
        push_units(&namespace, &image, about, content.as_bytes());
        let text =
            format!("error: the units of web are not known: the unit manifest of {at} can't be used: {why}\n{hint}");
        shop.run(["show", "web", "--units"]).stderr(&text).code(1);
    }
}
