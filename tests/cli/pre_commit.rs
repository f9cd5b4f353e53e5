//! The hooks of this repository, run by the real pre-commit on a repository that holds another catalog.
//!
//! pre-commit is the program that PRE_COMMIT names, or the one on PATH. Without one these tests are skipped, and say
//! so. The hooks run the program that was built here, in place of one that pre-commit would compile.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use crate::workshop::{RUST, Run, Workshop, manifest_folder};

/// A repository whose commits go through a hook.
struct Committer {
    shop: Workshop,
    pre_commit: String,
    path: String,
}

impl Committer {
    /// A committed catalog with a layer that has been wrong for long; `None` where there is no pre-commit.
    fn new(hooks: &str) -> Option<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let on_path =
            || std::env::split_paths(&path).map(|folder| folder.join("pre-commit")).find(|path| path.is_file());
        let Some(pre_commit) = std::env::var_os("PRE_COMMIT").map(PathBuf::from).or_else(on_path) else {
            eprintln!("skipped: there is no pre-commit on PATH, and PRE_COMMIT names none");
            return None;
        };
        let shop = Workshop::nested("images");
        shop.layer("base", RUST)
            .layer("app", "base")
            .layer("old", RUST)
            .append("layers/old/Dockerfile", "FROM node:24\n");
        // The repository that the hooks come from: this one, as far as pre-commit looks at it.
        let hooks_folder = shop.outside().join("lamina");
        fs::create_dir(&hooks_folder).unwrap();
        fs::copy(manifest_folder().join(".pre-commit-hooks.yaml"), hooks_folder.join(".pre-commit-hooks.yaml"))
            .unwrap();
        let source = hooks_folder.to_str().unwrap();
        shop.git(&["init", "--quiet", "--initial-branch=main", source]);
        shop.git(&["-C", source, "add", "--all"]);
        shop.git(&["-C", source, "commit", "--quiet", "-m", "hooks"]);
        let revision = String::from_utf8(shop.git(&["-C", source, "rev-parse", "HEAD"])).unwrap();
        let config = format!("repos:\n- repo: {source}\n  rev: {}\n  hooks:\n{hooks}", revision.trim());
        fs::write(shop.root().parent().unwrap().join(".pre-commit-config.yaml"), config).unwrap();
        let bin = shop.outside().join("bin");
        fs::create_dir(&bin).unwrap();
        symlink(env!("CARGO_BIN_EXE_lamina"), bin.join("lamina")).unwrap();
        let path = format!("{}:{}", bin.display(), path.to_str().unwrap());
        shop.commit("all");
        let committer = Self { shop, pre_commit: pre_commit.to_str().unwrap().to_owned(), path };
        committer.run(&committer.pre_commit, &["install"]).any_stderr().answer(0);
        Some(committer)
    }

    fn run(&self, program: &str, args: &[&str]) -> Run {
        // The hooks run at the repository's root, wherever the commit is made.
        self.shop.run_program(program, args, "", b"", &[("PATH", &self.path)])
    }

    /// Commits, and returns whether that went through, with what the hooks said.
    fn commit(&self, args: &[&str]) -> (bool, String) {
        let args = [&["commit", "-m", "a message"], args].concat();
        let told = self.run("git", &args).snapshot();
        (told.starts_with("exit code: 0\n"), told)
    }

    /// As [`Committer::commit`], with all that is there.
    fn commit_all(&self) -> (bool, String) {
        self.shop.git(&["add", "--all"]);
        self.commit(&[])
    }
}

const STAGED: &str =
    "  - id: lamina-validate-staged\n    language: system\n    verbose: true\n    args: [--catalog, images]\n";

#[test]
fn a_commit_is_told_what_it_breaks_and_nothing_else() {
    let Some(committer) = Committer::new(STAGED) else { return };
    let shop = &committer.shop;

    shop.append("layers/app/Dockerfile", "# a comment\n");
    let (passed, told) = committer.commit_all();
    assert!(passed && told.contains("1 of 3 layers, 9 checks: no problem\nleft out: 3 errors in layers"), "{told}");

    shop.append("layers/app/Dockerfile", "RUNN make\n");
    let (passed, told) = committer.commit_all();
    assert!(
        !passed && told.contains("error[dockerfile-syntax]") && told.contains("--> layers/app/Dockerfile:4:1"),
        "{told}"
    );
    assert!(!told.contains("node:24"), "{told}");
    // A commit of all changes, and one of named files, have a stage of their own.
    shop.git(&["reset", "--quiet"]);
    for args in [&["-a"][..], &["layers/app/Dockerfile"]] {
        let (passed, told) = committer.commit(args);
        assert!(!passed && told.contains("error[dockerfile-syntax]"), "{args:?}: {told}");
    }
    // What is not staged is not looked at.
    shop.file("../a.txt", "").git(&["add", ":/a.txt"]);
    let (passed, told) = committer.commit(&[]);
    assert!(passed && told.contains("0 of 3 layers, 9 checks: no problem"), "{told}");
    assert!(shop.read("layers/app/Dockerfile").ends_with("RUNN make\n"), "the change is there again");
    shop.git(&["checkout", "--quiet", "."]);

    shop.remove("layers/app/Dockerfile");
    let (passed, told) = committer.commit_all();
    assert!(!passed && told.contains("error[dockerfile-missing]"), "{told}");
    shop.git(&["reset", "--quiet", "--hard"]);

    shop.remove("layers/base");
    let (passed, told) = committer.commit_all();
    assert!(!passed && told.contains("error[unknown-layer]") && told.contains("layers/app/workflow.ncl"), "{told}");
    shop.git(&["reset", "--quiet", "--hard"]);

    shop.append("layers/old/Dockerfile", "# a comment\n");
    let (passed, told) = committer.commit_all();
    assert!(!passed && told.contains("error[from-undeclared]"), "who touches it is told: {told}");
}

#[test]
fn all_files_are_the_whole_catalog() {
    let Some(committer) = Committer::new(STAGED) else { return };
    let told = committer.run(&committer.pre_commit, &["run", "--all-files"]).snapshot();
    assert!(told.starts_with("exit code: 1\n") && told.contains("nothing is staged"), "{told}");
    assert!(told.contains("error[from-undeclared]"), "{told}");
}

#[test]
fn the_whole_catalog_can_be_asked_for_at_each_commit() {
    let hooks = STAGED.replace("-staged", "");
    let Some(committer) = Committer::new(&hooks) else { return };
    committer.shop.append("layers/app/Dockerfile", "# a comment\n");
    let (passed, told) = committer.commit_all();
    assert!(!passed && told.contains("error[from-undeclared]"), "{told}");
}
