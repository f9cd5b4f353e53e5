//! `lamina suggest` where more than a project and its layers count: what is known already, what lies above the project,
//! what to do next for a fleet.

use std::collections::BTreeMap;
use std::fs;
use std::sync::{Arc, Mutex};

use lamina::cargo::BuildOptions;
use serde_json::json;

use crate::built::{shop_at, tags};
use crate::pipelines_run::{check_jsonschema, complaints};
use crate::registry::digest;
use crate::server::{Reply, Server};
use crate::suggest::{Setting, add_layer, manifest, suggest, write_project};
use crate::workshop::{RUST, Workshop};

#[test]
fn what_is_known_of_a_digest_is_never_asked_again() {
    let content: Arc<Mutex<BTreeMap<String, Vec<u8>>>> = Arc::default();
    let served = Arc::clone(&content);
    let server = Server::start(move |seen, _| match served.lock().unwrap().get(&seen.target) {
        Some(bytes) => Reply::new(200, bytes.clone()),
        None => Reply::new(404, ""),
    });
    let shop = shop_at(&server.host, "acme");
    let project = shop.outside().join("app");
    write_project(&project, "app", &[("itoa", "")], "");
    add_layer(&shop, "web", &project);
    let part = |bytes: &[u8]| json!({ "mediaType": "a/b", "digest": digest(bytes), "size": bytes.len() });
    let put = |name: &str, bytes: &[u8]| {
        let mut content = content.lock().unwrap();
        content.insert(format!("/v2/acme/web/{name}"), bytes.to_vec());
        let kind = name.split('/').next().unwrap();
        content.insert(format!("/v2/acme/web/{kind}/{}", digest(bytes)), bytes.to_vec());
    };
    let oci = |mut more: serde_json::Value| {
        more["schemaVersion"] = json!(2);
        more["mediaType"] = json!("application/vnd.oci.image.manifest.v1+json");
        more["config"] = part(b"{}");
        serde_json::to_vec(&more).unwrap()
    };
    let image = oci(json!({ "layers": [part(&[0; 4321])] }));
    put(&format!("manifests/{}", tags(&shop)["web"]), &image);
    let document = serde_json::to_vec(&manifest("web", &project, &BuildOptions::default())).unwrap();
    put("blobs/units", &document);
    let about = oci(json!({ "layers": [part(&document)], "subject": part(&image) }));
    put(&format!("manifests/units-{}", &digest(&image)["sha256:".len()..][..20]), &about);

    let first = suggest(&shop, &project, &["--format", "json"]).json(0);
    assert_eq!(first["layers"][0]["bytes"], 4321, "{first:#}");
    let asked = server.asked();
    assert!(!asked.is_empty());
    assert_eq!(suggest(&shop, &project, &["--format", "json"]).json(0), first);
    let by_lock = suggest(&shop, &project, &["--lock-only", "--format", "json"]).json(0);
    assert_eq!(by_lock["layers"][0]["bytes"], 4321);
    assert_eq!(server.asked(), asked, "all is known by now");
    // A layer that has no image yet is asked for each time: somebody may have built it.
    add_layer(&shop, "planned", &project);
    suggest(&shop, &project, &[]).any_stderr().answer(0);
    let more = server.asked().split_off(asked.len());
    assert!(!more.is_empty() && more.iter().all(|request| request.contains("/planned/")), "{more:?}");
}

#[test]
fn obstacles_are_said_of_every_layer_by_the_lock_too() {
    let Some(setting) = Setting::new() else { return };
    let project = setting.project("app", &[("itoa", "")], "");
    for layer in ["a", "b", "c", "d", "e"] {
        setting.cooked_with(layer, &project, |manifest| {
            manifest.environment.rustflags = vec!["-Ctarget-cpu=native".to_owned()];
        });
    }
    let json = setting.suggest(&project, &["--lock-only", "--format", "json"]).any_stderr().json(9);
    let obstacle = &json["obstacles"][0];
    assert_eq!(
        (&obstacle["code"], &obstacle["layers"]),
        (&"other-rustflags".into(), &json!(["a", "b", "c", "d", "e"]))
    );
}

