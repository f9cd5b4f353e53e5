//! What became of the pins of external images, as text.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::table;
use crate::lock::tag::Step;
use crate::model::{Digest, ImageRef, LayerName};
use crate::snapshot::Snapshot;

/// An external image, and how its pin is doing.
#[derive(Debug)]
pub struct Pin<'a> {
    /// The image.
    pub image: &'a ImageRef,
    /// How its pin is doing.
    pub state: PinState,
    /// The digest in the lock.
    pub locked: Option<&'a Digest>,
    /// What its tag stands for now, where its registry was asked.
    pub now: Option<Digest>,
    /// The tags that follow its tag, newest first.
    pub newer: Vec<(String, Step)>,
    /// The layers that name it.
    pub layers: Vec<&'a LayerName>,
    /// Why its registry gave no answer.
    pub error: Option<String>,
}

/// How a pin is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "State")]
pub enum PinState {
    /// It is in the lock, and nothing is known against it.
    Locked,
    /// A layer names the image, and the lock does not hold it.
    Missing,
    /// The lock holds it, and no layer names the image.
    Unused,
    /// It has been put into the lock.
    Added,
    /// It has been taken out of the lock.
    Removed,
    /// Its tag stands for another digest now.
    Moved,
    /// Its tag does not exist any more.
    Gone,
    /// Its registry gave no answer.
    Unknown,
}

impl PinState {
    /// Whether the lock is not what the catalog needs, as far as this pin goes.
    pub fn is_wrong(self) -> bool {
        matches!(self, PinState::Missing | PinState::Unused | PinState::Moved | PinState::Gone)
    }

    fn as_str(self) -> &'static str {
        match self {
            PinState::Locked => "locked",
            PinState::Missing => "missing",
            PinState::Unused => "unused",
            PinState::Added => "added",
            PinState::Removed => "removed",
            PinState::Moved => "moved",
            PinState::Gone => "gone",
            PinState::Unknown => "unknown",
        }
    }
}

impl Pin<'_> {
    /// Whether the image is behind: its tag has moved or gone, or newer ones exist.
    pub fn is_outdated(&self) -> bool {
        !self.newer.is_empty() || matches!(self.state, PinState::Moved | PinState::Gone | PinState::Missing)
    }

    fn words(&self) -> String {
        let mut words = match (self.state, self.locked, &self.now) {
            (PinState::Moved, Some(locked), Some(now)) => format!("moved: {} → {}", locked.short(), now.short()),
            (PinState::Missing, ..) => "missing in the lock".to_owned(),
            (PinState::Unused, ..) => "used by no layer".to_owned(),
            (PinState::Gone, ..) => "gone: its registry has no such tag any more".to_owned(),
            (PinState::Added, _, Some(now)) => format!("added: {now}"),
            (state, ..) => state.as_str().to_owned(),
        };
        for (tag, step) in self.newest() {
            words.push_str(&format!("; {tag} ({})", step.as_str()));
        }
        words
    }

    /// Of the newer tags the newest one, and the newest that is a smaller step away.
    fn newest(&self) -> Vec<&(String, Step)> {
        let mut newest: Vec<&(String, Step)> = Vec::new();
        for found in &self.newer {
            if newest.iter().all(|(_, step)| found.1 < *step) {
                newest.push(found);
            }
        }
        newest
    }
}

/// A line a pin.
pub fn text<'a>(pins: impl IntoIterator<Item = &'a Pin<'a>>) -> String {
    let row = |pin: &Pin<'_>| [pin.image.familiar(), pin.words()];
    table(&pins.into_iter().map(row).collect::<Vec<_>>())
}

/// How many pins are in each state that is not `locked`: `2 added, 1 removed`.
pub fn summary<'a>(pins: impl IntoIterator<Item = &'a Pin<'a>>) -> String {
    let mut numbers: BTreeMap<&'static str, usize> = BTreeMap::new();
    for pin in pins.into_iter().filter(|pin| pin.state != PinState::Locked) {
        *numbers.entry(pin.state.as_str()).or_default() += 1;
    }
    numbers.into_iter().map(|(state, number)| format!("{number} {state}")).collect::<Vec<_>>().join(", ")
}

/// What is to be said of images without a digest.
pub fn unlocked(snapshot: &Snapshot) -> impl Iterator<Item = String> {
    let remark =
        |image: &ImageRef| format!("{} has no digest in the lock: a move of its tag goes unnoticed", image.familiar());
    snapshot.unlocked().into_iter().map(remark)
}
