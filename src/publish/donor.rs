//! An earlier image of a layer, for its next build to take compiled crates from.
//!
//! It makes a build faster and has no say in what comes out: what cooks takes from it only what cargo would compile to
//! the same bytes. So it is no input, and whatever is wrong with it is a reason to build without one.

use std::fmt;

use jiff::Timestamp;

use super::record::recorded;
use crate::model::{Digest, Fingerprint, ImageRef, LayerName};
use crate::registry::{self, Content, RawManifest, Registry, RegistryError, if_found, parse_content};
use crate::snapshot::Snapshot;

/// The label of an image that names its layer.
const LAYER: &str = "dev.lamina.layer";

/// An earlier image of a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DonorImage {
    /// The tag that it was found under.
    pub tag: ImageRef,
    /// The image.
    pub digest: Digest,
}

/// Why a build has no donor.
#[derive(Debug, thiserror::Error)]
pub enum NoDonor {
    /// There is no earlier image.
    #[error("there is no earlier image of it")]
    None,
    /// The image was not proven, or proven wrong.
    #[error("{0} is not proven")]
    Unproven(Box<ImageRef>),
    /// The image is another layer's.
    #[error("{image} is an image of {layer}")]
    Foreign {
        /// The image.
        image: Box<ImageRef>,
        /// The layer that it is of.
        layer: String,
    },
    /// The registry can't be asked.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

impl DonorImage {
    /// The image without its tag: `REGISTRY/NAMESPACE/LAYER@sha256:…`.
    pub fn pinned(&self) -> String {
        format!("{}/{}@{}", self.tag.registry(), self.tag.repository(), self.digest)
    }
}

impl fmt::Display for DonorImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.tag.familiar(), self.digest.short())
    }
}

/// The last good image of a layer: of those that its tags for people, the fingerprint that it has now, and `last`, the
/// one that it was last built for here, lead to, the one that was proven last. A layer without anything to prove is
/// good as it is.
///
/// # Errors
/// When there is none; of several reasons the first.
pub async fn donor(
    registry: &impl Registry,
    snapshot: &Snapshot,
    name: &LayerName,
    last: Option<Fingerprint>,
) -> Result<DonorImage, NoDonor> {
    let (Some(layer), Some(Ok(image))) = (snapshot.layer(name), snapshot.image(name)) else {
        return Err(NoDonor::None);
    };
    let needs_proof = snapshot.probes(name).is_some_and(|probes| !probes.is_empty());
    let tags = layer.tags.iter().cloned().chain(last.map(|last| last.tag()));
    let places = std::iter::once(image.clone()).chain(tags.filter_map(|tag| image.with_tag(&tag).ok()));
    let mut best: Option<(Option<Timestamp>, DonorImage)> = None;
    let mut why = None;
    for place in places {
        match candidate(registry, name, place, needs_proof).await {
            // Of two that were proven at the same moment, the first.
            Ok(Some(found)) if best.as_ref().is_none_or(|(at, _)| found.0 > *at) => best = Some(found),
            Ok(_) => {}
            Err(no) => why = why.or(Some(no)),
        }
    }
    best.map(|(_, donor)| donor).ok_or_else(|| why.unwrap_or(NoDonor::None))
}

/// An image of the layer with the moment that it was proven at; `None` where there is no such tag.
async fn candidate(
    registry: &impl Registry,
    name: &LayerName,
    place: ImageRef,
    needs_proof: bool,
) -> Result<Option<(Option<Timestamp>, DonorImage)>, NoDonor> {
    let Some(raw) = if_found(registry.raw(&place, None).await)? else { return Ok(None) };
    let foreign = |layer: String| Err(NoDonor::Foreign { image: Box::new(place.clone()), layer });
    if let Some(layer) = layer_of(registry, &place, &raw).await?.filter(|layer| layer != name.as_str()) {
        return foreign(layer);
    }
    let proven = match needs_proof {
        true => match recorded(registry, &place, &raw.digest).await? {
            Some(proof) if proof.layer != *name => return foreign(proof.layer.to_string()),
            Some(proof) => Some(proof.created),
            None => return Err(NoDonor::Unproven(Box::new(place))),
        },
        false => None,
    };
    Ok(Some((proven, DonorImage { tag: place, digest: raw.digest })))
}

/// The layer that an image says it is of, where it says so.
async fn layer_of(
    registry: &impl Registry,
    place: &ImageRef,
    raw: &RawManifest,
) -> Result<Option<String>, RegistryError> {
    let config = match parse_content(&raw.bytes) {
        Ok(Content::Manifest { config, .. }) => Some(config),
        // All platforms of an index have the same labels.
        Ok(Content::Index { platforms }) => match platforms.into_values().next() {
            Some(digest) => match parse_content(&registry.raw(place, Some(&digest)).await?.bytes) {
                Ok(Content::Manifest { config, .. }) => Some(config),
                _ => None,
            },
            None => None,
        },
        Err(_) => None,
    };
    let Some(config) = config else { return Ok(None) };
    Ok(registry::config(registry, place, &config.digest).await?.labels.remove(LAYER))
}
