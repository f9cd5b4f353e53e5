//! Cargo asked by a script, as in a container: it must say what it says when it is asked directly.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use lamina::cargo::{BuildOptions, Elsewhere, Project, Verdict, oracle};

use crate::laboratory::{environment, open};
use crate::shelf::{Shelf, library, program, run};

const TOP: &str = "[dependencies]\ntop = '1'\n";

/// Takes a project to another folder and asks cargo there about a copy of a target folder.
fn ask(project: &Project, options: &BuildOptions, target: &Path, place: &Path) -> Output {
    let [skeleton, script, copy] = ["src", "it's a script", "target"].map(|name| place.join(name));
    Elsewhere::question(project, options, &skeleton, &script).unwrap();
    assert!(Command::new("cp").arg("-a").args([target, &copy]).status().unwrap().success());
    let mut command = Command::new(script.join(Elsewhere::SCRIPT));
    command.arg(place.join("answer")).current_dir(&skeleton).env_clear().envs(environment(&[]));
    command.env("CARGO_TARGET_DIR", copy).stdin(Stdio::null()).output().unwrap()
}

/// What cargo said of units, without the places that messages name.
fn said(verdicts: &[Verdict]) -> BTreeSet<(String, bool, bool)> {
    verdicts
        .iter()
        .map(|it| (format!("{}/{}/{}", it.area, it.folder, it.file), it.fresh, it.reason.is_some()))
        .collect()
}

#[test]
fn a_script_hears_what_cargo_says_directly_and_compiles_nothing() {
    let shelf = Shelf::new();
    let target = shelf.folder("cooked");
    let layer = shelf.project("layer", &library(TOP));
    let build = ["build", "--release", "--offline", "--target-dir", target.to_str().unwrap()];
    run(&layer, &build, &[]);
    let mixed = format!("{TOP}mixed = '1'\nleaf = '=1.0.0'\n");
    for (manifest, all) in [(TOP, true), (&mixed, false)] {
        let folder = shelf.project("project", &program(manifest));
        let project = open(&folder, &[]);
        let options = BuildOptions::default();
        let place = tempfile::tempdir().unwrap();
        let output = ask(&project, &options, &target, place.path());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let heard = Elsewhere::answer(&project, &place.path().join("answer")).unwrap();
        assert!(heard.cargo.starts_with("cargo 1."), "{}", heard.cargo);
        assert_eq!(heard.graph.keys(), project.unit_graph(&options).unwrap().keys());
        let copy = place.path().join("again");
        assert!(Command::new("cp").arg("-a").args([&target, &copy]).status().unwrap().success());
        assert_eq!(said(&heard.oracle.units), said(&oracle(&project, &options, &copy).unwrap().units));
        let verdicts = heard.oracle.by_unit(&heard.graph).unwrap();
        let shareable = heard.graph.shareable();
        let fresh = |place: usize| verdicts[place].is_some_and(|verdict| verdict.fresh);
        assert_eq!((0..shareable.len()).filter(|&place| shareable[place]).all(fresh), all);
        // No program came of it.
        assert!(!place.path().join("target/release/project").exists());
    }
}

#[test]
fn what_is_no_answer_is_none() {
    let shelf = Shelf::new();
    let folder = shelf.project("project", &program(TOP));
    let project = open(&folder, &[]);
    let place = tempfile::tempdir().unwrap();
    let target = shelf.folder("empty");
    fs::create_dir(&target).unwrap();
    assert!(ask(&project, &BuildOptions::default(), &target, place.path()).status.success());
    let answer = place.path().join("answer");
    Elsewhere::answer(&project, &answer).unwrap();
    for name in ["cargo", "target", "graph.json", "log"] {
        let (file, aside) = (answer.join(name), place.path().join("aside"));
        fs::rename(&file, &aside).unwrap();
        assert!(Elsewhere::answer(&project, &answer).is_err(), "{name} is missing");
        // A link out of the answer is not followed.
        symlink(&aside, &file).unwrap();
        assert!(Elsewhere::answer(&project, &answer).is_err(), "{name} is a link");
        fs::remove_file(&file).unwrap();
        fs::rename(&aside, &file).unwrap();
    }
    fs::write(answer.join("graph.json"), "{\"version\":1").unwrap();
    assert!(Elsewhere::answer(&project, &answer).is_err());

    // What cargo can't plan at all it says to people.
    let options = BuildOptions { packages: vec!["it's not there".to_owned()], ..BuildOptions::default() };
    let output = ask(&project, &options, &target, tempfile::tempdir().unwrap().path());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("it's not there"), "{said}");
}
