//! How much of the past is kept.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use super::{History, is_locked};

/// How much of the past is kept. The newest run stays in any case, and so does one that somebody writes down right now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// The most runs.
    pub runs: usize,
    /// The most bytes of all runs, the logs of their layers included.
    pub bytes: u64,
}

impl Default for Retention {
    fn default() -> Self {
        Self { runs: 50, bytes: 512 << 20 }
    }
}

impl Retention {
    /// Removes what is more than this. Somebody else may do the same at this moment.
    pub(super) fn apply(self, history: &History) -> io::Result<()> {
        let mut bytes: u64 = 0;
        for (number, run) in history.runs()?.iter().enumerate() {
            let folder = history.run_folder(run);
            let size = size(&folder).unwrap_or(0);
            bytes = bytes.saturating_add(size);
            let too_much = number >= self.runs || bytes > self.bytes;
            let in_progress = || File::open(history.events_file(run)).is_ok_and(|file| is_locked(&file));
            if number == 0 || !too_much || in_progress() {
                continue;
            }
            match fs::remove_dir_all(&folder) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => bytes -= size,
            }
        }
        Ok(())
    }
}

/// The bytes of a run's files and of its logs.
fn size(folder: &Path) -> io::Result<u64> {
    let mut sum: u64 = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        sum = sum.saturating_add(match metadata.is_dir() {
            true => size(&entry.path())?,
            false => metadata.len(),
        });
    }
    Ok(sum)
}
