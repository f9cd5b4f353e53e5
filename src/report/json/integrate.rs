//! Whether the secrets that were delivered are what layers need.

use schemars::JsonSchema;
use serde::Serialize;

use super::Answer;
use crate::run::delivered::{Checked, State};

/// Whether the secrets that were delivered are what layers need: the answer of `lamina integrate`, on one line.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Integrate<'a> {
    /// Whether the layers can be built with what was delivered.
    ready: bool,
    /// The workspace that it was delivered to.
    workspace: &'a str,
    /// Whether that is this catalog's.
    workspace_known: bool,
    /// The layers that were looked at.
    layers: Vec<&'a str>,
    /// The secrets that they declare.
    secrets: Vec<Secret<'a>>,
    /// What was delivered and none of these layers declares.
    unknown: Vec<&'a str>,
}

/// A secret that layers declare; never its value.
#[derive(Debug, Serialize, JsonSchema)]
struct Secret<'a> {
    /// The id that Dockerfiles mount it by.
    id: &'a str,
    /// Whether some layer can't be built without it.
    required: bool,
    /// The layers that mount it.
    layers: Vec<&'a str>,
    /// How it stands.
    state: State,
}

impl Answer for Integrate<'_> {
    const NAME: &'static str = "integrate";
}

impl<'a> Integrate<'a> {
    /// What came out for these layers.
    pub fn new(
        (workspace, workspace_known): (&'a str, bool),
        layers: Vec<&'a str>,
        checked: &'a [Checked],
        unknown: Vec<&'a str>,
    ) -> Self {
        let secret = |checked: &'a Checked| Secret {
            id: &checked.id,
            required: checked.required,
            layers: checked.layers.iter().map(|layer| layer.as_str()).collect(),
            state: checked.state,
        };
        let ready = workspace_known && !checked.iter().any(Checked::is_wrong);
        Self { ready, workspace, workspace_known, layers, secrets: checked.iter().map(secret).collect(), unknown }
    }

    /// Whether the layers can be built with what was delivered.
    pub fn is_ready(&self) -> bool {
        self.ready
    }
}
