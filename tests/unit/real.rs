//! Real projects from crates.io. This needs the network, and some minutes; nothing is compiled:
//! `cargo test --test unit real -- --ignored --nocapture`.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use lamina::cargo::BuildOptions;
use rayon::prelude::*;

use crate::compare::{Build, disagreements, score};
use crate::laboratory::{names, open};

const PROJECTS: &[(&str, &str)] = &[
    ("xh", "0.26.3"),
    ("dufs", "0.47.0"),
    ("just", "1.59.0"),
    ("miniserve", "0.35.0"),
    ("ripgrep", "15.2.0"),
    ("hyperfine", "1.20.0"),
    ("tokei", "15.0.0"),
    ("websocat", "4.0.0-alpha3"),
];

/// Profiles by variables, as a layer may cook them.
const PLAIN: &[(&str, &str)] = &[
    ("CARGO_PROFILE_RELEASE_LTO", "false"),
    ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16"),
    ("CARGO_PROFILE_RELEASE_PANIC", "unwind"),
    ("CARGO_PROFILE_RELEASE_STRIP", "none"),
    ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "3"),
    ("CARGO_PROFILE_RELEASE_DEBUG", "0"),
];

/// A name, variables, and what is built.
type Variant<'a> = (&'a str, Vec<(&'a str, &'a str)>, BuildOptions);

/// The folder of a package as it was published, with its lock.
fn project(name: &str, version: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("real");
    let unpacked = folder.join(format!("{name}-{version}"));
    if !unpacked.join("Cargo.lock").exists() {
        fs::create_dir_all(&folder).unwrap();
        let archive = folder.join(format!("{name}.crate"));
        let url = format!("https://static.crates.io/crates/{name}/{name}-{version}.crate");
        let run = |program: &str, arguments: &[&str]| {
            let status = Command::new(program).args(arguments).current_dir(&folder).status().unwrap();
            assert!(status.success(), "{program} {arguments:?}");
        };
        run("curl", &["-sSfL", "--retry", "3", "-o", archive.to_str().unwrap(), &url]);
        run("tar", &["xzf", archive.to_str().unwrap()]);
    }
    unpacked
}

#[test]
#[ignore = "needs the network"]
fn real_projects_agree_with_cargo_in_every_profile() {
    let lto = |value| [PLAIN, &[("CARGO_PROFILE_RELEASE_LTO", value)]].concat();
    let target = Some("x86_64-unknown-linux-gnu".to_owned());
    let release = BuildOptions::default;
    let variants: &[Variant] = &[
        ("as-is", vec![], release()),
        ("plain", PLAIN.to_vec(), release()),
        ("thin", lto("thin"), release()),
        ("fat", lto("fat"), release()),
        ("off", lto("off"), release()),
        ("dev", vec![], BuildOptions { profile: "dev".to_owned(), ..release() }),
        ("tests", vec![], BuildOptions { profile: "test".to_owned(), tests: true, ..release() }),
        ("target", PLAIN.to_vec(), BuildOptions { target, ..release() }),
    ];
    let wanted: Vec<_> = PROJECTS.iter().map(|(name, version)| (name, project(name, version))).collect();
    let wanted: Vec<_> = variants.iter().flat_map(|variant| wanted.iter().map(move |it| (it, variant))).collect();
    let builds = wanted.par_iter().map(|((name, folder), (label, variables, options))| {
        let (graph, oracle) = names(&open(folder, variables), options);
        let build = Build::new(&format!("{name}/{label}"), &graph, &oracle);
        println!("{}: {} units", build.label, build.count());
        build
    });
    let builds: Vec<Build> = builds.collect();
    let (mut right, mut wrong, mut missed, mut pairs) = (0, 0, 0, 0);
    for project in &builds {
        for layer in builds.iter().filter(|layer| layer.label != project.label) {
            let score = score(project, layer);
            pairs += usize::from(score.right > 0);
            (right, wrong, missed) = (right + score.right, wrong + score.wrong, missed + score.missed);
            if layer.label.ends_with("/plain") && project.label.ends_with("/plain") {
                println!("{} on {}: {} of {} units", project.label, layer.label, score.right, project.count());
            }
        }
    }
    println!("{pairs} pairs that share something: {right} right, {wrong} wrong, {missed} missed");
    let disagreements = disagreements(&builds);
    assert!(disagreements.is_empty(), "{}", disagreements.join("\n"));
    assert!(right > 1000 && wrong == 0 && missed == 0);
}
