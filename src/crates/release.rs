//! What an index says of a crate, and which version follows one.

use std::collections::BTreeMap;

use semver::{Version, VersionReq};
use serde::Deserialize;

/// A version of a crate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// Its version.
    pub version: Version,
    /// Whether it was taken back.
    pub yanked: bool,
    /// The oldest Rust that compiles it, where it says so.
    pub rust: Option<Version>,
}

#[derive(Deserialize)]
struct Line {
    vers: String,
    #[serde(default)]
    yanked: bool,
    #[serde(default)]
    rust_version: Option<String>,
}

/// The versions in a file of a sparse index. A line of another form is one that a later cargo understands, and is left
/// out, as cargo does it.
pub fn releases(file: &[u8]) -> Vec<Release> {
    let lines = file.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice::<Line>(line).ok());
    lines
        .filter_map(|line| {
            let rust = line.rust_version.as_deref().and_then(rust);
            Some(Release { version: line.vers.parse().ok()?, yanked: line.yanked, rust })
        })
        .collect()
}

/// `1.90` or `1.90.0`.
pub fn rust(text: &str) -> Option<Version> {
    let missing = 2usize.checked_sub(text.matches('.').count())?;
    format!("{text}{}", ".0".repeat(missing)).parse().ok()
}

/// What follows a version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Newer {
    /// The newest version that the requirement allows; none where that is the one that is there.
    pub compatible: Option<Version>,
    /// The newest version of all; none where that is the one that is there, or the compatible one.
    pub newest: Option<Version>,
}

/// The versions that follow one, without those that were taken back, that are not finished, or that need a newer Rust.
pub fn newer(releases: &[Release], version: &Version, requirement: &VersionReq, rust: Option<&Version>) -> Newer {
    let usable = |release: &&Release| {
        !release.yanked
            && release.version > *version
            && (release.version.pre.is_empty() || !version.pre.is_empty())
            && release.rust.as_ref().zip(rust).is_none_or(|(needed, rust)| needed <= rust)
    };
    let later: Vec<&Version> = releases.iter().filter(usable).map(|release| &release.version).collect();
    let compatible = later.iter().filter(|later| requirement.matches(later)).max().map(|version| (*version).clone());
    let newest = later.into_iter().max().filter(|newest| Some(*newest) != compatible.as_ref()).cloned();
    Newer { compatible, newest }
}

/// What a manifest asks for: by a package's name, each requirement.
pub fn requirements(manifest: &toml::Table) -> BTreeMap<String, Vec<VersionReq>> {
    let mut found: BTreeMap<String, Vec<VersionReq>> = BTreeMap::new();
    let mut read = |table: &toml::Table| {
        for kind in ["dependencies", "build-dependencies"] {
            let Some(dependencies) = table.get(kind).and_then(toml::Value::as_table) else { continue };
            for (key, value) in dependencies {
                let field = |name: &str| value.get(name).and_then(toml::Value::as_str);
                let version = value.as_str().or_else(|| field("version")).unwrap_or("*");
                if let Ok(requirement) = version.parse() {
                    found.entry(field("package").unwrap_or(key).to_owned()).or_default().push(requirement);
                }
            }
        }
    };
    read(manifest);
    for target in manifest.get("target").and_then(toml::Value::as_table).into_iter().flatten() {
        target.1.as_table().into_iter().for_each(&mut read);
    }
    if let Some(workspace) = manifest.get("workspace").and_then(toml::Value::as_table) {
        read(workspace);
    }
    found
}
