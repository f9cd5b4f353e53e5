//! `lamina crates` on sets of a few crates, with the cargo of this machine and without network: the crates lie in a
//! folder that stands for crates.io.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Command;
use std::thread;

use serde_json::{Value, json};

use crate::workshop::{RUST, Run, Workshop};

/// Where rustup keeps its toolchains: the home of a workshop has none.
fn toolchains() -> Vec<(String, String)> {
    let home = std::env::var("RUSTUP_HOME").or_else(|_| std::env::var("HOME").map(|home| format!("{home}/.rustup")));
    home.into_iter().map(|home| ("RUSTUP_HOME".to_owned(), home)).collect()
}

fn run(shop: &Workshop, args: &[&str]) -> Run {
    let toolchains = toolchains();
    let env: Vec<(&str, &str)> = toolchains.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    shop.run_with(args, "", b"", &env)
}

/// A crate in the folder that stands for crates.io.
fn offer(shop: &Workshop, name: &str, version: &str, rest: &str) {
    let folder = format!("vendor/{name}-{version}");
    let head = format!("[package]\nname = \"{name}\"\nversion = \"{version}\"\nedition = \"2021\"\n");
    shop.file(&format!("{folder}/Cargo.toml"), &format!("{head}\n{rest}")).file(&format!("{folder}/src/lib.rs"), "");
    let checksum = json!({ "files": {}, "package": "0".repeat(64) });
    shop.file(&format!("{folder}/.cargo-checksum.json"), &checksum.to_string());
}

/// The cooked set of a layer, with its lock.
fn set(shop: &Workshop, layer: &str, dependencies: &str) {
    let manifest = format!(
        "[package]\nname = \"{layer}-deps\"\nversion = \"0.1.0\"\nedition = \"2021\"\n\n[dependencies]\n{dependencies}"
    );
    shop.file(&format!("layers/{layer}/Cargo.toml"), &manifest).file(&format!("layers/{layer}/src/lib.rs"), "");
    let vendor = shop.root().join("vendor");
    let source = format!("[source.crates-io]\nreplace-with = \"vendor\"\n[source.vendor]\ndirectory = {vendor:?}\n");
    shop.file(&format!("layers/{layer}/.cargo/config.toml"), &source);
    cargo(shop, layer, &["generate-lockfile", "--offline"]);
}

