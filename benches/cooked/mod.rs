//! A thousand cooked layers of a synthetic catalog, known on this machine as after a first run, and a project of 600
//! crates. Each layer has 300 of 5,000 crates, in one of three versions; the same numbers always give the same layers.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use lamina::catalog::eval::{Limits, WorkerCommand};
use lamina::catalog::{Cache, Options};
use lamina::cooked::{self, Found, Store};
use lamina::lock::Lock;
use lamina::model::{Digest, ImageRef, LayerName};
use lamina::registry::{self, Blob, Pushed, RawManifest, Registry, RegistryError};
use lamina::snapshot::Snapshot;
use lamina::tree::{Files, WorkTree};
use lamina::unit::{Cook, Environment, Kind, Manifest, Output, Package, Profile, Unit, UnitGraph};
use serde_json::json;
use sha2::{Digest as _, Sha256};

const CRATES: usize = 300;
const OF: usize = 5_000;
const LOCK: usize = 600;
const VERSIONS: [&str; 3] = ["1.0.0", "1.2.3", "2.0.0"];

/// A sequence of numbers without a pattern (an xorshift generator).
fn numbers(seed: u64) -> impl Iterator<Item = usize> {
    let next = |state: &mut u64| {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        Some(usize::try_from(*state >> 33).unwrap())
    };
    let mut state = seed * 2 + 1;
    std::iter::from_fn(move || next(&mut state))
}

fn package(number: usize) -> (String, &'static str) {
    (format!("crate-{}", number % OF), VERSIONS[number / OF % VERSIONS.len()])
}

/// The packages of the project's lock.
fn wanted() -> Vec<(String, &'static str)> {
    let mut wanted: Vec<_> = numbers(0).take(LOCK).map(package).collect();
    wanted.sort();
    wanted.dedup();
    wanted
}

/// Writes the project.
pub fn write_project(folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    fs::write(folder.join("Cargo.toml"), "[package]\nname = \"app\"\nversion = \"0.1.0\"\n").unwrap();
    let source = "registry+https://github.com/rust-lang/crates.io-index";
    let entry = |(name, version): (String, &str)| {
        format!(
            "[[package]]\nname = \"{name}\"\nversion = \"{version}\"\nsource = \"{source}\"\nchecksum = \"{}\"\n\n",
            "0".repeat(64)
        )
    };
    let packages: String = wanted().into_iter().map(entry).collect();
    let own = "[[package]]\nname = \"app\"\nversion = \"0.1.0\"\n";
    fs::write(folder.join("Cargo.lock"), format!("version = 4\n\n{packages}{own}")).unwrap();
}

/// The synthetic catalog in a folder, as lamina reads it.
pub fn snapshot(catalog: &Path, program: &str) -> Snapshot {
    let options = Options {
        overlays: Vec::new(),
        limits: Limits::default(),
        worker: WorkerCommand { program: program.into(), args: vec!["__evaluate".to_owned()] },
    };
    let tree = WorkTree::open(catalog).expect("the catalog is there");
    let loaded = lamina::catalog::load(Files::new(Box::new(tree)), &options, &mut Cache::disabled());
    let mut snapshot = Snapshot::new(loaded.expect("workers start"));
    let text: Arc<str> = fs::read_to_string(catalog.join("lamina.lock")).unwrap().into();
    (snapshot.lock, snapshot.lock_findings) = Lock::parse("lamina.lock", &text);
    snapshot.lock_path = lamina::model::RelPath::new("lamina.lock").ok();
    snapshot.lock_file = Some("lamina.lock".to_owned());
    snapshot.lock_text = Some(text);
    snapshot
}

/// The cooked layers.
fn layers(snapshot: &Snapshot) -> Vec<&LayerName> {
    snapshot.layers().filter(|loaded| loaded.layer.cooked.is_some()).map(|loaded| &loaded.layer.name).collect()
}

/// Fills the store below a cache folder by asking a registry that has every image, and says what was found.
pub fn fill(snapshot: &Snapshot, cache: &Path) -> Vec<Found> {
    let mut store = Store::open(cache);
    let names = layers(snapshot);
    let found = registry::block_on(async {
        let found = cooked::summaries(Some(&Everything), &mut store, snapshot, &names).await;
        let found: Vec<Found> = found.into_iter().map(|found| found.expect("every layer is cooked")).collect();
        cooked::sizes(&Everything, &mut store, &found.iter().collect::<Vec<_>>()).await;
        found
    });
    found.expect("a runtime starts")
}

