//! What has to be built, from state: a selection of layers, their fingerprints, and what the registry has.
//!
//! This is the only place where what is wanted meets what is there. A plan has no effects; `build` runs it, `plan` shows
//! it, `status` reads the same answers of the registry.

mod reason;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

pub use reason::{Reason, SkipReason};

use crate::event::Action;
use crate::model::{Digest, Fingerprint, ImageRef, LayerName};

/// What has to be done, and what has not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The layers to build or to prove, in order of building.
    pub steps: Vec<Step>,
    /// The selected layers that need nothing, in order of building.
    pub skipped: Vec<Skipped>,
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
