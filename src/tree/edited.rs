//! A tree with other texts in some of its files: what a catalog would be after an edit that nobody has made yet.

use std::collections::BTreeMap;
use std::io::Write;

use super::{Entry, Hashed, Tree, TreeError, sha256};
use crate::model::RelPath;

/// A tree in which some files have another text.
pub struct EditedTree<T> {
    tree: T,
    texts: BTreeMap<RelPath, String>,
}

impl<T: Tree> EditedTree<T> {
    /// The tree with these texts in files that it has.
    pub fn new(tree: T, texts: BTreeMap<RelPath, String>) -> Self {
        Self { tree, texts }
    }

    fn text(&self, path: &RelPath, limit: u64) -> Option<Result<&[u8], TreeError>> {
        let text = self.texts.get(path)?.as_bytes();
        let too_large = || TreeError::TooLarge { path: path.clone(), limit };
        Some(if text.len() as u64 > limit { Err(too_large()) } else { Ok(text) })
    }
}

impl<T: Tree> Tree for EditedTree<T> {
    fn members(&self, folder: &RelPath) -> Result<Vec<Entry>, TreeError> {
        self.tree.members(folder)
    }

    fn read(&self, path: &RelPath, limit: u64) -> Result<Vec<u8>, TreeError> {
        match self.text(path, limit) {
            Some(text) => text.map(<[u8]>::to_vec),
            None => self.tree.read(path, limit),
        }
    }

    fn copy(&self, path: &RelPath, limit: u64, to: &mut dyn Write) -> Result<Hashed, TreeError> {
        let Some(text) = self.text(path, limit) else { return self.tree.copy(path, limit, to) };
        let (text, hashed) = (text?, self.tree.hash(path, limit)?);
        to.write_all(text).map_err(|source| TreeError::Io { path: path.clone(), source })?;
        Ok(Hashed { hash: sha256(text), length: text.len() as u64, ..hashed })
    }

    fn link(&self, path: &RelPath) -> Result<Vec<u8>, TreeError> {
        self.tree.link(path)
    }
}
