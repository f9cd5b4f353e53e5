//! What proves that an image is good.

use super::{Inherited, Snapshot};
use crate::model::{Artifact, Digest, LayerName, Platform, Tool};

/// What is proven of a layer's image, on each of its platforms. All of it is part of the layer's fingerprint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probes<'a> {
    /// The layer.
    pub layer: &'a LayerName,
    /// The tools whose probes are run: its own, and those of all that its image stands on.
    pub tools: Vec<Inherited<'a, Tool>>,
    /// The paths that have to be there.
    pub artifacts: &'a [Artifact],
    /// The platforms.
    pub platforms: &'a [Platform],
}

impl Probes<'_> {
    /// Whether there is nothing to prove: any image of the layer is as good as proven.
    pub fn is_empty(&self) -> bool {
        self.tools.is_empty() && self.artifacts.is_empty()
    }

    /// The tag under which the registry has the proof of an image: `proof-` and 20 hexadecimal digits of its digest.
    /// What is to be proven needs no place in it: it goes into the fingerprint, which is a label of the image.
    pub fn tag(image: &Digest) -> String {
        let digits = image.as_str().trim_start_matches("sha256:");
        format!("proof-{}", &digits[..20])
    }
}

impl Snapshot {
    /// What proves that an image of the layer is good; `None` where there is no such layer.
    pub fn probes(&self, name: &LayerName) -> Option<Probes<'_>> {
        let layer = self.layer(name)?;
        Some(Probes {
            layer: &layer.name,
            tools: self.tools(name),
            artifacts: &layer.artifacts,
            platforms: &layer.build.platforms,
        })
    }
}
