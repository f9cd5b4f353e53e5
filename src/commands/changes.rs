//! What the user says has changed: layers, images, paths, lists of paths.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Component, Path};

use super::context::Context;
use super::error::CommandError;
use super::exit::Exit;
use crate::cascade::{Claims, Verdict, listed_paths};
use crate::catalog::{ADRS, LAYERS, SCHEMAS};
use crate::model::{Change, EdgeKind, ImageRef, LayerName, RelPath};
use crate::report::cascade::Unaffecting;
use crate::snapshot::Snapshot;
use crate::tree;

/// What is done about a change that can't be judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum UnknownPolicy {
    /// Fail
    #[default]
    Error,
    /// Take every layer as changed
    All,
    /// Take nothing as changed
    Ignore,
}

/// The longest list of changed paths, in bytes.
const MAX_LIST: u64 = 256 << 20;

/// Collects the changes of layers that the user's words mean.
pub struct Changes<'a> {
    context: &'a Context<'a>,
    snapshot: &'a Snapshot,
    claims: Claims<'a>,
    policy: UnknownPolicy,
    /// By layer, what changed of it.
    pub changed: BTreeMap<LayerName, Vec<Change>>,
    /// The paths that changed nothing.
    pub unaffecting: Unaffecting,
    /// All paths of the catalog that were named, whatever they mean.
    pub paths: Vec<RelPath>,
    unclaimed: Vec<RelPath>,
}

impl<'a> Changes<'a> {
    /// Starts with nothing changed.
    pub fn new(context: &'a Context<'a>, snapshot: &'a Snapshot, policy: UnknownPolicy) -> Self {
        Self {
            context,
            snapshot,
            claims: Claims::new(snapshot),
            policy,
            changed: BTreeMap::new(),
            unaffecting: Unaffecting::default(),
            paths: Vec::new(),
            unclaimed: Vec::new(),
        }
    }

    /// Takes what `--changed` was given: a layer, an external image, a path, or `-` for a list on stdin.
    ///
    /// # Errors
    /// When it names nothing that is known.
    pub fn add(&mut self, word: &str) -> Result<(), CommandError> {
        if word == "-" {
            return self.add_list();
        }
        if word.is_empty() {
            let error = CommandError::new(Exit::Usage, "--changed was given an empty word, which names nothing");
            return Err(error.hint("is a variable empty that should not be?"));
        }
        if let Some((name, _)) = self.snapshot.catalog.layers.get_key_value(word) {
            self.changed.entry(name.clone()).or_default().push(Change::Named);
            return Ok(());
        }
        if let Some((image, users)) = self.image(word) {
            for (name, edge) in users {
                let change = Change::Image { edge, image: image.clone(), old: None, new: None };
                self.changed.entry(name).or_default().push(change);
            }
            return Ok(());
        }
        let exists = self.context.folder().join(word).exists() || self.context.root().join(word).exists();
        // No layer has a dot in its name: this is a file, even if it is gone.
        if exists || word.contains(['/', '.']) {
            match self.path_of_argument(word) {
                Some(path) => self.add_path(&path),
                None => self.unaffecting.outside.push(word.to_owned()),
            }
            return Ok(());
        }
        let names = self.snapshot.catalog.layers.keys().map(LayerName::as_str);
        let error = CommandError::unknown("layer", word, names);
        Err(CommandError {
            message: format!("`{word}` is no layer, no path and no external image of the catalog"),
            ..error
        })
    }

    /// The external image of the catalog that a word names, with the layers that use it.
    fn image(&self, word: &str) -> Option<(ImageRef, Vec<(LayerName, EdgeKind)>)> {
        let (wanted, _) = ImageRef::parse_pinned(word).ok()?;
        let users = self.snapshot.images().remove(&wanted)?;
        Some((wanted, users.into_iter().map(|(name, edge)| (name.clone(), edge)).collect()))
    }

    /// A path on the command line is relative to the current folder, where it exists there, or else to the catalog.
    fn path_of_argument(&self, word: &str) -> Option<RelPath> {
        let root = self.context.root();
        let here = self.context.folder().join(word);
        let absolute = if here.exists() || Path::new(word).is_absolute() { here } else { root.join(word) };
        let below = |path: &Path| RelPath::new(path.strip_prefix(root).ok()?.to_str()?).ok();
        // Without following a link that is the last part: the link itself is what changed.
        let parent = absolute.parent().and_then(|parent| parent.canonicalize().ok());
        let resolved = match (parent, absolute.file_name()) {
            (Some(parent), Some(name)) if absolute.components().next_back() != Some(Component::ParentDir) => {
                parent.join(name)
            }
            _ => absolute.canonicalize().unwrap_or_else(|_| absolute.clone()),
        };
        below(&resolved).or_else(|| below(&absolute))
    }

