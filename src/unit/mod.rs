//! Units of compilation, as cargo sees them: what a project needs, what a layer holds, and which of them are the same.
//!
//! cargo reuses a compiled crate unit by unit and not by its name: features, profile, target, compiler and all that it
//! depends on go into it. Both sides are therefore the same type here, [`UnitGraph`]: of a project it is read from
//! cargo's own `--unit-graph` ([`UnitGraph::parse`]), of a layer from its [`Manifest`], which was written from
//! cargo's graph when the layer was cooked.

mod conditions;
mod cone;
mod key;
mod lto;
mod manifest;
mod obstacle;
mod packages;
mod parse;
mod reuse;
mod wall;

pub use conditions::Conditions;
pub use cone::{Cone, cone, cone_of};
pub use key::Key;
pub use manifest::{Cook, Environment, Manifest, ManifestError};
pub use obstacle::{Hindrance, Leaves, Obstacle, obstacles};
pub use packages::PackageCosts;
pub use parse::{GraphError, folder};
pub use reuse::{Reuse, Source, reuse};
pub use wall::{Costs, Measured, UNKNOWN_MS, Wall, costs, median, wall};

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// All units of one call of cargo. Units name packages, profiles and each other by their place in these lists.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UnitGraph {
    /// The packages.
    pub packages: Vec<Package>,
    /// The profiles that units are compiled with.
    pub profiles: Vec<Profile>,
    /// The units.
    pub units: Vec<Unit>,
    /// The units that were asked for; all others are there because these need them.
    pub roots: Vec<usize>,
}

/// A package.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Where it comes from, as cargo writes it (`registry+https://…`, `git+https://…#rev`); absent for a package in a
    /// folder, whose units nobody else can reuse.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

/// One compilation, or one run of a build script.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Unit {
    /// Its package.
    pub package: usize,
    /// What it is.
    pub kind: Kind,
    /// The target's name as rustc is given it, with `_` for `-`: `serde_json`, `build_script_build`.
    pub target: String,
    /// What rustc makes of it, such as `lib`, `rlib`, `cdylib` or `bin`.
    pub crate_types: Vec<String>,
    /// The target triple where cargo was given one for it (`--target`); absent for units of the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// The features that are on, in order.
    pub features: Vec<String>,
    /// Its profile.
    pub profile: usize,
    /// What it needs: places of other units.
    pub dependencies: Vec<usize>,
    /// What came of it; absent before it is compiled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Output>,
}

/// What a unit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A library.
    Lib,
    /// A procedural macro.
    ProcMacro,
    /// A build script's compilation.
    BuildScript,
    /// A build script's run.
    BuildScriptRun,
    /// A program, a test, an example or a benchmark.
    Bin,
    /// What `cargo check` makes of any of these: metadata alone.
    Check,
}

impl Kind {
    /// What it is in a word, the one that JSON has.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Lib => "lib",
            Kind::ProcMacro => "proc-macro",
            Kind::BuildScript => "build-script",
            Kind::BuildScriptRun => "build-script-run",
            Kind::Bin => "bin",
            Kind::Check => "check",
        }
    }
}

/// The settings that a unit is compiled with: what cargo hashes of them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Profile {
    /// The folder in the target folder that it goes to: `release`, `debug`, or the profile's own name.
    pub folder: String,
    /// Every setting as cargo writes it, but for `name` and `incremental`, which change nothing in a dependency.
    /// JSON values as text: `opt_level` → `"3"`, `debug_assertions` → `false`.
    pub settings: BTreeMap<String, String>,
}

/// What came of a unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Output {
    /// Its folder in cargo's `.fingerprint`: `serde-04c2e949dadc8657`. The digits end the names of its files, too.
    pub folder: String,
    /// Processor time of its compilation, or of its build script's run, in milliseconds; absent where it was not
    /// measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_ms: Option<u64>,
    /// The bytes of its files.
    pub bytes: u64,
    /// The SHA-256 over the names and contents of its files, in hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Of a build script's run, the variables that it watches, in order. Their values stand in the manifest's
    /// environment.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub watches: Vec<String>,
}

impl UnitGraph {
    /// A unit's package.
    pub fn package(&self, unit: &Unit) -> &Package {
        &self.packages[unit.package]
    }

    /// A unit's profile.
    pub fn profile(&self, unit: &Unit) -> &Profile {
        &self.profiles[unit.profile]
    }

    /// Whether a unit is of a package that others can have, too: one in a folder is the project's own. Whether all that
    /// it depends on is as well, [`UnitGraph::shareable`] says.
    pub fn is_shareable(&self, unit: &Unit) -> bool {
        self.package(unit).source.is_some()
    }
}
