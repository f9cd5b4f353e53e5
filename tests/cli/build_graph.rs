//! Build graphs: what their text says, what is new in them, what they cost, and how two of them differ.

use std::collections::{BTreeMap, BTreeSet};

use lamina::crates::{
    BuildGraph, Difference, Inputs, Moved, Section, Wanted, breaches, bump, difference, joined, newer, normalised,
    of_lock, releases, requirements, second_time, sole,
};
use lamina::model::Ceilings;
use lamina::unit::{Costs, Kind, Package, Profile, Unit, UnitGraph, cone};
use proptest::prelude::*;
use proptest::sample::Index;

/// A snapshot of one cook with these units.
fn graph(units: &str) -> BuildGraph {
    parse(&format!("version 1\ninputs 0\nhost x86_64-unknown-linux-gnu\n\ncook release\n{units}"))
}

fn parse(text: &str) -> BuildGraph {
    BuildGraph::parse(text).unwrap_or_else(|error| panic!("{error} in\n{text}"))
}

const SET: &str = "  app 1.0.0 lib target direct > log serde\n  \
                   log 0.4.1 lib target [std]\n  \
                   proc-macro2 1.0.0 lib host > proc-macro2:run\n  \
                   proc-macro2 1.0.0 build host\n  \
                   proc-macro2 1.0.0 run host > proc-macro2:build\n  \
                   serde 1.0.2 lib target direct [derive] > serde_derive\n  \
                   serde_derive 1.0.2 macro host > proc-macro2\n";

#[test]
fn the_text_is_read_as_it_was_written() {
    let graph = graph(SET);
    assert_eq!(parse(&graph.text("x")), graph);
    let written = graph.text("x");
    assert!(written.ends_with(SET), "{written}");
    assert!(written.contains("packages 5, units 7, duplicates 0\n"), "{written}");
}

#[test]
fn a_text_that_lamina_did_not_write_is_refused_with_its_line() {
    let head = "version 1\ninputs 0\nhost x86_64-unknown-linux-gnu\n";
    for (text, line, why) in [
        ("version 2\n".to_owned(), 1, "this lamina reads version 1"),
        ("inputs 0\n".to_owned(), 1, "it does not say its version"),
        ("version 1\n".to_owned(), 1, "it does not say what it was computed from"),
        (format!("{head}  a 1.0.0 lib target\n"), 4, "a unit has no place here"),
        (format!("{head}cook release\n  a 1.0.0 lib\n"), 5, "a unit without a place"),
        (format!("{head}cook release\n  a 1.0.0 thing target\n"), 5, "`thing` is no kind of unit"),
        (format!("{head}cook release\n  a 1.0.0 lib target > b\n"), 5, "there is no unit `b`"),
        (format!("{head}cook release\n  a 1.0.0 lib target [x\n"), 5, "its features have no end"),
        (
            format!("{head}cook release\n  a 1.0.0 lib target > b\n  b 1.0.0 lib target > a\n"),
            5,
            "units depend on each other in a circle",
        ),
        (format!("{head}<<<<<<< ours\n"), 4, "this is not what lamina writes"),
        (head.replace("x86_64", "riscv64"), 3, "it is for another host"),
    ] {
        let error = BuildGraph::parse(&text).unwrap_err();
        assert_eq!((error.line, error.why.as_str()), (line, why), "{text}");
    }
}

