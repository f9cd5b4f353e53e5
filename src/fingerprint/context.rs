//! Build contexts: what a build sees of the layer's folder.

use std::collections::BTreeMap;

use crate::diag::Diagnostic;
use crate::model::{Layer, RelPath};
use crate::tree::{self, Entry, EntryKind, Files, Hash, Ignore, TreeError, sha256};

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

/// The `.dockerignore` that holds for a layer: beside the Dockerfile under its name, or at the context's root.
#[derive(Clone, Debug, Default)]
pub struct DockerIgnore {
    ignore: Ignore,
}

impl DockerIgnore {
    /// Reads the file that holds for the layer.
    ///
    /// # Errors
    /// When it exists and can't be read.
    pub fn read(files: &Files, layer: &Layer) -> Result<Self, Box<Diagnostic>> {
        Self::read_known(files, layer, |_| true)
    }

    /// As [`DockerIgnore::read`], where it is known of some files that they don't exist.
    fn read_known(files: &Files, layer: &Layer, may_exist: impl Fn(&RelPath) -> bool) -> Result<Self, Box<Diagnostic>> {
        let own = RelPath::new(&own_ignore(layer)).unwrap_or_default();
        let common = layer.build.context.join(".dockerignore").unwrap_or_default();
        for path in [own, common] {
            if may_exist(&path)
                && let Some(file) = files.text(&path)?
            {
                return Ok(Self { ignore: Ignore::parse(&file.text) });
            }
        }
        Ok(Self::default())
    }

    /// Whether the file at `path`, relative to the context's root, is part of the context.
    fn keeps(&self, path: &str) -> bool {
        !self.ignore.excludes(path)
    }
}

/// The ignore file that belongs to the layer's Dockerfile alone.
fn own_ignore(layer: &Layer) -> String {
    format!("{}.dockerignore", layer.build.dockerfile)
}

/// Whether a file says what is left out of a layer's build context.
pub fn is_ignore_file(layer: &Layer, file: &RelPath) -> bool {
    file.below(&layer.build.context) == Some(".dockerignore") || file.as_str() == own_ignore(layer)
}

/// Whether a file is part of a layer's build context, by its name alone.
///
/// The workflow, the Dockerfile and its ignore files are never part of it: they have their own place among the
/// inputs, where a comment in the workflow makes nothing stale.
pub fn is_in_context(layer: &Layer, workflow: &RelPath, ignore: &DockerIgnore, file: &RelPath) -> bool {
    let build = &layer.build;
    // The repository's own files are no part of what it holds.
    let of_git = file.as_str() == ".git" || file.as_str().starts_with(".git/");
    match file.below(&build.context) {
        None | Some("") => false,
        Some(_) if of_git || is_ignore_file(layer, file) => false,
        Some(path) => file != workflow && *file != build.dockerfile && ignore.keeps(path),
    }
}

/// All files and links of a layer's build context, in order of their paths.
///
/// # Errors
/// A finding that names the folder or the ignore file that can't be read.
pub fn context_entries(files: &Files, layer: &Layer, workflow: &RelPath) -> Result<Vec<Entry>, Box<Diagnostic>> {
    let context = &layer.build.context;
    let members = files.tree().members(context).map_err(|error| unreadable(layer, &error))?;
    let may_exist =
        |path: &RelPath| path.parent().as_ref() != Some(context) || members.iter().any(|member| member.path == *path);
    let ignore = DockerIgnore::read_known(files, layer, may_exist)?;
    let at_root = layer.build.context == RelPath::root();
    let skip = |path: &str, kind: EntryKind| {
        kind == EntryKind::Folder && (ignore.ignore.excludes_all_below(path) || (at_root && path == ".git"))
    };
    let mut entries =
        tree::walk_from(files.tree(), context, members, &skip).map_err(|error| unreadable(layer, &error))?;
    entries.retain(|entry| is_in_context(layer, workflow, &ignore, &entry.path));
    Ok(entries)
}

/// All files of a layer's build context by path, relative to the context's folder.
///
/// # Errors
/// A finding that names the file that can't be read.
pub fn context(
    files: &Files,
    layer: &Layer,
    workflow: &RelPath,
) -> Result<BTreeMap<String, ContextFile>, Box<Diagnostic>> {
    let mut left = MAX_CONTEXT;
    let mut context = BTreeMap::new();
    for entry in context_entries(files, layer, workflow)? {
        let file = if entry.kind == EntryKind::Link {
            let target = files.tree().link(&entry.path).map_err(|error| unreadable(layer, &error))?;
            ContextFile { mode: FileMode::Link, hash: sha256(&target) }
        } else {
            let hashed = files.tree().hash(&entry.path, left).map_err(|error| match error {
                TreeError::TooLarge { path, .. } => {
                    let whole = TreeError::TooLarge { path: layer.build.context.clone(), limit: MAX_CONTEXT };
                    let help = format!("the limit is reached at {path}: list in .dockerignore what is not needed");
                    Box::new((*unreadable(layer, &whole)).help(help))
                }
                error => unreadable(layer, &error),
            })?;
            left = left.saturating_sub(hashed.length);
            let mode = if hashed.executable { FileMode::Executable } else { FileMode::File };
            ContextFile { mode, hash: hashed.hash }
        };
        let path = entry.path.below(&layer.build.context).unwrap_or_default().to_owned();
        context.insert(path, file);
    }
    Ok(context)
}

fn unreadable(layer: &Layer, error: &TreeError) -> Box<Diagnostic> {
    let finding = tree::finding(error).layer(layer.name.as_str());
    Box::new(finding.note(format!("it is part of the build context of {}", layer.name)))
}
