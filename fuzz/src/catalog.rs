//! A small catalog as data, over files in memory: no Nickel, no disk.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use lamina::catalog::{Loaded, LoadedLayer, Spans};
use lamina::model::{
    Base, Build, Catalog, Class, Donor, Hooks, Layer, LayerName, NativeDep, NativeSource, Needed, Network, RelPath,
    Resources, Secret,
};
use lamina::snapshot::Snapshot;
use lamina::tree::{Entry, EntryKind, Files, Hashed, Tree, TreeError, sha256};

/// Files by path.
pub struct Memory(pub BTreeMap<String, Vec<u8>>);

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
            found.insert(Entry { path: folder.join(name).expect("it lies in the folder"), kind });
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

/// A path that is one.
pub fn path(text: &str) -> RelPath {
    RelPath::new(text).expect("the target's own paths are paths")
}

/// A toolchain layer on `base`, whose files lie in its folder.
pub fn layer(name: &str, base: Base) -> Layer {
    let folder = path(&format!("layers/{name}"));
    Layer {
        name: name.parse().expect("the target's own names are names"),
        class: Class::Toolchain,
        summary: "s".to_owned(),
        docs: None,
        build_base: base.clone(),
        runtime_base: base,
        donors: Vec::new(),
        native_deps: Vec::new(),
        tools: Vec::new(),
        artifacts: Vec::new(),
        cooked: None,
        tags: Vec::new(),
        build: Build {
            dockerfile: folder.join("Dockerfile").expect("a name is a path"),
            context: folder,
            target: None,
            args: BTreeMap::new(),
            contexts: BTreeMap::new(),
            ssh: Vec::new(),
            network: Network::Default,
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            secrets: Vec::new(),
            platforms: vec!["linux/amd64".parse().expect("it is a platform")],
            resources: Resources {
                cpu: Some(1),
                memory_mb: Some(1),
                disk_mb: 1,
                time_budget_min: Some(1),
                expected_min: None,
            },
            cache_version: 0,
        },
        hooks: Hooks::default(),
    }
}

/// A layer with something for every rule about Dockerfiles.
pub fn demanding_layer(name: &str) -> Layer {
    let donor = Base::Image("acme/tools:3".parse().expect("it is an image"));
    let mut layer = layer(name, Base::Image("rust:1.97.1".parse().expect("it is an image")));
    layer.runtime_base = Base::Image("debian:trixie-slim".parse().expect("it is an image"));
    layer.donors = vec![Donor { arg: Donor::default_arg(&donor), base: donor }];
    layer.native_deps = vec![NativeDep {
        package: "libssl-dev".to_owned(),
        library: "openssl".to_owned(),
        needed: Needed::Both,
        source: NativeSource::Apt,
    }];
    layer.build.args.insert("V".to_owned(), "1".to_owned());
    layer.build.contexts.insert("shared".to_owned(), path("shared"));
    layer.build.ssh = vec!["default".to_owned()];
    layer.build.secrets = vec![Secret { id: "creds".to_owned(), required: false, purpose: None }];
    layer
}

/// The catalog of these layers and files. Each layer imports the schema; of the rest, Markdown is ignored.
pub fn snapshot(layers: Vec<Layer>, files: BTreeMap<String, Vec<u8>>) -> Snapshot {
    let loaded = |layer: Layer| {
        let folder = path(&format!("layers/{}", layer.name));
        let workflow = folder.join("workflow.ncl").expect("a name is a path");
        let imports = vec![path("schemas/workflow.ncl")];
        LoadedLayer { folder, workflow, imports, spans: Spans::default(), build_spec: None, layer }
    };
    let config = Catalog {
        name: "c".to_owned(),
        rust_version: "1".to_owned(),
        debian_release: "d".to_owned(),
        registry: "r".to_owned(),
        namespace: "n".to_owned(),
        platforms: Vec::new(),
        mirrors: Vec::new(),
        plain_http: Vec::new(),
        ignored: vec!["**/*.md".to_owned()],
        runners: Vec::new(),
        tiers: Vec::new(),
        events: Default::default(),
        granted: BTreeMap::new(),
        sccache: None,
        cache_version: 0,
    };
    let mut snapshot = Snapshot::new(Loaded {
        files: Files::new(Box::new(Memory(files))),
        config: Some(config),
        config_files: vec![path("catalog/catalog.ncl")],
        layers: layers.into_iter().map(|layer| (layer.name.clone(), loaded(layer))).collect(),
        broken: BTreeSet::new(),
        broken_imports: BTreeMap::new(),
        adrs: Vec::new(),
        axioms: Vec::new(),
        decision_files: BTreeSet::from([path("adrs/001.ncl")]),
        spec_files: BTreeSet::new(),
        overlaid: false,
        overlay_files: Vec::new(),
        findings: Vec::new(),
        decision_findings: Vec::new(),
    });
    snapshot.lock_path = Some(path("lamina.lock"));
    snapshot
}

/// The name of a layer.
pub fn name(text: &str) -> LayerName {
    text.parse().expect("the target's own names are names")
}
