//! The guard: lamina with a hidden argument, which becomes a program that dies with its parent.

use std::process::{Command, Output, id};

use crate::lab::folder;

fn guard(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_lamina")).arg("__run").args(args).output().unwrap()
}

#[test]
fn it_becomes_the_program() {
    let ended = guard(&[&id().to_string(), "--", "sh", "-c", "echo \"$0 $1\"; exit 7", "--", "a b"]);
    assert_eq!((ended.status.code(), &*ended.stdout), (Some(7), &b"-- a b\n"[..]));
}

#[test]
#[cfg(target_os = "linux")]
fn it_runs_nothing_when_its_parent_has_gone() {
    let folder = folder();
    let file = folder.path().join("file");
    // Who started it is not the first process.
    let ended = guard(&["1", "--", "touch", file.to_str().unwrap()]);
    assert_eq!((ended.status.code(), file.exists()), (Some(127), false));
}

#[test]
fn it_says_what_can_not_be_run() {
    for args in [&[][..], &["x"], &["1", "--"], &["word", "--", "true"]] {
        assert_eq!(guard(args).status.code(), Some(127), "{args:?}");
    }
    let ended = guard(&[&id().to_string(), "--", "/no/such/program"]);
    assert_eq!(ended.status.code(), Some(127));
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(said.starts_with("lamina: `/no/such/program` can't be run: "), "{said}");
}
