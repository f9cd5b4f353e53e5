//! A project's target folder, to put units into: one writer at a time, each unit as a whole or not at all.

use std::collections::{BTreeSet, HashSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::files::{self, Present, record};
use super::pack::MOMENT;
use super::place::Place;
use super::unpack::{UnpackError, unpack};

/// What lamina keeps in a target folder: its lock, and units that are not in their places yet.
const OWN: &str = ".lamina";
/// As cargo marks a target folder for programs that make backups, <https://bford.info/cachedir/>.
const CACHE_TAG: &str = "Signature: 8a477f597d28d172789f06886806bc55\n\
                         # This file is a cache directory tag created by lamina.\n";

/// A target folder that nobody else writes to while this lives: neither another lamina nor cargo.
///
/// A unit is unpacked into a private folder below `.lamina`, on the same filesystem, and renamed from there; its folder
/// in `.fingerprint` comes last. cargo takes nothing for compiled that has none, so what is left when lamina is killed
/// is nothing to it. All files of a unit have the same time: cargo compiles anew what is older than something that it
/// depends on, and equal times are not.
#[derive(Debug)]
pub struct Target {
    root: PathBuf,
    /// The hashes of units that others, which are there, were made with.
    needed: HashSet<u64>,
    /// Held for as long as this lives.
    _locks: Vec<File>,
}

/// Why a target folder can't be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", path.display())]
pub struct TargetError {
    path: PathBuf,
    source: io::Error,
}

/// A unit that is unpacked, and not in its place yet.
#[derive(Debug)]
pub struct Staged {
    place: Place,
    folder: PathBuf,
    hash: u64,
}

/// What became of a unit that was to be put into its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// It is there now.
    Placed,
    /// It was there already, and is as it was.
    There,
    /// Others that are there were made with another one, which is gone.
    Needed,
}

impl Target {
    /// Opens a target folder, for units below these folders of it (`release`); what is not there is made. Where
    /// somebody else writes to it, `waits` is told, and it is waited for.
    ///
    /// # Errors
    /// When it can't be made or locked.
    pub fn open(root: &Path, profiles: &BTreeSet<PathBuf>, waits: &mut dyn FnMut(&Path)) -> Result<Self, TargetError> {
        let is_new = !root.exists();
        make(root)?;
        if is_new {
            let tag = root.join("CACHEDIR.TAG");
            File::create(&tag).and_then(|mut file| file.write_all(CACHE_TAG.as_bytes())).map_err(failed(&tag))?;
        }
        let own = root.join(OWN);
        make(&own)?;
        let mut locks = vec![lock(&own.join("lock"), waits)?];
        let mut needed = HashSet::new();
        for profile in profiles {
            let folder = root.join(profile);
            make(&folder)?;
            // cargo's own lock of this folder.
            locks.push(lock(&folder.join(".cargo-lock"), waits)?);
            let units = fs::read_dir(folder.join(".fingerprint")).into_iter().flatten().flatten();
            // What can't be read is no unit to cargo either.
            needed.extend(units.filter_map(|unit| record(&unit.path()).ok()).flat_map(|record| record.dependencies));
        }
        let staging = own.join("staged");
        // Of one that was killed.
        match fs::remove_dir_all(&staging) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(&staging)(error)),
            _ => make(&staging)?,
        }
        Ok(Self { root: root.to_owned(), needed, _locks: locks })
    }

    /// Whether a unit is there. One that cargo has not come to, or not come to the end of, is not: it makes the folders of
    /// all units before it compiles the first.
    pub fn has(&self, place: &Place) -> bool {
        record(&place.within(&self.root, ".fingerprint")).is_ok()
    }

    /// A unit that is there and whole.
    pub(super) fn present(&self, place: &Place) -> Option<Present> {
        if self.has(place) { files::inspect(&self.root, place).ok() } else { None }
    }

    /// Where a unit is unpacked.
    pub fn staging(&self, place: &Place) -> PathBuf {
        self.root.join(OWN).join("staged").join(place.to_string().replace('/', "~"))
    }

    /// Puts a unit into its place, with the time `moment`.
    ///
    /// # Errors
    /// When its files can't be moved. cargo takes nothing of it for compiled then.
    pub fn settle(&self, staged: &Staged, moment: SystemTime) -> Result<Settled, TargetError> {
        let Staged { place, folder, hash } = staged;
        if self.has(place) {
            return Ok(Settled::There);
        }
        if self.needed.contains(hash) {
            return Ok(Settled::Needed);
        }
        stamp(folder, moment)?;
        let root = self.root.join(place.root());
        let deps = folder.join("deps");
        if deps.is_dir() {
            make(&root.join("deps"))?;
            for entry in fs::read_dir(&deps).map_err(failed(&deps))? {
                let entry = entry.map_err(failed(&deps))?;
                rename(&entry.path(), &root.join("deps").join(entry.file_name()))?;
            }
        }
        for kind in ["build", ".fingerprint"] {
            let (from, to) = (folder.join(kind).join(place.folder()), root.join(kind).join(place.folder()));
            if from.is_dir() {
                make(&root.join(kind))?;
                // Of a unit that is not there: left by a lamina or a cargo that was killed.
                if to.exists() {
                    fs::remove_dir_all(&to).map_err(failed(&to))?;
                }
                rename(&from, &to)?;
            }
        }
        Ok(Settled::Placed)
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        // The lock stays: whoever waits for it has it open.
        let _ = fs::remove_dir_all(self.root.join(OWN).join("staged"));
    }
}