#[test]
fn a_linker_that_both_have_is_in_the_way_of_neither() {
    let Some(setting) = Setting::new() else { return };
    let project = setting.project("app", &[("itoa", "")], "");
    let config = "[target.x86_64-unknown-linux-gnu]\nlinker = \"clang\"\nrustflags = [\"-Clink-arg=-s\"]\n";
    fs::create_dir_all(project.join(".cargo")).unwrap();
    fs::write(project.join(".cargo/config.toml"), config).unwrap();
    setting.cooked_with("web", &project, |manifest| {
        let linker = "target.x86_64-unknown-linux-gnu.linker".to_owned();
        manifest.environment.config.insert(linker, "clang".to_owned());
        manifest.environment.rustflags = vec!["-Clink-arg=-s".to_owned()];
    });
    for args in [&["--format", "json"][..], &["--lock-only", "--format", "json"]] {
        let json = setting.suggest(&project, args).any_stderr().json(0);
        assert_eq!(json["obstacles"], json!([]), "{args:?}");
    }
    // Which conditional tables hold, the files alone don't say: a bound takes them for the layer's.
    let config = "[target.'cfg(unix)']\nlinker = \"mold\"\n";
    fs::write(project.join(".cargo/config.toml"), config).unwrap();
    let json = setting.suggest(&project, &["--format", "json"]).any_stderr().json(9);
    assert!(json["obstacles"].as_array().unwrap().iter().any(|it| it["code"] == "other-linker"), "{json:#}");
    setting.suggest(&project, &["--lock-only"]).any_stderr().answer(0);
}

#[test]
fn configuration_above_the_project_counts_on_this_machine_and_in_no_container() {
    let Some(setting) = Setting::new() else { return };
    let project = setting.project("app", &[("itoa", "")], "");
    setting.cooked("web", &project);
    let above = setting.shop.outside().join(".cargo");
    fs::create_dir_all(&above).unwrap();
    fs::write(above.join("config.toml"), "[build]\nrustflags = [\"-Ctarget-cpu=native\"]\n").unwrap();
    let json = setting.suggest(&project, &["--format", "json"]).json(0);
    assert_eq!((&json["obstacles"], &json["layers"][0]["reused"]), (&json!([]), &json["project"]["needed"]));
    let json = setting.suggest(&project, &["--here", "--format", "json"]).json(9);
    let codes: Vec<&str> =
        json["obstacles"].as_array().unwrap().iter().map(|obstacle| obstacle["code"].as_str().unwrap()).collect();
    assert!(codes.contains(&"other-rustflags"), "{codes:?}");
    // What cargo plans by all the same is said.
    fs::write(above.join("config.toml"), "[profile.release]\nlto = true\n").unwrap();
    let run = setting.suggest(&project, &["--format", "names"]);
    run.stderr(
        "[OUTSIDE]/.cargo/config.toml sets `profile`: cargo plans by it on this machine, and would not in a container of \
         a layer\n",
    )
    .code(9);
}

#[test]
fn a_variable_that_a_build_script_watches_costs_what_depends_on_it() {
    let Some(setting) = Setting::new() else { return };
    let project = setting.project("app", &[("libc", ""), ("itoa", "")], "");
    let whole = setting.cooked_with("web", &project, |manifest| {
        manifest.environment.variables.insert("WATCHED".to_owned(), None);
        for unit in &mut manifest.cooks[0].graph.units {
            if let (lamina::unit::Kind::BuildScriptRun, Some(output)) = (unit.kind, &mut unit.output) {
                output.watches = vec!["WATCHED".to_owned()];
            }
        }
    });
    let saved = |args: &[&str]| setting.suggest(&project, args).json(0)["layers"][0]["saved_ms"].as_u64().unwrap();
    let all = saved(&["--format", "json"]);
    assert_eq!(all, 1000 * crate::suggest::units(&whole));
    fs::create_dir_all(project.join(".cargo")).unwrap();
    fs::write(project.join(".cargo/config.toml"), "[env]\nWATCHED = \"1\"\n").unwrap();
    assert_eq!(saved(&["--format", "json"]), all - 2000, "the run of libc's build script, and libc");
    assert_eq!(saved(&["--lock-only", "--format", "json"]), all, "a bound");
}

