//! A catalog with one cooked layer, `web`: a handful of crates from crates.io, compiled by lamina-cook in seconds.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use lamina::model::ImageRef;
use lamina::registry::Registry;
use lamina::unit::Manifest;
use serde_json::Value;

use crate::shop::{Shop, layer};

/// As the real layers' Dockerfiles, without cargo-chef: the set is a project itself. What compiles lamina-cook is the same
/// for all tests, so the engine does it once.
const DOCKERFILE: &str = "ARG BUILD_BASE=rust:1
FROM scratch AS donor
FROM ${BUILD_BASE} AS tool
COPY cook /src
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=private \\
    CARGO_TARGET_DIR=/build cargo install --quiet --locked --debug --root /out --path /src
FROM ${BUILD_BASE}
COPY --from=tool /out/bin/lamina-cook /usr/local/bin/
COPY set /cooked/web/
ARG COOK_PROFILES=release
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=private \\
    --mount=type=bind,from=donor,target=/donor \\
    cd /cooked/web && lamina-cook --layer web --target-dir /cooked/target --manifest /cooked/web.units.json \\
    --profiles \"${COOK_PROFILES}\" --donor /donor
";

/// Build scripts, a procedural macro, and chains of crates above leaves.
pub const CRATES: [(&str, &str); 7] = [
    ("adler2", "=2.0.0"),
    ("miniz_oxide", "=0.8.9"),
    ("libc", "=0.2.177"),
    ("num_cpus", "=1.17.0"),
    ("itoa", "=1.0.17"),
    ("cfg-if", "=1.0.4"),
    ("serde", "{ version = \"=1.0.228\", features = [\"derive\"] }"),
];

/// What these need, in versions that stay the same whatever crates.io gets. Nothing is compiled because of these lines.
const PINS: [(&str, &str); 6] = [
    ("serde_core", "=1.0.228"),
    ("serde_derive", "=1.0.228"),
    ("proc-macro2", "=1.0.103"),
    ("quote", "=1.0.42"),
    ("syn", "=2.0.111"),
    ("unicode-ident", "=1.0.22"),
];

/// A catalog with `web`, in a namespace of its own.
pub struct Kitchen {
    pub shop: Shop,
}

/// A build of `web`, and the image that came of it.
#[derive(Debug)]
pub struct Cooked {
    /// The answer of `lamina build`.
    pub report: Value,
    pub digest: String,
    /// What the layer's steps wrote.
    pub log: String,
    /// What the image says of itself.
    pub manifest: Manifest,
}

impl Kitchen {
    /// None, and a word about it, where there is no engine or no registry.
    pub fn new(test: &str) -> Option<Self> {
        let kitchen = Self { shop: Shop::new(test)? };
        let Shop { registry, .. } = &kitchen.shop;
        let base = format!("{{ image = \"{registry}/library/rust:1.97.1-slim-trixie\" }}");
        let workflow = format!(
            "let {{ Workflow, .. }} = import \"../../schemas/workflow.ncl\" in\n{{\n  layer = \"web\",\n  class = \
             'source-dep,\n  summary = \"A few crates\",\n  build_base = {base},\n  runtime_base = {base},\n  \
             cooked = {{}},\n  tags = [\"latest\"],\n}} | Workflow\n"
        );
        kitchen.shop.file("layers/web/workflow.ncl", &workflow).file("layers/web/Dockerfile", DOCKERFILE);
        let cook = Path::new(env!("CARGO_MANIFEST_DIR")).join("layers/rust/cook");
        for path in ["Cargo.toml", "Cargo.lock"] {
            kitchen.shop.file(&format!("layers/web/cook/{path}"), &fs::read_to_string(cook.join(path)).unwrap());
        }
        for source in fs::read_dir(cook.join("src")).unwrap().map(Result::unwrap) {
            let text = fs::read_to_string(source.path()).unwrap();
            kitchen.shop.file(&format!("layers/web/cook/src/{}", source.file_name().to_str().unwrap()), &text);
        }
        kitchen.crates(&CRATES);
        kitchen.shop.lock();
        Some(kitchen)
    }

    /// Has these crates cooked.
    pub fn crates(&self, crates: &[(&str, &str)]) -> &Self {
        self.project(&self.shop.root().join("layers/web/set"), crates);
        self
    }

