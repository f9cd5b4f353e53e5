//! Engines, a registry, images, and what is declared of them.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::SystemTime;
use std::{env, fs, process};

use jiff::Timestamp;
use lamina::engine::{self, ClientChoice, Engine, Environment, Output, Solve, SolveError};
use lamina::event::ProbeResult;
use lamina::model::{Artifact, Digest, Fingerprint, ImageRef, LayerName, Platform, Tool};
use lamina::publish::{self, Proof, Verdict};
use lamina::registry::{self, Client, Registry, Retry};
use lamina::snapshot::{Inherited, Probes};
use tokio_util::sync::CancellationToken;

/// A registry.
pub struct Place {
    pub host: String,
    pub registries: Retry<Client>,
    /// Names that no other test or run has.
    unique: String,
}

/// An engine, and the registry that it pushes to.
pub struct Lab {
    pub name: &'static str,
    pub engine: Box<dyn Engine>,
    pub place: Place,
}

impl Place {
    /// The registry that the environment names, or nothing and a word about it.
    pub fn find(test: &str) -> Option<Self> {
        let Ok(host) = env::var("LAMINA_LAB_REGISTRY") else {
            eprintln!("{test} is skipped: LAMINA_LAB_REGISTRY names no registry");
            return None;
        };
        Some(Self::at(host))
    }

    /// A registry without TLS.
    pub fn at(host: String) -> Self {
        let options = registry::Options { plain_http: [host.clone()].into(), ..registry::Options::default() };
        Self { host, registries: registry::open(&options).unwrap(), unique: unique() }
    }

    /// A name of an image of this test's own.
    pub fn image(&self, name: &str) -> ImageRef {
        format!("{}/lamina-publish-test/{}/{name}:fp-0", self.host, self.unique).parse().unwrap()
    }

    /// Pushes an image whose only content is a text.
    pub async fn push(&self, image: &ImageRef, content: &str) -> Digest {
        let config = serde_json::json!({ "architecture": "amd64", "os": "linux", "comment": content }).to_string();
        let size = config.len();
        let digest = self.registries.push_blob(image, config.into_bytes()).await.unwrap().digest;
        let manifest = serde_json::json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": { "mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest, "size": size },
            "layers": [],
        });
        let bytes = manifest.to_string().into_bytes();
        self.registries.push_manifest(image, MANIFEST, bytes).await.unwrap().digest
    }
}

pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// Tries something on each engine that the environment names.
pub fn on_each(test: &str, try_it: impl Fn(&Lab)) {
    let clients =
        [("buildx", "DOCKER_HOST", ClientChoice::Buildx), ("buildctl", "BUILDKIT_HOST", ClientChoice::Buildctl)];
    for (name, variable, client) in clients {
        let Some(place) = Place::find(test) else { return };
        if env::var_os(variable).is_none() {
            eprintln!("{test} is skipped for {name}: {variable} names no engine");
            continue;
        }
        let options = engine::Options {
            client: Some(client),
            env: Environment::of_process(),
            lamina: Some(PathBuf::from(env!("CARGO_BIN_EXE_lamina"))),
            ..engine::Options::default()
        };
        let engine = engine::open(&options).unwrap_or_else(|error| panic!("{name}: {error}"));
        try_it(&Lab { name, engine, place });
    }
}

/// A word that stands nowhere else.
fn unique() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos();
    format!("{}-{}-{now}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

impl Lab {
    /// Builds and pushes an image; `BUSYBOX` in its Dockerfile is an image with a shell.
    pub fn build(&self, dockerfile: &str) -> (ImageRef, Digest) {
        let folder = tempfile::tempdir().unwrap();
        let busybox = format!("{}/library/busybox:stable", self.place.host);
        let path = folder.path().join("Dockerfile");
        fs::write(&path, dockerfile.replace("BUSYBOX", &busybox)).unwrap();
        let image = self.place.image("layer");
        let output = Output::Push(image.clone());
        let solve = Solve { dockerfile: path, context: folder.path().to_owned(), output, ..Solve::default() };
        let (mut ignore, cancel) = (|_| {}, CancellationToken::new());
        let solving = self.engine.solve(&solve, &mut ignore, &cancel);
        let solved = registry::block_on(solving).unwrap().unwrap_or_else(|error| panic!("{}: {error:?}", self.name));
        (image, solved.digest.unwrap())
    }

    /// Runs probes; what was found is what the verdict says.
    pub fn prove(&self, image: &ImageRef, digest: &Digest, declared: &Declared) -> Result<Verdict, SolveError> {
        let mut found = Vec::new();
        let mut find = |result: ProbeResult| found.push(result);
        let probes = declared.probes();
        let cancel = CancellationToken::new();
        let proving = publish::prove(&*self.engine, image, digest, &probes, &mut find, &cancel);
        let verdict = registry::block_on(proving).unwrap()?;
        assert_eq!(found, verdict.results, "{}", self.name);
        Ok(verdict)
    }
}

/// What a layer declares of its image.
pub struct Declared {
    layer: LayerName,
    tools: Vec<(LayerName, Tool)>,
    artifacts: Vec<Artifact>,
    platforms: Vec<Platform>,
}

impl Declared {
    pub fn nothing() -> Self {
        Self {
            layer: name("layer"),
            tools: Vec::new(),
            artifacts: Vec::new(),
            platforms: vec!["linux/amd64".parse().unwrap()],
        }
    }

    pub fn tool(self, tool: &str, probe: &[&str], version: Option<&str>) -> Self {
        self.inherited("layer", tool, probe, version)
    }

    pub fn inherited(mut self, from: &str, tool: &str, probe: &[&str], version: Option<&str>) -> Self {
        let probe = probe.iter().map(|&word| word.to_owned()).collect();
        let tool = Tool { name: tool.to_owned(), probe, version: version.map(str::to_owned) };
        self.tools.push((name(from), tool));
        self
    }

    pub fn artifact(mut self, path: &str) -> Self {
        self.artifacts.push(Artifact { path: path.to_owned(), description: None });
        self
    }

    pub fn probes(&self) -> Probes<'_> {
        Probes {
            layer: &self.layer,
            tools: self.tools.iter().map(|(from, what)| Inherited { from, what }).collect(),
            artifacts: &self.artifacts,
            platforms: &self.platforms,
        }
    }
}

pub fn name(text: &str) -> LayerName {
    text.parse().unwrap()
}

/// A proof of an image by one probe.
pub fn proof(image: &Digest) -> Proof {
    let probe = ProbeResult {
        what: "true".to_owned(),
        declared_by: name("layer"),
        command: vec!["true".to_owned()],
        platform: "linux/amd64".to_owned(),
        expected: Some("1.0".to_owned()),
        output: vec!["true 1.0".to_owned()],
        wrong: None,
    };
    let created: Timestamp = "2026-11-21T18:00:00Z".parse().unwrap();
    Proof::new(name("layer"), Fingerprint::new([7; 32]), image.clone(), created, vec![probe])
}
