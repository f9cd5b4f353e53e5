//! What is left of all runs: how each layer ended last, and how long its builds took.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::io::{self, Read, Write};
use std::path::Path;
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::event::{Action, Event, Kind, Origin, Outcome, RunId};
use crate::model::{Fingerprint, LayerName};

/// The version of the file. One of another version is made anew from the runs.
const VERSION: u32 = 1;

/// The most that is read of the file.
const MAX_BYTES: u64 = 64 << 20;

/// Of how many builds the durations are kept.
const DURATIONS: usize = 5;

/// How long is waited for somebody else who writes the file, which takes a millisecond.
const TRIES: u32 = 50;
const WAIT: Duration = Duration::from_millis(20);

/// What earlier runs say of layers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layers {
    version: u32,
    layers: BTreeMap<LayerName, Past>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Past {
    last: Ended,
    /// How long the last builds took, newest last, in milliseconds.
    builds_ms: Vec<u64>,
}

/// How work at a layer ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// Whether its image was built, or was found, and is proven.
    pub succeeded: bool,
    /// The fingerprint that it was built for.
    pub fingerprint: Fingerprint,
    /// In which run.
    pub run: RunId,
    /// When.
    pub at: Timestamp,
}

impl Default for Layers {
    fn default() -> Self {
        Self { version: VERSION, layers: BTreeMap::new() }
    }
}

impl Layers {
    /// How the layer ended when it was last worked at to an end.
    pub fn last(&self, layer: &LayerName) -> Option<&Ended> {
        self.layers.get(layer).map(|past| &past.last)
    }

    /// The fingerprints that layers were last worked at for, of those that came out good.
    pub fn good(&self) -> BTreeMap<LayerName, Fingerprint> {
        let good = self.layers.iter().filter(|(_, past)| past.last.succeeded);
        good.map(|(name, past)| (name.clone(), past.last.fingerprint)).collect()
    }

    /// How long a build of each layer is expected to take: the median of its last five that had something to do.
    pub fn expected(&self) -> BTreeMap<LayerName, Duration> {
        let median = |past: &Past| {
            let mut builds = past.builds_ms.clone();
            builds.sort_unstable();
            builds.get(builds.len() / 2).copied().map(Duration::from_millis)
        };
        self.layers.iter().filter_map(|(name, past)| Some((name.clone(), median(past)?))).collect()
    }

    /// Adds how a layer ended, and how long it took where that says something of the next time.
    pub(super) fn add(&mut self, layer: LayerName, ended: Ended, took: Option<Duration>) {
        let past = self.layers.entry(layer).or_insert_with(|| Past { last: ended.clone(), builds_ms: Vec::new() });
        // Runs at the same time need not come in order.
        if ended.at >= past.last.at {
            past.last = ended;
        }
        past.builds_ms.extend(took.map(|took| u64::try_from(took.as_millis()).unwrap_or(u64::MAX)));
        let surplus = past.builds_ms.len().saturating_sub(DURATIONS);
        past.builds_ms.drain(..surplus);
    }

    /// `None` where the file is not there or can't be read.
    pub(super) fn read(path: &Path) -> Option<Self> {
        let mut text = Vec::new();
        File::open(path).ok()?.take(MAX_BYTES).read_to_end(&mut text).ok()?;
        serde_json::from_slice::<Self>(&text).ok().filter(|layers| layers.version == VERSION)
    }

    /// Replaces the file as a whole.
    pub(super) fn write(&self, folder: &Path, path: &Path) -> io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    }
}

/// Takes a file's lock, for as long as the file is open.
pub(super) fn lock(file: &File) -> io::Result<()> {
    for _ in 0..TRIES {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) => thread::sleep(WAIT),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    Err(io::Error::new(io::ErrorKind::TimedOut, "another lamina holds layers.lock"))
}

/// Finds in a run's events how layers ended.
#[derive(Debug, Default)]
pub(super) struct Fold {
    planned: BTreeMap<LayerName, (Fingerprint, Action)>,
}

impl Fold {
    /// A layer that ended, how, and how long it took where something was built. Layers that were cancelled or not begun
    /// say nothing about the next time.
    pub fn read(&mut self, event: &Event) -> Option<(LayerName, Ended, Option<Duration>)> {
        let (layer, outcome, ms) = match &event.kind {
            Kind::RunStarted { layers, .. } => {
                let planned = layers.iter().map(|layer| (layer.layer.clone(), (layer.fingerprint, layer.action)));
                self.planned = planned.collect();
                return None;
            }
            Kind::LayerFinished { layer, outcome, ms } => (layer, outcome, *ms),
            _ => return None,
        };
        let (fingerprint, action) = *self.planned.get(layer)?;
        let (succeeded, took) = match outcome {
            Outcome::Succeeded { built } => {
                let worked = action == Action::Build && built.origin == Origin::Built && built.steps_run > 0;
                (true, worked.then_some(Duration::from_millis(ms)))
            }
            Outcome::Failed { .. } => (false, None),
            Outcome::Cancelled | Outcome::NotRun { .. } => return None,
        };
        Some((layer.clone(), Ended { succeeded, fingerprint, run: event.run.clone(), at: event.at }, took))
    }
}
