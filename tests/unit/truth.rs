//! A layer is cooked, a project is held against it: what `reuse` says is there, cargo must find fresh, and nothing else.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use lamina::cargo::{BuildOptions, Project, oracle};
use lamina::unit::{
    Conditions, Cook, Environment, Hindrance, Leaves, Manifest, Obstacle, Output, UnitGraph, obstacles, reuse,
};

use tempfile::TempDir;

use crate::compare::{Group, file_kind, kind};
use crate::laboratory::open;
use crate::shelf::{Draft, Shelf, library, program, run};

/// One project with the options and variables it is built with.
struct Side {
    draft: Draft,
    options: BuildOptions,
    variables: Vec<(String, String)>,
}

fn side(draft: Draft) -> Side {
    Side { draft, options: BuildOptions::default(), variables: Vec::new() }
}

impl Side {
    fn profile(mut self, profile: &str) -> Self {
        profile.clone_into(&mut self.options.profile);
        self
    }

    fn tests(mut self) -> Self {
        self.options.tests = true;
        self
    }

    fn target(mut self) -> Self {
        let version = Command::new("rustc").arg("-vV").output().unwrap();
        let version = String::from_utf8(version.stdout).unwrap();
        self.options.target = version.lines().find_map(|line| line.strip_prefix("host: ")).map(str::to_owned);
        self
    }

    fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    fn variables(&self) -> Vec<(&str, &str)> {
        self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }
}

/// What came of holding a project against a layer.
struct Outcome {
    needed: usize,
    predicted: BTreeMap<Group, usize>,
    fresh: BTreeMap<Group, usize>,
    obstacles: Vec<Obstacle>,
}

impl Outcome {
    fn reused(&self) -> usize {
        self.predicted.values().sum()
    }

    fn sorts(&self) -> Vec<(Hindrance, Leaves)> {
        self.obstacles.iter().map(|obstacle| (obstacle.hindrance, obstacle.leaves)).collect()
    }
}

/// Every unit of a graph as if it had been measured.
fn cooked(mut graph: UnitGraph) -> UnitGraph {
    for unit in &mut graph.units {
        unit.output =
            Some(Output { folder: "cooked".to_owned(), cpu_ms: Some(1), bytes: 1, sha256: None, watches: Vec::new() });
    }
    graph
}

fn surroundings(project: &Project, options: &BuildOptions) -> Environment {
    project.environment(options.target.as_deref(), ["WATCHED"]).unwrap()
}

/// Cooks a layer, and asks lamina and cargo what a project gets of it.
fn hold(layer: &Side, project: &Side) -> Outcome {
    let shelf = Shelf::new();
    let (cooked, asking) = (shelf.project("layer", &layer.draft), shelf.project("project", &project.draft));
    hold_folders(&shelf.folder("cooked"), (&cooked, layer), (&asking, project))
}

/// As [`hold`], with projects that are there already; the layer is cooked into `target`.
fn hold_folders(target: &Path, (place, layer): (&Path, &Side), (asking, project): (&Path, &Side)) -> Outcome {
    let mut arguments = layer.options.arguments();
    arguments.extend(["--offline".to_owned(), format!("--target-dir={}", target.display())]);
    run(place, &arguments.iter().map(String::as_str).collect::<Vec<_>>(), &layer.variables());
    let opened = open(place, &layer.variables());
    let manifest = Manifest {
        version: Manifest::VERSION,
        layer: "layer".to_owned(),
        environment: surroundings(&opened, &layer.options),
        cooks: vec![Cook {
            profile: layer.options.profile.clone(),
            settings: BTreeMap::new(),
            target_dir: target.display().to_string(),
            arguments: Vec::new(),
            graph: cooked(opened.unit_graph(&layer.options).unwrap()),
        }],
    };
    // As it comes out of an image.
    let manifest = Manifest::parse(&serde_json::to_vec(&manifest).unwrap()).unwrap();

    let opened = open(asking, &project.variables());
    let graph = opened.unit_graph(&project.options).unwrap();
    let mut predicted: BTreeMap<Group, usize> = BTreeMap::new();
    for (place, _) in reuse(&graph, &[&manifest]).found() {
        let unit = &graph.units[place];
        let package = graph.package(unit);
        *predicted.entry((package.name.clone(), package.version.clone(), kind(unit.kind))).or_default() += 1;
    }
    let mut fresh: BTreeMap<Group, usize> = BTreeMap::new();
    for verdict in verdicts(&opened, &project.options, target) {
        *fresh.entry(verdict).or_default() += 1;
    }
    Outcome {
        needed: graph.shareable().into_iter().filter(|shareable| *shareable).count(),
        predicted,
        fresh,
        obstacles: obstacles(&Conditions::of(&graph, surroundings(&opened, &project.options)), &manifest.conditions()),
    }
}

