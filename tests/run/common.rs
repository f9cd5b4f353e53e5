//! A catalog of one layer in a temporary folder, put together as values: no Nickel.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use lamina::catalog::{Loaded, LoadedLayer, Spans};
use lamina::model::{Base, Build, Catalog, Class, Hooks, Layer, LayerName, Network, RelPath, Resources, Secret};
use lamina::snapshot::Snapshot;
use lamina::tree::{Files, WorkTree};
use tempfile::TempDir;

/// The folder of the catalog; its layer is `app`.
pub struct Shop {
    temp: TempDir,
}

impl Shop {
    /// A layer with nothing but a Dockerfile.
    pub fn new() -> Self {
        let shop = Self { temp: TempDir::new().unwrap() };
        shop.file("Dockerfile", "FROM scratch\nCOPY . /\n");
        shop
    }

    pub fn root(&self) -> &Path {
        self.temp.path()
    }

    /// Writes a file in the layer's folder.
    pub fn file(&self, path: &str, text: &str) -> &Self {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    pub fn mode(&self, path: &str, mode: u32) -> &Self {
        fs::set_permissions(self.path(path), fs::Permissions::from_mode(mode)).unwrap();
        self
    }

    pub fn path(&self, path: &str) -> std::path::PathBuf {
        self.root().join("layers/app").join(path)
    }

    /// The catalog as it is now; its fingerprints are computed.
    pub fn snapshot(&self) -> Snapshot {
        let layer = layer();
        let folder = RelPath::new("layers/app").unwrap();
        let loaded = LoadedLayer {
            workflow: folder.join("workflow.ncl").unwrap(),
            folder,
            imports: Vec::new(),
            spans: Spans::default(),
            build_spec: None,
            layer,
        };
        let config = Catalog {
            name: "c".to_owned(),
            rust_version: "1".to_owned(),
            debian_release: "d".to_owned(),
            registry: "r.test".to_owned(),
            namespace: "n".to_owned(),
            platforms: Vec::new(),
            mirrors: Vec::new(),
            plain_http: Vec::new(),
            ignored: Vec::new(),
            runners: Vec::new(),
            tiers: Vec::new(),
            events: Default::default(),
            granted: std::collections::BTreeMap::new(),
            sccache: None,
            cache_version: 0,
        };
        let snapshot = Snapshot::new(Loaded {
            files: Files::new(Box::new(WorkTree::open(self.root()).unwrap())),
            config: Some(config),
            config_files: Vec::new(),
            layers: BTreeMap::from([(loaded.layer.name.clone(), loaded)]),
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
        });
        assert!(snapshot.fingerprints().findings.is_empty(), "{:?}", snapshot.fingerprints().findings);
        snapshot
    }
}

/// The layer's name.
pub fn app() -> LayerName {
    "app".parse().unwrap()
}

/// A layer on nothing, without tools, secrets or hooks.
pub fn layer() -> Layer {
    let folder = RelPath::new("layers/app").unwrap();
    let base: Base = Base::Image("busybox:stable".parse().unwrap());
    Layer {
        name: app(),
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
            dockerfile: folder.join("Dockerfile").unwrap(),
            context: folder,
            target: None,
            args: BTreeMap::new(),
            contexts: BTreeMap::new(),
            secrets: Vec::new(),
            ssh: Vec::new(),
            network: Network::Default,
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            platforms: Vec::new(),
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

/// A declared secret.
pub fn secret(id: &str, required: bool) -> Secret {
    Secret { id: id.to_owned(), required, purpose: None }
}
