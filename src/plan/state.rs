//! What the registry has of layers.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;

use super::{Image, images_of};
use crate::diag::Diagnostic;
use crate::model::{ImageRef, LayerName};
use crate::registry::{Registry, RegistryError, if_found};
use crate::snapshot::{Probes, Snapshot};

/// Why it is not known what there is.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Layers have no fingerprint, or their images have no name.
    #[error("not every layer can be built")]
    Unbuildable(Vec<Diagnostic>),
    /// The registry gave no answer about these. A layer is never taken for built, and never for missing, because of
    /// that.
    #[error("the registry gave no answer about {} of {asked} images", errors.len())]
    Registry {
        /// About how many layers it was asked.
        asked: usize,
        /// Each image with the reason.
        errors: Vec<RegistryError>,
    },
}

/// Asks what there is of layers, of all at the same time: the image of the fingerprint, then its proof where one is
/// wanted. How many requests are under way is the registry's to bound.
///
/// # Errors
/// All that the registry gave no answer about. That it has no such image is an answer.
pub async fn state(
    registry: &impl Registry,
    snapshot: &Snapshot,
    layers: &BTreeSet<LayerName>,
) -> Result<BTreeMap<LayerName, Image>, StateError> {
    let named = images_of(snapshot, layers).map_err(StateError::Unbuildable)?;
    let asked = named.len();
    let ask = |(name, (_, image))| async move {
        let needs_proof = snapshot.probes(&name).is_some_and(|probes| !probes.is_empty());
        (name, look_up(registry, &image, needs_proof).await)
    };
    let (mut images, mut errors) = (BTreeMap::new(), Vec::new());
    for (name, answer) in join_all(named.into_iter().map(ask)).await {
        match answer {
            Ok(image) => drop(images.insert(name, image)),
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() { Ok(images) } else { Err(StateError::Registry { asked, errors }) }
}

/// Asks what there is of one image.
///
/// # Errors
/// When the registry gives no answer.
pub async fn look_up(registry: &impl Registry, image: &ImageRef, needs_proof: bool) -> Result<Image, RegistryError> {
    let Some(digest) = if_found(registry.digest(image).await)? else { return Ok(Image::Missing) };
    if !needs_proof {
        return Ok(Image::Proven(digest));
    }
    // Its grammar is that of a tag, whatever the digest.
    let Ok(proof) = image.with_tag(&Probes::tag(&digest)) else { return Ok(Image::Unproven(digest)) };
    Ok(match if_found(registry.digest(&proof).await)? {
        Some(_) => Image::Proven(digest),
        None => Image::Unproven(digest),
    })
}
