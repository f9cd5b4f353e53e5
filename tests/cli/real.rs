//! The catalog of this repository against the table that it was specified by.

use std::collections::{BTreeMap, BTreeSet};

use crate::workshop::Workshop;

/// A layer, its class, its build base and its runtime base.
const LAYERS: [(&str, &str, &str, &str); 13] = [
    ("fastembed", "native-dep", "rust", "rust"),
    ("leptos", "toolchain", "wasm", "wasm"),
    ("librosys", "source-dep", "rust", "rust"),
    ("nickel", "toolchain", "rust", DEBIAN),
    ("nushell", "toolchain", "rust", DEBIAN),
    ("ontoref", "source-dep", "rust", "rust"),
    ("rust", "toolchain", RUST, RUST),
    ("rustelo", "source-dep", "leptos", "leptos"),
    ("secretumvault", "native-dep", "rust", "rust"),
    ("stratumiops", "source-dep", "rust", "rust"),
    ("stratumiops-ia", "source-dep", "stratumiops", "stratumiops"),
    ("typedialog", "source-dep", "rust", "rust"),
    ("wasm", "toolchain", "rust", "rust"),
];
const RUST: &str = "rust:1.97.1-slim-trixie";
const DEBIAN: &str = "debian:trixie-slim";

const WAVES: &str = "\
rust
fastembed librosys nickel nushell ontoref secretumvault stratumiops typedialog wasm
leptos stratumiops-ia
rustelo
";

/// The layers that depend on one, itself included, by the table.
fn dependents(name: &str) -> BTreeSet<&'static str> {
    let mut found: BTreeSet<&str> = LAYERS.iter().map(|(layer, ..)| *layer).filter(|layer| *layer == name).collect();
    loop {
        let more: Vec<_> =
            LAYERS.iter().filter(|(_, _, build, run)| found.contains(build) || found.contains(run)).collect();
        let before = found.len();
        found.extend(more.iter().map(|(layer, ..)| *layer));
        if found.len() == before {
            return found;
        }
    }
}

#[test]
fn the_catalog_is_valid_and_is_built_in_four_waves() {
    let waves: String =
        WAVES.lines().enumerate().map(|(wave, names)| format!("wave {}: {names}\n", wave + 1)).collect();
    let shop = Workshop::real();
    shop.run(["validate", "--check-dag"]).stdout(&waves).stderr("13 layers, 9 checks: no problem\n").success();
    shop.run(["cascade", "--changed", "rust", "--format", "waves"])
        .stdout(WAVES)
        .stderr("13 of 13 layers are affected, in 4 waves\n")
        .success();
}

#[test]
fn a_change_of_rust_reaches_all_layers_with_the_way_to_each() {
    insta::assert_snapshot!(Workshop::real().run(["cascade", "--changed", "rust"]).snapshot());
}

#[test]
fn classes_and_edges_are_those_of_the_table() {
    let answer = Workshop::real().run(["list", "--format", "json"]).json(0);
    let found: Vec<_> = answer["layers"].as_array().unwrap().iter().collect();
    assert_eq!(found.len(), LAYERS.len());
    for (layer, (name, class, build, run)) in found.into_iter().zip(LAYERS) {
        assert_eq!((layer["layer"].as_str(), layer["class"].as_str()), (Some(name), Some(class)));
        let edges: Vec<(String, String)> = layer["edges"]
            .as_array()
            .unwrap()
            .iter()
            .map(|edge| {
                let base = edge["layer"].as_str().or(edge["image"].as_str()).unwrap();
                (edge["edge"].as_str().unwrap().to_owned(), base.to_owned())
            })
            .collect();
        let expected = [("build".to_owned(), build.to_owned()), ("runtime".to_owned(), run.to_owned())];
        assert_eq!(edges, expected, "{name}");
    }
}

