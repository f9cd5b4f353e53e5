//! What is left of all runs: how each layer ended last, how long its builds took, and what they have used.

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

/// Of how many builds is kept what they have used.
const USES: usize = 50;

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
    /// What the last builds have used, newest last, as far as somebody has measured it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    used: Vec<Used>,
}

/// What a build has used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Used {
    /// The most memory at a time, in MiB, where it was measured.
    pub peak_memory_mb: Option<u64>,
    /// Processors on average while it had its runner, in thousandths, where that was measured.
    pub cpu_milli: Option<u64>,
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

    /// What the last builds of a layer have used, oldest first.
    pub fn used(&self, layer: &LayerName) -> &[Used] {
        self.layers.get(layer).map(|past| &past.used[..]).unwrap_or_default()
    }

    /// Adds how a layer ended, and how long it took where that says something of the next time.
    pub(super) fn add(&mut self, Worked { layer, ended, took, used }: Worked) {
        let new = || Past { last: ended.clone(), builds_ms: Vec::new(), used: Vec::new() };
        let past = self.layers.entry(layer).or_insert_with(new);
        // Runs at the same time need not come in order.
        if ended.at >= past.last.at {
            past.last = ended;
        }
        past.builds_ms.extend(took.map(|took| u64::try_from(took.as_millis()).unwrap_or(u64::MAX)));
        let surplus = past.builds_ms.len().saturating_sub(DURATIONS);
        past.builds_ms.drain(..surplus);
        past.used.extend(used);
        let surplus = past.used.len().saturating_sub(USES);
        past.used.drain(..surplus);
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

/// Work at a layer that has ended.
#[derive(Debug)]
pub(super) struct Worked {
    pub layer: LayerName,
    /// How.
    pub ended: Ended,
    /// How long it took, where something was built.
    pub took: Option<Duration>,
    /// What that has used, where somebody has measured it.
    pub used: Option<Used>,
}

/// Finds in a run's events how layers ended.
#[derive(Debug, Default)]
pub(super) struct Fold {
    planned: BTreeMap<LayerName, (Fingerprint, Action)>,
    /// When the runner of the attempt was leased.
    leased: BTreeMap<LayerName, Timestamp>,
    used: BTreeMap<LayerName, Used>,
}

impl Fold {
    /// A layer that ended. Layers that were cancelled or not begun say nothing about the next time.
    pub fn read(&mut self, event: &Event) -> Option<Worked> {
        let (layer, outcome, ms) = match &event.kind {
            Kind::RunStarted { layers, .. } => {
                let planned = layers.iter().map(|layer| (layer.layer.clone(), (layer.fingerprint, layer.action)));
                self.planned = planned.collect();
                return None;
            }
            Kind::LayerStarted { layer, .. } => {
                self.leased.remove(layer);
                self.used.remove(layer);
                return None;
            }
            Kind::Leased { layer, .. } => {
                self.leased.insert(layer.clone(), event.at);
                return None;
            }
            Kind::Released { layer, peak_memory_mb, cpu_ms, .. } => {
                // A second lease of the layer pushes what was built by the first one.
                if let Some(since) = self.leased.remove(layer).filter(|_| self.planned.contains_key(layer)) {
                    let (peak_memory_mb, cpu_milli) =
                        (*peak_memory_mb, cpu_ms.and_then(|ms| average(ms, since, event.at)));
                    self.used.entry(layer.clone()).or_insert(Used { peak_memory_mb, cpu_milli });
                }
                return None;
            }
            Kind::LayerFinished { layer, outcome, ms } => (layer, outcome, *ms),
            _ => return None,
        };
        let (fingerprint, action) = *self.planned.get(layer)?;
        let used = self.used.remove(layer).filter(|used| *used != Used::default());
        let (succeeded, took) = match outcome {
            Outcome::Succeeded { built } => {
                let worked = action == Action::Build && built.origin == Origin::Built && built.steps_run > 0;
                (true, worked.then_some(Duration::from_millis(ms)))
            }
            Outcome::Failed { .. } => (false, None),
            Outcome::Cancelled | Outcome::NotRun { .. } => return None,
        };
        let ended = Ended { succeeded, fingerprint, run: event.run.clone(), at: event.at };
        Some(Worked { layer: layer.clone(), ended, took, used: used.filter(|_| took.is_some()) })
    }
}

/// Processors on average between two moments, in thousandths.
fn average(cpu_ms: u64, from: Timestamp, to: Timestamp) -> Option<u64> {
    let ms = u128::try_from(to.duration_since(from).as_millis()).ok().filter(|ms| *ms > 0)?;
    u64::try_from((u128::from(cpu_ms) * 1000).div_ceil(ms)).ok()
}
