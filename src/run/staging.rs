//! What a build is sent: exactly the files that were fingerprinted, in a private folder of their own.
//!
//! So what is hashed is what is built: a file that has changed meanwhile ends the build, one that has come since is not
//! seen, and what `.dockerignore` leaves out is not there. Modes are those that were hashed, and times follow from the
//! content, so that neither checkout nor machine goes into an image.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps};
use tempfile::TempDir;

use crate::event::FailureKind;
use crate::fingerprint::{ContextFile, FileMode, MAX_CONTEXT};
use crate::model::{LayerName, RelPath};
use crate::snapshot::Snapshot;
use crate::tree::{Files, Hash, TreeError, sha256};

/// When staged folders were changed last, and files at the earliest: the first moment that ZIP archives can name, in
/// seconds since 1970.
pub const MTIME: i64 = 315_532_800;
/// In how many seconds behind [`MTIME`] the times of files lie: some two years.
pub const MTIME_SPAN: i64 = 1 << 26;

/// The files of a build, in a folder that only this user may look into. It goes with this value.
#[derive(Debug)]
pub struct Staged {
    /// The Dockerfile; it lies outside of the context.
    pub dockerfile: PathBuf,
    /// The build context's folder.
    pub context: PathBuf,
    /// The folders of further contexts by name.
    pub contexts: BTreeMap<String, PathBuf>,
    /// Where copies lie.
    folder: Option<TempDir>,
}

impl Staged {
    /// Files that are where a build can read them already, and stay there.
    pub fn at(dockerfile: PathBuf, context: PathBuf) -> Self {
        Self { dockerfile, context, contexts: BTreeMap::new(), folder: None }
    }

    /// The private folder with the copies, where there are any.
    pub fn folder(&self) -> Option<&Path> {
        self.folder.as_ref().map(TempDir::path)
    }
}

/// Who gives builds their files.
pub trait Stage: Send + Sync {
    /// The files of a layer's build.
    fn stage<'a>(
        &'a self,
        snapshot: &'a Arc<Snapshot>,
        layer: &'a LayerName,
    ) -> BoxFuture<'a, Result<Staged, StageError>>;
}

/// Copies them, beside the other layers' work: see [`stage`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Copies;

impl Stage for Copies {
    fn stage<'a>(
        &'a self,
        snapshot: &'a Arc<Snapshot>,
        layer: &'a LayerName,
    ) -> BoxFuture<'a, Result<Staged, StageError>> {
        let (snapshot, name) = (Arc::clone(snapshot), layer.clone());
        let copying = tokio::task::spawn_blocking(move || stage(&snapshot, &name));
        copying.map(|copied| copied.unwrap_or_else(|error| Err(StageError::GivenUp(error.to_string())))).boxed()
    }
}

/// Why a build can't be sent its files.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// A file is not what was fingerprinted.
    #[error("{0} has changed since lamina read it")]
    Moved(RelPath),
    /// A file can't be copied.
    #[error("{what} can't be copied to {}: {source}", to.display())]
    Io {
        /// The file, relative to the catalog's root.
        what: RelPath,
        /// The folder that it was to be copied into.
        to: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The copying itself ended early.
    #[error("its files can't be copied: {0}")]
    GivenUp(String),
    /// The layer's inputs are not known.
    #[error("{0} has no fingerprint")]
    NoInputs(LayerName),
}

