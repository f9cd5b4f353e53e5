//! What `lamina suggest` predicts of real projects, and what cargo says in the container that it names.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::kitchen::Kitchen;
use crate::shop::Ran;

/// Two programs of crates.io, each with a profile of its own.
const PROJECTS: [(&str, &str); 2] = [("hyperfine", "1.20.0"), ("ripgrep", "15.2.0")];

/// Crates in the versions of these programs' locks: some as both need them, some as one of them does, some with other
/// features or above other versions than either.
const CRATES: [(&str, &str); 25] = [
    ("anyhow", "=1.0.100"),
    ("autocfg", "=1.5.0"),
    ("cfg-if", "=1.0.4"),
    ("colored", "=2.2.0"),
    ("itoa", "=1.0.15"),
    ("lazy_static", "=1.5.0"),
    ("lexopt", "=0.3.2"),
    ("libc", "{ version = \"=0.2.177\", features = [\"extra_traits\"] }"),
    ("log", "=0.4.33"),
    ("memchr", "=2.8.3"),
    ("num-traits", "=0.2.19"),
    ("pkg-config", "=0.3.33"),
    ("proc-macro2", "=1.0.103"),
    ("quote", "=1.0.42"),
    ("same-file", "=1.0.6"),
    ("serde", "{ version = \"=1.0.228\", features = [\"derive\"] }"),
    ("shell-words", "=1.1.0"),
    ("shlex", "=2.0.1"),
    ("strsim", "=0.11.1"),
    ("syn", "=2.0.110"),
    ("termcolor", "=1.4.1"),
    ("thiserror", "=2.0.17"),
    ("unicode-ident", "=1.0.22"),
    ("utf8parse", "=0.2.2"),
    ("walkdir", "=2.5.0"),
];

/// A catalog whose layer was cooked from these crates, plainly and with the profile of one of the programs.
fn kitchen(test: &str) -> Option<Kitchen> {
    let mut kitchen = Kitchen::new(test)?;
    let workflow = kitchen.shop.root().join("layers/web/workflow.ncl");
    let text = fs::read_to_string(&workflow).unwrap();
    let profiles = "cooked = { profiles = [\"release\", \"release:debug=1\"] }";
    fs::write(workflow, text.replace("cooked = {}", profiles)).unwrap();
    // cargo of this machine, where it is.
    let home = std::env::var("HOME").unwrap_or_default();
    for (name, folder) in [("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup")] {
        let place = std::env::var_os(name).unwrap_or_else(|| Path::new(&home).join(folder).into());
        kitchen.shop.env.insert(name.into(), place);
    }
    kitchen.crates(&CRATES);
    Some(kitchen)
}

/// A program as it was published, with its lock; without its profiles where it is to be plain.
fn project(kitchen: &Kitchen, name: &str, version: &str, plain: bool) -> PathBuf {
    let folder = kitchen.shop.beside(if plain { "plain" } else { "published" });
    fs::create_dir_all(&folder).unwrap();
    let url = format!("https://static.crates.io/crates/{name}/{name}-{version}.crate");
    let run = |program: &str, arguments: &[&str]| {
        let status = Command::new(program).args(arguments).current_dir(&folder).status().unwrap();
        assert!(status.success(), "{program} {arguments:?}");
    };
    run("curl", &["-sSfL", "--retry", "3", "-o", "archive", &url]);
    run("tar", &["xzf", "archive"]);
    let unpacked = folder.join(format!("{name}-{version}"));
    if plain {
        let manifest = unpacked.join("Cargo.toml");
        let mut table: toml::Table = fs::read_to_string(&manifest).unwrap().parse().unwrap();
        assert!(table.remove("profile").is_some(), "{name} has no profile of its own");
        fs::write(manifest, table.to_string()).unwrap();
    }
    unpacked
}

fn suggest(kitchen: &Kitchen, project: &Path, args: &[&str]) -> Ran {
    let fixed = ["suggest", "--project", project.to_str().unwrap(), "--layer", "web", "--format", "json"];
    kitchen.shop.run(&[&fixed[..], args].concat())
}

#[track_caller]
fn answer(ran: &Ran) -> Value {
    serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"))
}

fn number(value: &Value) -> usize {
    usize::try_from(value.as_u64().unwrap_or_else(|| panic!("{value} is no number"))).unwrap()
}

#[test]
fn cargo_takes_what_was_predicted_of_real_projects_and_nothing_else() {
    let test = "cargo_takes_what_was_predicted_of_real_projects_and_nothing_else";
    let Some(kitchen) = kitchen(test) else { return };
    let cooked = kitchen.cook(&[]);
    let mut fresh = Vec::new();
    for (name, version) in PROJECTS {
        for plain in [false, true] {
            let project = project(&kitchen, name, version, plain);
            let ran = suggest(&kitchen, &project, &["--verify"]);
            assert_eq!(ran.code, Some(0), "{name} plain {plain}: {ran:?}");
            let said = answer(&ran);
            assert_eq!((said["precision"].as_f64(), said["recall"].as_f64()), (Some(1.0), Some(1.0)), "{said:#}");
            assert!(said["base"]["image"].as_str().unwrap().ends_with(&cooked.digest), "{said:#}");
            let units = said["units"].as_array().unwrap();
            assert_eq!(number(&said["needed"]), units.len());
            let confirmed: Vec<&Value> = units.iter().filter(|unit| unit["confirmed"] == true).collect();
            assert_eq!(number(&said["confirmed"]), confirmed.len());
            println!("{name} plain {plain}: {} of {} units", confirmed.len(), units.len());
            fresh.push(confirmed.len());

            // By names and versions alone it is never less than the truth.
            let packages: BTreeSet<(&str, &str)> = confirmed
                .iter()
                .map(|unit| (unit["package"].as_str().unwrap(), unit["version"].as_str().unwrap()))
                .collect();
            let bound = answer(&suggest(&kitchen, &project, &["--lock-only"]));
            assert!(number(&bound["layers"][0]["reused"]) >= packages.len(), "{bound:#}");
            // The project is as it was published.
            assert!(!project.join("target").exists());
        }
    }
    let [hyperfine, plain_hyperfine, ripgrep, plain_ripgrep] = fresh[..] else { panic!("{fresh:?}") };
    // Of the one's own profile nothing was cooked.
    assert_eq!(hyperfine, 0);
    assert!([plain_hyperfine, ripgrep, plain_ripgrep].iter().all(|&units| units > 5), "{fresh:?}");

    // An image that is not what its manifest says: crates lie elsewhere there.
    let dockerfile = kitchen.shop.root().join("layers/web/Dockerfile");
    let moved = fs::read_to_string(&dockerfile).unwrap() + "ENV CARGO_HOME=/elsewhere\n";
    fs::write(dockerfile, moved).unwrap();
    kitchen.cook(&["--clean"]);
    let project = kitchen.shop.beside("plain/ripgrep-15.2.0");
    let ran = suggest(&kitchen, &project, &["--verify"]);
    let said = answer(&ran);
    assert_eq!((ran.code, &said["confirmed"], &said["both"]), (Some(7), &0.into(), &0.into()), "{said:#}");
    assert_eq!((number(&said["predicted"]), said["precision"].as_f64()), (plain_ripgrep, Some(0.0)));
    let wrong = |unit: &&Value| unit["predicted"] == true;
    let reasons: BTreeSet<&str> =
        said["units"].as_array().unwrap().iter().filter(wrong).filter_map(|unit| unit["reason"].as_str()).collect();
    assert!(reasons.iter().any(|reason| reason.starts_with("PathToSourceChanged")), "{reasons:?}");
}
