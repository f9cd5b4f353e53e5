//! Projects in folders of their own, and cargo in an environment that is the same everywhere.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use lamina::cargo::{BuildOptions, Oracle, Project, oracle};
use lamina::unit::UnitGraph;

/// The environment of this process without what would change cargo's mind, and with what a test adds.
pub fn environment(added: &[(&str, &str)]) -> BTreeMap<OsString, OsString> {
    let own = |name: &OsString| {
        let name = name.to_string_lossy();
        let kept = ["CARGO_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN"].contains(&name.as_ref());
        kept || !(name.starts_with("CARGO") || name.starts_with("RUST"))
    };
    let mut environment: BTreeMap<OsString, OsString> = std::env::vars_os().filter(|(name, _)| own(name)).collect();
    environment.extend(added.iter().map(|(name, value)| (OsString::from(name), OsString::from(value))));
    environment
}

/// A project, opened.
pub fn open(folder: &Path, added: &[(&str, &str)]) -> Project {
    Project::open_in(folder, environment(added)).unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
}

/// What cargo says of a project and an empty target folder: the names of its units' folders.
pub fn names(project: &Project, options: &BuildOptions) -> (UnitGraph, Oracle) {
    let target = tempfile::tempdir().unwrap();
    let graph = project.unit_graph(options).unwrap_or_else(|error| panic!("{error}"));
    let oracle = oracle(project, options, target.path()).unwrap_or_else(|error| panic!("{error}"));
    (graph, oracle)
}
