//! What `lamina verify` says.

use schemars::JsonSchema;
use serde::Serialize;

use super::Answer;
use super::build::Probe;
use crate::report::verify::{self, Row};

/// What came of proving images again.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Verify<'a> {
    /// The catalog's name.
    catalog: &'a str,
    /// What ran the probes: client and endpoint.
    engine: &'a str,
    /// The layers, in order of building.
    layers: Vec<Layer<'a>>,
}

/// A layer's image, and what came of proving it.
#[derive(Debug, Serialize, JsonSchema)]
struct Layer<'a> {
    /// Its name.
    layer: &'a str,
    /// How its image is.
    state: State,
    /// Its fingerprint.
    fingerprint: String,
    /// The image's name, with the tag of the fingerprint.
    image: String,
    /// The image's digest; null where the registry has none.
    digest: Option<&'a str>,
    /// Whether the registry has this proof now.
    recorded: bool,
    /// What came out of the probes.
    probes: Vec<Probe<'a>>,
    /// Why the probes could not be run.
    error: Option<&'a str>,
}

/// How a layer's image is.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum State {
    /// Every probe is right.
    Proven,
    /// A probe is wrong.
    Wrong,
    /// The registry has no image of the fingerprint.
    Missing,
    /// The probes could not be run.
    Failed,
}

impl Answer for Verify<'_> {
    const NAME: &'static str = "verify";
}

impl<'a> Verify<'a> {
    /// What came of these layers.
    pub fn new(catalog: &'a str, engine: &'a str, rows: &[Row<'a>]) -> Self {
        let layer = |&(layer, subject, verified): &Row<'a>| Layer {
            layer: layer.as_str(),
            state: match verify::State::of(verified) {
                verify::State::Proven => State::Proven,
                verify::State::Wrong => State::Wrong,
                verify::State::Missing => State::Missing,
                verify::State::Failed => State::Failed,
            },
            fingerprint: subject.fingerprint.to_string(),
            image: subject.image.to_string(),
            digest: verified.digest.as_ref().map(|digest| digest.as_str()),
            recorded: verified.recorded,
            probes: verified.results.iter().map(Probe::new).collect(),
            error: verified.error.as_ref().map(|error| error.message.as_str()),
        };
        Self { catalog, engine, layers: rows.iter().map(layer).collect() }
    }
}