    /// Reads a list of paths as git prints it.
    fn add_list(&mut self) -> Result<(), CommandError> {
        let error =
            |cause: &dyn std::fmt::Display| CommandError::failure("the list of changes on stdin can't be read", cause);
        let mut bytes = Vec::new();
        std::io::stdin().lock().take(MAX_LIST + 1).read_to_end(&mut bytes).map_err(|cause| error(&cause))?;
        if bytes.len() as u64 > MAX_LIST {
            return Err(error(&"it is too long"));
        }
        self.add_paths(&bytes);
        Ok(())
    }

    /// Takes a list of paths as git prints it.
    pub fn add_paths(&mut self, bytes: &[u8]) {
        for path in listed_paths(bytes) {
            match self.path_of_list(&path) {
                Some(path) => self.add_path(&path),
                None => self.unaffecting.outside.push(path),
            }
        }
    }

    /// A path in a list is relative to the git repository, whose root may lie above the catalog's.
    fn path_of_list(&self, path: &str) -> Option<RelPath> {
        let root = self.context.root();
        if Path::new(path).is_absolute() {
            return self.path_of_argument(path);
        }
        let repository = tree::repository(root).unwrap_or(root);
        let prefix = root.strip_prefix(repository).ok()?.to_str()?;
        let relative = RelPath::new(path).ok()?;
        let prefix = RelPath::new(prefix).ok()?;
        if let Some(below) = relative.below(&prefix) {
            return RelPath::new(below).ok();
        }
        // `git diff --relative`, run in the catalog: a folder of the catalog that the repository's root does not have.
        let first = path.split('/').next().unwrap_or_default();
        let is_of_catalog = [LAYERS, SCHEMAS, ADRS, "catalog"].contains(&first) && !repository.join(first).exists();
        is_of_catalog.then_some(relative)
    }

    fn add_path(&mut self, path: &RelPath) {
        self.paths.push(path.clone());
        match self.claims.verdict(path) {
            Verdict::Layers(layers) => {
                for (name, change) in layers {
                    self.changed.entry(name).or_default().push(change);
                }
            }
            Verdict::NotBuilt(why) => self.unaffecting.not_built.push((path.clone(), why)),
            Verdict::Ignored(glob) => self.unaffecting.ignored.push((path.clone(), glob)),
            Verdict::Outside => self.unaffecting.outside.push(path.to_string()),
            Verdict::Unclaimed => self.unclaimed.push(path.clone()),
        }
    }

    /// Applies the policy to the paths that nobody claims.
    ///
    /// # Errors
    /// When there are such paths, and the policy is to fail.
    pub fn finish(mut self) -> Result<(BTreeMap<LayerName, Vec<Change>>, Unaffecting), CommandError> {
        let unclaimed = std::mem::take(&mut self.unclaimed);
        match self.policy {
            _ if unclaimed.is_empty() => {}
            UnknownPolicy::Ignore => self.unaffecting.unclaimed = unclaimed,
            UnknownPolicy::All => {
                for name in self.snapshot.graph.names() {
                    let changes = unclaimed.iter().map(|file| Change::Unclaimed { file: file.clone() });
                    self.changed.entry(name.clone()).or_default().extend(changes);
                }
            }
            UnknownPolicy::Error => {
                let paths: Vec<String> = unclaimed.iter().map(|path| format!("`{path}`")).collect();
                let verb = if paths.len() == 1 { "lies" } else { "lie" };
                let message =
                    format!("{} {verb} in the catalog, and no layer claims that", crate::report::enumeration(&paths));
                return Err(CommandError::new(Exit::Unknown, message)
                    .hint("if it can make no layer stale, add a glob to `ignored` in catalog/catalog.ncl")
                    .hint("a removed layer is seen by --since REV; --unknown=all takes every layer as changed, --unknown=ignore none"));
            }
        }
        Ok((self.changed, self.unaffecting))
    }
}
