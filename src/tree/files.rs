//! The text files of a tree, each read once: the bytes that are hashed are the bytes that are evaluated.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Hash, Tree, TreeError, sha256};
use crate::diag::{Code, Diagnostic};
use crate::model::RelPath;

/// The largest text file that is read, in bytes.
pub const MAX_TEXT: u64 = 1 << 20;

/// A tree with the text files that were read from it.
pub struct Files {
    tree: Box<dyn Tree>,
    read: Mutex<HashMap<RelPath, Result<TextFile, Box<Diagnostic>>>>,
}

/// A text file.
#[derive(Clone, Debug)]
pub struct TextFile {
    /// Its content.
    pub text: Arc<str>,
    /// The SHA-256 of its content.
    pub hash: Hash,
}

impl Files {
    /// Wraps a tree.
    pub fn new(tree: Box<dyn Tree>) -> Self {
        Self { tree, read: Mutex::default() }
    }

    /// The tree itself.
    pub fn tree(&self) -> &dyn Tree {
        &*self.tree
    }

    /// The text of a regular UTF-8 file of at most [`MAX_TEXT`] bytes; `None` where there is no file.
    ///
    /// # Errors
    /// A finding that says why the file can't be used.
    pub fn text(&self, path: &RelPath) -> Result<Option<TextFile>, Box<Diagnostic>> {
        match self.require(path) {
            Ok(file) => Ok(Some(file)),
            Err(finding) if finding.code == Code::Import => Ok(None),
            Err(finding) => Err(finding),
        }
    }

    /// As [`Files::text`], where a missing file is an error too, of code `import`.
    ///
    /// # Errors
    /// A finding that says why the file can't be used.
    pub fn require(&self, path: &RelPath) -> Result<TextFile, Box<Diagnostic>> {
        let lock = || self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = lock().get(path) {
            return known.clone();
        }
        let read = self.read_text(path);
        // Two threads may have read the same file at the same time: the first one counts for both.
        lock().entry(path.clone()).or_insert(read).clone()
    }

    fn read_text(&self, path: &RelPath) -> Result<TextFile, Box<Diagnostic>> {
        let bytes = self.tree.read(path, MAX_TEXT).map_err(|error| Box::new(finding(&error)))?;
        let hash = sha256(&bytes);
        let text = String::from_utf8(bytes).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            let before = &error.as_bytes()[..at];
            let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
            let message = format!("{path} is not UTF-8: the first wrong byte is at offset {at}, in line {line}");
            Box::new(Diagnostic::new(Code::NotUtf8, message).file(path.as_str()).help("save the file as UTF-8"))
        })?;
        Ok(TextFile { text: text.into(), hash })
    }

    /// The text of a file that was read, for showing a place in it.
    pub fn known_text(&self, path: &str) -> Option<Arc<str>> {
        let read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        read.get(path).and_then(|file| file.as_ref().ok()).map(|file| Arc::clone(&file.text))
    }
}

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Files").finish_non_exhaustive()
    }
}

/// Says of a file in the catalog why it can't be used.
pub fn finding(error: &TreeError) -> Diagnostic {
    let message = error.to_string();
    match error {
        TreeError::Missing(path) => Diagnostic::new(Code::Import, message).file(path.as_str()),
        TreeError::NotAFile(path) => Diagnostic::new(Code::NotAFile, message).file(path.as_str()),
        TreeError::Linked(path) => Diagnostic::new(Code::NotAFile, message)
            .file(path.as_str())
            .help("links are not followed: name the file itself, or copy it"),
        TreeError::TooLarge { path, .. } => Diagnostic::new(Code::TooLarge, message).file(path.as_str()),
        TreeError::Name(path) => Diagnostic::new(Code::Unreadable, message).file(path.as_str()).help("rename it"),
        TreeError::Io { path, .. } => Diagnostic::new(Code::Unreadable, message).file(path.as_str()),
    }
}
