//! The work tree: files on disk, below the catalog's root.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};

use super::{Entry, EntryKind, Hash, Tree, TreeError};
use crate::model::RelPath;

/// The files below a folder on disk.
#[derive(Debug)]
pub struct WorkTree {
    root: PathBuf,
    handle: OwnedFd,
}

impl WorkTree {
    /// Opens a catalog's root.
    ///
    /// # Errors
    /// When there is no such folder, or it can't be opened.
    pub fn open(root: &Path) -> io::Result<Self> {
        let root = root.canonicalize()?;
        let handle = rustix::fs::open(&root, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        Ok(Self { root, handle })
    }

    /// The root, without links.
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn at(&self, path: &RelPath) -> PathBuf {
        self.root.join(path.as_str())
    }

    /// Opens a regular file; checks what was opened, not what the name meant a moment ago.
    fn open_file(&self, path: &RelPath, follow: bool) -> Result<(File, u64), TreeError> {
        let mut flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
        if !follow {
            flags |= OFlags::NOFOLLOW;
        }
        let file = File::from(self.open_beneath(path, flags).map_err(|errno| match errno {
            Errno::NOENT | Errno::NOTDIR => TreeError::Missing(path.clone()),
            Errno::XDEV => TreeError::Outside { path: path.clone() },
            Errno::LOOP | Errno::NXIO => TreeError::NotAFile(path.clone()),
            errno => TreeError::Io { path: path.clone(), source: errno.into() },
        })?);
        let metadata = file.metadata().map_err(|source| TreeError::Io { path: path.clone(), source })?;
        if !metadata.is_file() {
            return Err(TreeError::NotAFile(path.clone()));
        }
        Ok((file, metadata.len()))
    }

    /// One call that the kernel keeps below the root, whatever links lie on the way.
    #[cfg(target_os = "linux")]
    fn open_beneath(&self, path: &RelPath, flags: OFlags) -> Result<OwnedFd, Errno> {
        use rustix::fs::ResolveFlags;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        match rustix::fs::openat2(&self.handle, path.as_str(), flags, Mode::empty(), resolve) {
            // Kernels before 5.6, and some sandboxes, don't know the call.
            Err(Errno::NOSYS | Errno::PERM) => self.open_checked(path, flags),
            answer => answer,
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn open_beneath(&self, path: &RelPath, flags: OFlags) -> Result<OwnedFd, Errno> {
        self.open_checked(path, flags)
    }

    /// Resolves first, then opens what was found without following anything more.
    fn open_checked(&self, path: &RelPath, flags: OFlags) -> Result<OwnedFd, Errno> {
        let errno = |error: io::Error| error.raw_os_error().map_or(Errno::IO, Errno::from_raw_os_error);
        let name = self.at(path);
        let target = if flags.contains(OFlags::NOFOLLOW) {
            let folder = name.parent().unwrap_or(&self.root).canonicalize().map_err(errno)?;
            folder.join(path.file_name())
        } else {
            name.canonicalize().map_err(errno)?
        };
        if !target.starts_with(&self.root) {
            return Err(Errno::XDEV);
        }
        rustix::fs::openat(&self.handle, &target, flags | OFlags::NOFOLLOW, Mode::empty())
    }
}

impl Tree for WorkTree {
    fn members(&self, folder: &RelPath) -> Result<Vec<Entry>, TreeError> {
        let io_error = |source| TreeError::Io { path: folder.clone(), source };
        let listing = match fs::read_dir(self.at(folder)) {
            Ok(listing) => listing,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(Vec::new());
            }
            Err(error) => return Err(io_error(error)),
        };
        let mut members = Vec::new();
        for member in listing {
            let member = member.map_err(io_error)?;
            let name = String::from_utf8(member.file_name().into_vec()).map_err(|error| TreeError::Name {
                folder: folder.clone(),
                name: String::from_utf8_lossy(error.as_bytes()).into_owned(),
            })?;
            let path = folder.join(&name).map_err(|_| TreeError::Outside { path: folder.clone() })?;
            let file_type = member.file_type().map_err(io_error)?;
            let kind = if file_type.is_dir() {
                EntryKind::Folder
            } else if file_type.is_symlink() {
                EntryKind::Link
            } else if file_type.is_file() {
                let mode = member.metadata().map_err(io_error)?.permissions().mode();
                EntryKind::File { executable: mode & 0o100 != 0 }
            } else {
                EntryKind::Special
            };
            members.push(Entry { path, kind });
        }
        members.sort();
        Ok(members)
    }

    fn read(&self, path: &RelPath, limit: u64) -> Result<Vec<u8>, TreeError> {
        let (file, length) = self.open_file(path, true)?;
        let too_large = || TreeError::TooLarge { path: path.clone(), limit };
        if length > limit {
            return Err(too_large());
        }
        let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0) + 1);
        // The file may grow while it is read.
        file.take(limit + 1).read_to_end(&mut bytes).map_err(|source| TreeError::Io { path: path.clone(), source })?;
        if bytes.len() as u64 > limit { Err(too_large()) } else { Ok(bytes) }
    }

    fn hash(&self, path: &RelPath, limit: u64) -> Result<(Hash, u64), TreeError> {
        let (file, length) = self.open_file(path, false)?;
        if length > limit {
            return Err(TreeError::TooLarge { path: path.clone(), limit });
        }
        let mut file = file.take(limit);
        let mut hasher = Sha256::new();
        let (mut read, mut buffer) = (0, [0; 32 * 1024]);
        loop {
            match file.read(&mut buffer) {
                Ok(0) => return Ok((hasher.finalize().into(), read)),
                Ok(length) => {
                    hasher.update(&buffer[..length]);
                    read += length as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(TreeError::Io { path: path.clone(), source }),
            }
        }
    }

    fn link(&self, path: &RelPath) -> Result<Vec<u8>, TreeError> {
        let target = fs::read_link(self.at(path)).map_err(|source| TreeError::Io { path: path.clone(), source })?;
        Ok(target.into_os_string().into_vec())
    }
}
