//! The rooms of `src/` import downwards only.
//!
//! One crate gives no help of the compiler for that, and the first upward import goes unnoticed until two rooms can't
//! be understood apart. So this reads the `crate::` paths of each room and compares them with a table. Tests at the
//! end of a file are held to it as well: a room is tested with what it may know.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

use crate::workshop::manifest_folder;

/// Each room with its floor, and what of the same or a lower floor it may import.
const ROOMS: &[(&str, u8, &[&str])] = &[
    ("model", 0, &[]),
    ("diag", 0, &[]),
    ("host", 0, &[]),
    ("graph", 1, &["model"]),
    ("dockerfile", 1, &["model", "diag"]),
    ("tree", 1, &["model", "diag", "host"]),
    ("registry", 1, &["model", "host"]),
    ("event", 1, &["model"]),
    ("unit", 1, &["model"]),
    ("cache", 2, &["model", "registry"]),
    ("crates", 2, &["model", "unit"]),
    ("cargo", 3, &["model", "diag", "host", "unit"]),
    ("lock", 2, &["model", "diag", "registry"]),
    ("engine", 2, &["model", "host", "event"]),
    ("history", 2, &["model", "host", "event"]),
    ("catalog", 2, &["model", "diag", "host", "tree"]),
    ("fingerprint", 2, &["model", "diag", "tree"]),
    (
        "snapshot",
        3,
        &["model", "diag", "host", "graph", "dockerfile", "tree", "lock", "catalog", "fingerprint", "crates"],
    ),
    (
        "cascade",
        4,
        &["model", "diag", "host", "graph", "dockerfile", "tree", "lock", "catalog", "fingerprint", "snapshot"],
    ),
    (
        "checks",
        4,
        &[
            "model",
            "diag",
            "host",
            "graph",
            "dockerfile",
            "tree",
            "lock",
            "catalog",
            "fingerprint",
            "crates",
            "snapshot",
        ],
    ),
    ("cooked", 4, &["model", "registry", "tree", "unit", "snapshot"]),
    ("runner", 3, &["model", "host", "registry", "event", "engine"]),
    ("size", 4, &["model", "tree", "catalog", "fingerprint"]),
    (
        "plan",
        5,
        &[
            "model",
            "diag",
            "host",
            "graph",
            "event",
            "dockerfile",
            "tree",
            "registry",
            "lock",
            "catalog",
            "fingerprint",
            "engine",
            "history",
            "snapshot",
            "cascade",
        ],
    ),
    // Runners lease engines; what is built on them is not theirs to know.
    ("notify", 2, &["model", "host", "event"]),
    ("suggest", 5, &["model", "unit"]),
    // Beside `publish`: units in registries and target folders.
    ("warm", 6, &["model", "registry", "event", "engine", "unit", "cargo"]),
    (
        "publish",
        6,
        &[
            "model",
            "diag",
            "host",
            "graph",
            "event",
            "dockerfile",
            "tree",
            "registry",
            "lock",
            "catalog",
            "fingerprint",
            "engine",
            "history",
            "unit",
            "snapshot",
            "cooked",
            "cascade",
            "plan",
        ],
    ),
    (
        "run",
        7,
        &[
            "cache",
            "model",
            "diag",
            "host",
            "graph",
            "event",
            "dockerfile",
            "tree",
            "registry",
            "lock",
            "catalog",
            "fingerprint",
            "engine",
            "history",
            "unit",
            "snapshot",
            "cooked",
            "cascade",
            "plan",
            "publish",
            "runner",
            "size",
        ],
    ),
    (
        "report",
        8,
        &[
            "notify",
            "size",
            "cache",
            "warm",
            "model",
            "diag",
            "host",
            "graph",
            "dockerfile",
            "tree",
            "lock",
            "catalog",
            "fingerprint",
            "unit",
            "snapshot",
            "cooked",
            "event",
            "engine",
            "history",
            "registry",
            "cascade",
            "checks",
            "unit",
            "suggest",
            "plan",
            "run",
            "publish",
            "unit",
            "crates",
            "runner",
            "size",
        ],
    ),
    (
        "commands",
        9,
        &[
            "runner",
            "size",
            "notify",
            "cache",
            "warm",
            "model",
            "diag",
            "host",
            "graph",
            "dockerfile",
            "tree",
            "lock",
            "registry",
            "catalog",
            "fingerprint",
            "unit",
            "snapshot",
            "cooked",
            "cascade",
            "checks",
            "event",
            "engine",
            "history",
            "plan",
            "run",
            "publish",
            "report",
            "unit",
            "crates",
            "cargo",
            "cooked",
            "suggest",
            "runner",
            "size",
        ],
    ),
];

const MAX_LINES: usize = 600;