    /// A project that needs these crates, locked by cargo.
    pub fn project(&self, folder: &Path, crates: &[(&str, &str)]) {
        // A line that no other test has: the engine has not cooked this before.
        let mut text = format!(
            "# {}\n[package]\nname = \"set\"\nversion = \"0.1.0\"\nedition = \"2021\"\n\n[workspace]\n\n[dependencies]\n",
            self.shop.unique
        );
        for (name, version) in crates {
            let version = if version.starts_with('{') { (*version).to_owned() } else { format!("\"{version}\"") };
            text += &format!("{name} = {version}\n");
        }
        text += "[target.'cfg(any())'.dependencies]\n";
        for (name, version) in PINS.iter().filter(|(pin, _)| crates.iter().all(|(name, _)| name != pin)) {
            text += &format!("{name} = \"{version}\"\n");
        }
        fs::create_dir_all(folder.join("src")).unwrap();
        fs::write(folder.join("Cargo.toml"), text).unwrap();
        fs::write(folder.join("src/lib.rs"), "").unwrap();
        let lock = |offline: &[&str]| {
            let mut cargo = Command::new(env!("CARGO"));
            let said = cargo.arg("generate-lockfile").args(offline).current_dir(folder).output().unwrap();
            said.status.success().then_some(()).ok_or_else(|| String::from_utf8_lossy(&said.stderr).into_owned())
        };
        lock(&["--offline"]).or_else(|_| lock(&[])).unwrap_or_else(|error| panic!("cargo can't lock the set: {error}"));
    }

    /// `lamina build web`, which has to do well.
    #[track_caller]
    pub fn cook(&self, args: &[&str]) -> Cooked {
        let (code, report) = self.shop.build(&[&["web"], args].concat());
        let log = self.log();
        assert_eq!((code, &report["warnings"]), (Some(0), &Value::Array(Vec::new())), "{report:#}\n{log}");
        let digest = layer(&report, "web")["digest"].as_str().unwrap().to_owned();
        let manifest = self.manifest(&digest);
        Cooked { report, digest, log, manifest }
    }

    /// What the last build's steps wrote.
    fn log(&self) -> String {
        let catalogs = fs::read_dir(self.shop.beside("state/lamina")).unwrap();
        let runs = catalogs.flat_map(|catalog| fs::read_dir(catalog.unwrap().path().join("runs")).unwrap());
        let last = runs.map(|run| run.unwrap().path()).max().unwrap();
        fs::read_to_string(last.join("logs/web.log")).unwrap_or_default()
    }

    /// The unit manifest that lies beside an image of `web`.
    fn manifest(&self, digest: &str) -> Manifest {
        let tag = format!("units-{}", &digest["sha256:".len()..][..20]);
        let place: ImageRef = format!("{}/{}/web:{tag}", self.shop.registry, self.shop.unique).parse().unwrap();
        let bytes = self.shop.ask(async |registry| {
            let artifact: Value = serde_json::from_slice(&registry.raw(&place, None).await.unwrap().bytes).unwrap();
            let blob = artifact["layers"][0]["digest"].as_str().unwrap().parse().unwrap();
            registry.blob(&place, &blob, Manifest::MAX_BYTES).await.unwrap()
        });
        Manifest::parse(&bytes).unwrap()
    }

    /// The image of `web` with this digest.
    pub fn image(&self, digest: &str) -> String {
        format!("{}/{}/web@{digest}", self.shop.registry, self.shop.unique)
    }

    /// Lets the engine build from a Dockerfile without files.
    #[track_caller]
    pub fn docker(&self, dockerfile: &str, args: &[&str]) {
        let folder = self.shop.beside("tmp").join("docker");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("Dockerfile"), dockerfile).unwrap();
        let mut docker = Command::new("docker");
        docker.args(["buildx", "build", "--quiet", "--provenance=false"]).args(args).arg(&folder);
        let output = docker.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

impl Cooked {
    /// The compiled units: folder → package and digest of its files.
    pub fn units(&self) -> BTreeMap<String, (String, String)> {
        let graph = &self.manifest.cooks[0].graph;
        let units = graph.units.iter().filter_map(|unit| {
            let output = unit.output.clone()?;
            let package = &graph.packages[unit.package];
            Some((output.folder, (format!("{}@{}", package.name, package.version), output.sha256.unwrap())))
        });
        units.collect()
    }

    /// What lamina-cook says at the end: how many units it took over, how many there are, how many it compiled.
    pub fn counts(&self) -> [usize; 3] {
        let line = self.log.lines().find(|line| line.contains("from the donor, compiled")).unwrap_or_else(|| {
            panic!("lamina-cook says nothing of a donor: {}", self.log);
        });
        let numbers = line.split([' ', ',']).filter_map(|word| word.parse().ok());
        numbers.collect::<Vec<_>>().try_into().unwrap_or_else(|_| panic!("{line}"))
    }

    /// The packages that cargo says it compiles, `NAME@VERSION`.
    pub fn compiled(&self) -> BTreeSet<String> {
        let lines = self.log.lines().filter_map(|line| line.split_once("Compiling ")?.1.split_once(" v"));
        let packages = lines.map(|(name, rest)| format!("{name}@{}", rest.split(' ').next().unwrap_or_default()));
        packages.filter(|package| !package.starts_with("set@")).collect()
    }
}
