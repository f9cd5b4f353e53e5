//! `lamina warm` in a Dockerfile, as docs/warm.md shows it: what a layer has published is not compiled again.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::kitchen::Kitchen;

/// The lines of docs/warm.md below FROM, with what they say kept in files.
fn documented() -> String {
    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/warm.md")).unwrap();
    let block = text.split("```dockerfile\n").nth(1).unwrap().split("```").next().unwrap();
    let block = block.split_once('\n').unwrap().1;
    let (warm, build) = ("lamina warm --project .", "cargo build --release --locked");
    assert!(block.contains(warm) && block.contains(build), "{block}");
    block
        .replace(warm, &format!("{warm} --strict --format json >/warm.json"))
        .replace(build, &format!("{build} --message-format json >/built.json"))
}

#[test]
fn a_build_in_a_dockerfile_compiles_what_warm_reports_as_missing() {
    let Some(kitchen) = Kitchen::new("a_build_in_a_dockerfile_compiles_what_warm_reports_as_missing") else { return };
    let shop = &kitchen.shop;
    let has = [("miniz_oxide", "=0.8.9"), ("libc", "=0.2.178"), ("itoa", "=1.0.17")];
    kitchen.crates(&has).cook(&[]);
    let ran = shop.run(&["warm", "--publish", "web", "--actor", "ci"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");

    // One crate in another version, and one that nobody has.
    let project = shop.beside("project");
    let wants = [("miniz_oxide", "=0.8.9"), ("libc", "=0.2.178"), ("itoa", "=1.0.18"), ("cfg-if", "=1.0.4")];
    kitchen.project(&project, &wants);
    fs::create_dir(shop.beside("program")).unwrap();
    fs::copy(env!("CARGO_BIN_EXE_lamina"), shop.beside("program/lamina")).unwrap();
    fs::write(shop.beside("config.json"), "{}").unwrap();
    let dockerfile = format!(
        "FROM {}/library/rust:1.97.1-slim-trixie AS build\n{}\n\
         FROM scratch\nCOPY --from=build /warm.json /built.json /\n",
        shop.registry,
        documented()
    );
    fs::write(shop.beside("Dockerfile"), dockerfile).unwrap();
    let mut docker = Command::new("docker");
    docker.args(["buildx", "build", "--quiet", "--network", "host", "--allow", "network.host", "--file"]);
    docker.arg(shop.beside("Dockerfile")).arg(format!("--build-context=catalog={}", shop.root().display()));
    docker.arg(format!("--build-context=program={}", shop.beside("program").display()));
    docker.arg(format!("--secret=id=docker,src={}", shop.beside("config.json").display()));
    docker.arg(format!("--output=type=local,dest={}", shop.beside("out").display())).arg(&project);
    let output = docker.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let read = |name: &str| fs::read_to_string(shop.beside("out").join(name)).unwrap();
    let warm: Value = serde_json::from_str(&read("warm.json")).unwrap();
    let crates = |state: &str| -> BTreeSet<String> {
        let all = warm["crates"].as_array().unwrap().iter().filter(|unit| unit["state"] == state);
        all.map(|unit| unit["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(crates("placed"), ["adler2", "libc", "miniz_oxide"].map(str::to_owned).into(), "{warm:#}");
    assert_eq!(crates("missed"), ["cfg-if", "itoa"].map(str::to_owned).into(), "{warm:#}");
    let told = read("built.json");
    let told = told.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let compiled = told.filter(|message| message["reason"] == "compiler-artifact" && message["fresh"] == false);
    let compiled: BTreeSet<String> =
        compiled.map(|artifact| artifact["target"]["name"].as_str().unwrap().replace('_', "-")).collect();
    assert_eq!(compiled, ["cfg-if", "itoa", "set"].map(str::to_owned).into());
}