#[test]
fn the_same_is_said_of_a_project_whoever_is_asked() {
    let shop = Workshop::new();
    shop.layer("base", RUST);
    let folder = shop.outside().join("app");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("Cargo.toml"), "[package]\nname = \"app\"\nversion = \"0.1.0\"\n").unwrap();
    let path = folder.to_str().unwrap();
    let error = "error: the project [OUTSIDE]/app can't be used: there is no Cargo.lock in [OUTSIDE]/app; \
                 `cargo generate-lockfile` writes one\n";
    for command in ["suggest", "warm"] {
        shop.run([command, "--project", path]).stderr(error).code(1);
    }
    fs::remove_file(folder.join("Cargo.toml")).unwrap();
    let error = "error: the project [OUTSIDE]/app can't be used: there is no Cargo.toml in [OUTSIDE]/app or above it\n\
                 hint: name a folder with a Cargo.toml\n";
    for command in ["suggest", "warm"] {
        shop.run([command, "--project", path]).stderr(error).code(2);
    }
}

/// A proposal of a sort, of which there is one.
fn proposal<'a>(json: &'a serde_json::Value, action: &str) -> &'a serde_json::Value {
    let all = json["proposals"].as_array().unwrap();
    let found: Vec<_> = all.iter().filter(|proposal| proposal["action"] == action).collect();
    assert_eq!(found.len(), 1, "{action}: {json:#}");
    found[0]
}

#[test]
fn what_to_do_next_is_said_with_what_it_saves() {
    let Some(setting) = Setting::new() else { return };
    let both = setting.project("both", &[("itoa", ""), ("memchr", "")], "");
    let one = setting.project("one", &[("memchr", "")], "");
    let itoa = setting.project("itoa", &[("itoa", "")], "");
    setting.cooked("part", &itoa);
    // memchr of another version: nothing of it fits, and what it cost is known.
    setting.cooked_with("old", &one, |manifest| {
        let packages = &mut manifest.cooks[0].graph.packages;
        packages.iter_mut().filter(|package| package.name == "memchr").for_each(|it| it.version = "2.0.0".to_owned());
    });
    let one = one.to_str().unwrap();
    let args = ["--weight", "5", "--project", one, "--weight", "2", "--propose", "--format", "json"];
    let json = setting.suggest(&both, &args).json(0);
    // memchr is missing from both: a layer of either has it for the other, too.
    let adds: Vec<_> =
        json["proposals"].as_array().unwrap().iter().filter(|proposal| proposal["action"] == "add").collect();
    let figures: Vec<_> = adds.iter().map(|add| (&add["project"], &add["also"], &add["saved_ms_a_day"])).collect();
    assert_eq!(
        figures,
        [(&json!("both"), &json!(["one"]), &json!(7000)), (&json!("one"), &json!(["both"]), &json!(7000))]
    );
    assert!(adds.iter().all(|add| add["bytes"] == 10_000), "one unit like those that there are: {json:#}");
    // `old` once more with today's memchr spares both the same.
    let recook = proposal(&json, "recook");
    assert_eq!((&recook["layer"], &recook["saved_ms_a_day"]), (&json!("old"), &json!(7000)));
}

