//! The files of one revision of a catalog: the work tree, or a revision in git.
//!
//! Both answer alike: folders are listed in order, files are regular and bounded, and links are never followed, so
//! that no path leads out of the catalog and every file has one name.

mod edited;
mod files;
mod git;
mod ignore;
mod work;

use std::io;

use sha2::{Digest as _, Sha256};

pub use edited::EditedTree;
pub use files::{Files, MAX_TEXT, TextFile, finding};
pub use git::{GitTree, RevisionError, clean_revision, references, repository, staged};
pub use ignore::Ignore;
pub use work::WorkTree;

use crate::model::RelPath;

/// The SHA-256 of a file's content.
pub type Hash = [u8; 32];

/// What a path is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EntryKind {
    /// A folder.
    Folder,
    /// A regular file.
    File,
    /// A symbolic link.
    Link,
    /// A device, a pipe, a socket, a submodule.
    Special,
    /// Something whose name is not UTF-8; its path is only for showing.
    Unnamed,
}

/// A file below a folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// Its path, relative to the catalog.
    pub path: RelPath,
    /// What it is.
    pub kind: EntryKind,
}

/// What the content of a file comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hashed {
    /// The SHA-256 of its content.
    pub hash: Hash,
    /// Its length in bytes.
    pub length: u64,
    /// Whether its owner may execute it. The other bits of the mode differ from checkout to checkout.
    pub executable: bool,
}

/// Why a file of a tree can't be had.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    /// There is nothing at the path.
    #[error("{0} does not exist")]
    Missing(RelPath),
    /// The path is no regular file.
    #[error("{0} is not a regular file")]
    NotAFile(RelPath),
    /// The path is a link, or leads through one.
    #[error("{0} is a link, or lies behind one")]
    Linked(RelPath),
    /// The file is larger than allowed.
    #[error("{path} has more than {limit} bytes")]
    TooLarge {
        /// The file.
        path: RelPath,
        /// The limit in bytes.
        limit: u64,
    },
    /// A file's name is not UTF-8; what is not is replaced.
    #[error("the name of {0} is not UTF-8")]
    Name(RelPath),
    /// The system, or git, refused.
    #[error("{path} can't be read: {source}")]
    Io {
        /// The file.
        path: RelPath,
        /// What was said.
        source: io::Error,
    },
}

/// The files of one revision.
pub trait Tree: Send + Sync {
    /// The direct members of a folder, by name; none where there is no such folder.
    ///
    /// # Errors
    /// When the folder can't be read, or lies behind a link.
    fn members(&self, folder: &RelPath) -> Result<Vec<Entry>, TreeError>;

    /// The content of a regular file of at most `limit` bytes.
    ///
    /// # Errors
    /// When there is no such file, it is none, it is too large, or it lies behind a link.
    fn read(&self, path: &RelPath, limit: u64) -> Result<Vec<u8>, TreeError>;

    /// Writes the content of a regular file of at most `limit` bytes; returns what it comes to.
    ///
    /// # Errors
    /// As for [`Tree::read`]; and when it can't be written, as [`TreeError::Io`].
    fn copy(&self, path: &RelPath, limit: u64, to: &mut dyn io::Write) -> Result<Hashed, TreeError>;

    /// What the content of a regular file of at most `limit` bytes comes to.
    ///
    /// # Errors
    /// As for [`Tree::read`].
    fn hash(&self, path: &RelPath, limit: u64) -> Result<Hashed, TreeError> {
        self.copy(path, limit, &mut io::sink())
    }

    /// Where a link points.
    ///
    /// # Errors
    /// When the path is no link.
    fn link(&self, path: &RelPath) -> Result<Vec<u8>, TreeError>;
}

/// All files and links below a folder, sorted by path. `skip` says of a path, relative to the folder, whether it is
/// left out; of a folder, whether nothing below it is wanted.
///
/// # Errors
/// When a folder can't be read.
pub fn walk(
    tree: &dyn Tree,
    folder: &RelPath,
    skip: &dyn Fn(&str, EntryKind) -> bool,
) -> Result<Vec<Entry>, TreeError> {
    walk_from(tree, folder, tree.members(folder)?, skip)
}

/// As [`walk`], where the members of the folder are known already.
///
/// # Errors
/// When a folder below it can't be read.
pub fn walk_from(
    tree: &dyn Tree,
    folder: &RelPath,
    members: Vec<Entry>,
    skip: &dyn Fn(&str, EntryKind) -> bool,
) -> Result<Vec<Entry>, TreeError> {
    let mut found = Vec::new();
    let mut listings = vec![members];
    while let Some(members) = listings.pop() {
        for entry in members {
            if skip(entry.path.below(folder).unwrap_or_default(), entry.kind) {
                continue;
            }
            match entry.kind {
                EntryKind::Folder => listings.push(tree.members(&entry.path)?),
                EntryKind::Unnamed => return Err(TreeError::Name(entry.path)),
                _ => found.push(entry),
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The SHA-256 of some bytes.
pub fn sha256(bytes: &[u8]) -> Hash {
    Sha256::digest(bytes).into()
}
