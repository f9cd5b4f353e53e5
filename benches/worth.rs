//! What layers, single units and other caches are worth to real projects, from nothing and ten bumps later:
//! `cargo bench --bench worth -- --overlay FILE [--lock FILE] [--without WAY]… NAME@VERSION…`.
//!
//! It needs DOCKER_HOST and a registry that the overlay names, with the catalog's layers built and their units published
//! (`lamina build --all`, `lamina warm --publish`). The projects come from crates.io with the lock that they were
//! published with. For each, a layer is made of that lock (`lamina new --from-project`), built and published. Ten bumps
//! are ten crates of the lock, evenly spread, moved to the newest version that semver allows; layer, units and sccache's
//! folder are those from before.
//!
//! Every build is one step in a container of the layer `rust`, whose crates were downloaded before the clock starts. What
//! it downloads for the sake of speed, as warm does, counts.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const LAMINA: &str = env!("CARGO_BIN_EXE_lamina");
/// How many crates of a lock are moved.
const BUMPS: usize = 10;
const BUILD: &str = "cargo build --release --locked";

fn main() {
    let args: Vec<String> = env::args().skip(1).filter(|arg| arg != "--bench").collect();
    // What `cargo test --benches` passes, and what a plain `cargo bench` does not: it takes an hour.
    if args.iter().any(|arg| arg == "--test") || args.is_empty() || env::var_os("DOCKER_HOST").is_none() {
        println!("skipped: it needs DOCKER_HOST and `-- --overlay FILE [--lock FILE] NAME@VERSION…`");
        return;
    }
    let mut overlay = None;
    let mut lock = None;
    let mut without = Vec::new();
    let mut projects = Vec::new();
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--overlay" => overlay = args.next(),
            "--lock" => lock = args.next(),
            "--without" => without.extend(args.next()),
            _ => projects.push(arg),
        }
    }
    let work = tempfile::tempdir().expect("temporary folders can be made");
    let lab = Lab::new(work.path(), &overlay.expect("--overlay names the registry"), lock.as_deref(), without);
    println!("| Project | Way | As published | Times faster | Compiled | Ten bumps later | Times faster | Compiled |");
    println!("|--|--|--|--|--|--|--|--|");
    for project in &projects {
        let (name, version) = project.split_once('@').expect("a project is NAME@VERSION");
        let subject = Subject::fetch(work.path(), name, version);
        let ways = lab.measure(&subject);
        let nothing = ways[0].1[0].as_ref().map_or(f64::NAN, |time| time.wall);
        for (way, times) in ways {
            let cell = |now: usize| {
                times[now].as_ref().map_or("- | - | -".to_owned(), |time| {
                    let Time { wall, cpu, compiled } = time;
                    format!("{wall:.1} s ({cpu:.0} s cpu) | {:.1} | {compiled}", nothing / wall)
                })
            };
            println!("| {name} {version} | {way} | {} | {} |", cell(0), cell(1));
        }
    }
}

/// A project, as it was published and ten bumps later.
struct Subject {
    name: String,
    folders: [PathBuf; 2],
}

impl Subject {
    fn fetch(work: &Path, name: &str, version: &str) -> Self {
        let published = work.join(format!("{name}-{version}"));
        let url = format!("https://static.crates.io/crates/{name}/{name}-{version}.crate");
        run(Command::new("sh").current_dir(work).args(["-c", "curl -sSfL \"$0\" | tar xz", &url]));
        let later = work.join(format!("{name}-later"));
        run(Command::new("cp").arg("-a").args([&published, &later]));
        let bumped = bump(&later);
        eprintln!("{name}: {}", bumped.join(", "));
        Self { name: name.to_owned(), folders: [published, later] }
    }
}

/// Moves ten crates of a lock, and says which.
fn bump(folder: &Path) -> Vec<String> {
    let path = folder.join("Cargo.lock");
    let before = fs::read(&path).expect("the project has a lock");
    let old = versions(&path);
    run(cargo(folder).args(["update", "--quiet"]));
    let newest = versions(&path);
    fs::write(&path, before).expect("the lock can be written");
    // What is for tests or other systems alone would be a bump that costs nothing.
    let tree = ["tree", "--locked", "--edges=normal,build", "--prefix=none", "--format={p}"];
    let built = output(cargo(folder).args(tree));
    let is_built = |name: &str| built.lines().any(|line| line.split(' ').next() == Some(name));
    // With two versions of a name, which one becomes which can't be told.
    let movable: Vec<_> = old
        .iter()
        .filter_map(|(name, from)| match (&from[..], newest.get(name).map(Vec::as_slice)) {
            ([from], Some([to])) if from != to && is_built(name) => Some((name, from, to)),
            _ => None,
        })
        .collect();
    let mut bumped = Vec::new();
    let step = movable.len().div_ceil(BUMPS).max(1);
    for (name, from, to) in (0..step).flat_map(|start| movable.iter().skip(start).step_by(step)) {
        let moves = ["update", "--package", &format!("{name}@{from}"), "--precise", to];
        let still = versions(&path).get(*name).is_some_and(|now| now.contains(from));
        if bumped.len() < BUMPS
            && still
            && cargo(folder).args(moves).stderr(Stdio::null()).status().is_ok_and(|s| s.success())
        {
            bumped.push(format!("{name} {from} -> {to}"));
        }
    }
    bumped
}

