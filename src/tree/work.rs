//! The work tree: files on disk, below the catalog's root.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Dir, FileType, Mode, OFlags};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};

use super::{Entry, EntryKind, Hashed, Tree, TreeError};
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
    fn open_file(&self, path: &RelPath) -> Result<(File, fs::Metadata), TreeError> {
        // Opening a pipe without a writer must not block.
        let file = File::from(self.open_beneath(path, OFlags::NONBLOCK | OFlags::NOCTTY)?);
        let metadata = file.metadata().map_err(|source| TreeError::Io { path: path.clone(), source })?;
        if metadata.is_file() { Ok((file, metadata)) } else { Err(TreeError::NotAFile(path.clone())) }
    }

    fn open_beneath(&self, path: &RelPath, flags: OFlags) -> Result<OwnedFd, TreeError> {
        let name = if path.as_str().is_empty() { "." } else { path.as_str() };
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | flags;
        self.open_without_links(name, flags).map_err(|errno| match errno {
            Errno::NOENT => TreeError::Missing(path.clone()),
            // Of a path through a link, systems say that the link is no folder, or that there are too many links.
            Errno::NOTDIR if !self.leads_through_link(path) => TreeError::Missing(path.clone()),
            Errno::LOOP | Errno::XDEV | Errno::MLINK | Errno::NOTDIR => TreeError::Linked(path.clone()),
            Errno::NXIO => TreeError::NotAFile(path.clone()),
            errno => TreeError::Io { path: path.clone(), source: errno.into() },
        })
    }

    fn leads_through_link(&self, path: &RelPath) -> bool {
        let is_link = |part: &Path| part.symlink_metadata().is_ok_and(|metadata| metadata.is_symlink());
        self.at(path).ancestors().take_while(|part| **part != self.root).any(is_link)
    }

    /// One call that the kernel keeps below the root and away from links.
    #[cfg(target_os = "linux")]
    fn open_without_links(&self, name: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
        use rustix::fs::ResolveFlags;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        match rustix::fs::openat2(&self.handle, name, flags, Mode::empty(), resolve) {
            // Kernels before 5.6, and some sandboxes, don't know the call.
            Err(Errno::NOSYS | Errno::PERM) => self.open_step_by_step(name, flags),
            answer => answer,
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn open_without_links(&self, name: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
        self.open_step_by_step(name, flags)
    }

    /// Opens folder after folder, none of them a link.
    fn open_step_by_step(&self, name: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
        let folder_flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let mut parts = name.split('/').peekable();
        let mut at = rustix::io::dup(&self.handle)?;
        while let Some(part) = parts.next() {
            let flags = if parts.peek().is_some() { folder_flags } else { flags };
            at = rustix::fs::openat(&at, part, flags, Mode::empty())?;
        }
        Ok(at)
    }
}

impl Tree for WorkTree {
    fn members(&self, folder: &RelPath) -> Result<Vec<Entry>, TreeError> {
        let io_error = |errno: Errno| TreeError::Io { path: folder.clone(), source: errno.into() };
        let handle = match self.open_beneath(folder, OFlags::DIRECTORY) {
            Ok(handle) => handle,
            Err(TreeError::Missing(_)) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut members = Vec::new();
        for member in Dir::new(handle).map_err(io_error)? {
            let member = member.map_err(io_error)?;
            let name = member.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let is_named = name.to_str().is_ok();
            let path = folder.join(&name.to_string_lossy()).map_err(|_| TreeError::Name(folder.clone()))?;
            let file_type = match member.file_type() {
                // Some file systems don't say.
                FileType::Unknown => {
                    let found = self.at(folder).join(name.to_string_lossy().as_ref()).symlink_metadata();
                    let found = found.map_err(|source| TreeError::Io { path: path.clone(), source })?;
                    FileType::from_raw_mode(found.mode())
                }
                known => known,
            };
            let kind = match file_type {
                _ if !is_named => EntryKind::Unnamed,
                FileType::Directory => EntryKind::Folder,
                FileType::Symlink => EntryKind::Link,
                FileType::RegularFile => EntryKind::File,
                _ => EntryKind::Special,
            };
            members.push(Entry { path, kind });
        }
        members.sort();
        Ok(members)
    }

    fn read(&self, path: &RelPath, limit: u64) -> Result<Vec<u8>, TreeError> {
        let (file, metadata) = self.open_file(path)?;
        let too_large = || TreeError::TooLarge { path: path.clone(), limit };
        if metadata.len() > limit {
            return Err(too_large());
        }
        let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0) + 1);
        // The file may grow while it is read.
        file.take(limit + 1).read_to_end(&mut bytes).map_err(|source| TreeError::Io { path: path.clone(), source })?;
        if bytes.len() as u64 > limit { Err(too_large()) } else { Ok(bytes) }
    }

    fn copy(&self, path: &RelPath, limit: u64, to: &mut dyn Write) -> Result<Hashed, TreeError> {
        let io_error = |source| TreeError::Io { path: path.clone(), source };
        let (file, metadata) = self.open_file(path)?;
        if metadata.len() > limit {
            return Err(TreeError::TooLarge { path: path.clone(), limit });
        }
        let mut file = file.take(limit);
        let mut hasher = Sha256::new();
        let (mut length, mut buffer) = (0, [0; 32 * 1024]);
        loop {
            match file.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => {
                    hasher.update(&buffer[..read]);
                    to.write_all(&buffer[..read]).map_err(io_error)?;
                    length += read as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(io_error(source)),
            }
        }
        Ok(Hashed { hash: hasher.finalize().into(), length, executable: metadata.mode() & 0o100 != 0 })
    }

    fn link(&self, path: &RelPath) -> Result<Vec<u8>, TreeError> {
        let target = fs::read_link(self.at(path)).map_err(|source| TreeError::Io { path: path.clone(), source })?;
        Ok(target.into_os_string().into_vec())
    }
}