/// What cargo finds fresh in a copy of a target folder.
fn verdicts(project: &Project, options: &BuildOptions, target: &Path) -> Vec<Group> {
    let aside = tempfile::tempdir().unwrap();
    let copy = aside.path().join("target");
    assert!(Command::new("cp").arg("-a").args([target, &copy]).status().unwrap().success());
    let found = oracle(project, options, &copy).unwrap();
    let fresh = found.units.iter().filter(|unit| unit.fresh);
    fresh
        .map(|unit| (unit.folder.rsplit_once('-').unwrap().0.to_owned(), unit.version.clone(), file_kind(unit)))
        .collect()
}

/// Holds a project against a layer where environments agree: both must say the same, and as many units.
#[track_caller]
fn agree(layer: &Side, project: &Side, expected: usize) {
    let outcome = hold(layer, project);
    assert_eq!(outcome.predicted, outcome.fresh);
    assert_eq!(outcome.reused(), expected, "of {}: {:?}", outcome.needed, outcome.predicted);
}

/// Holds a project against a layer that something outside of the units is between.
#[track_caller]
fn hindered(layer: &Side, project: &Side, expected: (Hindrance, Leaves), fresh: usize) {
    let outcome = hold(layer, project);
    assert_eq!(outcome.sorts(), [expected], "{:?}", outcome.obstacles);
    assert_eq!(outcome.fresh.values().sum::<usize>(), fresh, "{:?}", outcome.fresh);
}

/// `top` and all below it: leaf twice (for macros and scripts, with one feature more, and for all others), mid,
/// scripted with its script and the run of it, macros, top.
const ALL: usize = 8;

const TOP: &str = "[dependencies]\ntop = '1'\n";

#[test]
fn the_same_dependencies_are_all_there() {
    agree(&side(library(TOP)), &side(program(TOP)), ALL);
}

#[test]
fn another_feature_costs_its_cone() {
    let wide = "[dependencies]\ntop = '1'\nmid = { version = '1', features = ['wide'] }\n";
    agree(&side(library(TOP)), &side(program(wide)), ALL - 3);
}

#[test]
fn another_version_costs_its_cone() {
    let older = "[dependencies]\ntop = '1'\nleaf = '=1.0.0'\n";
    agree(&side(library(TOP)), &side(program(older)), 0);
}

#[test]
fn settings_of_profiles_count_for_what_they_are_about() {
    let with = |profile: &str| side(program(&format!("{TOP}[profile.release]\n{profile}\n")));
    agree(&side(library(TOP)), &with("incremental = true"), ALL);
    agree(&side(library(TOP)), &with("debug = 1"), 0);
    for host_only in ["codegen-units = 1", "panic = 'abort'", "opt-level = 2"] {
        let outcome = hold(&side(library(TOP)), &with(host_only));
        assert_eq!(outcome.predicted, outcome.fresh, "{host_only}");
        assert_eq!(outcome.sorts(), [(Hindrance::OtherProfile, Leaves::HostUnits)], "{host_only}");
    }
    agree(&side(library(TOP)), &with("[profile.release.package.mid]\nopt-level = 1"), ALL - 2);
    // leaf, macros, and the script with its run are compiled for the host; and top needs macros.
    agree(&side(library(TOP)), &with("[profile.release.build-override]\nopt-level = 1"), 2);
}

#[test]
fn what_link_time_optimisation_needs_depends_on_the_roots() {
    let thin = |draft: fn(&str) -> Draft, lib: &str| {
        side(draft(&format!("{TOP}mixed = '1'\n{lib}[profile.release]\nlto = 'thin'\n")))
    };
    // A library alone is compiled to bitcode, as it is for a program.
    agree(&thin(library, ""), &thin(program, ""), ALL + 1);
    // One that is linked as well is compiled to both, with all that it needs.
    let linked = thin(library, "[lib]\ncrate-type = ['cdylib', 'rlib']\n");
    agree(&thin(program, ""), &linked, ALL + 1 - 3);
}

#[test]
fn tests_are_compiled_as_development_is() {
    agree(&side(library(TOP)).profile("dev"), &side(program(TOP)).profile("test").tests(), ALL);
    // cargo plans the tests in a library's documentation as well.
    agree(&side(library(TOP)).profile("dev"), &side(library(TOP)).profile("test").tests(), ALL);
    agree(&side(library(TOP)), &side(program(TOP)).profile("dev"), 0);
}