#[test]
fn what_is_new_is_told_with_the_way_to_it() {
    let old = graph(SET);
    let mut new = graph(
        &format!("{SET}  extra 0.1.0 lib target\n")
            .replace("log 0.4.1 lib target [std]", "log 0.4.2 lib target [std] > extra"),
    );
    new.mark_since(&old);
    assert!(new.text("x").contains("\n+ extra 0.1.0 lib target\n"), "{}", new.text("x"));
    assert!(new.text("x").contains("  log 0.4.2 lib target [std] > +extra\n"), "a bump alone is nothing new");
    assert_eq!(parse(&new.text("x")), new);
    let tight = Ceilings { packages: Some(5), cone: BTreeMap::from([("extra".to_owned(), 1)]), ..Ceilings::default() };
    let found = breaches(&new, &tight, &[]);
    let told: Vec<_> = found.iter().map(|breach| (breach.field.as_str(), breach.is, breach.ceiling)).collect();
    assert_eq!(told, [("packages", 6, 5), ("cone.extra", 3, 1)]);
    assert_eq!(found[0].causes, ["new: app 1.0.0 → log 0.4.2 → extra 0.1.0"]);
    // What was new stays so until the ceilings hold.
    let mut later = new.clone();
    later.mark_since(&new);
    assert_eq!(later, new);
    new.clear_marks();
    assert!(!new.text("x").contains('+'));
    assert!(breaches(&new, &Ceilings { packages: Some(6), ..Ceilings::default() }, &[]).is_empty());
}

#[test]
fn another_version_is_a_duplicate_and_says_who_brought_it() {
    let old = graph(SET);
    let mut new = graph(
        &format!("  log 0.3.9 lib target\n{SET}")
            .replace("[derive] > serde_derive", "[derive] > log@0.3.9 serde_derive")
            .replace("> log serde\n", "> log@0.4.1 serde\n"),
    );
    new.mark_since(&old);
    assert_eq!(new.counts().duplicates, 1);
    let found = breaches(&new, &Ceilings { duplicates: Some(0), ..Ceilings::default() }, &[]);
    assert_eq!(found[0].causes, ["log 0.3.9, 0.4.1; new: serde 1.0.2 → log 0.3.9"]);
    // A set whose ceiling is lowered has nothing new, and all that there is is named.
    new.clear_marks();
    let found = breaches(&new, &Ceilings { duplicates: Some(0), ..Ceilings::default() }, &[]);
    assert_eq!(found[0].causes, ["log 0.3.9, 0.4.1"]);
}

#[test]
fn what_a_child_compiles_a_second_time_has_a_reason() {
    let parent = graph(SET);
    assert_eq!(second_time(&parent, &parent), []);
    let told = |child: &str| -> Vec<String> {
        second_time(&graph(child), &parent).iter().map(lamina::crates::Second::sentence).collect()
    };
    assert_eq!(
        told(&SET.replace("log 0.4.1 lib target [std]", "log 0.4.1 lib target [kv std]")),
        [
            "app 1.0.0 (lib for target): something that it depends on differs",
            "log 0.4.1 (lib for target): the layer below has it without kv",
        ]
    );
    assert_eq!(
        told(&SET.replace("log 0.4.1 lib target [std]", "log 0.4.7 lib target [std]"))[1],
        "log 0.4.7 (lib for target): the layer below has 0.4.1"
    );
    // A version that is not compatible is another crate.
    assert_eq!(told("  log 0.5.0 lib target direct\n"), Vec::<String>::new());
    assert_eq!(
        told("  log 0.4.1 lib host direct [std]\n"),
        ["log 0.4.1 (lib for host): the layer below has it for the target alone"]
    );
    let own = second_time(&graph("  serde 1.0.2 lib target direct\n"), &parent);
    assert_eq!(own[0].why, Difference::Features { missing: Vec::new(), extra: vec!["derive".to_owned()] });
    // In another profile nothing could be taken over.
    let mut dev = graph("  log 0.4.1 lib target direct\n");
    dev.sections[0].cooks = vec!["dev".to_owned()];
    assert_eq!(second_time(&dev, &parent), []);
}

