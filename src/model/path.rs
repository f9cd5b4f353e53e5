//! Paths inside of a catalog.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A path below the catalog's root: UTF-8, `/` between its parts, no `.`, no `..`, no empty part.
/// The root itself is the empty path. Copies share their text: thousands of layers import the same files.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RelPath(Arc<str>);

/// Why a text is no [`RelPath`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// The path starts at the file system's root.
    #[error("`{0}` is absolute, and a relative path is needed here")]
    Absolute(String),
    /// The path leads out of the catalog.
    #[error("`{0}` leads out of the catalog")]
    Outside(String),
}

impl RelPath {
    /// The catalog's root.
    pub fn root() -> Self {
        Self::default()
    }

    /// Reads a path relative to the root; `.` and `..` are resolved by name alone.
    ///
    /// # Errors
    /// When the path is absolute or leads out of the catalog.
    pub fn new(path: &str) -> Result<Self, PathError> {
        Self::root().join(path)
    }

    /// Follows `path` from this folder; `.` and `..` are resolved by name alone.
    ///
    /// # Errors
    /// When the path is absolute or leads out of the catalog.
    pub fn join(&self, path: &str) -> Result<Self, PathError> {
        if path.starts_with('/') {
            return Err(PathError::Absolute(path.to_owned()));
        }
        let mut joined = self.0.to_string();
        for part in path.split('/') {
            match part {
                "" | "." => {}
                ".." if joined.is_empty() => return Err(PathError::Outside(path.to_owned())),
                ".." => joined.truncate(joined.rfind('/').unwrap_or(0)),
                part => {
                    if !joined.is_empty() {
                        joined.push('/');
                    }
                    joined.push_str(part);
                }
            }
        }
        Ok(Self(joined.into()))
    }

    /// The path as text; empty for the root.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The folder that holds it; `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        if self.0.is_empty() {
            return None;
        }
        Some(Self(self.0[..self.0.rfind('/').unwrap_or(0)].into()))
    }

    /// The last part of the path.
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or("")
    }

    /// What is left of this path below `folder`; `None` where it does not lie there.
    /// A path lies below itself, with nothing left.
    pub fn below<'a>(&'a self, folder: &RelPath) -> Option<&'a str> {
        if folder.0.is_empty() {
            return Some(&self.0);
        }
        match self.0.strip_prefix(&*folder.0)? {
            "" => Some(""),
            rest => rest.strip_prefix('/'),
        }
    }
}

impl Default for RelPath {
    fn default() -> Self {
        Self(Arc::from(""))
    }
}

impl TryFrom<String> for RelPath {
    type Error = PathError;

    fn try_from(path: String) -> Result<Self, PathError> {
        Self::new(&path)
    }
}

impl From<RelPath> for String {
    fn from(path: RelPath) -> Self {
        path.0.to_string()
    }
}

impl fmt::Display for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "." } else { &self.0 })
    }
}

impl Borrow<str> for RelPath {
    fn borrow(&self) -> &str {
        &self.0
    }
}
