//! The targets for speed, as ratios measured in one run: `cargo bench --bench targets`.
//!
//! Whole processes are measured from outside: wall clock, processor time and peak memory of a command with all its
//! workers. The two sides of a ratio are run in turn, so that a machine that slows down slows down both; the median
//! of the pairs' ratios counts. `nickel` on PATH, or NICKEL, is compared with where it is there.

mod cooked;
mod synthetic;

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::hint::black_box;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use lamina::cascade::{Cascade, Selection};
use lamina::catalog::eval::{Limits, WorkerCommand};
use lamina::catalog::{Cache, Options};
use lamina::model::Change;
use lamina::snapshot::Snapshot;
use lamina::tree::{Files, WorkTree};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use sha2::{Digest, Sha256};

const LAMINA: &str = env!("CARGO_BIN_EXE_lamina");

fn main() {
    let args: Vec<String> = env::args().skip(1).collect();
    match args.first().map(String::as_str) {
        Some("--read") => read_and_hash(Path::new(&args[1]), args.get(2).map(String::as_str)),
        Some("--measure") => measure_here(&args[1..]),
        // What `cargo test --benches` passes: there is nothing to test here.
        Some("--test") => {}
        // The last rows alone: `cargo bench --bench targets -- suggest`.
        Some("suggest") => suggestions(tempfile::tempdir().expect("there is room for temporary files").path()),
        _ => table(),
    }
}

/// Walks a catalog, reads and hashes its files one after the other: all of them, or those with a name.
fn read_and_hash(folder: &Path, name: Option<&str>) {
    let mut open = vec![folder.to_owned()];
    let mut hashed = 0;
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => open.push(entry.path()),
                _ if name.is_some_and(|name| entry.file_name() != name) => {}
                _ => {
                    black_box(Sha256::digest(fs::read(entry.path()).unwrap_or_default()));
                    hashed += 1;
                }
            }
        }
    }
    println!("{hashed}");
}

/// What a run of a command took.
#[derive(Clone, Copy)]
struct Run {
    wall: f64,
    cpu: f64,
    /// Peak memory of the largest process, in KiB.
    memory: f64,
}

/// Runs a command as the only child of this process and says what it took.
fn measure_here(command: &[String]) {
    let start = Instant::now();
    let status = Command::new(&command[0]).args(&command[1..]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    let wall = start.elapsed().as_secs_f64();
    assert!(status.is_ok_and(|status| status.success()), "{command:?} failed");
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("the system counts what children use");
    let seconds = |time: TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    println!("{wall} {} {}", seconds(usage.user_time()) + seconds(usage.system_time()), usage.max_rss());
}

fn measure(command: &[&str]) -> Run {
    let own = env::current_exe().expect("this program has a path");
    let output = Command::new(own).arg("--measure").args(command).output().expect("this program can be run");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let figures: Vec<f64> = text.split_whitespace().filter_map(|figure| figure.parse().ok()).collect();
    let [wall, cpu, memory] = figures[..] else { panic!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)) };
    Run { wall, cpu, memory }
}

