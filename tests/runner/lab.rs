//! What is there to test providers with.

use std::path::{Path, PathBuf};

use lamina::engine::Environment;
use lamina::host::child::find;
use lamina::runner::providers::Host;
use tempfile::TempDir;

/// Whether a test can run; says so where it can't.
pub fn has(test: &str, what: &str, is_there: bool) -> bool {
    if !is_there {
        eprintln!("{test} is skipped: {what}");
    }
    is_there
}

/// A registry with busybox; none, and a word about it, where there is none.
pub fn registry(test: &str) -> Option<String> {
    let registry = std::env::var("LAMINA_LAB_REGISTRY").ok();
    has(test, "LAMINA_LAB_REGISTRY names no registry", registry.is_some());
    registry
}

/// A program of PATH, or of the system's folders that a user's PATH leaves out.
pub fn program(name: &str) -> Option<PathBuf> {
    let system = Path::new("/usr/sbin").join(name);
    find(name, std::env::var_os("PATH").as_deref()).or_else(|| system.is_file().then_some(system))
}

/// What a provider gets of this machine, with its state in a folder.
pub fn host(folder: &TempDir, registry: &str) -> Host {
    Host {
        env: Environment::of_process(),
        lamina: Some(env!("CARGO_BIN_EXE_lamina").into()),
        root: folder.path().to_owned(),
        workspace: "runners".to_owned(),
        state: folder.path().join("state"),
        plain_http: vec![registry.to_owned()],
        ..Host::default()
    }
}
