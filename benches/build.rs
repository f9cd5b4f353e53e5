//! How long a build of 13 tiny layers takes, against `docker buildx bake` on the exported file:
//! `cargo bench --bench build`.
//!
//! It needs an engine and a registry: DOCKER_HOST, and LAMINA_LAB_REGISTRY, a registry without TLS that has the image
//! `library/busybox:stable`. With BUILDKIT_HOST, a bare BuildKit is measured beside it: bake by a builder of buildx'
//! remote driver, lamina by `buildctl`. The registry keeps what is pushed, some 30 MB a round and side.
//!
//! A round is: cold, no-op, one leaf changed. Every side has its own catalog and namespace, and all sides have their
//! turn in each round, each time in another order, so that a machine that slows down slows down all of them; the median
//! of the rounds' ratios counts. Cold means that no step was built before: each layer copies a file that is new. With
//! LAMINA_BENCH_PRUNE=1 the engines' caches are removed as well, which is not done unasked: others may use them.

#[path = "tiny/mod.rs"]
mod tiny;

use std::collections::BTreeMap;
use std::env;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use tiny::{LAYERS, LEAF, Tiny};

const LAMINA: &str = env!("CARGO_BIN_EXE_lamina");
/// How many rounds count; one more comes before them, which fills all caches that stay.
const ROUNDS: usize = 5;

fn main() {
    // What `cargo test --benches` passes: there is nothing to test here.
    if env::args().any(|arg| arg == "--test") {
        return;
    }
    let Some(registry) = env::var("LAMINA_LAB_REGISTRY").ok().filter(|_| env::var_os("DOCKER_HOST").is_some()) else {
        println!("skipped: DOCKER_HOST or LAMINA_LAB_REGISTRY is not set, so there is nothing to build with");
        return;
    };
    table(&registry).expect("temporary files can be written");
}

/// What builds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Tool {
    Bake,
    Lamina,
}

/// What builds with what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Engine {
    /// Docker's, by buildx.
    Docker,
    /// A bare BuildKit.
    BuildKit,
}

type Who = (Engine, Tool);

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Case {
    Cold,
    NoOp,
    Leaf,
}

/// One that builds, with its catalog.
struct Side {
    who: Who,
    catalog: Tiny,
    /// What its namespaces and seeds begin with.
    name: String,
    /// The builder of buildx, where it is not the default one.
    builder: Option<String>,
}

/// What is compared: a case, of whom, with whom, and the most that the ratio may be.
const TARGETS: &[(Case, Who, Who, f64)] = &[
    (Case::NoOp, (Engine::Docker, Tool::Lamina), (Engine::Docker, Tool::Bake), 0.05),
    (Case::Leaf, (Engine::Docker, Tool::Lamina), (Engine::Docker, Tool::Bake), 0.45),
    (Case::Cold, (Engine::Docker, Tool::Lamina), (Engine::Docker, Tool::Bake), 1.5),
    (Case::NoOp, (Engine::BuildKit, Tool::Lamina), (Engine::Docker, Tool::Bake), 0.05),
    (Case::Leaf, (Engine::BuildKit, Tool::Lamina), (Engine::BuildKit, Tool::Bake), 0.2),
    (Case::Cold, (Engine::BuildKit, Tool::Lamina), (Engine::BuildKit, Tool::Bake), 0.85),
    (Case::Cold, (Engine::BuildKit, Tool::Lamina), (Engine::Docker, Tool::Bake), 0.7),
];

fn table(registry: &str) -> io::Result<()> {
    let work = tempfile::tempdir()?;
    let time = SystemTime::now().duration_since(UNIX_EPOCH).map(|time| time.as_secs()).unwrap_or_default();
    let remote = env::var("BUILDKIT_HOST").ok().map(|host| Builder::create(&host, &format!("lamina-bench-{time}")));
    let mut sides = Vec::new();
    for engine in [Engine::Docker, Engine::BuildKit] {
        let builder = match (engine, &remote) {
            (Engine::Docker, _) => None,
            (Engine::BuildKit, Some(remote)) => Some(remote.0.clone()),
            (Engine::BuildKit, None) => continue,
        };
        for tool in [Tool::Bake, Tool::Lamina] {
            let name = format!("{time}-{engine:?}-{tool:?}").to_lowercase();
            let catalog = Tiny::write(&work.path().join(&name), registry)?;
            sides.push(Side { who: (engine, tool), catalog, name, builder: builder.clone() });
        }
    }
    let bench = Bench { state: work.path().to_owned() };
    let mut taken: BTreeMap<(Case, Who), Vec<f64>> = BTreeMap::new();
    for round in 0..=ROUNDS {
        let turn = round % sides.len();
        for side in sides[turn..].iter().chain(&sides[..turn]) {
            for (case, seconds) in bench.round(side, round)? {
                eprintln!("round {round}: {:?} {:?} {case:?}: {seconds:.3} s", side.who.0, side.who.1);
                if round > 0 {
                    taken.entry((case, side.who)).or_default().push(seconds);
                }
            }
        }
    }
    println!("| case | lamina | bake | target | ratio | |\n|--|--|--|--|--|--|");
    for (case, who, with, target) in TARGETS {
        let (Some(own), Some(other)) = (taken.get(&(*case, *who)), taken.get(&(*case, *with))) else { continue };
        let ratio = median(own.iter().zip(other).map(|(own, other)| own / other).collect());
        let verdict = if ratio <= *target { "met" } else { "MISSED" };
        let side = |(engine, _): &Who, seconds: &[f64]| format!("{:.3} s, {engine:?}", median(seconds.to_vec()));
        println!("| {case:?} | {} | {} | ≤ {target} | {ratio:.3} | {verdict} |", side(who, own), side(with, other));
    }
    io::stdout().flush()
}

