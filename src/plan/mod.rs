//! What has to be built, from state: a selection of layers, their fingerprints, and what the registry has.
//!
//! This is the only place where what is wanted meets what is there. A plan has no effects; `build` runs it, `plan` shows
//! it, `status` reads the same answers of the registry.

//!
//! [`state`] asks the registry, [`Plan::of`] computes, and [`Saved`] is a plan that was written down and is read again.

mod bases;
mod compute;
mod document;
mod estimate;
mod past;
mod reason;
mod state;
mod status;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

pub use compute::{Lacking, PlanError, Wanted, asked};
pub use document::{MAX_DOCUMENT, Saved, SavedError};
pub use estimate::Estimate;
pub use past::{Attempt, Past};
pub use reason::{Reason, SkipReason};
pub use state::{StateError, look_up, state};
pub use status::{Condition, Standing, others, standing};

use crate::diag::Diagnostic;
use crate::event::Action;
use crate::model::{Digest, Fingerprint, ImageRef, LayerName};
use crate::snapshot::Snapshot;

/// What has to be done, and what has not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The layers to build or to prove, in order of building.
    pub steps: Vec<Step>,
    /// The selected layers that need nothing, in order of building.
    pub skipped: Vec<Skipped>,
    /// The change that a layer of either kind was selected for, in words, where it was one.
    pub causes: BTreeMap<LayerName, String>,
}

/// A layer to build or to prove.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The layer.
    pub layer: LayerName,
    /// What is done.
    pub action: Action,
    /// Its fingerprint.
    pub fingerprint: Fingerprint,
    /// The image's name, with the tag of the fingerprint.
    pub image: ImageRef,
    /// Why; at least one.
    pub reasons: Vec<Reason>,
    /// The layers of this plan that have to be done before.
    pub needs: BTreeSet<LayerName>,
    /// The parents that are there already, each with its image.
    pub present: BTreeMap<LayerName, Digest>,
    /// Whether an image that is there is built once more.
    pub forced: bool,
    /// How long it is expected to take.
    pub expected: Option<Duration>,
}

/// A selected layer that needs nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// The layer.
    pub layer: LayerName,
    /// Its fingerprint.
    pub fingerprint: Fingerprint,
    /// Its image.
    pub digest: Digest,
    /// Why.
    pub reason: SkipReason,
}

/// What a registry has of a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Image {
    /// No image of this fingerprint.
    Missing,
    /// An image that nobody has proven, or not by the probes that are declared now.
    Unproven(Digest),
    /// An image, and the proof that it is good.
    Proven(Digest),
}

impl Image {
    /// The image's digest, where there is one.
    pub fn digest(&self) -> Option<&Digest> {
        match self {
            Image::Missing => None,
            Image::Unproven(digest) | Image::Proven(digest) => Some(digest),
        }
    }
}

/// The fingerprints of layers, and their images' names under these.
///
/// # Errors
/// What keeps a layer from having them. A layer that is not in the catalog is left out.
fn images_of<'a>(
    snapshot: &Snapshot,
    layers: impl IntoIterator<Item = &'a LayerName>,
) -> Result<BTreeMap<LayerName, (Fingerprint, ImageRef)>, Vec<Diagnostic>> {
    let (mut named, mut findings) = (BTreeMap::new(), Vec::new());
    for name in layers {
        match (snapshot.image(name), snapshot.fingerprints().get(name)) {
            (Some(Ok(image)), Some(fingerprint)) => drop(named.insert(name.clone(), (fingerprint, image))),
            (Some(Err(finding)), _) => findings.push(*finding),
            _ => {}
        }
    }
    if findings.is_empty() {
        return Ok(named);
    }
    // Why a layer has no fingerprint says more than that it has none.
    let causes = &snapshot.fingerprints().findings;
    Err(if causes.is_empty() { findings } else { causes.clone() })
}