fn versions(lock: &Path) -> BTreeMap<String, Vec<String>> {
    let lock = cargo_lock::Lockfile::load(lock).expect("cargo wrote it");
    let mut versions: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in lock.packages {
        versions.entry(package.name.to_string()).or_default().push(package.version.to_string());
    }
    versions
}

fn cargo(folder: &Path) -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(folder);
    command
}

/// What a build took.
struct Time {
    /// Seconds by the clock.
    wall: f64,
    /// Seconds of processor time.
    cpu: f64,
    /// How many packages cargo compiled.
    compiled: usize,
}

/// Engine, registry and two catalogs: as it is, and with the projects' layers.
struct Lab {
    work: PathBuf,
    bare: PathBuf,
    grown: PathBuf,
    rust: String,
    /// The beginnings of the ways that are left out.
    without: Vec<String>,
}

impl Lab {
    fn new(work: &Path, overlay: &str, lock: Option<&str>, without: Vec<String>) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let [bare, grown] = ["bare", "grown"].map(|name| {
            let folder = work.join(name);
            fs::create_dir(&folder).expect("folders can be made");
            for part in ["catalog", "schemas", "layers", "adrs"] {
                run(Command::new("cp").arg("-a").arg(root.join(part)).arg(&folder));
            }
            fs::copy(overlay, folder.join("overlay.ncl")).expect("the overlay can be copied");
            fs::copy(lock.map_or(root.join("lamina.lock"), PathBuf::from), folder.join("lamina.lock"))
                .expect("the lock");
            folder
        });
        // Folders of builds by hand would be copied into every context.
        run(Command::new("sh").current_dir(work).args(["-c", "rm -rf */layers/*/target */layers/*/cook/target"]));
        let program = work.join("program");
        fs::create_dir(&program).expect("folders can be made");
        fs::copy(LAMINA, program.join("lamina")).expect("lamina was built");
        let mut lab = Self { work: work.to_owned(), bare, grown, rust: String::new(), without };
        let shown = output(lab.lamina(&lab.bare).args(["status", "rust", "--format", "json"]));
        let shown: serde_json::Value = serde_json::from_str(&shown).expect("lamina writes JSON");
        lab.rust = image(&shown).expect("the layer rust was built");
        lab
    }

    fn lamina(&self, catalog: &Path) -> Command {
        let mut command = Command::new(LAMINA);
        // Units are published by CI.
        command.current_dir(catalog).env("XDG_STATE_HOME", self.work.join("state")).env("LAMINA_ACTOR", "ci");
        command.args(["--overlay", "overlay.ncl"]);
        command
    }

    /// Every way to build a project, with what it took as published and later.
    fn measure(&self, subject: &Subject) -> Vec<(&'static str, [Option<Time>; 2])> {
        let plain = format!("FROM {} AS build\nWORKDIR /src\nCOPY . .\n", self.rust);
        // What starts from nothing anyway is not measured twice.
        let once = |way: &'static str, stage: &str, commands: &str, network: bool| {
            eprintln!("{}: {way}", subject.name);
            let is_wanted = !self.without.iter().any(|name| way.starts_with(name));
            (way, [is_wanted.then(|| self.timed(subject, 0, stage, commands, network)).flatten(), None])
        };
        let both = |way: &'static str, stage: &str, commands: &str, network: bool| {
            let (way, [published, _]) = once(way, stage, commands, network);
            let later = published.is_some().then(|| self.timed(subject, 1, stage, commands, network)).flatten();
            (way, [published, later])
        };
        let chef = "cp -r /src /recipe && cd /recipe && cargo chef prepare --recipe-path /recipe.json && cd /src";
        let cook =
            "cd /recipe && CARGO_TARGET_DIR=/target cargo chef cook --release --locked --recipe-path /recipe.json