/// A registry that has an image and a manifest of each layer.
struct Everything;

fn digest(bytes: &[u8]) -> Digest {
    let digits: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{digits}").parse().unwrap()
}

fn document(image: &ImageRef) -> Vec<u8> {
    let number = image.repository().bytes().fold(7_u64, |sum, byte| (sum * 31 + u64::from(byte)) % 1_000_000_007);
    serde_json::to_vec(&manifest(image.repository(), number)).unwrap()
}

/// An OCI manifest of something, about another one.
fn content(of: &[u8], subject: Option<&[u8]>) -> Vec<u8> {
    let blob = |bytes: &[u8]| json!({ "mediaType": "a/b", "digest": digest(bytes), "size": bytes.len() });
    let content = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": blob(b"{}"),
        "layers": [blob(of)],
        "subject": subject.map(blob),
    });
    serde_json::to_vec(&content).unwrap()
}

impl Registry for Everything {
    async fn raw(&self, image: &ImageRef, _: Option<&Digest>) -> Result<RawManifest, RegistryError> {
        let bytes = match image.tag().starts_with("units-") {
            true => content(&document(image), Some(&content(image.repository().as_bytes(), None))),
            false => content(image.repository().as_bytes(), None),
        };
        Ok(RawManifest { digest: digest(&bytes), media_type: String::new(), bytes })
    }

    async fn blob(&self, image: &ImageRef, _: &Digest, _: usize) -> Result<Vec<u8>, RegistryError> {
        Ok(document(image))
    }

    async fn digest(&self, _: &ImageRef) -> Result<Digest, RegistryError> {
        unreachable!("suggestions ask for manifests")
    }

    async fn manifest(&self, _: &ImageRef) -> Result<registry::Manifest, RegistryError> {
        unreachable!("suggestions ask for manifests")
    }

    async fn tags(&self, _: &ImageRef) -> Result<Vec<String>, RegistryError> {
        unreachable!("suggestions ask for manifests")
    }

    async fn push_blob(&self, _: &ImageRef, _: Vec<u8>) -> Result<Blob, RegistryError> {
        unreachable!("suggestions write nothing")
    }

    async fn push_manifest(&self, _: &ImageRef, _: &str, _: Vec<u8>) -> Result<Pushed, RegistryError> {
        unreachable!("suggestions write nothing")
    }
}

fn manifest(layer: &str, seed: u64) -> Manifest {
    let mut packages: Vec<_> = numbers(seed + 1).take(CRATES).map(package).collect();
    packages.sort();
    packages.dedup();
    let unit = |number: usize| Unit {
        package: number,
        kind: Kind::Lib,
        target: format!("crate_{number}"),
        crate_types: vec!["lib".to_owned()],
        platform: None,
        features: vec!["default".to_owned(), "std".to_owned()],
        profile: 0,
        dependencies: (1..=4usize).filter_map(|step| number.checked_sub(step * step * 3)).collect(),
        output: Some(Output {
            folder: format!("crate-{number:016x}"),
            cpu_ms: Some(number as u64 % 5_000),
            bytes: 1 << 20,
            sha256: None,
            watches: Vec::new(),
        }),
    };
    let source = "registry+https://github.com/rust-lang/crates.io-index";
    let package = |(name, version): (String, &str)| Package {
        name,
        version: version.to_owned(),
        source: Some(source.to_owned()),
    };
    let settings = ["opt_level", "lto", "codegen_units", "debuginfo", "panic", "strip"];
    let profile = Profile {
        folder: "release".to_owned(),
        settings: settings.iter().map(|key| ((*key).to_owned(), "\"value\"".to_owned())).collect(),
    };
    let count = packages.len();
    let graph = UnitGraph {
        packages: packages.into_iter().map(package).collect(),
        profiles: vec![profile],
        units: (0..count).map(unit).collect(),
        roots: vec![count - 1],
    };
    let rustc = "rustc 1.97.1 (abc 2026-07-10)\nhost: x86_64-unknown-linux-gnu\nrelease: 1.97.1".to_owned();
    let environment = Environment { rustc, cargo_home: "/usr/local/cargo".to_owned(), ..Environment::default() };
    let cook = Cook {
        profile: "release".to_owned(),
        settings: Default::default(),
        target_dir: "/cooked/target".to_owned(),
        arguments: Vec::new(),
        graph,
    };
    Manifest { version: Manifest::VERSION, layer: layer.to_owned(), environment, cooks: vec![cook] }
}
