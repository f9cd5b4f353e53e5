//! What is said where cargo can't answer: what is the matter, and what to do.

use std::fs;
use std::process::Command;

use lamina::cargo::{BuildOptions, Project, ProjectError, oracle};
use tempfile::TempDir;

use crate::laboratory::{environment, open};
use crate::shelf::{Shelf, program};

#[test]
fn a_lock_that_is_out_of_date_is_not_written() {
    let shelf = Shelf::new();
    let folder = shelf.project("project", &program("[dependencies]\nleaf = '1'\n"));
    let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
    fs::write(folder.join("Cargo.toml"), manifest.replace("[dependencies]", "[dependencies]\nmixed = '1'")).unwrap();
    let before = fs::read(folder.join("Cargo.lock")).unwrap();
    let project = open(&folder, &[]);
    let error = project.unit_graph(&BuildOptions::default()).unwrap_err();
    assert!(matches!(error, ProjectError::LockOutdated), "{error}");
    let target = TempDir::new().unwrap();
    let error = oracle(&project, &BuildOptions::default(), target.path()).unwrap_err();
    assert!(matches!(error, ProjectError::LockOutdated), "{error}");
    assert_eq!(fs::read(folder.join("Cargo.lock")).unwrap(), before);
}

#[test]
fn nothing_is_written_into_a_project() {
    let shelf = Shelf::new();
    let folder =
        shelf.project("project", &program("[dependencies]\nleaf = '1'\n").config("[build]\nbuild-dir = 'between'\n"));
    let project = open(&folder, &[]);
    let names = || {
        let mut names: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let before = names();
    project.unit_graph(&BuildOptions::default()).unwrap();
    let target = TempDir::new().unwrap();
    assert!(!oracle(&project, &BuildOptions::default(), target.path()).unwrap().units.is_empty());
    assert_eq!(names(), before);
}

#[test]
fn crates_that_are_missing_are_fetched_only_where_that_is_allowed() {
    let folder = TempDir::new().unwrap();
    let write = |file: &str, text: &str| fs::write(folder.path().join(file), text).unwrap();
    fs::create_dir(folder.path().join("src")).unwrap();
    write("src/lib.rs", "");
    write("Cargo.toml", "[package]\nname = 'p'\nversion = '0.1.0'\n[dependencies]\nitoa = '1'\n[workspace]\n");
    write(
        "Cargo.lock",
        "version = 4\n\n[[package]]\nname = \"itoa\"\nversion = \"1.0.15\"\n\
         source = \"registry+https://github.com/rust-lang/crates.io-index\"\n\
         checksum = \"4a5f13b858c8d314ee3e8f639011f7ccefe71f97f96e50151fb991f267928e2c\"\n\n\
         [[package]]\nname = \"p\"\nversion = \"0.1.0\"\ndependencies = [\n \"itoa\",\n]\n",
    );
    let home = folder.path().join("home").display().to_string();
    let project = open(folder.path(), &[("CARGO_HOME", &home)]);
    let options = BuildOptions { offline: true, ..BuildOptions::default() };
    let error = project.unit_graph(&options).unwrap_err();
    assert!(matches!(error, ProjectError::Unfetched(_)), "{error}");
}

#[test]
fn without_cargo_or_its_toolchain_it_is_said_what_to_do() {
    let shelf = Shelf::new();
    let folder = shelf.project("project", &program("[dependencies]\nleaf = '1'\n"));
    let mut variables = environment(&[]);
    variables.insert("PATH".into(), shelf.folder("nowhere").into());
    let error = Project::open_in(&folder, variables).unwrap().unit_graph(&BuildOptions::default()).unwrap_err();
    assert!(matches!(error, ProjectError::NoCargo), "{error}");

    if Command::new("rustup").arg("--version").output().is_err() {
        println!("skipped: there is no rustup");
        return;
    }
    fs::write(folder.join("rust-toolchain.toml"), "[toolchain]\nchannel = '1.0.0'\n").unwrap();
    // A test that cargo runs has the toolchain of that cargo in its environment, which comes before a file.
    let mut variables = environment(&[]);
    variables.remove(std::ffi::OsStr::new("RUSTUP_TOOLCHAIN"));
    let error = Project::open_in(&folder, variables).unwrap().unit_graph(&BuildOptions::default()).unwrap_err();
    assert!(matches!(error, ProjectError::NoToolchain(_)), "{error}");
}

#[test]
fn a_folder_without_a_project_is_told_of() {
    let folder = TempDir::new().unwrap();
    assert!(matches!(Project::open(folder.path()), Err(ProjectError::NoManifest(_))));
    fs::write(folder.path().join("Cargo.toml"), "[workspace]\n").unwrap();
    assert!(matches!(Project::open(folder.path()), Err(ProjectError::NoLock(_))));
    fs::write(folder.path().join("Cargo.toml"), "[workspace\n").unwrap();
    let error = Project::open(folder.path()).unwrap_err();
    assert!(error.to_string().contains("Cargo.toml can't be understood: "), "{error}");
}
