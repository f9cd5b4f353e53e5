//! `lamina suggest`: real projects, cargo's own plan of them, and manifests in a real registry.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use lamina::cargo::{BuildOptions, Project};
use lamina::unit::{Cook, Environment, Manifest, Output};

use crate::built::{push, shop_in};
use crate::registry::Namespace;
use crate::workshop::{RUST, Run, Workshop, manifest_folder};

/// A catalog with cooked layers, and a project outside of it. The crates are those that lamina itself is made of, so
/// they are on every machine that runs this.
pub struct Setting {
    pub namespace: Namespace,
    pub shop: Workshop,
}

/// The crates of a project, each with more fields of its requirement.
pub type Crates<'a> = &'a [(&'a str, &'a str)];

impl Setting {
    pub fn new() -> Option<Self> {
        let namespace = Namespace::new()?;
        let shop = shop_in(&namespace);
        Some(Self { namespace, shop })
    }

    /// Writes a project that depends on these crates, with the versions of lamina's own lock.
    pub fn project(&self, name: &str, crates: Crates<'_>, more: &str) -> PathBuf {
        let folder = self.shop.outside().join(name);
        write_project(&folder, name, crates, more);
        folder
    }

    /// Adds a layer that was cooked from a project, in an environment like that of this machine.
    pub fn cooked(&self, layer: &str, project: &Path) -> Manifest {
        self.cooked_with(layer, project, |_| ())
    }

    /// As [`Setting::cooked`], with a manifest that was changed.
    pub fn cooked_with(&self, layer: &str, project: &Path, change: impl Fn(&mut Manifest)) -> Manifest {
        add_layer(&self.shop, layer, project);
        let mut manifest = manifest(layer, project, &BuildOptions::default());
        change(&mut manifest);
        let image = push(&self.namespace, &self.shop, layer);
        let tag = format!("units-{}", &image["sha256:".len()..][..20]);
        let document = serde_json::to_vec(&manifest).unwrap();
        self.namespace.push_document(layer, &tag, Manifest::MEDIA_TYPE, &image, &document);
        manifest
    }

    pub fn suggest(&self, project: &Path, args: &[&str]) -> Run {
        suggest(&self.shop, project, args)
    }
}

/// Adds a layer that has no image.
pub fn add_layer(shop: &Workshop, layer: &str, project: &Path) {
    shop.layer_with(layer, RUST, "class = 'source-dep,\ncooked = {},");
    for file in ["Cargo.toml", "Cargo.lock"] {
        shop.file(&format!("layers/{layer}/{file}"), &fs::read_to_string(project.join(file)).unwrap());
    }
}

pub fn suggest(shop: &Workshop, project: &Path, args: &[&str]) -> Run {
    let project = project.to_str().unwrap();
    let args = [&["suggest", "--project", project, "--cores", "2"], args].concat();
    let env = cargo_variables();
    let env: Vec<(&str, &str)> = env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    shop.run_with(&args, "", b"", &env)
}

/// Where this machine's cargo has its crates and toolchains.
pub fn cargo_variables() -> BTreeMap<String, String> {
    let home = std::env::var("HOME").unwrap_or_default();
    let or = |name: &str, folder: &str| std::env::var(name).unwrap_or_else(|_| format!("{home}/{folder}"));
    [("CARGO_HOME", or("CARGO_HOME", ".cargo")), ("RUSTUP_HOME", or("RUSTUP_HOME", ".rustup"))]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
}

