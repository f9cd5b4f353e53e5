//! The toolchain file: which Rust a project asks rustup for.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::ProjectError;
use super::project::read;

/// What `rust-toolchain.toml` or `rust-toolchain` asks for. The form is rustup's:
/// <https://rust-lang.github.io/rustup/overrides.html#the-toolchain-file>.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Toolchain {
    /// The file.
    pub path: PathBuf,
    /// `1.90.0`, `stable`, `nightly-2026-01-01`; absent for a toolchain in a folder.
    pub channel: Option<String>,
    /// Targets besides the host.
    pub targets: Vec<String>,
}

#[derive(Deserialize)]
struct File {
    toolchain: Section,
}

#[derive(Deserialize)]
struct Section {
    channel: Option<String>,
    #[serde(default)]
    targets: Vec<String>,
}

/// The file that counts for a folder: the nearest one upwards.
pub(super) fn find(folder: &Path) -> Result<Option<Toolchain>, ProjectError> {
    for folder in folder.ancestors() {
        // rustup's order.
        for name in ["rust-toolchain", "rust-toolchain.toml"] {
            let path = folder.join(name);
            if path.is_file() {
                let text = read(&path)?;
                return parse(&path, &text).map(Some);
            }
        }
    }
    Ok(None)
}

fn parse(path: &Path, text: &str) -> Result<Toolchain, ProjectError> {
    let path = path.to_owned();
    // The old form is a channel on one line.
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    if let (false, Some(channel), None) = (text.contains('['), lines.next(), lines.next()) {
        return Ok(Toolchain { path, channel: Some(channel.trim().to_owned()), targets: Vec::new() });
    }
    match toml::from_str::<File>(text) {
        Ok(file) => Ok(Toolchain { path, channel: file.toolchain.channel, targets: file.toolchain.targets }),
        Err(error) => Err(ProjectError::Malformed { path, message: error.to_string().trim().to_owned() }),
    }
}