#[test]
fn locks_are_compared_by_what_they_mean() {
    let old = graph(SET).sections.remove(0).graph;
    assert_eq!(difference(&old, &old), lamina::crates::Change::default());
    let change = |text: String| {
        let new = graph(&text).sections.remove(0).graph;
        let change = difference(&old, &new);
        let steps: Vec<_> = change.steps.into_iter().map(|step| (step.name, step.moved, step.cone)).collect();
        let compiled: BTreeSet<String> =
            change.compiled.into_iter().map(|unit| new.package(&new.units[unit]).name.clone()).collect();
        (steps, compiled.into_iter().collect::<Vec<_>>())
    };
    let (steps, compiled) = change(SET.replace("proc-macro2 1.0.0", "proc-macro2 1.0.1"));
    assert_eq!(steps, [("proc-macro2".to_owned(), Moved::Version("1.0.0".to_owned()), 6)]);
    assert_eq!(compiled, ["app", "proc-macro2", "serde", "serde_derive"]);
    let (steps, compiled) = change(SET.replace("[std]", "[kv]"));
    let features = Moved::Features { on: vec!["kv".to_owned()], off: vec!["std".to_owned()] };
    assert_eq!(steps, [("log".to_owned(), features, 2)]);
    assert_eq!(compiled, ["app", "log"]);
    let (steps, compiled) = change("  log 0.4.1 lib target direct [std]\n  new 1.0.0 lib target direct\n".to_owned());
    assert_eq!(compiled, ["new"]);
    let gone = ["app", "proc-macro2", "serde", "serde_derive"].map(|name| (name.to_owned(), Moved::Removed, 0));
    let all: Vec<_> = gone[..1]
        .iter()
        .cloned()
        .chain([("new".to_owned(), Moved::Added, 1)])
        .chain(gone[1..].iter().cloned())
        .collect();
    assert_eq!(steps, all);
}

#[test]
fn a_bump_is_told_with_the_shortest_way() {
    let sections = graph(SET).sections;
    let costs: Vec<Costs> =
        sections.iter().map(|one| Costs { cpu_ms: vec![100; one.graph.units.len()], guessed: 0 }).collect();
    let bump = bump(&sections, &costs, &Wanted::new("proc-macro2")).unwrap();
    assert_eq!((bump.work.packages, bump.work.units, bump.work.cpu_ms), (4, 6, 600));
    let ways: Vec<&str> = bump.reached.iter().map(|reached| reached.chain.as_str()).collect();
    assert_eq!(
        ways,
        [
            "app 1.0.0 → serde 1.0.2 → serde_derive 1.0.2 → proc-macro2 1.0.0",
            "serde 1.0.2 → serde_derive 1.0.2 → proc-macro2 1.0.0",
            "serde_derive 1.0.2 → proc-macro2 1.0.0",
        ]
    );
    assert_eq!(lamina::crates::bump(&sections, &costs, &Wanted::new("proc-macro2@2.0.0")), None);
}

#[test]
fn comments_and_order_change_no_inputs_and_features_do() {
    let digest = |manifest: &str, lock: &str| {
        let files =
            [("Cargo.toml", manifest), ("Cargo.lock", lock)].map(|(name, text)| (name.to_owned(), text.to_owned()));
        Inputs { files: files.into(), ..Inputs::default() }.digest().unwrap()
    };
    let lock =
        "version = 4\n[[package]]\nname = \"a\"\nversion = \"1.0.0\"\n[[package]]\nname = \"b\"\nversion = \"1.0.0\"\n";
    let moved = "version = 4\n[[package]]\nname = \"b\"\nversion = \"1.0.0\"\n# x\n[[package]]\nversion = \"1.0.0\"\nname = \"a\"\n";
    let manifest = "[package]\nname = \"x\"\ndescription = \"y\"\n[dependencies]\na = \"1\"\nb = \"1\"\n";
    let other = "[dependencies]\nb = \"1\"\n# c\na = '1'\n[package]\nname = \"x\"\n";
    assert_eq!(digest(manifest, lock), digest(other, moved));
    assert_ne!(
        digest(manifest, lock),
        digest(&manifest.replace("a = \"1\"", "a = { version = \"1\", features = [\"f\"] }"), lock)
    );
    assert_ne!(digest(manifest, lock), digest(manifest, &lock.replace("1.0.0", "1.0.1")));
}