fn sources() -> Vec<(PathBuf, String)> {
    let mut folders = vec![manifest_folder().join("src")];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push((
                    path.strip_prefix(manifest_folder()).unwrap().to_owned(),
                    fs::read_to_string(&path).unwrap(),
                ));
            }
        }
    }
    found.sort();
    assert!(found.len() > 20, "the sources are there");
    found
}

/// The room of a file: `src/ROOM/…` or `src/ROOM.rs`.
fn room(path: &Path) -> String {
    let part = path.components().nth(1).unwrap().as_os_str().to_str().unwrap();
    part.trim_end_matches(".rs").to_owned()
}

/// The rooms that a text names by `crate::ROOM` and `use crate::{A, B::c}`.
fn imports(text: &str) -> Vec<String> {
    let code: String = text.lines().map(|line| line.split("//").next().unwrap_or("").to_owned() + "\n").collect();
    let paths = Regex::new(r"\bcrate::([a-z_]+)").unwrap();
    let groups = Regex::new(r"\bcrate::\{([^;]*);").unwrap();
    let mut found: Vec<String> = paths.captures_iter(&code).map(|path| path[1].to_owned()).collect();
    for group in groups.captures_iter(&code) {
        let mut depth = 0;
        for word in group[1].split_inclusive(['{', '}', ',']) {
            if depth == 0 {
                found.extend(
                    word.trim().split("::").next().map(|name| name.trim_matches([',', '{', '}', ' ']).to_owned()),
                );
            }
            depth += word.matches('{').count() as i32 - word.matches('}').count() as i32;
        }
    }
    found.retain(|name| !name.is_empty());
    found
}

/// The part of a file before its tests.
fn without_tests(text: &str) -> &str {
    text.split("#[cfg(test)]").next().unwrap_or(text)
}

#[test]
fn imports_are_read_as_they_are_written() {
    let text = "use crate::a;\nuse crate::{b, c::{d, e}, f::g};\n// use crate::no;\nlet x = crate::h::i();\n";
    let mut found = imports(text);
    found.sort();
    assert_eq!(found, ["a", "b", "c", "f", "h"]);
}

#[test]
fn the_table_itself_points_downwards() {
    let floors: BTreeMap<&str, u8> = ROOMS.iter().map(|(room, floor, _)| (*room, *floor)).collect();
    for (room, floor, allowed) in ROOMS {
        for below in *allowed {
            assert!(floors[below] < *floor, "{room} may not import {below}");
        }
    }
}

#[test]
fn rooms_import_downwards_only() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let room = room(&path);
        if ["lib", "main"].contains(&room.as_str()) {
            continue;
        }
        let (_, _, allowed) =
            ROOMS.iter().find(|(known, ..)| *known == room).unwrap_or_else(|| panic!("{room} has no floor"));
        for import in imports(&text) {
            if import != room && !allowed.contains(&import.as_str()) {
                wrong.push(format!("{} imports {import}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn files_are_short() {
    let long: Vec<_> = sources().into_iter().map(|(path, text)| (path, text.lines().count())).collect();
    let long: Vec<_> = long.into_iter().filter(|(_, lines)| *lines > MAX_LINES).collect();
    assert!(long.is_empty(), "{long:?}");
}

#[test]
fn nothing_is_left_to_do_and_nothing_is_unwrapped() {
    for (path, text) in sources() {
        for (number, line) in without_tests(&text).lines().enumerate() {
            let code = line.split("//").next().unwrap_or("");
            for forbidden in [".unwrap()", "todo!", "unimplemented!", "dbg!", ".unwrap_err()"] {
                assert!(!code.contains(forbidden), "{}:{}: {line}", path.display(), number + 1);
            }
        }
    }
}

#[test]
fn libraries_stay_in_their_rooms() {
    for (name, homes) in [
        ("nickel_lang_core", &["catalog"][..]),
        ("petgraph", &["graph"]),
        ("parse_dockerfile", &["dockerfile"]),
        ("clap", &["commands"]),
        ("reqwest", &["registry", "runner"]),
        ("rustls", &["registry", "runner"]),
        ("indicatif", &["report"]),
        // What waits for others: registries, programs, builds.
        ("tokio", &["host", "registry", "engine", "notify", "runner", "publish", "warm", "run", "commands"]),
        ("async_nats", &["notify"]),
        ("tar", &["warm"]),
        ("zstd", &["warm"]),
    ] {
        for (path, text) in sources() {
            let uses = Regex::new(&format!(r"(?m)^[^/\n]*\b{name}::")).unwrap();
            let home = homes.contains(&room(&path).as_str());
            assert!(home || !uses.is_match(&text), "{} uses {name}", path.display());
        }
    }
}