pub fn write_project(folder: &Path, name: &str, crates: Crates<'_>, more: &str) {
    fs::create_dir_all(folder.join("src")).unwrap();
    fs::write(folder.join("src/main.rs"), "fn main() {}\n").unwrap();
    let dependency = |(name, fields): &(&str, &str)| format!("{name} = {{ version = \"*\"{fields} }}\n");
    let dependencies: String = crates.iter().map(dependency).collect();
    let manifest = format!(
        "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2021\"\n{more}\n[dependencies]\n{dependencies}"
    );
    fs::write(folder.join("Cargo.toml"), manifest).unwrap();
    // lamina's own lock says which versions; cargo takes out what is not needed.
    fs::copy(manifest_folder().join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
    update(folder);
}

/// Brings a project's lock up to date with its manifest.
pub fn update(folder: &Path) {
    open(folder).update(&["--workspace", "--offline"]).unwrap();
}

fn open(folder: &Path) -> Project {
    let mut variables: BTreeMap<OsString, OsString> =
        cargo_variables().into_iter().map(|(name, value)| (name.into(), value.into())).collect();
    variables.extend(["PATH", "HOME"].map(|name| (name.into(), std::env::var_os(name).unwrap_or_default())));
    Project::open_in(folder, variables).unwrap()
}

/// The manifest of a layer as `cargo build` would have filled it: each unit took a second.
pub fn manifest(layer: &str, project: &Path, options: &BuildOptions) -> Manifest {
    let mut graph = open(project).unit_graph(options).unwrap();
    let shareable = graph.shareable();
    for (place, unit) in graph.units.iter_mut().enumerate() {
        let output = Output {
            folder: format!("{}-{place:016x}", unit.target),
            cpu_ms: Some(1000),
            bytes: 10_000,
            sha256: None,
            watches: Vec::new(),
        };
        unit.output = shareable[place].then_some(output);
    }
    let environment = Environment {
        rustc: "rustc 1.97.1 (abc 2026-07-10)\nbinary: rustc\nhost: x86_64-unknown-linux-gnu\nrelease: 1.97.1"
            .to_owned(),
        cargo: "cargo 1.97.1".to_owned(),
        cargo_home: "/usr/local/cargo".to_owned(),
        ..Environment::default()
    };
    let cook = Cook {
        profile: options.profile.clone(),
        settings: BTreeMap::new(),
        target_dir: "/cooked/target".to_owned(),
        arguments: Vec::new(),
        graph,
    };
    Manifest { version: Manifest::VERSION, layer: layer.to_owned(), environment, cooks: vec![cook] }
}

/// How many units of a manifest others can have.
pub fn units(manifest: &Manifest) -> u64 {
    manifest.cooks.iter().flat_map(|cook| &cook.graph.units).filter(|unit| unit.output.is_some()).count() as u64
}

#[test]
fn a_layer_of_the_same_lock_saves_all_and_one_with_other_features_less() {
    let Some(setting) = Setting::new() else { return };
    let project = setting.project("app", &[("itoa", ""), ("memchr", "")], "");
    let whole = setting.cooked("whole", &project);
    let other = setting.project("other", &[("itoa", ""), ("memchr", ", default-features = false")], "");
    setting.cooked("part", &other);
    let json = setting.suggest(&project, &["--format", "json"]).json(0);
    assert_eq!(json["project"]["basis"], "exact");
    assert_eq!(json["project"]["needed"], units(&whole));
    assert_eq!(json["project"]["cpu_ms"], units(&whole) * 1000);
    let layers = json["layers"].as_array().unwrap();
    let figures: Vec<_> = layers.iter().map(|layer| (&layer["layer"], &layer["reused"], &layer["share"])).collect();
    assert_eq!(figures[0], (&"whole".into(), &units(&whole).into(), &1.0.into()));
    assert_eq!(figures[1].0, "part");
    assert_eq!(figures[1].1, 1, "memchr without its features is another unit: {json:#}");
    assert_eq!(json["obstacles"], serde_json::json!([]));
    assert_eq!(json["set"]["base"], "whole");
    assert_eq!(json["set"]["donors"], serde_json::json!([]), "the other one adds nothing");
    // By the lock alone they look the same.
    let json = setting.suggest(&project, &["--lock-only", "--format", "json"]).any_stderr().json(0);
    assert_eq!(json["project"]["basis"], "upper-bound");
    let layers = json["layers"].as_array().unwrap();
    assert!(layers.iter().all(|layer| layer["reused"] == json["project"]["needed"]), "{json:#}");
    assert!(layers[1]["saved_ms"].as_u64() >= Some(1000));
    // The text says which is which.
    let text = setting.suggest(&project, &[]).answer(0);
    assert!(text.contains("whole  2.0 s (100 %)  2 of 2 units"), "{text}");
    let text = setting.suggest(&project, &["--lock-only"]).answer(0);
    assert!(text.contains("so every saving is an upper bound") && text.contains("≤ 100 %"), "{text}");
    assert_eq!(setting.suggest(&project, &["--format", "names"]).answer(0), "whole\npart\n");
}

#[test]
fn what_makes_reuse_impossible_comes_first_with_its_fix() {
    let Some(setting) = Setting::new() else { return };
    let plain = setting.project("plain", &[("itoa", ""), ("memchr", "")], "");
    setting.cooked("web", &plain);
    let own = setting.project("own", &[("itoa", ""), ("memchr", "")], "[profile.release]\nlto = \"thin\"\n");
    let run = setting.suggest(&own, &["--format", "json"]);
    let json = run.json(9);
    let obstacle = &json["obstacles"][0];
    assert_eq!((&obstacle["code"], &obstacle["layers"]), (&"other-profile".into(), &serde_json::json!(["web"])));
    assert!(obstacle["text"].as_str().unwrap().contains("lto"), "{obstacle:#}");
    assert_eq!(json["layers"], serde_json::json!([]));
    let text = setting.suggest(&own, &[]).answer(9);
    assert!(text.lines().nth(2).unwrap().starts_with("other-profile: "), "{text}");
    // A flag of the project's own counts; one of this machine does not reach a container.
    fs::create_dir_all(plain.join(".cargo")).unwrap();
    fs::write(plain.join(".cargo/config.toml"), "[build]\nrustflags = [\"-Ctarget-cpu=native\"]\n").unwrap();
    let json = setting.suggest(&plain, &["--format", "json"]).json(9);
    assert_eq!(json["obstacles"][0]["code"], "other-rustflags");
    fs::remove_file(plain.join(".cargo/config.toml")).unwrap();
    assert_eq!(setting.suggest(&plain, &["--format", "json"]).json(0)["obstacles"], serde_json::json!([]));
    // On this machine rustc and CARGO_HOME are others.
    let json = setting.suggest(&plain, &["--here", "--format", "json"]).json(9);
    let codes: Vec<&str> =
        json["obstacles"].as_array().unwrap().iter().map(|obstacle| obstacle["code"].as_str().unwrap()).collect();
    assert!(codes.contains(&"other-toolchain") && codes.contains(&"other-cargo-home"), "{codes:?}");
}

#[test]
fn nothing_is_written_into_a_project_and_little_is_left_out_by_a_bound() {
    let Some(setting) = Setting::new() else { return };
    let project = setting.project("app", &[("itoa", "")], "");
    setting.cooked("web", &project);
    let listed = |folder: &Path| {
        let mut all: Vec<PathBuf> = Vec::new();
        let mut folders = vec![folder.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                folders.extend(path.is_dir().then(|| path.clone()));
                all.push(path);
            }
        }
        all.sort();
        all
    };
    let before = listed(&project);
    setting.suggest(&project, &[]).any_stderr().answer(0);
    assert_eq!(listed(&project), before);
    for (least, code) in [("1", 0), ("100%", 0), ("2", 9)] {
        assert_eq!(setting.suggest(&project, &["--min-saving", least]).exit_code(), Some(code), "{least}");
    }
    setting.suggest(&project, &["--min-saving", "much"]).any_stderr().code(2);
}

