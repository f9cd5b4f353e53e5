//! What a build graph is computed from, as a digest of its meaning.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

/// The files that decide a build graph.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    /// Every Cargo.toml and Cargo.lock, by its path in the folder of the set.
    pub files: BTreeMap<String, String>,
    /// Files that cargo makes targets of where they exist: `build.rs`, `src/lib.rs`, `src/main.rs`.
    pub targets: Vec<String>,
    /// The cooks, as a snapshot writes them.
    pub cooks: Vec<String>,
}

/// A file that is no TOML.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file} can't be read: {why}")]
pub struct InputsError {
    /// The file.
    pub file: String,
    /// What is wrong with it.
    pub why: String,
}

/// What of `[package]` is for people.
const DESCRIPTIVE: &[&str] = &[
    "authors",
    "categories",
    "description",
    "documentation",
    "exclude",
    "homepage",
    "include",
    "keywords",
    "license",
    "license-file",
    "metadata",
    "publish",
    "readme",
    "repository",
    "rust-version",
];

impl Inputs {
    /// Whether a file takes part by its content.
    pub fn is_text(path: &str) -> bool {
        let name = path.rsplit('/').next().unwrap_or(path);
        name == "Cargo.toml" || path == "Cargo.lock"
    }

    /// Whether a file takes part by being there.
    pub fn is_target(path: &str) -> bool {
        path == "build.rs"
            || path.ends_with("/build.rs")
            || path.ends_with("src/lib.rs")
            || path.ends_with("src/main.rs")
    }

    /// The digest, in hexadecimal digits. Comments, the order of entries and what describes a package for people
    /// change nothing.
    ///
    /// # Errors
    /// When a file is no TOML.
    pub fn digest(&self) -> Result<String, InputsError> {
        let mut hasher = Sha256::new();
        let mut put = |text: &str| {
            hasher.update((text.len() as u64).to_le_bytes());
            hasher.update(text);
        };
        for (file, text) in &self.files {
            let error = |why: String| InputsError { file: file.clone(), why };
            let mut value: toml::Table =
                text.parse().map_err(|error_: toml::de::Error| error(error_.message().to_owned()))?;
            if let Some(toml::Value::Table(package)) = value.get_mut("package") {
                DESCRIPTIVE.iter().for_each(|field| drop(package.remove(*field)));
            }
            if let Some(toml::Value::Array(packages)) = value.get_mut("package") {
                // Of a lock: cargo sorts them, and a merge may not.
                packages.sort_by_key(|package| serde_json::to_string(package).unwrap_or_default());
            }
            put(file);
            // A table of `toml` is ordered by its keys.
            put(&serde_json::to_string(&value).map_err(|cause| error(cause.to_string()))?);
        }
        put("targets");
        self.targets.iter().for_each(|target| put(target));
        put("cooks");
        self.cooks.iter().for_each(|cook| put(cook));
        Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    }
}
