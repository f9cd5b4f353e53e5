//! What a layer has cooked, unit by unit.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::Answer;
use crate::report::units::{self, Row};
use crate::unit;

/// What a layer has cooked: the answer of `lamina show --units`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Units<'a> {
    /// The layer.
    layer: &'a str,
    /// The image's name, with the tag that it was found under.
    image: String,
    /// The image's digest.
    digest: &'a str,
    /// Whether the image was made from the layer's inputs as they are now; else it is the last one that was promoted.
    current: bool,
    /// What compiled it, and what build scripts saw.
    environment: &'a unit::Environment,
    /// The calls of cargo, in order.
    cooks: Vec<Cook<'a>>,
    /// All units together.
    totals: Totals,
    /// The units, most expensive first; one that several calls of cargo share is there once.
    units: Vec<Unit<'a>>,
}

/// One call of cargo.
#[derive(Debug, Serialize, JsonSchema)]
struct Cook<'a> {
    /// The profile, as `cooked.profiles` has it: `release:lto=thin`.
    profile: String,
    /// Cargo's target folder in the image.
    target_dir: &'a str,
    /// The other arguments that cargo was given.
    arguments: &'a [String],
    /// How many units it needs, those that an earlier call has compiled included.
    units: usize,
}

/// All units together.
#[derive(Debug, Serialize, JsonSchema)]
struct Totals {
    /// Units.
    units: usize,
    /// Packages that units are of.
    packages: usize,
    /// Processor time that was measured, in milliseconds.
    cpu_ms: u64,
    /// Bytes.
    bytes: u64,
}

/// One compilation, or one run of a build script.
#[derive(Debug, Serialize, JsonSchema)]
struct Unit<'a> {
    /// Its package's name.
    #[serde(rename = "crate")]
    package: &'a str,
    /// Its package's version.
    version: &'a str,
    /// Where the package comes from, as cargo writes it; null for one in a folder.
    source: Option<&'a str>,
    /// What it is.
    kind: unit::Kind,
    /// The target's name.
    target: &'a str,
    /// The target triple where cargo was given one for it; null for units of the host.
    platform: Option<&'a str>,
    /// The features that are on.
    features: &'a [String],
    /// The folder of its profile in the target folder.
    profile: &'a str,
    /// Its profile's settings.
    settings: &'a BTreeMap<String, String>,
    /// The call of cargo that it came with first, by its place in `cooks`.
    cook: usize,
    /// Its folder in cargo's `.fingerprint`; null where nothing came of it.
    folder: Option<&'a str>,
    /// Processor time of its compilation or run, in milliseconds; null where it was not measured.
    cpu_ms: Option<u64>,
    /// Its part of all processor time, from 0 to 1; null where it was not measured.
    share: Option<f64>,
    /// The bytes of its files.
    bytes: u64,
}

impl Answer for Units<'_> {
    const NAME: &'static str = "show-units";
    const COMMAND: &'static str = "show";
}

impl<'a> Units<'a> {
    /// The units of a layer.
    pub fn new(units: &units::Units<'a>) -> Self {
        let units::Units { found, manifest, rows, totals } = units;
        let cook = |cook: &'a unit::Cook| Cook {
            profile: units::profile(cook),
            target_dir: &cook.target_dir,
            arguments: &cook.arguments,
            units: cook.graph.units.len(),
        };
        let unit = |row: &Row<'a>| Unit {
            package: &row.package.name,
            version: &row.package.version,
            source: row.package.source.as_deref(),
            kind: row.unit.kind,
            target: &row.unit.target,
            platform: row.unit.platform.as_deref(),
            features: &row.unit.features,
            profile: &row.profile.folder,
            settings: &row.profile.settings,
            cook: row.cook,
            folder: row.unit.output.as_ref().map(|output| &*output.folder),
            cpu_ms: row.cpu_ms(),
            share: units.share(row),
            bytes: row.bytes(),
        };
        let units::Totals { units: count, packages, cpu_ms, bytes } = *totals;
        Self {
            layer: found.layer.as_str(),
            image: found.image.to_string(),
            digest: found.digest.as_str(),
            current: found.current,
            environment: &manifest.environment,
            cooks: manifest.cooks.iter().map(cook).collect(),
            totals: Totals { units: count, packages, cpu_ms, bytes },
            units: rows.iter().map(unit).collect(),
        }
    }
}