#[test]
fn a_layer_of_which_little_is_used_is_to_be_split() {
    let Some(setting) = Setting::new() else { return };
    let crates = [("itoa", ""), ("memchr", ""), ("ryu", ""), ("fnv", ""), ("hex", "")];
    let known = crates.iter().filter(|(name, _)| in_own_lock(name)).copied().collect::<Vec<_>>();
    assert!(known.len() >= 4, "lamina's own lock has enough small crates: {known:?}");
    let many = setting.project("many", &known, "");
    let manifest = setting.cooked_with("large", &many, |manifest| {
        for output in manifest.cooks[0].graph.units.iter_mut().filter_map(|unit| unit.output.as_mut()) {
            output.bytes = 30_000_000;
        }
    });
    let few = setting.project("few", &[("itoa", "")], "");
    let json = setting.suggest(&few, &["--propose", "--format", "json"]).json(0);
    let split = proposal(&json, "split");
    let unused = (crate::suggest::units(&manifest) - 1) * 30_000_000;
    assert_eq!((&split["layer"], &split["bytes"]), (&json!("large"), &json!(unused)));
}

/// Whether lamina's own lock has a crate.
fn in_own_lock(name: &str) -> bool {
    let lock = fs::read_to_string(crate::workshop::manifest_folder().join("Cargo.lock")).unwrap();
    lock.contains(&format!("name = \"{name}\"\n"))
}

#[test]
fn a_project_with_a_package_elsewhere_is_not_aligned_in_a_copy_and_its_layer_says_what_it_lacks() {
    let Some(setting) = Setting::new() else { return };
    setting.shop.layer_with("rust", RUST, "tools_provided = [{ name = \"cargo-chef\", probe = [\"cargo-chef\"] }],");
    let lib = setting.shop.outside().join("lib");
    fs::create_dir_all(lib.join("src")).unwrap();
    fs::write(lib.join("src/lib.rs"), "").unwrap();
    let manifest =
        "[package]\nname = \"lib\"\nversion = \"0.1.0\"\nedition = \"2021\"\n[dependencies]\nmemchr = \"*\"\n";
    fs::write(lib.join("Cargo.toml"), manifest).unwrap();
    let project = setting.project("app", &[("itoa", "")], "");
    let manifest = fs::read_to_string(project.join("Cargo.toml")).unwrap() + "lib = { path = \"../lib\" }\n";
    fs::write(project.join("Cargo.toml"), manifest).unwrap();
    crate::suggest::update(&project);
    setting.cooked("web", &setting.project("web", &[("itoa", "")], ""));
    // What is outside is planned by cargo as all else.
    setting.suggest(&project, &[]).any_stderr().answer(0);
    setting
        .suggest(&project, &["--align"])
        .stderr(
            "error: the project [OUTSIDE]/app can't be used: [OUTSIDE]/lib lies outside of its workspace, and a copy of \
             it would lack that package; move it below [OUTSIDE]/app\n",
        )
        .code(1);
    let path = project.to_str().unwrap();
    let variables = crate::suggest::cargo_variables();
    let env: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let run = setting.shop.run_with(&["new", "app-deps", "--from-project", path], "", b"", &env);
    run.stderr("[OUTSIDE]/lib lies outside of the workspace: what it alone depends on is left out\n").any_code();
    let written = setting.shop.read("layers/app-deps/Cargo.toml");
    assert!(written.contains("itoa = ") && !written.contains("memchr"), "{written}");
}

#[test]
fn snippets_for_ci_follow_the_schemas() {
    let (Some(setting), Some(program)) = (Setting::new(), check_jsonschema()) else { return };
    let project = setting.project("app", &[("itoa", ""), ("memchr", "")], "");
    for (layer, half) in [("left", "itoa"), ("right", "memchr")] {
        setting.cooked(layer, &setting.project(half, &[(half, "")], ""));
    }
    for (kind, schema, head) in
        [("github", "vendor.github-workflows", "on: push\n"), ("gitlab", "vendor.gitlab-ci", "")]
    {
        let snippet = setting.suggest(&project, &["--snippet", kind]).answer(0);
        let file = setting.shop.outside().join(format!("{kind}.yml"));
        fs::write(&file, head.to_owned() + &snippet).unwrap();
        assert_eq!(complaints(&program, schema, &[file]), "", "{snippet}");
    }
}
