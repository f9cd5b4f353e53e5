//! The files of cooked sets: what a build graph is computed from.

use super::Snapshot;
use crate::crates::{BuildGraph, Inputs};
use crate::diag::Diagnostic;
use crate::model::{Cooked, RelPath};
use crate::tree::{self, EntryKind, TextFile};

impl Snapshot {
    /// What the build graph of a cooked set is computed from.
    ///
    /// # Errors
    /// When a file of the set can't be read.
    pub fn cooked_inputs(&self, cooked: &Cooked) -> Result<Inputs, Box<Diagnostic>> {
        let files = &self.catalog.files;
        let skip = |path: &str, kind: EntryKind| match kind {
            EntryKind::Folder => path == "target" || path.starts_with('.'),
            _ => !Inputs::is_text(path) && !Inputs::is_target(path),
        };
        let found = tree::walk(files.tree(), &cooked.path, &skip).map_err(|error| Box::new(tree::finding(&error)))?;
        let cooks = cooked.cooks().map(|(profile, arguments)| cook(&profile.to_string(), arguments));
        let mut inputs = Inputs { cooks: cooks.collect(), ..Inputs::default() };
        for entry in found {
            let path = entry.path.below(&cooked.path).unwrap_or_default();
            if Inputs::is_target(path) {
                inputs.targets.push(path.to_owned());
            } else if let Some(file) = files.text(&entry.path)? {
                inputs.files.insert(path.to_owned(), file.text.to_string());
            }
        }
        Ok(inputs)
    }

    /// Where the build-graph snapshot of a cooked set lies, and its text; none where it has no snapshot.
    ///
    /// # Errors
    /// When there is one that can't be read.
    pub fn build_graph(&self, cooked: &Cooked) -> Result<Option<(RelPath, TextFile)>, Box<Diagnostic>> {
        let path = cooked.path.join(BuildGraph::FILE).unwrap_or_default();
        Ok(self.catalog.files.text(&path)?.map(|file| (path, file)))
    }
}

/// A call of cargo, as a build-graph snapshot names it.
pub fn cook(profile: &str, arguments: &[String]) -> String {
    std::iter::once(profile).chain(arguments.iter().map(String::as_str)).collect::<Vec<_>>().join(" ")
}
