//! Registries that stall, break off or lie: a plain miss, and a target folder that is as it was.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use lamina::model::ImageRef;
use lamina::registry::{self, Options, Registry, RetryPolicy};
use lamina::unit::{Manifest, UnitGraph};
use lamina::warm::{Miss, Offer, Packed, Place, Target, Verdict, Wanted, Warmed, pack, pull, read};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::server::{Reply, Server};
use crate::units::{graph, library, manifest, tree};

const LOWER: &str = "lower-0000000000000001";
const UPPER: &str = "upper-0000000000000002";

fn sha256(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// Two packed units and their artifact, as a registry sends them.
struct Stock {
    units: [(Place, Packed); 2],
    config: Vec<u8>,
    manifest: Vec<u8>,
}

impl Stock {
    fn new() -> Self {
        let temp = TempDir::new().unwrap();
        let lower = library(temp.path(), "lower", "0000000000000001", 11, &[], "lower's code");
        let upper = library(temp.path(), "upper", "0000000000000002", 12, &[11], "upper's code");
        let units = [lower, upper].map(|place| {
            let packed = pack(temp.path(), &place, Path::new("/usr/local/cargo")).unwrap();
            (place, packed)
        });
        let config = serde_json::to_vec(&manifest(graph([LOWER, UPPER]))).unwrap();
        let layers: Vec<_> = units
            .iter()
            .map(|(place, packed)| {
                json!({
                    "mediaType": "application/vnd.lamina.unit.v1.tar+zstd",
                    "digest": sha256(&packed.blob),
                    "size": packed.blob.len(),
                    "annotations": {
                        "dev.lamina.unit": place.to_string(),
                        "dev.lamina.content": packed.content,
                        "dev.lamina.bytes": packed.bytes.to_string(),
                    },
                })
            })
            .collect();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": { "mediaType": Manifest::MEDIA_TYPE, "digest": sha256(&config), "size": config.len() },
            "layers": layers,
        });
        Self { units, config, manifest: manifest.to_string().into_bytes() }
    }

    fn digest(&self, unit: usize) -> String {
        sha256(&self.units[unit].1.blob)
    }

    /// A server that has it all; `fault` may say something else.
    fn serve(&self, fault: impl Fn(&str, Reply) -> Reply + Send + Sync + 'static) -> Server {
        let mut known: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        known.insert("/v2/team/units/manifests/demo".to_owned(), self.manifest.clone());
        known.insert(format!("/v2/team/units/blobs/{}", sha256(&self.config)), self.config.clone());
        for (_, packed) in &self.units {
            known.insert(format!("/v2/team/units/blobs/{}", sha256(&packed.blob)), packed.blob.clone());
        }
        Server::start(move |seen, _| match known.get(&seen.target) {
            Some(bytes) => {
                let kind = if seen.target.contains("/manifests/") {
                    "application/vnd.oci.image.manifest.v1+json"
                } else {
                    "application/octet-stream"
                };
                fault(&seen.target, Reply::new(200, bytes.clone()).header("Content-Type", kind))
            }
            None => Reply::new(404, ""),
        })
    }
}

fn project() -> UnitGraph {
    let mut project = graph([LOWER, UPPER]);
    project.units.iter_mut().for_each(|unit| unit.output = None);
    project
}

/// Warms an empty target folder from a server; returns what became of it, and the folder.
fn warm(server: &Server) -> (Warmed, TempDir) {
    let temp = TempDir::new().unwrap();
    (warm_into(&temp, server), temp)
}

/// Warms the target folder in a folder.
fn warm_into(temp: &TempDir, server: &Server) -> Warmed {
    let options = Options {
        plain_http: [server.host.clone()].into(),
        timeout: Duration::from_secs(5),
        retry: RetryPolicy {
            attempts: 2,
            first_wait: Duration::from_millis(1),
            longest_wait: Duration::from_millis(2),
            seed: Some(1),
        },
        ..Options::default()
    };
    let registries = registry::open(&options).unwrap();
    let at: ImageRef = format!("{}/team/units:demo", server.host).parse().unwrap();
    let project = project();
    let keys = project.keys();
    let wanted = Wanted { graph: &project, keys: &keys };
    let target = Target::open(&temp.path().join("target"), &["release".into()].into(), &mut |_| {}).unwrap();
    let warmed = registry::block_on(async {
        let artifact = read(&registries, &at, None).await.unwrap().unwrap();
        let offers = [Offer { artifact, obstacles: Vec::new() }];
        pull(&registries, wanted, &offers, &target, &|_| None, 4).await
    });
    warmed.unwrap()
}

fn misses(warmed: &Warmed) -> [Option<&Miss>; 2] {
    fn miss(verdict: &Verdict) -> Option<&Miss> {
        match verdict {
            Verdict::Miss(miss) => Some(miss),
            _ => None,
        }
    }
    [miss(&warmed.verdicts[0]), miss(&warmed.verdicts[1])]
}

#[test]
fn all_is_placed_from_a_registry_that_is_well() {
    let stock = Stock::new();
    let (warmed, temp) = warm(&stock.serve(|_, reply| reply));
    assert_eq!(misses(&warmed), [None, None]);
    assert!(warmed.stopped.is_none());
    assert_eq!(warmed.received, stock.units.iter().map(|(_, packed)| packed.blob.len() as u64).sum::<u64>());
    let release = temp.path().join("target/release");
    for (name, digits) in [("lower", "0000000000000001"), ("upper", "0000000000000002")] {
        let rlib = fs::read_to_string(release.join(format!("deps/lib{name}-{digits}.rlib"))).unwrap();
        assert_eq!(rlib, format!("{name}'s code"));
    }
}