impl StageError {
    /// What kind of failure of the layer it is.
    pub fn kind(&self) -> FailureKind {
        match self {
            StageError::Moved(_) => FailureKind::Moved,
            StageError::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull => FailureKind::Resources,
            StageError::Io { .. } | StageError::GivenUp(_) | StageError::NoInputs(_) => FailureKind::Other,
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self.kind() {
            FailureKind::Moved => Some("run the command again: it builds the files as they are then"),
            FailureKind::Resources => Some("TMPDIR names the folder that is used"),
            _ => None,
        }
    }
}

/// Copies the files of a layer's build into a folder below the system's temporary one.
///
/// # Errors
/// When a file is not what was fingerprinted, or can't be copied.
pub fn stage(snapshot: &Snapshot, layer: &LayerName) -> Result<Staged, StageError> {
    let no_inputs = || StageError::NoInputs(layer.clone());
    let inputs = snapshot.fingerprints().inputs(layer).ok_or_else(no_inputs)?;
    let files = &snapshot.catalog.files;
    let system = std::env::temp_dir();
    let io_error = |source| StageError::Io { what: inputs.context_folder.clone(), to: system.clone(), source };
    let folder = tempfile::Builder::new()
        .prefix("lamina-")
        .permissions(Permissions::from_mode(0o700))
        .tempdir_in(&system)
        .map_err(io_error)?;
    let dockerfile = stage_dockerfile(files, &inputs.dockerfile, &folder.path().join("dockerfile"))?;
    let context = folder.path().join("context");
    copy_all(files, &inputs.context_folder, &inputs.context, &context)?;
    let mut contexts = BTreeMap::new();
    for (number, (name, named)) in inputs.contexts.iter().enumerate() {
        // A name may be any text, an image's for example.
        let to = folder.path().join(format!("context-{number}"));
        copy_all(files, &named.folder, &named.files, &to)?;
        contexts.insert(name.clone(), to);
    }
    Ok(Staged { dockerfile, context, contexts, folder: Some(folder) })
}

/// Writes the Dockerfile as it was read when it was hashed.
fn stage_dockerfile(files: &Files, path: &RelPath, to: &Path) -> Result<PathBuf, StageError> {
    let file = files.require(path).map_err(|_| StageError::Moved(path.clone()))?;
    let io_error = |source| StageError::Io { what: path.clone(), to: to.to_owned(), source };
    make_folder(to).map_err(io_error)?;
    let dockerfile = to.join(path.file_name());
    fs::write(&dockerfile, file.text.as_bytes()).map_err(io_error)?;
    let time = moment(&sha256(file.text.as_bytes()));
    set_times(&dockerfile, time).and_then(|()| set_times(to, FOLDER)).map_err(io_error)?;
    Ok(dockerfile)
}

/// Copies files of a folder of the catalog, each if it is still what its hash says.
fn copy_all(
    files: &Files,
    from: &RelPath,
    context: &BTreeMap<String, ContextFile>,
    to: &Path,
) -> Result<(), StageError> {
    let root = |source| StageError::Io { what: from.clone(), to: to.to_owned(), source };
    make_folder(to).map_err(root)?;
    let mut left = MAX_CONTEXT;
    for (path, file) in context {
        let what = from.join(path).unwrap_or_default();
        let target = to.join(path);
        let io_error = |source| StageError::Io { what: what.clone(), to: to.to_owned(), source };
        let folder = target.parent().unwrap_or(to);
        make_folder(folder).map_err(io_error)?;
        let hash = match file.mode {
            FileMode::Link => {
                let link = files.tree().link(&what).map_err(|error| stage_error(error, to))?;
                symlink(os_str(&link), &target).map_err(io_error)?;
                sha256(&link)
            }
            FileMode::File | FileMode::Executable => {
                let mut copy = File::create_new(&target).map_err(io_error)?;
                let hashed = files.tree().copy(&what, left, &mut copy).map_err(|error| stage_error(error, to))?;
                left = left.saturating_sub(hashed.length);
                let mode = if file.mode == FileMode::Executable { 0o755 } else { 0o644 };
                copy.set_permissions(Permissions::from_mode(mode)).map_err(io_error)?;
                if hashed.executable != (file.mode == FileMode::Executable) {
                    return Err(StageError::Moved(what));
                }
                hashed.hash
            }
        };
        if hash != file.hash {
            return Err(StageError::Moved(what));
        }
        set_times(&target, moment(&hash)).map_err(io_error)?;
    }
    set_folder_times(to).map_err(root)
}

/// A link's target, byte by byte.
fn os_str(bytes: &[u8]) -> &std::ffi::OsStr {
    std::os::unix::ffi::OsStrExt::from_bytes(bytes)
}

fn stage_error(error: TreeError, to: &Path) -> StageError {
    match error {
        TreeError::Io { path, source } => StageError::Io { what: path, to: to.to_owned(), source },
        // Whatever it is now, it was a file or a link of its size when it was hashed.
        TreeError::Missing(path)
        | TreeError::NotAFile(path)
        | TreeError::Linked(path)
        | TreeError::Name(path)
        | TreeError::TooLarge { path, .. } => StageError::Moved(path),
    }
}

/// Makes a folder, and those above it, of one mode whatever the umask takes away.
fn make_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    if let Some(parent) = folder.parent() {
        make_folder(parent)?;
    }
    DirBuilder::new().mode(0o755).create(folder)?;
    fs::set_permissions(folder, Permissions::from_mode(0o755))
}

const FOLDER: Timespec = Timespec { tv_sec: MTIME, tv_nsec: 0 };

/// The time of a file with this content. BuildKit keeps what it was sent before, and takes a file of the same path, size
/// and time for the same file: so another content has to have another time, and the same content the same.
fn moment(hash: &Hash) -> Timespec {
    let bits = hash.iter().take(8).fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
    let seconds = i64::try_from(bits >> 32).unwrap_or_default() % MTIME_SPAN;
    let nanos = u32::try_from(bits % 1_000_000_000).unwrap_or_default();
    Timespec { tv_sec: MTIME + seconds, tv_nsec: nanos.into() }
}

fn set_times(path: &Path, time: Timespec) -> io::Result<()> {
    let times = Timestamps { last_access: time, last_modification: time };
    Ok(rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}

/// Sets the times of all folders, the innermost first: what is put into a folder changes its time.
fn set_folder_times(folder: &Path) -> io::Result<()> {
    for member in fs::read_dir(folder)? {
        let member = member?;
        if member.file_type()?.is_dir() {
            set_folder_times(&member.path())?;
        }
    }
    set_times(folder, FOLDER)
}