/// Unpacks a unit into its private folder; of one that can't be unpacked nothing is left.
///
/// # Errors
/// When it is not as it should be; see [`unpack`].
pub fn stage(folder: PathBuf, place: Place, blob: &[u8], bytes: u64) -> Result<Staged, UnpackError> {
    let staged = fs::create_dir(&folder)
        .map_err(UnpackError::Io)
        .and_then(|()| unpack(blob, bytes, &place, &folder))
        .and_then(|()| record(&folder.join(".fingerprint").join(place.folder())).map_err(|_| UnpackError::Incomplete));
    match staged {
        Ok(record) => Ok(Staged { place, folder, hash: record.hash }),
        Err(error) => {
            let _ = fs::remove_dir_all(&folder);
            Err(error)
        }
    }
}

/// The time of a unit whose dependencies, as far as they were there before, have these times: cargo must find none of
/// them newer, and nothing that is there depends on it.
pub fn moment(dependencies: impl Iterator<Item = SystemTime>) -> SystemTime {
    dependencies.fold(SystemTime::UNIX_EPOCH + Duration::from_secs(MOMENT), SystemTime::max)
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> TargetError {
    move |source| TargetError { path: path.to_owned(), source }
}

/// Makes a folder, where there is none.
fn make(path: &Path) -> Result<(), TargetError> {
    fs::create_dir_all(path).map_err(failed(path))
}

fn rename(from: &Path, to: &Path) -> Result<(), TargetError> {
    fs::rename(from, to).map_err(failed(to))
}

fn lock(path: &Path, waits: &mut dyn FnMut(&Path)) -> Result<File, TargetError> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
    let file = file.map_err(failed(path))?;
    let locked = match file.try_lock() {
        Err(fs::TryLockError::WouldBlock) => {
            waits(path);
            file.lock()
        }
        Err(fs::TryLockError::Error(error)) => Err(error),
        Ok(()) => Ok(()),
    };
    match locked {
        // Filesystems without locks: cargo goes on without as well.
        Err(error) if error.kind() == io::ErrorKind::Unsupported => Ok(file),
        Err(error) => Err(failed(path)(error)),
        Ok(()) => Ok(file),
    }
}

/// Gives all files below a folder the same time.
fn stamp(folder: &Path, moment: SystemTime) -> Result<(), TargetError> {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(failed(&folder))? {
            let path = entry.map_err(failed(&folder))?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                File::open(&path).and_then(|file| file.set_modified(moment)).map_err(failed(&path))?;
            }
        }
    }
    Ok(())
}
