//! Cargo in a place that lamina does not run in, as a container: what goes there, and what comes back.
//!
//! Two folders go there: the project without its code, and one with a script. The script asks that cargo for its unit
//! graph and then, as [`oracle`](super::oracle) does, for its verdicts; it writes down what it hears.

use std::fs::{self, File, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::oracle::{LOG, WRAPPER};
use super::{BuildOptions, Oracle, Project, ProjectError};
use crate::unit::UnitGraph;

/// The script that asks; its argument is the folder for the answers. Build scripts are made unable to run, for a stale one
/// would be. What cargo says where it comes to no verdict is left for people to see.
fn ask(folder: &str, arguments: &str) -> String {
    format!(
        r#"#!/bin/sh
set -eu
here=$(dirname "$0")
cd {folder}
mkdir -p "$1" "$CARGO_TARGET_DIR"
export CARGO_TERM_COLOR=never LC_ALL=C
unset RUSTC_WORKSPACE_WRAPPER CARGO_LOG
cargo -V >"$1/cargo"
(cd "$CARGO_TARGET_DIR" && pwd -P) >"$1/target"
RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR="$1/none" cargo {arguments} --unit-graph -Zunstable-options \
  --ignore-rust-version >"$1/graph.json"
rm -rf "$1/none"
find "$CARGO_TARGET_DIR/" -type f -path '*/build/*/build?script?*' -exec chmod a-x {{}} +
RUSTC_WRAPPER="$here/refuse" CARGO_LOG='{LOG}' cargo {arguments} --message-format=json >/dev/null 2>"$1/log" || true
if ! grep -q 'fingerprint at: ' "$1/log"; then
  grep -v ' DEBUG ' "$1/log" >&2
  exit 1
fi
"#
    )
}

/// The files of the answer.
const FILES: [&str; 4] = ["cargo", "target", "graph.json", "log"];

/// What cargo says elsewhere.
#[derive(Clone, Debug)]
pub struct Elsewhere {
    /// What it calls itself: `cargo 1.97.1 (1c7d2e3f4 2026-07-02)`.
    pub cargo: String,
    /// What it would compile if there were nothing.
    pub graph: UnitGraph,
    /// What it finds of that.
    pub oracle: Oracle,
}

impl Elsewhere {
    /// The script's name in its folder.
    pub const SCRIPT: &'static str = "ask";

    /// Writes the project without its code to one folder, and what is run beside it to another.
    ///
    /// # Errors
    /// When a file can't be read or written.
    pub fn question(
        project: &Project,
        options: &BuildOptions,
        skeleton: &Path,
        script: &Path,
    ) -> Result<(), ProjectError> {
        project.skeleton(skeleton)?;
        fs::create_dir_all(script).map_err(ProjectError::Folder)?;
        let folder = project.folder.strip_prefix(&project.root).unwrap_or(Path::new(""));
        let arguments: Vec<String> = options.arguments().iter().map(|word| quoted(word)).collect();
        let ask = ask(&quoted(&format!("./{}", folder.to_string_lossy())), &arguments.join(" "));
        for (name, text) in [(Self::SCRIPT, ask.as_str()), ("refuse", WRAPPER)] {
            let path = script.join(name);
            fs::write(&path, text).map_err(ProjectError::Folder)?;
            fs::set_permissions(&path, Permissions::from_mode(0o755)).map_err(ProjectError::Folder)?;
        }
        Ok(())
    }

    /// Reads what the script has written.
    ///
    /// # Errors
    /// When a file is missing or too large, or is not cargo's.
    pub fn answer(project: &Project, folder: &Path) -> Result<Self, ProjectError> {
        let [cargo, target, graph, log] = FILES.map(|name| read(folder.join(name)));
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).trim().to_owned();
        let target = text(target?);
        let oracle = Oracle::parse(Path::new(&target), &String::from_utf8_lossy(&log?));
        Ok(Self { cargo: text(cargo?), graph: project.understood(&graph?)?, oracle })
    }
}

/// A file of an answer. A link would be followed on this machine: it is none.
fn read(path: PathBuf) -> Result<Vec<u8>, ProjectError> {
    let bytes = || {
        if !path.symlink_metadata()?.is_file() {
            return Err(io::Error::other("it is not a regular file"));
        }
        let mut bytes = Vec::new();
        File::open(&path)?.take(UnitGraph::MAX_BYTES as u64 + 1).read_to_end(&mut bytes)?;
        match bytes.len() > UnitGraph::MAX_BYTES {
            true => Err(io::Error::other(format!("it is larger than {} MiB", UnitGraph::MAX_BYTES >> 20))),
            false => Ok(bytes),
        }
    };
    bytes().map_err(|source| ProjectError::Unreadable { path: path.clone(), source })
}

/// A word for a shell.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}
