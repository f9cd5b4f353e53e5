//! Catalogs of a few layers, as values: no Nickel, no disk.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use lamina::catalog::{Loaded, LoadedLayer, Spans};
use lamina::model::{Base, Build, Catalog, Class, Events, Hooks, Layer, LayerName, Network, RelPath, Resources, Tool};
use lamina::run::staging::{Stage, StageError, Staged};
use lamina::snapshot::Snapshot;
use lamina::tree::{Entry, EntryKind, Files, Hashed, Tree, TreeError, sha256};

use crate::world::World;

/// Files that nobody has to copy.
pub struct Nothing;

impl Stage for Nothing {
    fn stage<'a>(&'a self, _: &'a Arc<Snapshot>, layer: &'a LayerName) -> BoxFuture<'a, Result<Staged, StageError>> {
        let folder = PathBuf::from("/simulated").join(layer.as_str());
        ready(Ok(Staged::at(folder.join("Dockerfile"), folder))).boxed()
    }
}

/// Files by path.
struct Memory(BTreeMap<String, Vec<u8>>);

impl Tree for Memory {
    fn members(&self, folder: &RelPath) -> Result<Vec<Entry>, TreeError> {
        let mut found = BTreeSet::new();
        for file in self.0.keys() {
            let file = path(file);
            let Some(below) = file.below(folder).filter(|below| !below.is_empty()) else { continue };
            let (name, kind) = match below.split_once('/') {
                Some((name, _)) => (name, EntryKind::Folder),
                None => (below, EntryKind::File),
            };
            found.insert(Entry { path: folder.join(name).unwrap(), kind });
        }
        Ok(found.into_iter().collect())
    }

    fn read(&self, path: &RelPath, _: u64) -> Result<Vec<u8>, TreeError> {
        self.0.get(path.as_str()).cloned().ok_or_else(|| TreeError::Missing(path.clone()))
    }

    fn copy(&self, path: &RelPath, limit: u64, to: &mut dyn Write) -> Result<Hashed, TreeError> {
        let bytes = self.read(path, limit)?;
        to.write_all(&bytes).map_err(|source| TreeError::Io { path: path.clone(), source })?;
        Ok(Hashed { hash: sha256(&bytes), length: bytes.len() as u64, executable: false })
    }

    fn link(&self, path: &RelPath) -> Result<Vec<u8>, TreeError> {
        Err(TreeError::Missing(path.clone()))
    }
}

fn path(text: &str) -> RelPath {
    RelPath::new(text).unwrap()
}

/// A catalog of two to seven layers, each on one before it or on an image.
pub fn snapshot(world: &World) -> Arc<Snapshot> {
    let count = world.between(2, 7);
    let mut files = BTreeMap::new();
    let mut layers = BTreeMap::new();
    for number in 0..count {
        let name: LayerName = format!("layer{number}").parse().unwrap();
        let parent = (number > 0 && world.chance(0.8)).then(|| world.between(0, number - 1));
        let base = match parent {
            Some(parent) => Base::Layer(format!("layer{parent}").parse().unwrap()),
            None => Base::Image("busybox:stable".parse().unwrap()),
        };
        let folder = path(&format!("layers/{name}"));
        let text = "ARG BUILD_BASE=busybox\nFROM ${BUILD_BASE}\nRUN work\n";
        files.insert(format!("{folder}/Dockerfile"), text.as_bytes().to_vec());
        let workflow = folder.join("workflow.ncl").unwrap();
        let loaded = LoadedLayer {
            workflow,
            imports: Vec::new(),
            spans: Spans::default(),
            build_spec: None,
            layer: layer(world, &name, base, &folder),
            folder,
        };
        layers.insert(name, loaded);
    }
    let config = Catalog {
        name: "simulated".to_owned(),
        rust_version: "1".to_owned(),
        debian_release: "d".to_owned(),
        registry: "r.test".to_owned(),
        namespace: "n".to_owned(),
        platforms: vec!["linux/amd64".parse().unwrap()],
        mirrors: Vec::new(),
        plain_http: Vec::new(),
        ignored: Vec::new(),
        runners: Vec::new(),
        tiers: crate::tiers(),
        events: Events::default(),
        granted: BTreeMap::new(),
        sccache: None,
        cache_version: 0,
    };
    Arc::new(Snapshot::new(Loaded {
        files: Files::new(Box::new(Memory(files))),
        config: Some(config),
        config_files: Vec::new(),
        layers,
        broken: BTreeSet::new(),
        broken_imports: BTreeMap::new(),
        adrs: Vec::new(),
        axioms: Vec::new(),
        decision_files: BTreeSet::new(),
        spec_files: BTreeSet::new(),
        overlaid: false,
        overlay_files: Vec::new(),
        findings: Vec::new(),
        decision_findings: Vec::new(),
    }))
}

fn layer(world: &World, name: &LayerName, base: Base, folder: &RelPath) -> Layer {
    let tool = || Tool { name: "tool".to_owned(), probe: vec!["tool".to_owned()], version: None };
    Layer {
        name: name.clone(),
        class: Class::Toolchain,
        summary: "s".to_owned(),
        docs: None,
        build_base: base.clone(),
        runtime_base: base,
        donors: Vec::new(),
        native_deps: Vec::new(),
        tools: world.chance(0.8).then(tool).into_iter().collect(),
        artifacts: Vec::new(),
        cooked: None,
        tags: vec!["latest".to_owned()],
        build: Build {
            dockerfile: folder.join("Dockerfile").unwrap(),
            context: folder.clone(),
            target: None,
            args: BTreeMap::new(),
            contexts: BTreeMap::new(),
            secrets: Vec::new(),
            ssh: Vec::new(),
            network: Network::Default,
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            platforms: vec!["linux/amd64".parse().unwrap()],
            resources: Resources {
                cpu: Some(2),
                memory_mb: Some(4096),
                disk_mb: 1,
                time_budget_min: Some(20),
                expected_min: None,
            },
            cache_version: 0,
        },
        hooks: Hooks::default(),
    }
}
