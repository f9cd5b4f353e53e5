//! Build contexts: what a build sees of the layer's folder.

use std::collections::BTreeMap;

use crate::diag::Diagnostic;
use crate::model::{Layer, RelPath};
use crate::tree::{self, Entry, EntryKind, Files, Hash, Ignore, TreeError, sha256};

/// What says how large a build is: the catalog's `BUILD_SPEC`.
const BUILD_SPEC: &str = ".build-spec.ncl";

/// The largest build context, in bytes.
pub const MAX_CONTEXT: u64 = 1 << 30;

/// A file of a build context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContextFile {
    /// What it is.
    pub mode: FileMode,
    /// The hash of its content, or of the link's target.
    pub hash: Hash,
}

/// What a file of a build context is; of the bits of its mode, one alone is the same in every checkout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileMode {
    /// A regular file.
    File,
    /// A regular file that its owner may execute.
    Executable,
    /// A symbolic link.
    Link,
}

impl FileMode {
    /// As it is hashed.
    pub fn as_str(self) -> &'static str {
        match self {
            FileMode::File => "file",
            FileMode::Executable => "executable",
            FileMode::Link => "link",
        }
    }
}

/// A folder that the build of a layer reads from: its build context, or a named one.
#[derive(Clone, Copy, Debug)]
pub struct ContextFolder<'a> {
    layer: &'a Layer,
    /// `None` for the build context itself.
    pub name: Option<&'a str>,
    /// The folder.
    pub folder: &'a RelPath,
}

/// What `.dockerignore` leaves out of a context.
#[derive(Clone, Debug, Default)]
pub struct DockerIgnore {
    ignore: Ignore,
}

impl DockerIgnore {
    /// Whether the file at `path`, relative to the context's root, is part of the context.
    fn keeps(&self, path: &str) -> bool {
        !self.ignore.excludes(path)
    }
}

impl<'a> ContextFolder<'a> {
    /// The layer's build context.
    pub fn main(layer: &'a Layer) -> Self {
        Self { layer, name: None, folder: &layer.build.context }
    }

    /// The named contexts, by name.
    pub fn named(layer: &'a Layer) -> impl Iterator<Item = Self> {
        layer.build.contexts.iter().map(move |(name, folder)| Self { layer, name: Some(name), folder })
    }

    /// The build context and the named ones.
    pub fn all(layer: &'a Layer) -> impl Iterator<Item = Self> {
        std::iter::once(Self::main(layer)).chain(Self::named(layer))
    }

    /// Reads the ignore file that holds for it.
    ///
    /// # Errors
    /// When it exists and can't be read.
    pub fn ignore(&self, files: &Files) -> Result<DockerIgnore, Box<Diagnostic>> {
        self.ignore_known(files, |_| true)
    }

    /// As [`ContextFolder::ignore`], where it is known of some files that they don't exist.
    fn ignore_known(
        &self,
        files: &Files,
        may_exist: impl Fn(&RelPath) -> bool,
    ) -> Result<DockerIgnore, Box<Diagnostic>> {
        let common = self.folder.join(".dockerignore").unwrap_or_default();
        for path in self.own_ignore().into_iter().chain([common]) {
            if may_exist(&path)
                && let Some(file) = files.text(&path)?
            {
                return Ok(DockerIgnore { ignore: Ignore::parse(&file.text) });
            }
        }
        Ok(DockerIgnore::default())
    }

    /// The ignore file that belongs to the Dockerfile alone. It holds for the build context, not for named ones.
    fn own_ignore(&self) -> Option<RelPath> {
        let path = || RelPath::new(&format!("{}.dockerignore", self.layer.build.dockerfile)).ok();
        self.name.is_none().then(path).flatten()
    }

    /// Whether a file says what is left out of it.
    pub fn is_ignore_file(&self, file: &RelPath) -> bool {
        file.below(self.folder) == Some(".dockerignore") || self.own_ignore().as_ref() == Some(file)
    }

    /// Whether a file is part of it, by its name alone.
    ///
    /// The workflow, the Dockerfile and its ignore files are never part of it: they have their own place among the
    /// inputs, where a comment in the workflow makes nothing stale. Nor is what says how large its build is, which is no
    /// input.
    pub fn has(&self, workflow: &RelPath, ignore: &DockerIgnore, file: &RelPath) -> bool {
        // The repository's own files are no part of what it holds.
        let of_git = file.as_str() == ".git" || file.as_str().starts_with(".git/");
        match file.below(self.folder) {
            None | Some("") => false,
            Some(_) if of_git || self.is_ignore_file(file) => false,
            Some(BUILD_SPEC) => false,
            Some(path) => file != workflow && *file != self.layer.build.dockerfile && ignore.keeps(path),
        }
    }

    /// All its files and links, in order of their paths.
    ///
    /// # Errors
    /// A finding that names the folder or the ignore file that can't be read.
    pub fn entries(&self, files: &Files, workflow: &RelPath) -> Result<Vec<Entry>, Box<Diagnostic>> {
        let members = files.tree().members(self.folder).map_err(|error| self.unreadable(&error))?;
        let may_exist = |path: &RelPath| {
            path.parent().as_ref() != Some(self.folder) || members.iter().any(|member| member.path == *path)
        };
        let ignore = self.ignore_known(files, may_exist)?;
        let at_root = *self.folder == RelPath::root();
        let skip = |path: &str, kind: EntryKind| {
            kind == EntryKind::Folder && (ignore.ignore.excludes_all_below(path) || (at_root && path == ".git"))
        };
        let mut entries =
            tree::walk_from(files.tree(), self.folder, members, &skip).map_err(|error| self.unreadable(&error))?;
        entries.retain(|entry| self.has(workflow, &ignore, &entry.path));
        Ok(entries)
    }

    /// All its files by path, relative to the folder.
    ///
    /// # Errors
    /// A finding that names the file that can't be read.
    pub fn files(&self, files: &Files, workflow: &RelPath) -> Result<BTreeMap<String, ContextFile>, Box<Diagnostic>> {
        let mut left = MAX_CONTEXT;
        let mut context = BTreeMap::new();
        for entry in self.entries(files, workflow)? {
            let file = if entry.kind == EntryKind::Link {
                let target = files.tree().link(&entry.path).map_err(|error| self.unreadable(&error))?;
                ContextFile { mode: FileMode::Link, hash: sha256(&target) }
            } else {
                let hashed = files.tree().hash(&entry.path, left).map_err(|error| match error {
                    TreeError::TooLarge { path, .. } => {
                        let whole = TreeError::TooLarge { path: self.folder.clone(), limit: MAX_CONTEXT };
                        let help = format!("the limit is reached at {path}: list in .dockerignore what is not needed");
                        Box::new((*self.unreadable(&whole)).help(help))
                    }
                    error => self.unreadable(&error),
                })?;
                left = left.saturating_sub(hashed.length);
                let mode = if hashed.executable { FileMode::Executable } else { FileMode::File };
                ContextFile { mode, hash: hashed.hash }
            };
            let path = entry.path.below(self.folder).unwrap_or_default().to_owned();
            context.insert(path, file);
        }
        Ok(context)
    }

    fn unreadable(&self, error: &TreeError) -> Box<Diagnostic> {
        let layer = &self.layer.name;
        let note = match self.name {
            None => format!("it is part of the build context of {layer}"),
            Some(name) => format!("it is part of the context `{name}` of {layer}"),
        };
        Box::new(tree::finding(error).layer(layer.as_str()).note(note))
    }
}
