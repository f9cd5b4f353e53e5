//! What images say of themselves, and what is said of how they were made.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use lamina::catalog::eval::{Limits, WorkerCommand};
use lamina::catalog::{self, Cache, Options};
use lamina::engine::About;
use lamina::event::RunId;
use lamina::lock::Lock;
use lamina::model::{Digest, LayerName};
use lamina::publish::{Provenance, attest, labels};
use lamina::registry::{self, Registry};
use lamina::snapshot::{Probes, Snapshot};
use lamina::tree::{Files, WorkTree};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::lab::{Place, name};

const CATALOG: &str = r#"let { Catalog, .. } = import "../schemas/catalog.ncl" in
{
  name = "test",
  rust.version = "1.97.1",
  debian.release = "trixie",
  images = {},
  registry = "registry.example.com",
  namespace = "team",
  platforms = ["linux/amd64"],
} | Catalog
"#;

const BASE: &str = r#"let { Workflow, .. } = import "../../schemas/workflow.ncl" in
{
  layer = "base",
  class = 'native-dep,
  summary = "C libraries",
  build_base = { image = "debian:trixie-slim" },
  runtime_base = { image = "debian:trixie-slim" },
  native_deps = [
    { package = "zlib1g", library = "libz.so", needed = 'run, source = 'apt },
    { package = "libssl3t64", library = "libssl.so", needed = 'both, source = 'apt },
    { package = "cmake", library = "cmake", needed = 'build, source = 'apt },
  ],
} | Workflow
"#;

const APP: &str = r#"let { Workflow, .. } = import "../../schemas/workflow.ncl" in
{
  layer = "app",
  class = 'toolchain,
  summary = "An app: \"quoted\"",
  build_base = { layer = "base" },
  runtime_base = { layer = "base" },
  tags = ["1.0", "latest"],
  build.args.A = "1",
  build.labels = { "org.opencontainers.image.title" = "Mine", "com.example" = "x" },
} | Workflow
"#;

const APP_DOCKERFILE: &str = "ARG BUILD_BASE=debian:trixie-slim\nFROM ${BUILD_BASE}\nARG A\nCOPY run.sh /\n";

fn digest(digit: char) -> Digest {
    format!("sha256:{}", digit.to_string().repeat(64)).parse().unwrap()
}

fn write(folder: &Path) {
    let schemas = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas");
    fs::create_dir_all(folder.join("schemas")).unwrap();
    for schema in fs::read_dir(schemas).unwrap().flatten().filter(|entry| entry.path().is_file()) {
        fs::copy(schema.path(), folder.join("schemas").join(schema.file_name())).unwrap();
    }
    for (path, text) in [
        ("catalog/catalog.ncl", CATALOG),
        ("layers/base/workflow.ncl", BASE),
        ("layers/base/Dockerfile", "ARG BUILD_BASE=debian:trixie-slim\nFROM ${BUILD_BASE}\n"),
        ("layers/app/workflow.ncl", APP),
        ("layers/app/Dockerfile", APP_DOCKERFILE),
        ("layers/app/run.sh", "#!/bin/sh\n"),
    ] {
        fs::create_dir_all(folder.join(path).parent().unwrap()).unwrap();
        fs::write(folder.join(path), text).unwrap();
    }
}

fn snapshot() -> (TempDir, Snapshot) {
    let folder = TempDir::new().unwrap();
    write(folder.path());
    let worker = WorkerCommand { program: env!("CARGO_BIN_EXE_lamina").into(), args: vec!["__evaluate".to_owned()] };
    let options = Options { overlays: Vec::new(), limits: Limits::default(), worker };
    let files = Files::new(Box::new(WorkTree::open(folder.path()).unwrap()));
    let mut snapshot = Snapshot::new(catalog::load(files, &options, &mut Cache::disabled()).unwrap());
    assert_eq!(snapshot.graph_findings(), []);
    let lock = format!("version = 1\n\n[[image]]\nreference = \"debian:trixie-slim@{}\"\n", digest('d'));
    let (lock, findings) = Lock::parse("lock", &lock);
    assert_eq!(findings, []);
    snapshot.lock = lock;
    (folder, snapshot)
}

fn parents() -> BTreeMap<LayerName, Digest> {
    [(name("base"), digest('b'))].into()
}