#[test]
fn a_layer_without_an_image_is_an_upper_bound_by_its_lock() {
    let Some(setting) = Setting::new() else { return };
    let project = setting.project("app", &[("itoa", ""), ("memchr", "")], "");
    add_layer(&setting.shop, "planned", &project);
    let json = setting.suggest(&project, &["--format", "json"]).json(0);
    assert_eq!(json["layers"][0]["basis"], "not-cooked");
    assert_eq!(json["layers"][0]["reused"], 2);
    assert_eq!(json["set"], serde_json::Value::Null, "nobody can build in it");
    let text = setting.suggest(&project, &[]).answer(0);
    assert!(text.contains("not cooked yet: upper bound"), "{text}");
}

#[test]
fn two_layers_that_have_one_half_each_make_a_set_and_a_snippet() {
    let Some(setting) = Setting::new() else { return };
    let project = setting.project("app", &[("itoa", ""), ("memchr", "")], "");
    for (layer, half) in [("left", "itoa"), ("right", "memchr")] {
        let half = setting.project(half, &[(half, "")], "");
        setting.cooked(layer, &half);
    }
    let json = setting.suggest(&project, &["--format", "json"]).json(0);
    assert_eq!((&json["set"]["base"], &json["set"]["donors"]), (&"left".into(), &serde_json::json!(["right"])));
    assert_eq!(json["set"]["saved_ms"], 2000);
    let snippet = setting.suggest(&project, &["--snippet", "dockerfile"]).answer(0);
    let lines: Vec<&str> = snippet.lines().collect();
    assert!(lines[0].contains("/right@sha256:") && lines[0].ends_with(" AS right"), "{snippet}");
    assert!(lines[1].contains("/left@sha256:") && lines[1].ends_with(" AS build"), "{snippet}");
    assert_eq!(lines[2], "COPY --from=right /cooked/target /cooked/target");
    assert!(lines[4].contains("--reference"), "{snippet}");
    assert!(snippet.contains("ENV CARGO_TARGET_DIR=/cooked/target\nRUN cargo build --release --locked\n"), "{snippet}");
    for kind in ["buildx", "github", "gitlab"] {
        let snippet = setting.suggest(&project, &["--snippet", kind]).answer(0);
        assert!(snippet.contains("/left@sha256:") && snippet.contains("cargo build --release --locked"), "{snippet}");
    }
}