#[test]
fn a_unit_that_can_not_be_had_is_a_miss_with_all_that_needs_it() {
    type Fault = fn(Reply) -> Reply;
    let faults: [(&str, Fault, bool); 7] = [
        ("has no such", |_| Reply::new(404, ""), false),
        ("trusted", |_| Reply::new(200, "another content"), false),
        ("trusted", |_| Reply::new(200, vec![0; 1 << 20]), false),
        ("status 500", |_| Reply::new(500, ""), true),
        ("reached", |reply| reply.cut(20), true),
        ("after 20 bytes, too little moved", |reply| reply.stall(20), true),
        ("no answer", |_| Reply::silence(), true),
    ];
    for (said, fault, stops) in faults {
        let stock = Stock::new();
        let lower = stock.digest(0);
        let server = stock.serve(move |target, reply| if target.ends_with(&lower) { fault(reply) } else { reply });
        let (warmed, temp) = warm(&server);
        let [lower, upper] = misses(&warmed);
        assert!(matches!(lower, Some(Miss::Failed(why)) if why.contains(said)), "{said}: {lower:?}");
        assert_eq!(upper, Some(&Miss::Below("lower".to_owned())), "{said}");
        assert_eq!(warmed.stopped.is_some(), stops, "{said}");
        let files = tree(&temp.path().join("target/release"))
            .into_iter()
            .filter(|(path, content, _)| content.is_some() && !path.ends_with(".cargo-lock"));
        assert_eq!(files.count(), 0, "{said}");
    }
}

#[test]
fn what_is_there_when_a_registry_ends_is_whole() {
    let stock = Stock::new();
    let upper = stock.digest(1);
    let (warmed, temp) =
        warm(&stock.serve(move |target, reply| if target.ends_with(&upper) { reply.cut(1) } else { reply }));
    assert_eq!(misses(&warmed)[0], None);
    assert!(matches!(misses(&warmed)[1], Some(Miss::Failed(_))));
    let release = temp.path().join("target/release");
    assert!(release.join(".fingerprint").join(LOWER).is_dir());
    assert!(!release.join(".fingerprint").join(UPPER).exists());
    // The next time goes on where this one ended.
    let warmed = warm_into(&temp, &stock.serve(|_, reply| reply));
    assert!(matches!(&warmed.verdicts[..], [Verdict::There(_), Verdict::Take(_)]), "{:?}", warmed.verdicts);
    assert!(release.join(".fingerprint").join(UPPER).is_dir());
}

#[test]
fn another_units_archive_is_refused() {
    let mut stock = Stock::new();
    let text = String::from_utf8(stock.manifest.clone()).unwrap();
    // The registry's manifest names the archives the other way round.
    let (lower, upper) = (stock.digest(0), stock.digest(1));
    let swapped = text.replace(&lower, "LOWER").replace(&upper, &lower).replace("LOWER", &upper);
    assert_ne!(swapped, text);
    stock.manifest = swapped.into_bytes();
    let sizes: Vec<usize> = stock.units.iter().map(|(_, packed)| packed.blob.len()).collect();
    let (warmed, temp) = warm(&stock.serve(|_, reply| reply));
    let [lower, _] = misses(&warmed);
    assert!(matches!(lower, Some(Miss::Failed(_))), "{sizes:?} {lower:?}");
    assert!(!temp.path().join("target/release/.fingerprint").exists());
    assert!(!temp.path().join("target/release/deps").exists());
}

#[test]
fn what_is_no_artifact_of_units_is_refused() {
    let stock = Stock::new();
    let image = json!({
        "schemaVersion": 2,
        "config": { "mediaType": "application/vnd.oci.image.config.v1+json", "digest": sha256(b"{}"), "size": 2 },
        "layers": [],
    });
    let text = String::from_utf8(stock.manifest.clone()).unwrap();
    for (bytes, said) in [
        (image.to_string(), "no unit manifest"),
        (text.replace("release/lower", "release/../lower"), "no good description"),
        (text.replace("dev.lamina.bytes", "dev.lamina.more"), "no good description"),
        (text.replace(&stock.digest(0), "sha256:0"), ""),
    ] {
        let stock = Stock { manifest: bytes.into_bytes(), ..Stock::new() };
        let server = stock.serve(|_, reply| reply);
        let options = Options { plain_http: [server.host.clone()].into(), ..Options::default() };
        let registries = registry::open(&options).unwrap();
        let at: ImageRef = format!("{}/team/units:demo", server.host).parse().unwrap();
        let error = registry::block_on(read(&registries, &at, None)).unwrap().unwrap_err().to_string();
        assert!(error.contains("can't be trusted") && error.contains(said), "{error}");
        assert!(registry::block_on(registries.raw(&at.with_tag("none").unwrap(), None)).unwrap().is_err());
        let none = registry::block_on(read(&registries, &at.with_tag("none").unwrap(), None)).unwrap().unwrap();
        assert!(none.is_none());
    }
}
