//! `list`, `show` and `graph` on a small catalog with every kind of edge, and how the catalog is found.

use crate::workshop::{DEBIAN, RUST, Workshop};

fn shop() -> Workshop {
    let shop = Workshop::new();
    shop.lock(&[RUST, DEBIAN]);
    shop.layer_with(
        "base",
        RUST,
        "tools_provided = [{ name = \"cargo\", probe = [\"cargo\", \"-V\"], version = \"1.97.1\" }],",
    );
    shop.layer_with(
        "crypto",
        "base",
        "class = 'native-dep,\nnative_deps = [\n  { package = \"libssl-dev\", library = \"openssl\", needed = 'build },\n  \
         { package = \"libssl3\", library = \"libssl.so.3\", needed = 'run },\n  \
         { package = \"liboqs\", library = \"liboqs\", needed = 'both, source = 'vendored },\n],",
    );
    shop.layer("wasm", "base");
    shop.workflow(
        "app",
        "class = 'source-dep,\n  docs = \"How to use it.\\n\\nMind this.\",\n  build_base = { layer = \"crypto\" },\n  \
         runtime_base = { image = \"debian:trixie-slim\" },\n  donors = [{ layer = \"wasm\" }, { image = \"debian:trixie-slim\", arg = \"DONOR_ROOT\" }],\n  \
         build = { args.MODE = \"x\", secrets = [{ id = \"token\", required = true }], resources = { cpu = 1, time_budget_min = 1 } },",
    );
    shop
}

macro_rules! snapshots {
    ($($name:ident $args:expr;)*) => {$(
        #[test]
        fn $name() {
            insta::assert_snapshot!(stringify!($name), shop().run($args).snapshot());
        }
    )*};
}

snapshots! {
    list_text ["list"];
    show_all_kinds_of_edges ["show", "app"];
    show_inherited ["show", "crypto"];
    show_json ["show", "app", "--format", "json"];
    graph_tree ["graph"];
    graph_dot ["graph", "--format", "dot"];
    graph_mermaid ["graph", "--format", "mermaid"];
    graph_json ["graph", "--format", "json"];
}

#[test]
fn list_is_selected_by_class_and_name() {
    let shop = shop();
    let names = |only: &[&str]| {
        let mut args = vec!["list", "--format", "names"];
        only.iter().for_each(|only| args.extend(["--only", *only]));
        shop.run_with(&args, "", b"", &[]).answer(0)
    };
    assert_eq!(names(&[]), "app\nbase\ncrypto\nwasm\n");
    assert_eq!(names(&["class=toolchain"]), "base\nwasm\n");
    assert_eq!(names(&["class=native-dep", "name=a*"]), "app\ncrypto\n");
    assert_eq!(names(&["name=none"]), "");
}

#[test]
fn an_empty_catalog_is_a_catalog() {
    let shop = Workshop::new();
    shop.lock(&[]);
    shop.run(["validate", "--check-dag"]).stderr("0 layers, 9 checks: no problem\n").success();
    shop.run(["list"]).success();
    shop.run(["graph"]).success();
    shop.run_reading(b"README.md\n", ["cascade", "--changed", "-"])
        .stdout("no layer is affected\n")
        .stderr("1 path ignored by the catalog's list (-v names them)\n")
        .success();
    shop.remove("schemas").file("catalog/catalog.ncl", "").run(["list"]).any_stderr().code(3);
}

#[test]
fn an_unknown_layer_has_a_suggestion() {
    let shop = shop();
    shop.run(["show", "cripto"]).stderr("error: there is no layer `cripto`\nhint: did you mean `crypto`?\n").code(2);
    shop.run(["show", "nothing-like-it"])
        .stderr("error: there is no layer `nothing-like-it`\nhint: there are: app, base, crypto, wasm\n")
        .code(2);
}

#[test]
fn the_catalog_is_found_upwards_by_option_and_by_environment() {
    let shop = shop();
    let names = "app\nbase\ncrypto\nwasm\n";
    shop.run_in("layers/app", ["list", "--format", "names"]).stdout(names).success();
    let root = shop.root().to_str().unwrap().to_owned();
    let elsewhere = Workshop::bare("");
    elsewhere.run(["list", "--format", "names", "--catalog", &root]).stdout(names).success();
    elsewhere.run_with(&["list", "--format", "names"], "", b"", &[("LAMINA_CATALOG", &root)]).stdout(names).success();
    elsewhere
        .run(["list"])
        .stderr(
            "error: there is no catalog in [CATALOG] or above it\nhint: a catalog has catalog/catalog.ncl at its root\n\
             hint: name it with --catalog DIR or LAMINA_CATALOG\n",
        )
        .code(2);
    elsewhere
        .run(["list", "--catalog", "nowhere"])
        .stderr("error: nowhere holds no catalog\nhint: a catalog has catalog/catalog.ncl at its root\n")
        .code(2);
}

#[test]
fn one_broken_layer_hides_no_finding_of_another() {
    let shop = shop();
    shop.replace("layers/wasm/workflow.ncl", "'toolchain", "'tool").replace(
        "layers/crypto/workflow.ncl",
        "summary =",
        "sumary =",
    );
    shop.replace("layers/app/workflow.ncl", "layer = \"crypto\"", "layer = \"cripto\"");
    let json = shop.run(["validate", "--format", "json"]).json(3);
    let found: Vec<(&str, &str)> = json["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| (finding["layer"].as_str().unwrap(), finding["code"].as_str().unwrap()))
        .collect();
    for expected in [("app", "unknown-layer"), ("crypto", "unknown-field"), ("wasm", "contract")] {
        assert!(found.contains(&expected), "{expected:?} in {found:?}");
    }
    // A layer that is named and broken is no unknown layer.
    assert_eq!(found.iter().filter(|(_, code)| *code == "unknown-layer").count(), 1, "{found:?}");
}

#[test]
fn answers_do_not_depend_on_a_reader_that_leaves() {
    use std::process::{Command, Stdio};
    let mut child = Command::new(env!("CARGO_BIN_EXE_lamina"))
        .args(["validate", "--list"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8(output.stderr).unwrap()), (Some(0), String::new()));
}

#[test]
fn colour_is_used_where_it_is_asked_for() {
    let shop = shop();
    let run = |args: &[&str]| shop.run_with(&[&["show", "nothing"], args].concat(), "", b"", &[]).snapshot();
    assert!(!run(&[]).contains('\u{1b}') && !run(&["--color", "never"]).contains('\u{1b}'));
    assert!(run(&["--color", "always"]).contains("\u{1b}["));
}
