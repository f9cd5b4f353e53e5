//! Which layers a changed path belongs to. A path that nobody knows is never a silent "nothing".

use std::collections::{BTreeMap, BTreeSet, HashMap};

use globset::{Glob, GlobSet, GlobSetBuilder};

use crate::catalog::{ADRS, AXIOMS_FILE, CATALOG_FILE, JSON_SCHEMAS, LAYERS, LoadedLayer, SCHEMAS};
use crate::fingerprint::ContextFolder;
use crate::model::{Change, ContextChange, LayerName, RelPath};
use crate::snapshot::Snapshot;

/// What a changed path means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// These layers changed.
    Layers(BTreeMap<LayerName, Change>),
    /// It is part of the catalog, and no layer is built from it.
    NotBuilt(&'static str),
    /// No layer claims it, and a glob of the catalog's list says that such a change means nothing.
    Ignored(String),
    /// It lies outside of the catalog's folders.
    Outside,
    /// It lies inside of them, and no layer claims it.
    Unclaimed,
}

/// Who claims which paths of a snapshot.
#[derive(Debug)]
pub struct Claims<'a> {
    snapshot: &'a Snapshot,
    imports: HashMap<&'a RelPath, Vec<&'a LoadedLayer>>,
    /// The layers whose Dockerfile or a context lies outside of their own folder.
    elsewhere: Vec<&'a LoadedLayer>,
    ignored: GlobSet,
    globs: Vec<&'a str>,
}

impl<'a> Claims<'a> {
    /// Reads off the snapshot who claims what.
    pub fn new(snapshot: &'a Snapshot) -> Self {
        let mut imports: HashMap<&RelPath, Vec<&LoadedLayer>> = HashMap::new();
        let mut elsewhere = Vec::new();
        for loaded in snapshot.layers() {
            // A layer leaves some of its fields to the catalog, whether it imports it or not.
            let catalog = &snapshot.catalog;
            let shared = catalog.config_files.iter().chain(&catalog.overlay_files);
            let all: BTreeSet<&RelPath> = loaded.imports.iter().chain(shared).collect();
            for import in all {
                imports.entry(import).or_default().push(loaded);
            }
            let build = &loaded.layer.build;
            let mut folders =
                ContextFolder::all(&loaded.layer).map(|context| context.folder).chain([&build.dockerfile]);
            if folders.any(|path| path.below(&loaded.folder).is_none()) {
                elsewhere.push(loaded);
            }
        }
        let globs: Vec<&str> =
            snapshot.catalog.config.iter().flat_map(|config| config.ignored.iter().map(String::as_str)).collect();
        let mut set = GlobSetBuilder::new();
        // Validation has refused what is no glob.
        for glob in globs.iter().filter_map(|glob| Glob::new(glob).ok()) {
            set.add(glob);
        }
        Self { snapshot, imports, elsewhere, ignored: set.build().unwrap_or_default(), globs }
    }

    /// What a change of the path means: of a file, or of all below a folder.
    pub fn verdict(&self, path: &RelPath) -> Verdict {
        let mut layers: BTreeMap<LayerName, Change> = BTreeMap::new();
        let mut claim = |layer: &LoadedLayer, change: Change| {
            // Of several reasons the most telling one, which is the first in the order of the enum, is kept.
            let known = layers.entry(layer.layer.name.clone()).or_insert_with(|| change.clone());
            if change < *known {
                *known = change;
            }
        };
        let own = self.owner(path);
        for loaded in own.iter().copied().chain(self.elsewhere.iter().copied()) {
            if let Some(change) = self.own_change(loaded, path) {
                claim(loaded, change);
            }
        }
        if let Some(importers) = self.imports.get(path) {
            importers.iter().for_each(|loaded| claim(loaded, Change::Import { file: path.clone() }));
        }
        if self.snapshot.lock_path.as_ref() == Some(path) {
            let locked = self.snapshot.layers().filter(|loaded| loaded.layer.images().next().is_some());
            locked.for_each(|loaded| claim(loaded, Change::Lock { file: path.clone() }));
        }
        for loaded in self.below(path) {
            claim(loaded, Change::Named);
        }
        for (import, importers) in &self.imports {
            if *import != path && import.below(path).is_some() {
                importers.iter().for_each(|loaded| claim(loaded, Change::Import { file: (*import).clone() }));
            }
        }
        if !layers.is_empty() {
            return Verdict::Layers(layers);
        }
        self.verdict_without_layer(path, own)
    }