#[test]
fn programs_and_libraries_are_found_by_what_layers_declare() {
    let Some(setting) = Setting::new() else { return };
    let shop = &setting.shop;
    shop.layer_with("scripts", RUST, "tools_provided = [{ name = \"nu\", probe = [\"nu\", \"--version\"] }],");
    let project = setting.project("app", &[("itoa", "")], "");
    assert_eq!(setting.suggest(&project, &[]).answer(9).lines().last(), Some("nothing to suggest"));
    fs::create_dir_all(project.join("ci")).unwrap();
    fs::write(project.join("ci/run.nu"), "").unwrap();
    let json = setting.suggest(&project, &["--format", "json"]).json(0);
    assert_eq!(json["tools"][0]["tool"], "nu");
    assert_eq!(json["tools"][0]["layers"], serde_json::json!(["scripts"]));
    assert_eq!(json["set"]["base"], "scripts");
}

#[test]
fn a_fleet_is_ranked_by_what_is_saved_a_day() {
    let Some(setting) = Setting::new() else { return };
    let often = setting.project("often", &[("itoa", "")], "");
    let seldom = setting.project("seldom", &[("memchr", "")], "");
    setting.cooked("a", &seldom);
    setting.cooked("b", &often);
    let seldom = seldom.to_str().unwrap();
    let args = ["--weight", "20", "--project", seldom, "--weight", "3", "--propose", "--format", "json"];
    let json = setting.suggest(&often, &args).json(0);
    let layers: Vec<_> =
        json["layers"].as_array().unwrap().iter().map(|layer| (&layer["layer"], &layer["saved_ms_a_day"])).collect();
    assert_eq!(layers, [(&"b".into(), &20_000.into()), (&"a".into(), &3_000.into())]);
    assert_eq!(json["cpu_ms_a_day"], 23_000);
    setting.suggest(&often, &["--project", seldom, "--weight", "1"]).any_stderr().code(2);
}

#[test]
fn one_layer_of_several_is_considered_alone() {
    let Some(setting) = Setting::new() else { return };
    let project = setting.project("app", &[("itoa", ""), ("memchr", "")], "");
    setting.cooked("whole", &project);
    let half = setting.project("half", &[("itoa", "")], "");
    setting.cooked("part", &half);
    let json = setting.suggest(&project, &["--layer", "part", "--format", "json"]).json(0);
    let names: Vec<_> = json["layers"].as_array().unwrap().iter().map(|layer| &layer["layer"]).collect();
    assert_eq!((names, &json["set"]["base"]), (vec![&"part".into()], &"part".into()));
    let both = ["--layer", "part", "--layer", "whole", "--format", "names"];
    assert_eq!(setting.suggest(&project, &both).answer(0), "whole\npart\n");
    // Of several projects as well.
    let project = project.to_str().unwrap();
    let json = setting.suggest(&half, &["--project", project, "--layer", "part", "--format", "json"]).json(0);
    assert_eq!(json["layers"].as_array().unwrap().len(), 1, "{json:#}");
}