#[test]
fn the_newest_version_is_one_that_can_be_taken() {
    let file = br#"{"name":"a","vers":"1.0.0","yanked":false}
{"name":"a","vers":"1.1.0","yanked":false,"rust_version":"1.85"}
{"name":"a","vers":"1.2.0","yanked":true}
{"name":"a","vers":"1.3.0","yanked":false,"rust_version":"1.99"}
{"name":"a","vers":"2.0.0","yanked":false}
{"name":"a","vers":"3.0.0-rc.1","yanked":false}
not a line
"#;
    let releases = releases(file);
    assert_eq!(releases.len(), 6);
    let asked = |requirement: &str, rust: Option<&str>| {
        let rust = rust.map(|rust| rust.parse().unwrap());
        let newer = newer(&releases, &"1.0.0".parse().unwrap(), &requirement.parse().unwrap(), rust.as_ref());
        (newer.compatible.map(|version| version.to_string()), newer.newest.map(|version| version.to_string()))
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(asked("1", Some("1.90.0")), (some("1.1.0"), some("2.0.0")));
    assert_eq!(asked("1", None), (some("1.3.0"), some("2.0.0")));
    assert_eq!(asked("=1.0.0", None), (None, some("2.0.0")));
    assert_eq!(asked(">=1", None), (some("2.0.0"), None));
    let manifest = "[dependencies]\na = \"1\"\nc = { package = \"b\", version = \"2\" }\n[target.'cfg(unix)'.dependencies]\nd = \"=3.0.0\"\n";
    let found = requirements(&manifest.parse().unwrap());
    assert_eq!(found.keys().collect::<Vec<_>>(), ["a", "b", "d"]);
}

#[test]
fn a_lock_alone_gives_cones_that_are_never_too_small() {
    let lock = "version = 4\n\n[[package]]\nname = \"app\"\nversion = \"0.0.0\"\ndependencies = [\n \"left\",\n \"right\",\n]\n\n\
                [[package]]\nname = \"left\"\nversion = \"1.0.0\"\nsource = \"registry+https://github.com/rust-lang/crates.io-index\"\ndependencies = [\n \"right\",\n]\n\n\
                [[package]]\nname = \"right\"\nversion = \"1.0.0\"\nsource = \"registry+https://github.com/rust-lang/crates.io-index\"\n";
    let graph = of_lock(lock).unwrap();
    assert_eq!(cone(&graph, |package| package.name == "right").units.len(), 3);
    assert_eq!(normalised("lock", &graph).graph.packages.len(), 2, "the set itself is left out");
    assert!(of_lock("[[package]]\n").is_err());
}

/// A graph as cargo gives it: the set itself, and units that depend on later ones only.
fn any_graph() -> impl Strategy<Value = UnitGraph> {
    let unit = (0..6usize, 0..4u8, any::<bool>(), proptest::collection::vec(any::<Index>(), 0..4));
    proptest::collection::vec(unit, 1..24).prop_map(|units| {
        let registry = Some("registry+https://github.com/rust-lang/crates.io-index".to_owned());
        let mut packages = vec![Package { name: "set".to_owned(), version: "0.0.0".to_owned(), source: None }];
        for (name, version) in
            [("a", "1.0.0"), ("a", "2.0.0"), ("b-c", "0.1.0"), ("d", "1.0.0"), ("e", "1.0.0"), ("e", "1.1.0")]
        {
            packages.push(Package { name: name.to_owned(), version: version.to_owned(), source: registry.clone() });
        }
        let count = units.len() + 1;
        let root = (0, 0u8, false, Vec::<Index>::new());
        let rows = std::iter::once(root)
            .chain(units.into_iter().map(|(package, kind, feature, needs)| (package + 1, kind, feature, needs)));
        let units = rows.enumerate().map(|(place, (package, kind, feature, needs))| {
            let later = count - place - 1;
            let mut dependencies: Vec<usize> = match place {
                0 => (1..count).step_by(2).collect(),
                _ if later == 0 => Vec::new(),
                _ => needs.iter().map(|need| place + 1 + need.index(later)).collect(),
            };
            dependencies.sort_unstable();
            dependencies.dedup();
            let kind = [Kind::Lib, Kind::ProcMacro, Kind::BuildScript, Kind::BuildScriptRun][usize::from(kind)];
            let features = if feature { vec!["std".to_owned()] } else { Vec::new() };
            let target = packages[package].name.replace('-', "_");
            Unit {
                package,
                kind,
                target,
                crate_types: vec!["lib".to_owned()],
                platform: None,
                features,
                profile: 0,
                dependencies,
                output: None,
            }
        });
        let units = units.collect();
        let profile = Profile { folder: "release".to_owned(), settings: BTreeMap::new() };
        UnitGraph { packages, profiles: vec![profile], units, roots: vec![0] }
    })
}

/// The same graph with its lists in another order.
fn shuffled(graph: &UnitGraph, keys: &[u32]) -> UnitGraph {
    let order = |count: usize| {
        let mut order: Vec<usize> = (0..count).collect();
        order.sort_by_key(|&place| (keys[place % keys.len()], place));
        let mut back = vec![0; count];
        order.iter().enumerate().for_each(|(new, &old)| back[old] = new);
        (order, back)
    };
    let (packages, to_package) = order(graph.packages.len());
    let (units, to_unit) = order(graph.units.len());
    let unit = |&old: &usize| {
        let mut unit = graph.units[old].clone();
        unit.package = to_package[unit.package];
        unit.dependencies = unit.dependencies.iter().rev().map(|&need| to_unit[need]).collect();
        unit
    };
    UnitGraph {
        packages: packages.iter().map(|&old| graph.packages[old].clone()).collect(),
        profiles: graph.profiles.clone(),
        units: units.iter().map(unit).collect(),
        roots: graph.roots.iter().map(|&root| to_unit[root]).collect(),
    }
}

fn written(section: Section) -> BuildGraph {
    BuildGraph { inputs: "0".to_owned(), measured: None, sections: vec![section] }
}

proptest! {
    #[test]
    fn a_snapshot_is_the_same_in_any_order_and_is_read_back(graph in any_graph(), keys in proptest::collection::vec(any::<u32>(), 1..30)) {
        let snapshot = written(normalised("release", &graph));
        let text = snapshot.text("x");
        prop_assert_eq!(&written(normalised("release", &shuffled(&graph, &keys))).text("x"), &text);
        prop_assert_eq!(&parse(&text), &snapshot, "{}", text);
        // Two cooks with the same graph are one section.
        let twice = joined(vec![normalised("release", &graph), normalised("dev", &shuffled(&graph, &keys))]);
        prop_assert_eq!(twice.len(), 1);
        prop_assert_eq!(&twice[0].cooks, &["release", "dev"]);
    }

    #[test]
    fn the_cone_in_a_snapshot_is_the_cone_in_cargos_graph(graph in any_graph()) {
        let section = normalised("release", &graph);
        let names = |graph: &UnitGraph, changed: &Package| -> BTreeSet<Package> {
            let cone = cone(graph, |package| package == changed);
            cone.packages.iter().map(|&package| graph.packages[package].clone()).filter(|package| package.source.is_some()).collect()
        };
        for package in &section.graph.packages {
            prop_assert_eq!(names(&section.graph, package), names(&graph, package));
        }
    }

    #[test]
    fn nothing_is_new_in_the_same_graph_and_all_is_against_none(graph in any_graph()) {
        let mut snapshot = written(normalised("release", &graph));
        let same = snapshot.clone();
        snapshot.mark_since(&same);
        prop_assert_eq!(&snapshot, &same);
        snapshot.mark_since(&written(sole("release", UnitGraph::default())));
        prop_assert_eq!(snapshot.sections[0].new_units.len(), snapshot.sections[0].graph.units.len());
        prop_assert!(snapshot.is_same(&same));
        prop_assert_eq!(second_time(&snapshot, &same), vec![]);
        prop_assert!(difference(&same.sections[0].graph, &same.sections[0].graph).compiled.is_empty());
    }

    #[test]
    fn any_text_is_read_or_refused(text in "(version 1\n|inputs 0\n|cook a\n|[ +] a 1 (lib|run|macro) (host|target)( direct)?( \\[[a-c ]*\\])?( > [+]?a(@1)?(:run)?)?\n|.{0,9}\n){0,8}") {
        if let Ok(graph) = BuildGraph::parse(&text) {
            prop_assert_eq!(BuildGraph::parse(&graph.text("x")).unwrap().counts(), graph.counts());
        }
    }
}
