//! What earlier runs on this machine say.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::event::RunId;
use crate::history::Layers;
use crate::model::LayerName;
use crate::snapshot::Snapshot;

/// What earlier runs on this machine say. It decides nothing: reasons and estimates are better with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Past {
    /// How long builds of layers took, of whatever fingerprint.
    pub durations: BTreeMap<LayerName, Duration>,
    /// The layers whose last attempt failed, with the very fingerprint that they have now.
    pub failed: BTreeMap<LayerName, Attempt>,
    /// The layers whose last attempt succeeded, with the very fingerprint that they have now.
    pub built: BTreeMap<LayerName, Attempt>,
}

/// Work at a layer in an earlier run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The run.
    pub run: RunId,
    /// When it ended.
    pub at: Timestamp,
}

impl Past {
    /// What the history says of the layers as they are now.
    pub fn of(snapshot: &Snapshot, history: &Layers) -> Self {
        let mut past = Self { durations: history.expected(), ..Self::default() };
        for name in snapshot.graph.names() {
            let Some(last) = history.last(name) else { continue };
            if snapshot.fingerprints().get(name) == Some(last.fingerprint) {
                let attempts = if last.succeeded { &mut past.built } else { &mut past.failed };
                attempts.insert(name.clone(), Attempt { run: last.run.clone(), at: last.at });
            }
        }
        past
    }
}