    fn verdict_without_layer(&self, path: &RelPath, owner: Option<&LoadedLayer>) -> Verdict {
        if let Some(loaded) = owner
            && ContextFolder::all(&loaded.layer).any(|context| path.below(context.folder).is_some())
        {
            return Verdict::NotBuilt("left out of the build context");
        }
        if self.snapshot.catalog.decision_files.contains(path) {
            return Verdict::NotBuilt("decisions and axioms are not built from");
        }
        if self.snapshot.catalog.spec_files.contains(path) {
            return Verdict::NotBuilt("how large a build is makes no layer stale");
        }
        // A layer that imports one of them has claimed it already.
        if path.as_str().strip_prefix(JSON_SCHEMAS).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) {
            return Verdict::NotBuilt("JSON Schemas of lamina's answers are not built from");
        }
        if let Some(glob) = self.ignored.matches(path.as_str()).first() {
            return Verdict::Ignored(self.globs[*glob].to_owned());
        }
        let folder = path.as_str().split('/').next().unwrap_or_default();
        let of_catalog = [LAYERS, SCHEMAS, ADRS].contains(&folder)
            || CATALOG_FILE.split('/').next() == Some(folder)
            || path.as_str() == AXIOMS_FILE;
        if of_catalog { Verdict::Unclaimed } else { Verdict::Outside }
    }

    /// The layer in whose folder a path lies.
    fn owner(&self, path: &RelPath) -> Option<&'a LoadedLayer> {
        let (name, _) = path.as_str().strip_prefix(LAYERS)?.strip_prefix('/')?.split_once('/')?;
        self.snapshot.catalog.layers.get(name)
    }

    /// The layers whose folder is the path, or lies below it.
    fn below(&self, path: &RelPath) -> impl Iterator<Item = &'a LoadedLayer> {
        let path = path.clone();
        let may_hold_layers = path.as_str() == LAYERS || path.as_str().is_empty() || is_layer_folder(&path);
        self.snapshot.layers().filter(move |loaded| may_hold_layers && loaded.folder.below(&path).is_some())
    }

    fn own_change(&self, loaded: &LoadedLayer, path: &RelPath) -> Option<Change> {
        let file = path.clone();
        if *path == loaded.workflow {
            return Some(Change::Workflow { file });
        }
        let layer = &loaded.layer;
        if *path == layer.build.dockerfile {
            return Some(Change::Dockerfile { file });
        }
        let files = &self.snapshot.catalog.files;
        let is_of = |context: ContextFolder<'_>| {
            // An ignore file that can't be read leaves nothing out: wrong on the safe side.
            let ignore = context.ignore(files).unwrap_or_default();
            // What lies in a folder is not looked at: that it changed at all is enough.
            let is_folder = || {
                let members = files.tree().members(path);
                path.below(context.folder).is_some() && members.is_ok_and(|members| !members.is_empty())
            };
            context.is_ignore_file(path) || context.has(&loaded.workflow, &ignore, path) || is_folder()
        };
        ContextFolder::all(layer).any(is_of).then_some(Change::Context { file, change: ContextChange::Changed })
    }
}

/// Whether the path is a layer's folder.
fn is_layer_folder(path: &RelPath) -> bool {
    path.parent().is_some_and(|parent| parent.as_str() == LAYERS)
}