fn cargo(shop: &Workshop, layer: &str, args: &[&str]) {
    let folder = shop.root().join("layers").join(layer);
    let output = Command::new("cargo").args(args).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A set in which a change of `leaf` reaches a library by one way and a procedural macro by another.
fn shop() -> Workshop {
    let shop = Workshop::new();
    offer(&shop, "leaf", "1.0.0", "[features]\na = []\n");
    offer(&shop, "mid", "1.0.0", "[dependencies]\nleaf = \"1\"\n");
    offer(&shop, "mac", "1.0.0", "[lib]\nproc-macro = true\n\n[dependencies]\nleaf = \"1\"\n");
    offer(&shop, "aside", "1.0.0", "");
    shop.layer("base", RUST);
    let ceilings = "cooked.ceilings = { packages = 4, units = 5, duplicates = 0, cone.leaf = 4 },";
    shop.layer_with("set", "base", &format!("class = 'source-dep,\n{ceilings}"));
    set(&shop, "set", "mid = \"1\"\nmac = \"1\"\naside = \"1\"\n");
    shop
}

fn write(shop: &Workshop) {
    run(shop, &["crates", "snapshot", "--write"]).any_stderr().answer(0);
}

#[test]
fn a_snapshot_is_written_checked_and_held_against_the_ceilings() {
    let shop = shop();
    let told = run(&shop, &["validate", "--only", "cooked"]).any_stderr().answer(3);
    assert!(told.contains("error[build-graph]: set has ceilings and no units.snap"), "{told}");
    run(&shop, &["crates", "snapshot"])
        .stdout("layer  snapshot  packages  units  duplicates  second time\nset    missing\n")
        .success();
    let row = |state: &str| {
        let head = "layer  snapshot  packages  units   duplicates  second time";
        format!("{head}\nset    {state:<8}  4 of 4    5 of 5  0 of 0\n")
    };
    run(&shop, &["crates", "snapshot", "--write"]).stdout(&row("written")).success();
    let written = shop.read("layers/set/units.snap");
    let units = written.split_once("duplicates 0\n\n").unwrap().1;
    assert_eq!(
        units,
        "  aside 1.0.0 lib target direct\n  leaf 1.0.0 lib target\n  leaf 1.0.0 lib host\n  \
         mac 1.0.0 macro host direct > leaf@1.0.0/host\n  mid 1.0.0 lib target direct > leaf@1.0.0/target\n"
    );
    run(&shop, &["crates", "snapshot", "--write"]).stdout(&row("fresh")).success();
    run(&shop, &["crates", "snapshot", "--check"]).stdout(&row("fresh")).success();
    // Where there is no cargo, what is committed is enough.
    shop.run_with(&["validate", "--only", "cooked"], "", b"", &[("PATH", "/nowhere")])
        .stderr("2 layers, 1 check: no problem\n")
        .success();
    // What nobody has measured is not held against a ceiling, and not passed over in silence.
    shop.replace("layers/set/workflow.ncl", "duplicates = 0,", "duplicates = 0, cpu_s = 9,");
    let told = shop.run(["validate", "--only", "cooked"]).any_stderr().answer(0);
    assert!(told.starts_with("note[ceiling]: set: the ceiling `cpu_s` is not checked: nobody has measured"), "{told}");
    shop.replace("layers/set/workflow.ncl", " cpu_s = 9,", "");
    // A word of the manifest for people changes nothing; a feature does.
    shop.replace("layers/set/Cargo.toml", "edition", "description = \"x\" # y\nedition");
    shop.run(["validate", "--only", "cooked"]).stderr("2 layers, 1 check: no problem\n").success();
    shop.append("layers/set/Cargo.toml", "leaf = { version = \"1\", features = [\"a\"] }\n");
    cargo(&shop, "set", &["update", "--workspace", "--offline"]);
    let told = shop.run(["validate", "--only", "cooked"]).any_stderr().answer(3);
    assert!(told.starts_with("error[build-graph]: layers/set/units.snap is stale\n"), "{told}");
    run(&shop, &["crates", "snapshot", "--check"]).any_stderr().answer(3);
    // The lock is as it was, and says something else than the file: that is wrong.
    write(&shop);
    shop.replace("layers/set/units.snap", "leaf 1.0.0 lib target direct [a]", "leaf 1.0.0 lib target direct [b]");
    run(&shop, &["crates", "snapshot", "--check"])
        .stdout(&row("wrong"))
        .stderr(
            "error: units.snap does not say what cargo does: set\n\
             hint: `lamina crates snapshot set --write` writes it anew\n",
        )
        .code(3);
}

#[test]
fn the_dependency_that_broke_a_ceiling_is_named_until_it_holds() {
    let shop = shop();
    write(&shop);
    offer(&shop, "deep", "0.1.0", "");
    offer(&shop, "extra", "0.1.0", "[dependencies]\ndeep = \"0.1\"\nleaf = \"1\"\n");
    offer(&shop, "mid", "1.1.0", "[dependencies]\nleaf = \"1\"\nextra = \"0.1\"\n");
    cargo(&shop, "set", &["update", "-p", "mid", "--offline"]);
    for _ in 0..2 {
        let told = run(&shop, &["crates", "snapshot", "--write"]).any_stderr().answer(0);
        assert!(told.contains("6 of 4"), "{told}");
        let told = shop.run(["validate", "--only", "cooked"]).any_stderr().answer(3);
        assert!(told.contains("error[ceiling]: set: packages compiled: 6, the ceiling is 4\n"), "{told}");
        assert_eq!(told.matches(" = note: new: mid 1.1.0 → extra 0.1.0\n").count(), 2, "{told}");
        assert!(told.contains(" = note: new: extra 0.1.0 → leaf 1.0.0\n"), "{told}");
        assert!(!told.contains("→ deep"), "it came with extra: {told}");
    }
    shop.replace(
        "layers/set/workflow.ncl",
        "packages = 4, units = 5, duplicates = 0, cone.leaf = 4",
        "packages = 6, units = 7, cone.leaf = 5",
    );
    assert!(shop.read("layers/set/units.snap").contains("\n+ extra"));
    write(&shop);
    assert!(!shop.read("layers/set/units.snap").contains('+'));
    shop.run(["validate", "--only", "cooked"]).stderr("2 layers, 1 check: no problem\n").success();
}

#[test]
fn a_cone_is_the_same_by_the_snapshot_and_by_cargo_and_no_smaller_by_the_lock() {
    let shop = shop();
    write(&shop);
    let cones = |env: &[(&str, &str)]| {
        let args = ["crates", "cone", "leaf", "mid", "mac", "aside", "--layer", "set", "--offline", "--format", "json"];
        let toolchains = toolchains();
        let mut all: Vec<(&str, &str)> =
            toolchains.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        all.extend(env);
        shop.run_with(&args, "", b"", &all).any_stderr().json(0)
    };
    let by_snapshot = cones(&[]);
    shop.remove("layers/set/units.snap");
    let by_cargo = cones(&[]);
    assert_eq!((&by_snapshot["basis"], &by_cargo["basis"]), (&json!("snapshot"), &json!("cargo")));
    assert_eq!(by_snapshot["crates"], by_cargo["crates"]);
    let sizes = |answer: &Value| -> Vec<u64> {
        answer["crates"].as_array().unwrap().iter().map(|one| one["work"]["packages"].as_u64().unwrap()).collect()
    };
    assert_eq!(sizes(&by_cargo), [3, 1, 1, 1]);
    let by_lock = cones(&[("PATH", "/nowhere")]);
    assert_eq!(by_lock["basis"], "lock");
    assert!(sizes(&by_lock).iter().zip(sizes(&by_cargo)).all(|(lock, cargo)| *lock >= cargo));
    let args = ["crates", "cone", "lead", "--layer", "set", "--offline"];
    run(&shop, &args).stderr("error: set compiles no crate `lead`\nhint: did you mean `leaf`?\n").code(2);
    let args = ["crates", "cone", "leaf@2.0.0", "--layer", "set", "--offline"];
    run(&shop, &args).stderr("error: set compiles no crate `leaf@2.0.0`\nhint: of leaf it has 1.0.0\n").code(2);
    let args = ["crates", "cone", "leaf", "--layer", "base", "--offline"];
    let told = run(&shop, &args).any_stderr().answer(2);
    assert_eq!(told, "");
}

#[test]
fn a_change_of_a_lock_is_what_it_recompiles() {
    let shop = shop();
    shop.commit("first");
    // Another order and a comment are no change.
    let lock = shop.read("layers/set/Cargo.lock");
    shop.file("layers/set/Cargo.lock", &format!("# {}", lock));
    run(&shop, &["crates", "diff", "HEAD"]).stderr("no cooked set changed since HEAD\n").success();
    shop.append("layers/set/Cargo.toml", "leaf = { version = \"1\", features = [\"a\"] }\n");
    offer(&shop, "aside", "1.0.1", "");
    cargo(&shop, "set", &["update", "--offline"]);
    let answer = run(&shop, &["crates", "diff", "HEAD", "--format", "json"]).any_stderr().json(0);
    let set = &answer["sets"][0];
    assert_eq!((&set["subject"], &set["basis"]), (&json!("set"), &json!("cargo")));
    // The macro's own leaf keeps its features: those for the host are apart.
    assert_eq!(set["work"], json!({ "packages": 3, "units": 3, "cpu_ms": 900 }));
    let moved: BTreeMap<&str, &str> = set["packages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|package| (package["name"].as_str().unwrap(), package["moved"].as_str().unwrap()))
        .collect();
    assert_eq!(moved, [("aside", "version"), ("leaf", "features")].into());
    // A project is told the same, with its own package.
    let project = run(&shop, &["crates", "diff", "HEAD", "--project", "layers/set", "--format", "json"]);
    assert_eq!(project.any_stderr().json(0)["sets"][0]["work"]["units"], 4);
    run(&shop, &["crates", "diff", "nothing"]).any_stderr().code(5);
}

#[test]
fn what_align_declares_makes_a_child_compile_nothing_twice() {
    let shop = shop();
    let fields = "class = 'source-dep,\ncooked.ceilings.second_time = 0,";
    shop.layer_with("child", "set", fields);
    set(&shop, "child", "mid = \"1\"\nleaf = { version = \"1\", features = [\"a\"] }\n");
    write(&shop);
    let told = shop.run(["validate", "--only", "cooked"]).any_stderr().answer(3);
    assert!(told.contains("error[second-time]: child: units compiled a second time: 2, the ceiling is 0\n"), "{told}");
    assert!(told.contains(" = note: leaf 1.0.0 (lib for target): the layer below has it without a\n"), "{told}");
    run(&shop, &["crates", "align", "set", "child"])
        .stdout("# set\n[dependencies]\nleaf = { version = \"1\", default-features = false, features = [\"a\"] }\n")
        .stderr("child compiles 2 units of set a second time; with this it compiles none, by cargo's graphs\n")
        .success();
    shop.append("layers/set/Cargo.toml", "leaf = { version = \"1\", default-features = false, features = [\"a\"] }\n");
    cargo(&shop, "set", &["update", "--workspace", "--offline"]);
    write(&shop);
    shop.run(["validate", "--only", "cooked"]).stderr("3 layers, 1 check: no problem\n").success();
    run(&shop, &["crates", "align", "set", "child"]).stderr("child compiles 0 units of set a second time\n").success();
}

#[test]
fn align_declares_what_stands_above_the_rest_and_for_the_host_what_the_host_has() {
    let shop = shop();
    offer(&shop, "leaf", "1.1.0", "[features]\na = []\nb = [\"a\"]\n");
    offer(&shop, "upper", "1.0.0", "[features]\nx = [\"leaf/b\"]\n\n[dependencies]\nleaf = \"1.1\"\n");
    let host = "[lib]\nproc-macro = true\n\n[dependencies]\nleaf = { version = \"1.1\", features = [\"b\"] }\n";
    offer(&shop, "other", "1.0.0", host);
    shop.layer_with("child", "set", "class = 'source-dep,\ncooked = {},");
    set(&shop, "set", "mac = \"1\"\nupper = \"1\"\n");
    set(&shop, "child", "other = \"1\"\nupper = { version = \"1\", features = [\"x\"] }\n");
    let answer = run(&shop, &["crates", "align", "set", "child", "--format", "json"]).any_stderr().json(0);
    let names: Vec<&str> =
        answer["before"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["leaf", "leaf", "upper"]);
    let lines: Vec<&str> =
        answer["steps"].as_array().unwrap().iter().filter_map(|step| step["line"].as_str()).collect();
    let expected = [
        r#"leaf = { version = "1", default-features = false, features = ["b"] }"#,
        // It is declared already, and keeps what it has.
        r#"upper = { version = "1", features = ["x"] }"#,
    ];
    assert_eq!(lines, expected);
    assert_eq!(
        (&answer["steps"][0]["table"], &answer["steps"][2]["file"]),
        (&"build-dependencies".into(), &"build.rs".into())
    );
    assert_eq!(answer["after"], json!([]));
}

#[test]
fn align_wants_the_layer_below_first() {
    let shop = shop();
    let fields = "class = 'source-dep,\ncooked = {},";
    shop.layer_with("child", "set", fields).layer_with("aside", "base", fields);
    for layer in ["child", "aside"] {
        set(&shop, layer, "mid = \"1\"\n");
    }
    run(&shop, &["crates", "align", "child", "set"])
        .stderr(
            "error: set is not cooked on top of child\n\
             hint: it is the other way round: `lamina crates align set child`\n",
        )
        .code(2);
    run(&shop, &["crates", "align", "set", "set"]).any_stderr().code(2);
    let told = run(&shop, &["crates", "align", "set", "aside"]).snapshot();
    assert!(told.contains("aside is not cooked on top of set in the same target folder"), "{told}");
}

#[test]
fn a_project_needs_no_catalog() {
    let shop = shop();
    shop.commit("first").remove("catalog");
    let project = |args: &[&str]| run(&shop, &[args, &["--project", "layers/set", "--format", "json"]].concat());
    let answer = project(&["crates", "cone", "leaf"]).any_stderr().json(0);
    assert_eq!((&answer["basis"], &answer["crates"][0]["work"]["packages"]), (&json!("cargo"), &json!(4)));
    offer(&shop, "aside", "1.0.1", "");
    cargo(&shop, "set", &["update", "--offline"]);
    let answer = project(&["crates", "diff", "HEAD"]).any_stderr().json(0);
    assert_eq!(answer["sets"][0]["packages"][0]["name"], "aside");
    let address = index(&[("as/id/aside", "{\"vers\":\"1.0.1\"}\n{\"vers\":\"1.1.0\"}\n")]);
    let answer = project(&["crates", "outdated", "--registry-retries", "0", "--registry-index", &address]);
    assert_eq!(answer.any_stderr().json(0)["crates"][0]["compatible"], "1.1.0");
    // What is about layers needs one, and it is said how a project is named.
    for args in [&["crates", "diff", "HEAD"][..], &["crates", "outdated"]] {
        let told = run(&shop, args).snapshot();
        assert!(told.starts_with("exit code: 2\n") && told.contains("hint: `--project .` looks into"), "{told}");
    }
    run(&shop, &["crates", "snapshot"]).any_stderr().code(2);
}

/// A sparse index on this machine; returns its address.
fn index(files: &'static [(&'static str, &'static str)]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/", listener.local_addr().unwrap());
    thread::spawn(move || {
        for mut connection in listener.incoming().flatten() {
            let mut request = Vec::new();
            let mut byte = [0];
            while !request.ends_with(b"\r\n\r\n") && connection.read(&mut byte).is_ok_and(|read| read == 1) {
                request.push(byte[0]);
            }
            let request = String::from_utf8_lossy(&request).into_owned();
            let path = request.split(' ').nth(1).unwrap_or_default().trim_start_matches('/').to_owned();
            let found = files.iter().find(|(name, _)| *name == path);
            let (status, body) = found.map_or(("404 Not Found", ""), |(_, body)| ("200 OK", *body));
            let length = body.len();
            let _ =
                write!(connection, "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
        }
    });
    address
}

#[test]
fn crates_that_are_behind_are_told_with_all_that_they_touch() {
    let shop = shop();
    shop.layer("above", "set");
    write(&shop);
    let address = index(&[
        (
            "3/m/mid",
            "{\"vers\":\"1.0.0\",\"yanked\":false}\n{\"vers\":\"1.2.0\",\"yanked\":false}\n{\"vers\":\"2.0.0\",\"yanked\":false}\n",
        ),
        ("3/m/mac", "{\"vers\":\"1.0.0\",\"yanked\":false}\n{\"vers\":\"1.0.1\",\"yanked\":true}\n"),
    ]);
    let ask = |more: &[&str], address: &str| {
        let args =
            [&["crates", "outdated", "set", "--registry-retries", "0", "--registry-index", address], more].concat();
        run(&shop, &args)
    };
    ask(&["--exit-code"], &address)
        .stdout(
            "crate  version  compatible  newest  packages  units  cpu    layers  and these\n\
             mid    1.0.0    1.2.0       2.0.0   1         1      0.3 s  set     above\n",
        )
        .stderr("aside: the index does not know it\n1 of 3 crates is outdated\n")
        .code(4);
    let answer = ask(&["--all", "--format", "json"], &address).any_stderr().json(0);
    assert_eq!((&answer["looked_at"], &answer["crates"][0]["dependents"]), (&json!(4), &json!(["above"])));
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let told = ask(&[], &format!("http://{closed}")).snapshot();
    assert!(told.starts_with("exit code: 6\n") && told.contains("hint: `lamina crates cone`"), "{told}");
}
