//! Crates of a registry that lie in a folder (cargo's directory source), and projects that depend on them: all that
//! cargo tells apart, in crates that compile in no time and without network.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::laboratory::environment;

/// A crate's name and version, what follows on them in its Cargo.toml, and its files.
type Crate = (&'static str, &'static str, &'static str, &'static [(&'static str, &'static str)]);

const CRATES: &[Crate] = &[
    ("leaf", "1.0.0", "[features]\ndefault = ['a']\na = []\nb = []\n", &[("src/lib.rs", "pub fn leaf() {}")]),
    ("leaf", "1.1.0", "[features]\ndefault = ['a']\na = []\nb = []\n", &[("src/lib.rs", "pub fn leaf() {}")]),
    (
        "mid",
        "1.0.0",
        "[dependencies]\nleaf = '1'\n[features]\nwide = ['leaf/b']\n",
        &[("src/lib.rs", "pub fn mid() { leaf::leaf() }")],
    ),
    (
        "scripted",
        "1.0.0",
        "build = 'build.rs'\n[build-dependencies]\nleaf = '1'\n",
        &[
            ("src/lib.rs", "pub fn scripted() {}"),
            ("build.rs", "fn main() { leaf::leaf(); println!(\"cargo:rerun-if-env-changed=WATCHED\") }"),
        ],
    ),
    (
        "macros",
        "1.0.0",
        "[lib]\nproc-macro = true\n[dependencies]\nleaf = { version = '1', features = ['b'] }\n",
        &[(
            "src/lib.rs",
            "#[proc_macro] pub fn nothing(_: proc_macro::TokenStream) -> proc_macro::TokenStream {\
             leaf::leaf(); Default::default() }",
        )],
    ),
    (
        "mixed",
        "1.0.0",
        "[lib]\ncrate-type = ['rlib', 'cdylib']\n[dependencies]\nleaf = '1'\n",
        &[("src/lib.rs", "pub fn mixed() { leaf::leaf() }")],
    ),
    (
        "top",
        "1.0.0",
        "[dependencies]\nmid = '1'\nscripted = '1'\nmacros = '1'\n",
        &[("src/lib.rs", "macros::nothing!(); pub fn top() { mid::mid(); scripted::scripted() }")],
    ),
];

/// A folder with the crates, and with projects beside them.
pub struct Shelf {
    folder: TempDir,
}

/// A project to be written.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Behind `[package]`: dependencies and profiles.
    pub manifest: String,
    /// Its sources.
    pub files: Vec<(&'static str, &'static str)>,
    /// What cargo's configuration has besides.
    pub config: String,
}

/// A program that depends on crates: `[dependencies]` and what follows.
pub fn program(manifest: &str) -> Draft {
    let files = vec![("src/main.rs", "fn main() {}")];
    Draft { manifest: manifest.to_owned(), files, config: String::new() }
}

/// A library alone, as it is cooked for others.
pub fn library(manifest: &str) -> Draft {
    Draft { files: vec![("src/lib.rs", "")], ..program(manifest) }
}

impl Draft {
    pub fn config(mut self, config: &str) -> Self {
        config.clone_into(&mut self.config);
        self
    }
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

impl Shelf {
    pub fn new() -> Self {
        let folder = TempDir::new().unwrap();
        for (name, version, manifest, files) in CRATES {
            let package = folder.path().join(format!("vendor/{name}-{version}"));
            let head = format!("[package]\nname = '{name}'\nversion = '{version}'\nedition = '2021'\n");
            write(&package.join("Cargo.toml"), &(head + manifest));
            for (path, text) in *files {
                write(&package.join(path), text);
            }
            let sum = format!("{:064x}", name.len() * 1000 + version.len());
            write(&package.join(".cargo-checksum.json"), &format!("{{\"files\":{{}},\"package\":\"{sum}\"}}"));
        }
        Self { folder }
    }

    /// Writes a project, with its lock.
    pub fn project(&self, name: &str, draft: &Draft) -> PathBuf {
        let project = self.folder.path().join(name);
        let head = format!("[package]\nname = '{name}'\nversion = '0.1.0'\nedition = '2021'\n");
        write(&project.join("Cargo.toml"), &format!("{head}{}\n[workspace]\n", draft.manifest));
        for (path, text) in &draft.files {
            write(&project.join(path), text);
        }
        let vendor = self.folder.path().join("vendor");
        let source = format!(
            "[source.crates-io]\nreplace-with = 'shelf'\n[source.shelf]\ndirectory = '{}'\n{}",
            vendor.display(),
            draft.config
        );
        write(&project.join(".cargo/config.toml"), &source);
        run(&project, &["generate-lockfile", "--offline"], &[]);
        project
    }

    pub fn folder(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// Runs cargo to a good end.
pub fn run(project: &Path, arguments: &[&str], variables: &[(&str, &str)]) {
    let mut command = Command::new("cargo");
    command.args(arguments).current_dir(project).env_clear().envs(environment(variables));
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "cargo {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}
