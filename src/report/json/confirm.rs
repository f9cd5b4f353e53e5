//! What `lamina suggest --verify` says.

use schemars::JsonSchema;
use serde::Serialize;

use super::Answer;
use crate::report::suggest::VerifyReport;
use crate::suggest::Judged;
use crate::unit::Kind;

/// What was predicted to be reused, and what cargo says in a container of the layers, unit by unit.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Confirm<'a> {
    /// The project.
    project: Project<'a>,
    /// The layer that cargo was asked in.
    base: Source<'a>,
    /// The layers that crates were copied from, in this order.
    donors: Vec<Source<'a>>,
    /// The cargo that was asked.
    cargo: &'a str,
    /// How many units others could have compiled.
    needed: usize,
    /// Those that were predicted to be reused.
    predicted: usize,
    /// Those that cargo reuses.
    confirmed: usize,
    /// Those that are both.
    both: usize,
    /// The share of what was predicted that cargo reuses, from 0 to 1; 1 where nothing was predicted.
    precision: f64,
    /// The share of what cargo reuses that was predicted, from 0 to 1; 1 where it reuses nothing.
    recall: f64,
    /// The units, by package.
    units: Vec<Unit<'a>>,
}

/// A project.
#[derive(Debug, Serialize, JsonSchema)]
struct Project<'a> {
    /// Its name.
    name: &'a str,
    /// Its folder, as it was named.
    folder: &'a str,
    /// The profile it is built with.
    profile: &'a str,
    /// The target it is built for; null where none was named.
    target: Option<&'a str>,
}

/// A layer.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ConfirmSource")]
struct Source<'a> {
    /// Its name.
    layer: &'a str,
    /// Its image by digest.
    image: &'a str,
}

/// A unit that others could have compiled.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ConfirmedUnit")]
struct Unit<'a> {
    /// Its package.
    package: &'a str,
    /// The package's version.
    version: &'a str,
    /// What it is.
    kind: Kind,
    /// The target's name as rustc is given it.
    target: &'a str,
    /// The target triple where cargo was given one for it; null for units of the host.
    platform: Option<&'a str>,
    /// The features that are on.
    features: &'a [String],
    /// Whether it was predicted to be reused.
    predicted: bool,
    /// Whether cargo reuses it.
    confirmed: bool,
    /// Why cargo does not, in its own words; null where it does, and where there is no such unit.
    reason: Option<&'a str>,
}

impl Answer for Confirm<'_> {
    const NAME: &'static str = "suggest-verify";
    const COMMAND: &'static str = "suggest";
}

impl<'a> Confirm<'a> {
    /// All units.
    pub fn new(report: &'a VerifyReport<'a>) -> Self {
        let score = report.confirmation.score();
        let source = |source: &'a crate::report::suggest::Source| Source { layer: &source.layer, image: &source.image };
        let unit = |judged: &'a Judged<'a>| Unit {
            package: &judged.package.name,
            version: &judged.package.version,
            kind: judged.unit.kind,
            target: &judged.unit.target,
            platform: judged.unit.platform.as_deref(),
            features: &judged.unit.features,
            predicted: judged.predicted,
            confirmed: judged.said.fresh,
            reason: judged.said.reason,
        };
        Self {
            project: Project {
                name: report.project,
                folder: &report.folder,
                profile: report.profile,
                target: report.target,
            },
            base: source(&report.snippet.base),
            donors: report.snippet.donors.iter().map(source).collect(),
            cargo: report.cargo,
            needed: report.confirmation.units.len(),
            predicted: score.predicted,
            confirmed: score.confirmed,
            both: score.both,
            precision: score.precision(),
            recall: score.recall(),
            units: report.confirmation.units.iter().map(unit).collect(),
        }
    }
}
