//! The fuzz targets (`fuzz/`), on their seeds and on what mutation makes of them: what the fuzzer tries ten million times
//! is tried a thousand times with every `cargo test`. docs/fuzzing.md says how to run the fuzzer itself.

use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::TestRunner;

use crate::workshop::manifest_folder;

#[path = "../../fuzz/src/lib.rs"]
mod targets;

/// How many inputs are made for each target. All together take two seconds of processor time in a debug build.
const CASES: u32 = 1024;

/// The longest input.
const MAX_LEN: usize = 4096;

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = manifest_folder().join("fuzz/seeds").join(target);
    let mut files: Vec<PathBuf> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.into_iter().map(|file| fs::read(file).unwrap()).collect()
}

/// A seed with pieces cut, doubled, inserted, and taken from other seeds.
fn mutated(seeds: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..4),
        "[\\x00-\\x20\"'$\\\\{}\\[\\]*!#@:/=<>,;0-9a-]{0,6}".prop_map(String::into_bytes),
        (select(seeds.clone()), any::<Index>(), any::<Index>()).prop_map(|(seed, start, length)| {
            let start = start.index(seed.len() + 1);
            seed[start..start + length.index(seed.len() - start + 1)].to_vec()
        }),
    ];
    let edit = (any::<Index>(), any::<Index>(), piece);
    (select(seeds), prop::collection::vec(edit, 0..6)).prop_map(|(mut input, edits)| {
        for (start, length, piece) in edits {
            let start = start.index(input.len() + 1);
            let end = start + length.index(input.len() - start + 1).min(12);
            input.splice(start..end, piece);
        }
        input.truncate(MAX_LEN);
        input
    })
}

fn hold(target: &str) {
    let (_, run) = targets::TARGETS.iter().find(|(name, _)| *name == target).unwrap();
    let seeds = seeds(target);
    assert!(seeds.len() >= 2, "{target} has seeds");
    seeds.iter().for_each(|seed| run(seed));
    let config = ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() };
    let tried = TestRunner::new(config).run(&mutated(seeds), |input| {
        run(&input);
        Ok(())
    });
    tried.unwrap_or_else(|error| panic!("{target}: {error}"));
}

/// A test for each target, so that each failure has a name and they run side by side.
macro_rules! targets {
    ($($name:ident)*) => {
        $(#[test] fn $name() { hold(stringify!($name)); })*
        const TESTED: &[&str] = &[$(stringify!($name)),*];
    };
}

targets! {
    cache_entry change_list dockerfile dockerignore engine_stream image journal lock registry_headers registry_logins
    registry_manifest tag units
}

#[test]
fn every_target_is_tested_and_built_and_run() {
    let names: Vec<&str> = targets::TARGETS.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, TESTED);
    let manifest = fs::read_to_string(manifest_folder().join("fuzz/Cargo.toml")).unwrap();
    let built: Vec<&str> =
        manifest.split("[[bin]]\nname = \"").skip(1).filter_map(|bin| bin.split('"').next()).collect();
    assert_eq!(built, names);
    let workflow = fs::read_to_string(manifest_folder().join(".github/workflows/fuzz.yml")).unwrap();
    assert!(workflow.contains(&names.iter().map(|name| format!("          - {name}\n")).collect::<String>()));
}