#[test]
fn what_cargo_can_not_be_asked_about_is_said_before_anything_is_built() {
    let shop = Workshop::new();
    shop.layer("base", RUST);
    let project = shop.outside().join("app");
    write_project(&project, "app", &[("itoa", "")], "");
    let folder = project.to_str().unwrap();
    let verify = |args: &[&str], env: &[(&str, &str)]| {
        shop.run_with(&[&["suggest", "--project", folder, "--verify"], args].concat(), "", b"", env)
    };
    for other in ["--lock-only", "--here", "--propose", "--align", "--snippet=buildx", "--weight=2"] {
        let name = other.split('=').next().unwrap();
        let said = verify(&[other], &[]).snapshot();
        let conflict = said.contains("cannot be used with '") && said.contains("'--verify'") && said.contains(name);
        assert!(conflict && said.starts_with("exit code: 2\n"), "{said}");
    }
    verify(&["--project", folder], &[]).stderr("error: --verify is about one project\nsee `lamina --help`\n").code(2);
    let unknown = "error: there is no layer `bas`\nhint: did you mean `base`?\n";
    verify(&["--layer", "bas"], &[]).stderr(unknown).code(2);
    // Neither client is on this PATH.
    let nowhere = [("PATH", folder), ("LAMINA_CLIENT", "buildctl")];
    let said = verify(&["--layer", "base"], &nowhere).any_stderr();
    assert_eq!(said.exit_code(), Some(8));
    // A package that lies beside the workspace stays there.
    write_project(&shop.outside().join("beside"), "beside", &[], "");
    fs::write(shop.outside().join("beside/src/lib.rs"), "").unwrap();
    let manifest = fs::read_to_string(project.join("Cargo.toml")).unwrap();
    fs::write(project.join("Cargo.toml"), manifest + "beside = { path = \"../beside\" }\n").unwrap();
    open(&project).update(&["--workspace", "--offline"]).unwrap();
    let outside = "error: app can't go into a container alone: it needs [OUTSIDE]/beside\n\
                   hint: packages in folders outside of the workspace are not copied\n";
    verify(&["--layer", "base"], &nowhere).stderr(outside).code(1);
}

#[test]
fn a_folder_without_a_project_is_a_wrong_command_line() {
    let shop = Workshop::new();
    shop.layer("base", RUST);
    let outside = shop.outside();
    let folder = outside.to_str().unwrap();
    shop.run(["suggest", "--project", folder])
        .stderr(
            "error: the project [OUTSIDE] can't be used: there is no Cargo.toml in [OUTSIDE] or above it\n\
             hint: name a folder with a Cargo.toml\n",
        )
        .code(2);
}

#[test]
fn a_new_layer_from_a_project_is_valid_and_saves_it_everything() {
    saves_everything("");
}

/// The resolver of 2018 turns on what tests alone ask for, also where none are built.
#[test]
fn features_that_tests_ask_for_are_cooked_where_the_project_has_them() {
    saves_everything(
        "resolver = \"1\"\n[dev-dependencies]\nproc-macro2 = { version = \"1\", features = [\"span-locations\"] }\n",
    );
}

fn saves_everything(more: &str) {
    let Some(setting) = Setting::new() else { return };
    let shop = &setting.shop;
    shop.layer_with("rust", RUST, "tools_provided = [{ name = \"cargo-chef\", probe = [\"cargo-chef\"] }],");
    let project = setting.project("app", &[("serde", ", features = [\"derive\"]"), ("memchr", "")], more);
    let path = project.to_str().unwrap().to_owned();
    let variables = cargo_variables();
    let env: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let written = shop.run_with(&["new", "app-deps", "--from-project", &path], "", b"", &env).answer(0);
    let files = [".dockerignore", "Cargo.lock", "Cargo.toml", "Dockerfile", "src/lib.rs", "workflow.ncl"];
    assert_eq!(written, files.map(|file| format!("layers/app-deps/{file}\n")).concat());
    shop.run(["validate"]).any_stderr().answer(0);
    // What is cooked from it is what the project needs.
    let manifest = manifest("app-deps", &shop.root().join("layers/app-deps"), &BuildOptions::default());
    let image = push(&setting.namespace, shop, "app-deps");
    let tag = format!("units-{}", &image["sha256:".len()..][..20]);
    let document = serde_json::to_vec(&manifest).unwrap();
    setting.namespace.push_document("app-deps", &tag, Manifest::MEDIA_TYPE, &image, &document);
    let json = setting.suggest(&project, &["--format", "json"]).json(0);
    assert_eq!(json["layers"][0]["layer"], "app-deps");
    assert_eq!(json["layers"][0]["reused"], json["project"]["needed"], "{json:#}");
    shop.run_with(&["new", "app-deps", "--from-project", &path], "", b"", &env)
        .stderr("error: there is a layer `app-deps` already\nhint: a layer's name is its folder's\n")
        .code(2);
}
