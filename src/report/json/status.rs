//! How layers are doing.

use schemars::JsonSchema;
use serde::Serialize;

use super::Answer;
use crate::model::Digest;
use crate::plan::{Attempt, Condition, Standing};
use crate::report::reason;
use crate::report::status::StatusReport;

/// Which layers are built, and what is the matter with the others.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Status<'a> {
    /// The catalog's name.
    catalog: &'a str,
    /// The layers, in order of building.
    layers: Vec<Layer<'a>>,
}

/// A layer, and how it is doing.
#[derive(Debug, Serialize, JsonSchema)]
struct Layer<'a> {
    /// The layer.
    layer: &'a str,
    /// How it is doing.
    state: State,
    /// The reason in words.
    reason: String,
    /// Its fingerprint.
    fingerprint: String,
    /// The image's name, with the tag of the fingerprint.
    image: String,
    /// The image's digest; null where there is none.
    digest: Option<&'a str>,
    /// Where there is no image: the tags of other fingerprints that the registry has.
    others: &'a [String],
    /// The last attempt on this machine for this very fingerprint, of a layer that is built or failed; null where none
    /// is known.
    last: Option<Last<'a>>,
}

/// How a layer is doing.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum State {
    /// The registry has a proven image of its fingerprint.
    Built,
    /// The registry has an image of its fingerprint, and no proof that it is good.
    Unproven,
    /// The registry has no image of its fingerprint.
    Stale,
    /// It is not built or not proven, and the last attempt on this machine failed for this very fingerprint.
    Failed,
}

/// Work at a layer in an earlier run on this machine.
#[derive(Debug, Serialize, JsonSchema)]
struct Last<'a> {
    /// The run.
    run: &'a str,
    /// When it ended, by RFC 3339.
    at: String,
}

impl Answer for Status<'_> {
    const NAME: &'static str = "status";
}

impl<'a> Status<'a> {
    /// What a report has to say.
    pub fn new(report: &StatusReport<'a>) -> Self {
        let config = report.snapshot.catalog.config.as_ref();
        Self {
            catalog: config.map_or("", |config| &config.name),
            layers: report.layers.iter().map(Layer::from).collect(),
        }
    }
}

impl<'a> From<&'a Standing> for Layer<'a> {
    fn from(standing: &'a Standing) -> Self {
        let last = |last: &'a Attempt| Last { run: last.run.as_str(), at: last.at.to_string() };
        Self {
            layer: standing.layer.as_str(),
            state: standing.condition.into(),
            reason: reason::standing(standing),
            fingerprint: standing.fingerprint.to_string(),
            image: standing.image.to_string(),
            digest: standing.digest.as_ref().map(Digest::as_str),
            others: &standing.others,
            last: standing.last.as_ref().map(last),
        }
    }
}

impl From<Condition> for State {
    fn from(condition: Condition) -> Self {
        match condition {
            Condition::Built => State::Built,
            Condition::Unproven => State::Unproven,
            Condition::Stale => State::Stale,
            Condition::Failed => State::Failed,
        }
    }
}
