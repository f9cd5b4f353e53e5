//! What earlier runs did, in the state folder: their events, the layers' logs, and how long layers took and what they used.
//!
//! Nothing here is needed for a right result: the registry alone says what is built. A history that is deleted costs
//! estimates and reports. `$XDG_STATE_HOME/lamina/CATALOG-HASH/` holds
//!
//! - `runs/RUN/events.jsonl`: the events, one a line; [`Events`] reads them. Whoever writes it holds a lock on it.
//! - `runs/RUN/logs/LAYER.log`: all that the layer's steps wrote.
//! - `layers.json`: what is left of all runs, [`Layers`]. It can be made anew from the runs.
//!
//! Logs may hold anything that a build says, so all of it is the user's alone.

mod events;
mod journal;
mod layers;
mod retention;

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufReader};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

pub use events::{Events, MAX_EVENTS, MAX_LINE, Passed, ReadError};
pub use journal::Journal;
use layers::Worked;
pub use layers::{Ended, Layers, Used};
pub use retention::Retention;

use crate::event::RunId;
use crate::model::LayerName;

/// The history of one catalog.
#[derive(Clone, Debug)]
pub struct History {
    folder: PathBuf,
}

impl History {
    /// The history of the catalog at `root` in lamina's state folder. Its folder is called by the root's name and a
    /// hash of its path, so that a catalog that can't be evaluated has a history, too. Nothing is opened or made.
    pub fn new(state: &Path, root: &Path) -> Self {
        let hash = Sha256::digest(root.as_os_str().as_encoded_bytes());
        let hash: String = hash[..4].iter().map(|byte| format!("{byte:02x}")).collect();
        let name = root.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' };
        let name: String = name.chars().take(64).map(plain).collect();
        Self { folder: state.join(format!("{name}-{hash}")) }
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What writes a run down while it happens.
    pub fn journal(&self, retention: Retention) -> Journal {
        Journal::new(self.clone(), retention)
    }

    /// The runs, newest first; none where there is no history.
    ///
    /// # Errors
    /// When the folder is there and can't be read.
    pub fn runs(&self) -> io::Result<Vec<RunId>> {
        let entries = match fs::read_dir(self.runs_folder()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut runs = Vec::new();
        for entry in entries {
            runs.extend(entry?.file_name().to_str().and_then(|name| name.parse::<RunId>().ok()));
        }
        runs.sort_unstable_by(|a, b| b.cmp(a));
        Ok(runs)
    }

    /// The events of a run.
    ///
    /// # Errors
    /// When there is no such run, or it can't be opened.
    pub fn events(&self, run: &RunId) -> Result<Events<BufReader<File>>, ReadError> {
        Events::open(&self.events_file(run))
    }

    /// Whether somebody writes the run down right now.
    pub fn is_running(&self, run: &RunId) -> bool {
        File::open(self.events_file(run)).is_ok_and(|file| is_locked(&file))
    }

    /// The file with all that a layer's steps wrote in a run.
    pub fn log(&self, run: &RunId, layer: &LayerName) -> PathBuf {
        self.logs_folder(run).join(format!("{layer}.log"))
    }

    /// What earlier runs say of the layers; nothing where there were none. Never an error, as it is never needed.
    pub fn layers(&self) -> Layers {
        Layers::read(&self.layers_file()).unwrap_or_else(|| self.layers_anew())
    }

    /// The same from the runs themselves, where the file has gone or can't be read.
    fn layers_anew(&self) -> Layers {
        let mut layers = Layers::default();
        for run in self.runs().unwrap_or_default().iter().rev() {
            let Ok(events) = self.events(run) else { continue };
            let mut fold = layers::Fold::default();
            for event in events.map_while(Result::ok) {
                if let Some(worked) = fold.read(&event) {
                    layers.add(worked);
                }
            }
        }
        layers
    }

    /// Adds how a layer ended to what is known of all. Somebody else may do the same at this moment.
    fn remember(&self, worked: Worked) -> io::Result<()> {
        let lock = private_file(&self.folder.join("layers.lock"), OpenOptions::new().write(true).truncate(false))?;
        layers::lock(&lock)?;
        let mut layers = self.layers();
        layers.add(worked);
        layers.write(&self.folder, &self.layers_file())
    }

    fn runs_folder(&self) -> PathBuf {
        self.folder.join("runs")
    }

    fn run_folder(&self, run: &RunId) -> PathBuf {
        self.runs_folder().join(run.as_str())
    }

    fn events_file(&self, run: &RunId) -> PathBuf {
        self.run_folder(run).join("events.jsonl")
    }

    fn logs_folder(&self, run: &RunId) -> PathBuf {
        self.run_folder(run).join("logs")
    }

    fn layers_file(&self) -> PathBuf {
        self.folder.join("layers.json")
    }
}

/// Makes a folder, and those above it that are missing, that nobody else can look into.
fn private_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Opens a file that nobody else can read, and makes it where it is missing.
fn private_file(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    options.create(true).mode(0o600).open(path)
}

/// Whether somebody holds the lock of a file. A lock goes with who held it, so there are no stale ones.
fn is_locked(file: &File) -> bool {
    matches!(file.try_lock_shared(), Err(fs::TryLockError::WouldBlock))
}
