//! `lamina-cook`, which the catalog's rust layer brings, writes manifests that lamina reads: both make the same of
//! cargo's graph and of a project's surroundings.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use lamina::cargo::{BuildOptions, Project};
use lamina::unit::{Conditions, Manifest, obstacles, reuse};
use tempfile::TempDir;

/// The program, compiled by the cargo that compiled this test.
fn program() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let target = root.join("target/cook");
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--locked", "--manifest-path"])
        .arg(root.join("layers/rust/cook/Cargo.toml"))
        .arg("--target-dir")
        .arg(&target)
        .status()
        .expect("cargo runs");
    assert!(status.success(), "lamina-cook does not compile");
    target.join("debug/lamina-cook")
}

/// A project, with crates in a folder in place of crates.io.
fn project() -> TempDir {
    let folder = TempDir::new().expect("a folder");
    let write = |path: &str, text: &str| {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(path, text).expect("a file");
    };
    let script = "fn main() { println!(\"cargo::rerun-if-env-changed=LAMINA_TEST_WATCHED\"); leaf::leaf() }";
    for (name, more, files) in [
        ("leaf", "", &[("src/lib.rs", "pub fn leaf() {}")][..]),
        ("macros", "[lib]\nproc-macro = true\n[dependencies]\nleaf = \"1\"\n", &[("src/lib.rs", "")]),
        ("scripted", "[build-dependencies]\nleaf = \"1\"\n", &[("src/lib.rs", ""), ("build.rs", script)]),
    ] {
        let manifest = format!("[package]\nname = \"{name}\"\nversion = \"1.0.0\"\nedition = \"2021\"\n{more}");
        write(&format!("vendor/{name}/Cargo.toml"), &manifest);
        write(&format!("vendor/{name}/.cargo-checksum.json"), "{\"files\":{}}");
        files.iter().for_each(|(path, text)| write(&format!("vendor/{name}/{path}"), text));
    }
    write(
        ".cargo/config.toml",
        "[source.crates-io]\nreplace-with = \"vendor\"\n[source.vendor]\ndirectory = \"vendor\"\n",
    );
    let manifest = "[package]\nname = \"app\"\nversion = \"0.1.0\"\nedition = \"2021\"\n\
                    [dependencies]\nleaf = \"1\"\nmacros = \"1\"\nscripted = \"1\"\n[profile.release]\nlto = true\n";
    write("app/Cargo.toml", manifest);
    write("app/src/lib.rs", "");
    let lock = Command::new(env!("CARGO"))
        .args(["generate-lockfile", "--quiet", "--offline"])
        .current_dir(folder.path().join("app"))
        .status()
        .expect("cargo runs");
    assert!(lock.success());
    folder
}

#[test]
fn what_is_cooked_is_what_a_project_asks_for() {
    let folder = project();
    let app = folder.path().join("app");
    let manifest_path = folder.path().join("cooked/app.units.json");
    let output = Command::new(program())
        .args(["--layer", "app", "--profiles", "release release:lto=thin,panic=abort", "--target-dir"])
        .arg(folder.path().join("cooked/target"))
        .arg("--manifest")
        .arg(&manifest_path)
        .args(["--", "--offline"])
        .current_dir(&app)
        .env("CARGO", env!("CARGO"))
        .env_remove("CARGO_TARGET_DIR")
        .output()
        .expect("the program runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let manifest = Manifest::parse(&fs::read(&manifest_path).expect("a manifest")).expect("one that lamina reads");
    let project = Project::open(&app).expect("a project");
    let options = BuildOptions { offline: true, ..BuildOptions::default() };
    let graph = project.unit_graph(&options).expect("a graph");
    let mut cooked = manifest.cooks[0].graph.clone();
    assert!(cooked.units.iter().all(|unit| unit.output.is_some() == cooked.is_shareable(unit)));
    cooked.units.iter_mut().for_each(|unit| unit.output = None);
    assert_eq!(cooked, graph, "the two readings of cargo's graph differ");

    let watched: Vec<&str> = manifest.environment.variables.keys().map(String::as_str).collect();
    assert_eq!(watched, ["LAMINA_TEST_WATCHED"]);
    let environment = project.environment(None, watched).expect("surroundings");
    assert_eq!(environment, manifest.environment);
    assert_eq!(obstacles(&Conditions::of(&graph, environment), &manifest.conditions()), []);
    let units = manifest.cooks[0].graph.units.iter();
    let watching: Vec<&str> = units
        .filter(|unit| unit.output.as_ref().is_some_and(|output| output.watches == ["LAMINA_TEST_WATCHED"]))
        .map(|unit| manifest.cooks[0].graph.package(unit).name.as_str())
        .collect();
    assert_eq!(watching, ["scripted"], "the run of its build script, and nothing else");

    let found = reuse(&graph, &[&manifest]);
    assert_eq!(found.count(), graph.units.iter().filter(|unit| graph.is_shareable(unit)).count());
    let other = &manifest.cooks[1].graph;
    let only_release = Manifest { cooks: manifest.cooks[..1].to_vec(), ..manifest.clone() };
    assert_eq!(reuse(other, &[&only_release]).count(), 0, "another LTO is another unit, on the host too");
}