#[test]
fn a_profile_of_its_own_has_a_folder_of_its_own() {
    let own = program(&format!("{TOP}[profile.dist]\ninherits = 'release'\n"));
    agree(&side(library(TOP)), &side(own).profile("dist"), 0);
}

#[test]
fn with_a_target_only_units_of_the_host_are_shared() {
    let outcome = hold(&side(library(TOP)), &side(program(TOP)).target());
    assert_eq!(outcome.predicted, outcome.fresh);
    assert_eq!(outcome.sorts(), [(Hindrance::OtherTarget, Leaves::HostUnits)]);
    assert!(outcome.reused() > 0 && outcome.reused() < outcome.needed);
    agree(&side(library(TOP)).target(), &side(program(TOP)).target(), outcome.needed);
}

#[test]
fn flags_linkers_and_variables_are_between() {
    let flags = side(program(TOP)).variable("RUSTFLAGS", "--cfg=other");
    hindered(&side(library(TOP)), &flags, (Hindrance::OtherRustflags, Leaves::Nothing), 0);
    let configured = side(program(TOP).config("[target.'cfg(unix)']\nrustflags = ['--cfg', 'other']\n"));
    hindered(&side(library(TOP)), &configured, (Hindrance::OtherRustflags, Leaves::Nothing), 0);
    let linker = side(program(TOP).config("[target.'cfg(unix)']\nlinker = 'cc'\n"));
    hindered(&side(library(TOP)), &linker, (Hindrance::OtherLinker, Leaves::Nothing), 0);
    let watched = side(program(TOP)).variable("WATCHED", "something");
    hindered(&side(library(TOP)), &watched, (Hindrance::WatchedVariable, Leaves::Most), ALL - 3);
}

#[test]
fn flags_keep_off_the_host_with_a_target() {
    let flags = side(program(TOP)).target().variable("RUSTFLAGS", "--cfg=other");
    let outcome = hold(&side(library(TOP)).target(), &flags);
    assert_eq!(outcome.sorts(), [(Hindrance::OtherRustflags, Leaves::HostUnits)]);
    assert!(outcome.fresh.values().sum::<usize>() > 0);
}

#[test]
fn another_commit_and_another_home_are_other_sources() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name);
    let write = |file: &str, text: &str| {
        fs::create_dir_all(path(file).parent().unwrap()).unwrap();
        fs::write(path(file), text).unwrap();
    };
    let commit = || {
        let author = ["-c", "user.name=a", "-c", "user.email=a@example.com"];
        for arguments in [&["init", "-q", "-b", "main"][..], &["add", "."], &["commit", "-q", "-m", "all"]] {
            let mut git = Command::new("git");
            let status = git.args(author).args(arguments).current_dir(path("library")).status().unwrap();
            assert!(status.success(), "git {arguments:?}");
        }
    };
    write("library/Cargo.toml", "[package]\nname = 'library'\nversion = '1.0.0'\nedition = '2021'\n");
    write("library/src/lib.rs", "pub fn one() {}");
    commit();
    let home = path("home").display().to_string();
    let same = side(program("")).variable("CARGO_HOME", &home);
    for project in ["old", "same", "new"] {
        if project == "new" {
            write("library/src/lib.rs", "pub fn two() {}");
            commit();
        }
        let manifest = format!(
            "[package]\nname = '{project}'\nversion = '0.1.0'\nedition = '2021'\n[dependencies]\n\
             library = {{ git = 'file://{}', branch = 'main' }}\n[workspace]\n",
            path("library").display()
        );
        write(&format!("{project}/Cargo.toml"), &manifest);
        write(&format!("{project}/src/main.rs"), "fn main() {}");
        run(&path(project), &["fetch"], &same.variables());
    }
    for (project, there) in [("same", 1), ("new", 0)] {
        let outcome = hold_folders(&path(&format!("for-{project}")), (&path("old"), &same), (&path(project), &same));
        assert_eq!(outcome.predicted, outcome.fresh, "{project}");
        assert_eq!((outcome.reused(), outcome.needed), (there, 1), "{project}");
    }
    // cargo compares the paths of sources, which are in its home.
    let elsewhere = side(program("")).variable("CARGO_HOME", &path("another-home").display().to_string());
    run(&path("same"), &["fetch", "--locked"], &elsewhere.variables());
    let outcome = hold_folders(&path("for-elsewhere"), (&path("old"), &same), (&path("same"), &elsewhere));
    assert_eq!(outcome.sorts(), [(Hindrance::OtherCargoHome, Leaves::Nothing)]);
    assert_eq!((outcome.reused(), outcome.fresh.len()), (1, 0));
}