cd /src && CARGO_TARGET_DIR=/target cargo build --release --locked";
        let filled = format!(
            "FROM {rust} AS filled\nENV SCCACHE_DIR=/sccache RUSTC_WRAPPER=sccache\nWORKDIR /src\nCOPY --from=published . .
RUN --mount=type=cache,id=worth,target=/usr/local/cargo/registry,sharing=locked {BUILD} && rm -rf target
FROM {rust} AS build\nENV SCCACHE_DIR=/sccache RUSTC_WRAPPER=sccache\nWORKDIR /src\nCOPY . .
COPY --from=filled /sccache /sccache\n",
            rust = self.rust,
        );
        let warm =
            format!("LAMINA_CATALOG=/catalog /program/lamina warm --overlay /catalog/overlay.ncl --project .\n{BUILD}");
        let mut ways = vec![once("nothing", &plain, BUILD, false)];
        ways.push(once("cargo-chef, nothing cached", &format!("{plain}RUN {chef}\n"), cook, false));
        ways.push(both("sccache, a warm folder", &filled, BUILD, false));
        let from = |catalog: &str| format!("{plain}#catalog={catalog}\n");
        ways.push(once("warm, the catalog as it is", &from("bare"), &warm, true));
        let layer = format!("worth-{}", subject.name);
        run(self.lamina(&self.grown).args(["new", &layer, "--from-project"]).arg(&subject.folders[0]));
        run(self.lamina(&self.grown).args(["build", &layer, "--progress", "plain"]));
        run(self.lamina(&self.grown).args(["warm", "--publish", &layer]));
        ways.push(both("warm, with the project's layer", &from("grown"), &warm, true));
        let folder = &subject.folders[0];
        let snippet =
            output(self.lamina(&self.grown).args(["suggest", "--snippet", "dockerfile", "--project"]).arg(folder));
        let snippet = snippet.replace(&format!("RUN {BUILD}\n"), "");
        ways.push(both("the project's layer", &snippet, BUILD, false));
        ways
    }

    /// Runs commands in a stage, and says what they took; nothing where the build fails.
    fn timed(&self, subject: &Subject, at: usize, stage: &str, commands: &str, network: bool) -> Option<Time> {
        let host = if network { "--network=host " } else { "" };
        let catalog = if stage.contains("#catalog=bare") { &self.bare } else { &self.grown };
        let dockerfile = format!(
            "{stage}RUN {host}--mount=type=cache,id=worth,target=/usr/local/cargo/registry,sharing=locked \
--mount=type=bind,from=catalog,target=/catalog --mount=type=bind,from=program,target=/program <<'END'
set -eu
cargo fetch --locked
used() {{ cat /sys/fs/cgroup/cpuacct/cpuacct.usage 2>/dev/null || awk '/^usage_usec/ {{ print $2 \"000\" }}' /sys/fs/cgroup/cpu.stat; }}
from=$(date +%s%N) cpu=$(used)
{{
{commands}
}} >/log 2>&1 || {{ cat /log; exit 1; }}
echo \"$(($(date +%s%N) - from)) $(($(used) - cpu)) $(grep -c '^ *Compiling ' /log)\" >/measured
END
FROM scratch
COPY --from=build /measured /log /\n"
        );
        let out = self.work.join("out");
        fs::write(self.work.join("Dockerfile"), dockerfile).expect("files can be written");
        let context = |name: &str, folder: &Path| format!("{name}={}", folder.display());
        let mut build = Command::new("docker");
        build.args(["buildx", "build", "--no-cache-filter", "build", "--progress=plain", "--allow", "network.host"]);
        build.args(["--build-context", &context("published", &subject.folders[0])]);
        build.args(["--build-context", &context("catalog", catalog)]);
        build.args(["--build-context", &context("program", &self.work.join("program"))]);
        build.args(["--output", &format!("type=local,dest={}", out.display())]);
        build.arg("--file").arg(self.work.join("Dockerfile")).arg(&subject.folders[at]);
        let ended = build.output().expect("docker is there");
        if !ended.status.success() {
            eprintln!("{}", String::from_utf8_lossy(&ended.stderr));
            return None;
        }
        let log = fs::read_to_string(out.join("log")).unwrap_or_default();
        log.lines().filter(|line| line.contains("placed")).for_each(|line| eprintln!("  {line}"));
        let measured = fs::read_to_string(out.join("measured")).expect("the step wrote it");
        let mut numbers = measured.split_whitespace().map(|number| number.parse::<f64>().unwrap_or(f64::NAN));
        let mut next = || numbers.next().unwrap_or(f64::NAN);
        let time = Time { wall: next() / 1e9, cpu: next() / 1e9, compiled: next() as usize };
        eprintln!("  {:.1} s, {:.1} s of processor time, {} compiled", time.wall, time.cpu, time.compiled);
        Some(time)
    }
}

/// The first image with a digest in an answer.
fn image(answer: &serde_json::Value) -> Option<String> {
    let layer = answer["layers"].as_array()?.first()?;
    let image = layer["image"].as_str()?;
    let digest = layer["digest"].as_str()?;
    Some(format!("{}@{digest}", image.rsplit_once(':').map_or(image, |(name, _)| name)))
}

fn run(command: &mut Command) {
    let status = command.stdout(Stdio::null()).status();
    assert!(status.as_ref().is_ok_and(|status| status.success()), "{command:?}: {status:?}");
}

fn output(command: &mut Command) -> String {
    let output: io::Result<_> = command.stderr(Stdio::inherit()).output();
    let output = output.expect("the program is there");
    assert!(output.status.success(), "{command:?}: {}", output.status);
    String::from_utf8_lossy(&output.stdout).into_owned()
}