/// The peak memory of the largest worker of a cold run, in KiB, as /proc shows it while the run lasts.
fn worker_memory(catalog: &str) -> f64 {
    let mut command = Command::new(LAMINA);
    command.args(["--catalog", catalog, "--no-cache", "--eval-workers", "1", "cascade", "--changed", "root"]);
    let mut lamina = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("lamina can be run");
    let parent = format!("PPid:\t{}", lamina.id());
    let mut peak = 0.0_f64;
    while lamina.try_wait().expect("the process can be watched").is_none() {
        for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let status = fs::read_to_string(process.path().join("status")).unwrap_or_default();
            if status.lines().any(|line| line == parent) {
                let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
                let figure = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
                peak = peak.max(figure.unwrap_or(0.0));
            }
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    peak
}

/// The median of the ratios of two commands that are run in turn, and the median of the first one's figure.
fn ratio(runs: usize, a: &dyn Fn() -> f64, b: &dyn Fn() -> f64) -> (f64, f64) {
    a();
    b();
    let pairs: Vec<(f64, f64)> = (0..runs).map(|_| (a(), b())).collect();
    (median(pairs.iter().map(|(a, b)| a / b).collect()), median(pairs.iter().map(|(a, _)| *a).collect()))
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

fn report(what: &str, target: f64, measured: f64, remark: &str) {
    let verdict = if measured <= target { "met" } else { "MISSED" };
    println!("| {what} | ≤ {target} | {measured:.3} | {verdict} | {remark} |");
    io::stdout().flush().expect("stdout can be written");
}

fn table() {
    let work = tempfile::tempdir().expect("there is room for temporary files");
    let catalogs: BTreeMap<usize, PathBuf> = [13, 1000, 10_000]
        .into_iter()
        .map(|layers| {
            let folder = work.path().join(layers.to_string());
            synthetic::write(&folder, layers).expect("the catalog can be written");
            (layers, folder)
        })
        .collect();
    let catalog = |layers: usize| catalogs[&layers].to_str().expect("temporary paths are UTF-8");
    // The evaluation cache goes where it disturbs nobody.
    let cache = format!("XDG_CACHE_HOME={}", work.path().join("cache").display());
    let lamina = |layers: usize, more: &[&str]| {
        let mut command = vec!["env", &cache, LAMINA, "--catalog", catalog(layers)];
        command.extend(["cascade", "--changed", "root"]);
        command.extend(more);
        measure(&command)
    };
    let names = "--format=names";
    let cold = |layers: usize, workers: &str| lamina(layers, &[names, "--no-cache", "--eval-workers", workers]);
    let empty = empty_program(work.path());
    let own = env::current_exe().expect("this program has a path");
    let own = own.to_str().expect("the path is UTF-8");

    println!("| what | target | measured | | |\n|--|--|--|--|--|");
    match nickel() {
        Some(nickel) => {
            let workflow =
                |number: usize| catalogs[&13].join("layers").join(synthetic::name(number)).join("workflow.ncl");
            let export = |number: usize| measure(&[&nickel, "export", workflow(number).to_str().expect("UTF-8")]).wall;
            let (all, wall) = ratio(5, &|| cold(13, "2").wall, &|| (0..13).map(export).sum());
            report("cold, 13 layers : 13 × `nickel export`", 0.2, all, &milliseconds(wall));
            let (one, _) = ratio(5, &|| cold(13, "2").wall, &|| export(0));
            report("cold, 13 layers : one `nickel export`", 2.5, one, "");
        }
        None => println!("| cold, 13 layers : `nickel export` | | | skipped | there is no `nickel` on PATH |"),
    }
    let (per_layer, _) = ratio(1, &|| cold(10_000, "1").cpu / 10.0, &|| cold(1000, "1").cpu);
    report("processor time a layer, cold, at 10,000 : at 1,000", 1.25, per_layer, "");
    let (growth, wall) = ratio(1, &|| cold(10_000, "1").wall, &|| cold(13, "1").wall);
    report("cold 10,000 : cold 13, one worker at a time", 600.0, growth, &milliseconds(wall));
    let (parallel, wall) = ratio(5, &|| cold(1000, "2").wall, &|| cold(1000, "1").wall);
    report("cold, 1,000 layers, two workers : one", 0.65, parallel, &milliseconds(wall));
    let (one, ten) = (worker_memory(catalog(1000)), worker_memory(catalog(10_000)));
    let host = cold(10_000, "1").memory / 1024.0;
    let remark = format!("{:.0} MiB; lamina itself at 10,000: {host:.0} MiB", ten / 1024.0);
    report("peak memory of a worker, cold, at 10,000 : at 1,000", 1.2, ten / one, &remark);

    let warm = |layers: usize, more: &[&str]| lamina(layers, more).wall;
    let read = |layers: usize, name: &[&str]| {
        let mut command = vec![own, "--read", catalog(layers)];
        command.extend(name);
        measure(&command).wall
    };
    let (read_10k, wall) = ratio(7, &|| warm(10_000, &[names]), &|| read(10_000, &["workflow.ncl"]));
    report("warm cascade, 10,000 layers : walk, read, hash its files", 2.5, read_10k, &milliseconds(wall));
    let json = |layers: usize| warm(layers, &["--format=json"]);
    let (all_10k, json_wall) = ratio(5, &|| json(10_000), &|| read(10_000, &[]));
    report("warm cascade with all fingerprints : walk, read, hash all files", 2.5, all_10k, &milliseconds(json_wall));
    let (process, warm_13) = ratio(21, &|| warm(13, &[names]), &|| measure(&["env", &cache, &empty]).wall);
    report("warm cascade, 13 layers : empty Rust process", 3.0, process, &milliseconds(warm_13));
    let cold_with = |workers: &str| ratio(1, &|| warm(10_000, &[names]), &|| cold(10_000, workers).wall).0;
    let remark = format!("with two workers {:.3}", cold_with("2"));
    report("warm : cold with one worker, 10,000 layers", 0.025, cold_with("1"), &remark);
    let graph = graph_work(&catalogs[&10_000]);
    report("cascade, waves and every chain, 10,000 layers : warm run", 0.1, graph / wall, &milliseconds(graph));
    suggestions(work.path());
}

/// `lamina suggest` as a whole process: by the lock alone over a thousand manifests that are known here, and unit by unit
/// beside cargo's own plan of lamina itself.
fn suggestions(work: &Path) {
    let text = |path: &Path| path.to_str().expect("temporary paths are UTF-8").to_owned();
    let filled = |layers: usize| {
        let (catalog, cache) = (work.join(format!("cooked-{layers}")), work.join(format!("cache-{layers}")));
        synthetic::write(&catalog, layers).expect("the catalog can be written");
        cooked::fill(&cooked::snapshot(&catalog, LAMINA), &cache.join("lamina"));
        (text(&catalog), format!("XDG_CACHE_HOME={}", cache.display()))
    };
    let project = work.join("project");
    cooked::write_project(&project);
    let project = text(&project);
    let (catalog, cache) = filled(1_500);
    let command = ["env", &cache, LAMINA, "--catalog", &catalog];
    let by_lock = || measure(&[&command[..], &["suggest", "--lock-only", "--project", &project]].concat()).wall;
    let all = || measure(&[&command[..], &["cascade", "--changed", "root", "--format=json"]].concat()).wall;
    let (ratio_of_all, wall) = ratio(11, &by_lock, &all);
    let remark = format!("{ratio_of_all:.2} of a warm cascade with all fingerprints of that catalog");
    report("`suggest --lock-only`, 600 crates, 1,000 known manifests, in seconds", 0.05, wall, &remark);

    let own = env!("CARGO_MANIFEST_DIR");
    let (catalog, cache) = filled(13);
    // Nothing of a synthetic layer is in lamina: to suggest nothing has an exit code of its own.
    let nothing = ["sh", "-c", "\"$@\" || test $? = 9", "sh"];
    let command = ["env", &cache, LAMINA, "--catalog", &catalog, "suggest", "--project", own];
    let exact = || measure(&[&nothing[..], &command].concat()).wall;
    let manifest = format!("{own}/Cargo.toml");
    let plan = ["env", "RUSTC_BOOTSTRAP=1", "cargo", "build", "--release", "--locked", "--offline"];
    let plan = [&plan[..], &["--unit-graph", "-Zunstable-options", "--manifest-path", &manifest]].concat();
    let cargo = || measure(&plan).wall;
    let pairs: Vec<(f64, f64)> = (0..11).map(|_| (exact(), cargo())).collect();
    let beyond = median(pairs.iter().map(|(exact, cargo)| exact - cargo).collect());
    let remark = format!("cargo takes {}", milliseconds(median(pairs.iter().map(|(_, cargo)| *cargo).collect())));
    report("`suggest` of lamina itself, beyond cargo's unit graph, in seconds", 0.05, beyond, &remark);
}

fn milliseconds(seconds: f64) -> String {
    format!("{:.1} ms", seconds * 1000.0)
}

fn nickel() -> Option<String> {
    let nickel = env::var("NICKEL").unwrap_or_else(|_| "nickel".to_owned());
    let runs = Command::new(&nickel).arg("--version").stdout(Stdio::null()).status();
    runs.is_ok_and(|status| status.success()).then_some(nickel)
}

/// A program that does nothing, made by the compiler that made this one.
fn empty_program(folder: &Path) -> String {
    let (source, program) = (folder.join("empty.rs"), folder.join("empty"));
    fs::write(&source, "fn main() {}\n").expect("temporary files can be written");
    let rustc = env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let status = Command::new(rustc).arg("-O").arg("-o").arg(&program).arg(&source).status();
    assert!(status.is_ok_and(|status| status.success()), "rustc makes an empty program");
    program.to_str().expect("temporary paths are UTF-8").to_owned()
}

/// The seconds that the graph itself takes: cascade of the root, waves, and the way to every layer.
fn graph_work(catalog: &Path) -> f64 {
    let options = Options {
        overlays: Vec::new(),
        limits: Limits::default(),
        worker: WorkerCommand { program: LAMINA.into(), args: vec!["__evaluate".to_owned()] },
    };
    let tree = WorkTree::open(catalog).expect("the catalog is there");
    let loaded = lamina::catalog::load(Files::new(Box::new(tree)), &options, &mut Cache::disabled());
    let snapshot = Snapshot::new(loaded.expect("workers start"));
    let root = snapshot.graph.names().find(|name| name.as_str() == "root").expect("there is a root").clone();
    let once = || {
        let start = Instant::now();
        let changed = BTreeMap::from([(root.clone(), vec![Change::Named])]);
        let cascade = Cascade::of(&snapshot, changed);
        black_box(cascade.waves(&snapshot, &Selection::default()));
        for name in cascade.reached.keys() {
            black_box(cascade.chain(name));
        }
        start.elapsed().as_secs_f64()
    };
    median((0..9).map(|_| once()).collect())
}
