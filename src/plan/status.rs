//! How layers are doing: the answers of the registry as they are, without a wish to change anything.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;

use super::{Attempt, Image, Past, StateError, images_of};
use crate::model::{Digest, Fingerprint, ImageRef, LayerName};
use crate::registry::{Registry, if_found};
use crate::snapshot::Snapshot;

/// How a layer is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Condition {
    /// The registry has a proven image of its fingerprint.
    Built,
    /// The registry has an image of its fingerprint, and no proof that it is good.
    Unproven,
    /// The registry has no image of its fingerprint.
    Stale,
    /// It is not built or not proven, and the last attempt on this machine failed for this very fingerprint.
    Failed,
}

/// A layer, and how it is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The layer.
    pub layer: LayerName,
    /// Its fingerprint.
    pub fingerprint: Fingerprint,
    /// The image's name, with the tag of the fingerprint.
    pub image: ImageRef,
    /// How it is doing.
    pub condition: Condition,
    /// The image's digest, where there is one.
    pub digest: Option<Digest>,
    /// Where there is none: the tags of other fingerprints that the registry has, by name.
    pub others: Vec<String>,
    /// The last attempt on this machine for this very fingerprint, where it says something of the condition: that it
    /// was built, or that it failed.
    pub last: Option<Attempt>,
}

/// The tags of other fingerprints of layers that have no image of their own, all asked for at the same time.
///
/// # Errors
/// All that the registry gave no answer about. That it has no such repository is an answer.
pub async fn others(
    registry: &impl Registry,
    snapshot: &Snapshot,
    layers: &BTreeSet<LayerName>,
) -> Result<BTreeMap<LayerName, Vec<String>>, StateError> {
    let named = images_of(snapshot, layers).map_err(StateError::Unbuildable)?;
    let asked = named.len();
    let ask =
        |(name, (_, image)): (LayerName, (Fingerprint, ImageRef))| async move { (name, registry.tags(&image).await) };
    let (mut others, mut errors) = (BTreeMap::new(), Vec::new());
    for (name, answer) in join_all(named.into_iter().map(ask)).await {
        match if_found(answer) {
            Ok(Some(mut tags)) => {
                tags.retain(|tag| Fingerprint::is_tag(tag));
                tags.sort();
                others.insert(name, tags);
            }
            Ok(None) => {}
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() { Ok(others) } else { Err(StateError::Registry { asked, errors }) }
}

/// How layers are doing, in order of building. What was not asked about is left out.
///
/// # Errors
/// When layers have no fingerprint.
pub fn standing(
    snapshot: &Snapshot,
    images: &BTreeMap<LayerName, Image>,
    others: &BTreeMap<LayerName, Vec<String>>,
    past: &Past,
) -> Result<Vec<Standing>, StateError> {
    let named = images_of(snapshot, images.keys()).map_err(StateError::Unbuildable)?;
    let one = |name: &LayerName| {
        let (image, (fingerprint, reference)) = (images.get(name)?, named.get(name)?);
        let failed = past.failed.get(name);
        let (condition, last) = match (image, failed) {
            (Image::Proven(_), _) => (Condition::Built, past.built.get(name)),
            (_, Some(attempt)) => (Condition::Failed, Some(attempt)),
            (Image::Unproven(_), None) => (Condition::Unproven, None),
            (Image::Missing, None) => (Condition::Stale, None),
        };
        Some(Standing {
            layer: name.clone(),
            fingerprint: *fingerprint,
            image: reference.clone(),
            condition,
            digest: image.digest().cloned(),
            others: others.get(name).cloned().unwrap_or_default(),
            last: last.cloned(),
        })
    };
    Ok(snapshot.graph.build_order().filter_map(one).collect())
}
