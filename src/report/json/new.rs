//! What `lamina new` says.

use schemars::JsonSchema;
use serde::Serialize;

use super::Answer;
use crate::model::LayerName;

/// A layer that was written.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Written<'a> {
    /// Its name.
    layer: &'a str,
    /// Its files, relative to the catalog's root.
    files: &'a [String],
}

impl Answer for Written<'_> {
    const NAME: &'static str = "new";
}

impl<'a> Written<'a> {
    /// A layer with its files.
    pub fn new(layer: &'a LayerName, files: &'a [String]) -> Self {
        Self { layer: layer.as_str(), files }
    }
}