#[test]
fn each_kind_of_path_makes_stale_what_is_made_from_it() {
    let all: BTreeSet<&str> = LAYERS.iter().map(|(name, ..)| *name).collect();
    let of = |name: &str| dependents(name);
    let cases: [(&str, BTreeSet<&str>); 24] = [
        ("layers/rust/Dockerfile", all.clone()),
        ("layers/wasm/workflow.ncl", of("wasm")),
        ("layers/stratumiops/Cargo.lock", of("stratumiops")),
        ("layers/stratumiops/Cargo.toml", of("stratumiops")),
        ("layers/stratumiops/build.rs", of("stratumiops")),
        ("layers/stratumiops-ia/src/lib.rs", of("stratumiops-ia")),
        ("layers/rustelo/.dockerignore", of("rustelo")),
        ("layers/leptos/", of("leptos")),
        ("layers/leptos", of("leptos")),
        ("layers", all.clone()),
        ("schemas/workflow.ncl", all.clone()),
        ("schemas/types.ncl", all.clone()),
        ("schemas/build_directives.ncl", all.clone()),
        ("schemas/catalog.ncl", all.clone()),
        ("catalog/catalog.ncl", all.clone()),
        ("schemas", all.clone()),
        ("lamina.lock", all.clone()),
        (DEBIAN, BTreeSet::from(["nickel", "nushell"])),
        (RUST, all),
        ("adrs/001-distinct-bases.ncl", BTreeSet::new()),
        ("schemas/adr.ncl", BTreeSet::new()),
        ("catalog/axioms.ncl", BTreeSet::new()),
        ("./README.md", BTreeSet::new()),
        ("./Cargo.toml", BTreeSet::new()),
    ];
    let shop = Workshop::real();
    for (changed, expected) in cases {
        let names = shop.run(["cascade", "--changed", changed, "--format", "names"]).answer(0);
        assert_eq!(names.lines().collect::<BTreeSet<_>>(), expected, "{changed}");
    }
}

#[test]
fn each_layer_is_the_origin_of_a_cascade_to_its_dependents() {
    let shop = Workshop::real();
    for (name, ..) in LAYERS {
        let names = shop.run(["cascade", "--changed", name, "--format", "names"]).answer(0);
        assert_eq!(names.lines().collect::<BTreeSet<_>>(), dependents(name), "{name}");
    }
}

#[test]
fn native_dependencies_reach_consumers() {
    let shop = Workshop::real();
    let install: BTreeMap<&str, Vec<String>> = ["fastembed", "secretumvault", "rustelo"]
        .into_iter()
        .map(|name| {
            let shown = shop.run(["show", name, "--format", "json"]).json(0);
            let packages = shown["consumers_install"].as_array().unwrap();
            (name, packages.iter().map(|dep| dep["package"].as_str().unwrap().to_owned()).collect())
        })
        .collect();
    assert_eq!(install["fastembed"], ["libonnxruntime1.21"]);
    assert!(install["rustelo"].is_empty());
    assert!(install["secretumvault"].iter().all(|package| !package.ends_with("-dev")), "{install:?}");
}

macro_rules! snapshots {
    ($($name:ident: $args:expr;)*) => {$(
        #[test]
        fn $name() {
            insta::assert_snapshot!(stringify!($name), Workshop::real().run($args).snapshot());
        }
    )*};
}

snapshots! {
    list: ["list"];
    list_of_a_class: ["list", "--only", "class=native-dep", "--format", "names"];
    list_json: ["list", "--format", "json", "--only", "name=ru*"];
    show_native_dep: ["show", "fastembed"];
    show_with_two_bases: ["show", "nickel"];
    show_json: ["show", "rustelo", "--format", "json"];
    graph_tree: ["graph"];
    graph_dot: ["graph", "--format", "dot"];
    graph_mermaid: ["graph", "--format", "mermaid"];
    graph_json: ["graph", "--format", "json"];
    adr_list: ["adr"];
    adr_one: ["adr", "002"];
    adr_json: ["adr", "003", "--format", "json"];
    axioms: ["axioms"];
    axioms_json: ["axioms", "--format", "json"];
    cascade_json: ["cascade", "--changed", "layers/leptos/Dockerfile", "--format", "json"];
}