#[test]
fn labels_follow_from_the_inputs() {
    let (_folder, snapshot) = snapshot();
    let of = |layer: &str| {
        let labels = labels(&snapshot, snapshot.layer(&name(layer)).unwrap(), &parents());
        labels.into_iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>()
    };
    let fingerprint = |layer| snapshot.fingerprints().get(&name(layer)).unwrap();
    let tag = fingerprint("base").tag();
    assert_eq!(
        of("base"),
        [
            "dev.lamina.class=native-dep".to_owned(),
            format!("dev.lamina.fingerprint={}", fingerprint("base")),
            "dev.lamina.layer=base".to_owned(),
            "dev.lamina.native-deps=libssl3t64 zlib1g".to_owned(),
            format!("org.opencontainers.image.base.digest={}", digest('d')),
            "org.opencontainers.image.base.name=docker.io/library/debian:trixie-slim".to_owned(),
            "org.opencontainers.image.description=C libraries".to_owned(),
            "org.opencontainers.image.title=base".to_owned(),
        ]
    );
    // What a layer says itself counts, and what it inherits is in it.
    assert_eq!(
        of("app"),
        [
            "com.example=x".to_owned(),
            "dev.lamina.class=toolchain".to_owned(),
            format!("dev.lamina.fingerprint={}", fingerprint("app")),
            "dev.lamina.layer=app".to_owned(),
            "dev.lamina.native-deps=libssl3t64 zlib1g".to_owned(),
            format!("org.opencontainers.image.base.digest={}", digest('b')),
            format!("org.opencontainers.image.base.name=registry.example.com/team/base:{tag}"),
            "org.opencontainers.image.description=An app: \"quoted\"".to_owned(),
            "org.opencontainers.image.title=Mine".to_owned(),
        ]
    );
}

#[test]
fn provenance_is_told_once_and_found_with_the_image() {
    let Some(place) = Place::find("provenance_is_told_once_and_found_with_the_image") else { return };
    let (_folder, snapshot) = snapshot();
    let (layer, image, parents) = (name("app"), place.image("app"), parents());
    let engine = About {
        client: "docker buildx".to_owned(),
        version: "0.29.1".to_owned(),
        endpoint: "unix:///somewhere".to_owned(),
        rewrites_timestamps: false,
    };
    let started = "2026-11-21T18:00:00Z".parse().unwrap();
    let run = RunId::new(started, 7);
    registry::block_on(async {
        let digest = place.push(&image, "made").await;
        let provenance = Provenance {
            snapshot: &snapshot,
            layer: &layer,
            image: &image,
            digest: &digest,
            parents: &parents,
            revision: Some("0123456789abcdef0123456789abcdef01234567"),
            engine: &engine,
            run: &run,
            started,
            finished: "2026-11-21T18:05:00Z".parse().unwrap(),
        };
        let at = attest(&place.registries, &provenance).await.unwrap().unwrap();
        assert_eq!(attest(&place.registries, &provenance).await.unwrap(), None, "it was told before");

        // As another program reads it: the image's referrers, then the manifest, then its layer.
        let list = image.with_tag(&digest.as_str().replace(':', "-")).unwrap();
        let index: Value = serde_json::from_slice(&place.registries.raw(&list, None).await.unwrap().bytes).unwrap();
        let entry = &index["manifests"][0];
        assert_eq!((&entry["digest"], &entry["artifactType"]), (&json!(at), &json!("application/vnd.in-toto+json")));
        assert_eq!(entry["annotations"]["in-toto.io/predicate-type"], "https://slsa.dev/provenance/v1");
        let manifest = place.registries.raw(&image, Some(&at)).await.unwrap();
        let manifest: Value = serde_json::from_slice(&manifest.bytes).unwrap();
        assert_eq!(manifest["subject"]["digest"], json!(digest));
        let blob: Digest = manifest["layers"][0]["digest"].as_str().unwrap().parse().unwrap();
        let text = place.registries.blob(&image, &blob, 1 << 20).await.unwrap();
        let statement: Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(statement, provenance.statement());
        assert_eq!(statement["subject"][0]["digest"]["sha256"], digest.as_str()["sha256:".len()..]);
        let build = &statement["predicate"]["buildDefinition"];
        let fingerprint = snapshot.fingerprints().get(&layer).unwrap().to_string();
        assert_eq!(build["externalParameters"]["fingerprint"], fingerprint.as_str());
        assert_eq!(build["externalParameters"]["fields"]["build.args.A"], "1");
        let hex =
            |text: &str| lamina::tree::sha256(text.as_bytes()).iter().map(|b| format!("{b:02x}")).collect::<String>();
        let base = format!("docker-image://registry.example.com/team/base:{}", {
            snapshot.fingerprints().get(&name("base")).unwrap().tag()
        });
        let parent = json!({ "sha256": "b".repeat(64) });
        assert_eq!(
            build["resolvedDependencies"],
            json!([
                { "name": "catalog", "digest": { "gitCommit": "0123456789abcdef0123456789abcdef01234567" } },
                { "name": "layers/app/Dockerfile", "digest": { "sha256": hex(APP_DOCKERFILE) } },
                { "name": "layers/app/run.sh", "digest": { "sha256": hex("#!/bin/sh\n") } },
                { "name": "build base", "uri": base, "digest": parent },
                { "name": "runtime base", "uri": base, "digest": parent },
            ])
        );
        let details = &statement["predicate"]["runDetails"];
        assert_eq!(details["builder"]["version"]["docker buildx"], "0.29.1");
        assert_eq!(details["metadata"]["invocationId"], run.as_str());
        assert!(!statement.to_string().contains("somewhere"), "the machine is nobody's business");
        assert!(place.registries.digest(&image.with_tag(&Probes::tag(&digest)).unwrap()).await.is_err());
    })
    .unwrap();
}
