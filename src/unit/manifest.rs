//! The unit manifest of a layer: what was cooked into it, unit by unit, and in which surroundings.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::UnitGraph;

/// What a cooked layer says of itself. It lies in the image, and beside it in the registry as a referrer of its digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Manifest {
    /// The version of this form: 1.
    pub version: u32,
    /// The layer's name.
    pub layer: String,
    /// What compiled it, and what build scripts saw.
    pub environment: Environment,
    /// The calls of cargo, in order.
    pub cooks: Vec<Cook>,
}

/// What decides, besides a unit itself, whether cargo takes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Environment {
    /// All of `rustc -vV`.
    pub rustc: String,
    /// `cargo -V`.
    pub cargo: String,
    /// The path of CARGO_HOME: cargo takes crates for changed where it is another.
    pub cargo_home: String,
    /// What RUSTFLAGS, or cargo's configuration in its place, adds to each call of rustc.
    pub rustflags: Vec<String>,
    /// `target.TRIPLE.*` of cargo's configuration: `target.x86_64-unknown-linux-gnu.linker` → `"cc"`.
    pub config: BTreeMap<String, String>,
    /// The variables that build scripts watch (`cargo::rerun-if-env-changed`), with what they were; `null` where they
    /// were not set. A value that may be a secret is not kept: `sha256:` and its digest stand for it.
    pub variables: BTreeMap<String, Option<String>>,
}

/// One call of cargo.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Cook {
    /// The profile: `release`, `dev`, `test`.
    pub profile: String,
    /// Settings of the profile that differ from the project's: `lto` → `thin`.
    pub settings: BTreeMap<String, String>,
    /// Cargo's target folder in the image: `/cooked/target`.
    pub target_dir: String,
    /// The other arguments that cargo was given, such as `--no-default-features`.
    pub arguments: Vec<String>,
    /// What cargo compiled, or found compiled by a cook or a parent layer before.
    pub graph: UnitGraph,
}

/// Why a manifest can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// It is no manifest.
    #[error("it is no unit manifest: {0}")]
    Malformed(String),
    /// A newer lamina wrote it.
    #[error("it has version {0}, this lamina reads version 1")]
    Version(u64),
}

impl Manifest {
    /// The version that is written and read.
    pub const VERSION: u32 = 1;
    /// The media type of the document, and the artifact type of the referrer.
    pub const MEDIA_TYPE: &str = "application/vnd.lamina.units.v1+json";
    /// The largest document that is read, in bytes.
    pub const MAX_BYTES: usize = 32 << 20;

    /// Reads a manifest that may come from anywhere: all places in it are checked.
    ///
    /// # Errors
    /// When it is no manifest, when a newer version of lamina wrote it, or when it contradicts itself.
    pub fn parse(bytes: &[u8]) -> Result<Manifest, ManifestError> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u64,
        }
        let malformed = |error: serde_json::Error| ManifestError::Malformed(error.to_string());
        let Versioned { version } = serde_json::from_slice(bytes).map_err(malformed)?;
        if version != u64::from(Self::VERSION) {
            return Err(ManifestError::Version(version));
        }
        let manifest: Manifest = serde_json::from_slice(bytes).map_err(malformed)?;
        for cook in &manifest.cooks {
            cook.graph.check().map_err(ManifestError::Malformed)?;
        }
        Ok(manifest)
    }
}

impl UnitGraph {
    /// Whether every place is one, dependencies go in no circle, and folders are names of folders.
    pub(super) fn check(&self) -> Result<(), String> {
        let count = self.units.len();
        for (place, unit) in self.units.iter().enumerate() {
            let inside = unit.package < self.packages.len() && unit.profile < self.profiles.len();
            if !inside || unit.dependencies.iter().any(|&dependency| dependency >= count) {
                return Err(format!("unit {place} names something that is not there"));
            }
            let name = unit.output.as_ref().map_or("none", |output| &output.folder);
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
            if name.is_empty() || name.len() > 255 || !name.chars().all(plain) {
                return Err(format!("unit {place} has a folder that cargo would not make"));
            }
        }
        if self.roots.iter().any(|&root| root >= count) {
            return Err("a root is not there".to_owned());
        }
        self.order().map(drop).ok_or_else(|| "units depend on each other in a circle".to_owned())
    }

    /// The units, each behind all that it needs; `None` where they go in a circle.
    pub fn order(&self) -> Option<Vec<usize>> {
        let mut waiting: Vec<usize> = self.units.iter().map(|unit| unit.dependencies.len()).collect();
        let mut dependents = vec![Vec::new(); self.units.len()];
        for (place, unit) in self.units.iter().enumerate() {
            for &dependency in &unit.dependencies {
                dependents[dependency].push(place);
            }
        }
        let mut order: Vec<usize> = (0..self.units.len()).filter(|&place| waiting[place] == 0).collect();
        let mut next = 0;
        while let Some(&place) = order.get(next) {
            next += 1;
            for &dependent in &dependents[place] {
                waiting[dependent] -= 1;
                if waiting[dependent] == 0 {
                    order.push(dependent);
                }
            }
        }
        (order.len() == self.units.len()).then_some(order)
    }
}