/// A builder of buildx, which is removed at the end.
struct Builder(String);

impl Builder {
    fn create(host: &str, name: &str) -> Self {
        run(Command::new("docker").args(["buildx", "create", "--driver", "remote", "--name", name, host]));
        Self(name.to_owned())
    }
}

impl Drop for Builder {
    fn drop(&mut self) {
        // The benchmark is over; a builder that stays is a line in a list.
        let _ = Command::new("docker").args(["buildx", "rm", &self.0]).output();
    }
}

struct Bench {
    /// Where lamina keeps what it keeps.
    state: PathBuf,
}

impl Bench {
    /// The three cases, one after the other.
    fn round(&self, side: &Side, round: usize) -> io::Result<Vec<(Case, f64)>> {
        side.catalog.namespace(&format!("lamina-bench/{}-{round}", side.name))?;
        for (layer, _) in LAYERS {
            side.catalog.seed(layer, &format!("{} {round} {layer}", side.name))?;
        }
        if round == 0 {
            run(self.lamina(side).arg("lock"));
        }
        if env::var_os("LAMINA_BENCH_PRUNE").is_some() {
            run(Command::new("docker").args(["buildx", "prune", "--all", "--force"]).args(builder(side)));
        }
        self.prepare(side);
        let cold = self.build(side);
        let no_op = self.build(side);
        side.catalog.seed(LEAF, &format!("{} {round} leaf", side.name))?;
        self.prepare(side);
        let leaf = self.build(side);
        Ok(vec![(Case::Cold, cold), (Case::NoOp, no_op), (Case::Leaf, leaf)])
    }

    /// What is not measured: bake gets its file.
    fn prepare(&self, side: &Side) {
        if side.who.1 == Tool::Bake {
            run(self.lamina(side).args(["export", "bake", "--out", "docker-bake.json"]));
        }
    }

    /// The seconds of a build of all layers.
    fn build(&self, side: &Side) -> f64 {
        let mut command = match side.who {
            (_, Tool::Bake) => {
                let mut command = Command::new("docker");
                command.args(["buildx", "bake", "--file", "docker-bake.json", "--push", "--progress=quiet"]);
                command.args(builder(side)).current_dir(&side.catalog.root);
                command
            }
            (engine, Tool::Lamina) => {
                let mut command = self.lamina(side);
                command.args([
                    "build",
                    "--all",
                    // As bake, which begins with all that is ready, and writes neither caches nor attestations
                    // into the registry unless it is told to.
                    "--jobs=13",
                    "--attest=none",
                    "--cache=none",
                    "--client",
                    if engine == Engine::Docker { "buildx" } else { "buildctl" },
                ]);
                command
            }
        };
        if side.who.0 == Engine::Docker {
            command.env_remove("BUILDKIT_HOST");
        }
        let start = Instant::now();
        run(&mut command);
        start.elapsed().as_secs_f64()
    }

    /// lamina in the side's catalog, keeping what it keeps where it disturbs nobody.
    fn lamina(&self, side: &Side) -> Command {
        let mut command = Command::new(LAMINA);
        let folder = |name: &str| self.state.join(name);
        command.env("XDG_CACHE_HOME", folder("cache")).env("XDG_STATE_HOME", folder("state"));
        command.current_dir(&side.catalog.root);
        command
    }
}

fn builder(side: &Side) -> Vec<String> {
    side.builder.iter().flat_map(|name| ["--builder".to_owned(), name.clone()]).collect()
}

/// Runs a command to its end; what fails ends the benchmark with all that it said.
fn run(command: &mut Command) {
    let program = Path::new(command.get_program()).display().to_string();
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{program}: {error}"));
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        panic!("{command:?} failed:\n{said}");
    }
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
