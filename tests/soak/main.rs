//! Builds of a small catalog with random faults, for as long as it takes to have some thousand of them: `just soak`.
//!
//! Runners refuse, hang, lie, die and lose their answers; the registry fails and stalls; layers fail, run out of memory
//! or are not what they declare; lamina is interrupted and killed. What must never happen is counted: leases that are
//! left, successes that are none, images that were promoted unproven, secrets that are seen.
//!
//! It takes an engine and a registry as `tests/build` does. LAMINA_SOAK_FAULTS says how many faults are enough (1,000),
//! LAMINA_SOAK_SEED which ones.

#[path = "../build/farm.rs"]
mod farm;
#[path = "../build/proxy.rs"]
#[expect(dead_code, reason = "it is another test's too")]
mod proxy;
#[path = "../build/shop.rs"]
#[expect(dead_code, reason = "it is another test's too")]
mod shop;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use fastrand::Rng;
use rustix::process::Signal;
use serde_json::Value;

use farm::{Farm, row, table, written};
use proxy::{Do, Proxy};
use shop::{Ran, Shop};

/// What a runner's program does when it is asked for a lease, by chance: `$$` is as random as it has to be.
const SICK: &str = r#"
  chance=$(( $(od -An -N2 -tu2 /dev/urandom) % 100 ))
  if [ -e FAULTS ]; then
    case $chance in
      [0-4]) echo refused >> LOG; rm -f "$leases/$lease"; echo '{"version":1,"error":{"message":"full","passing":true}}'; exit 0 ;;
      [5-9]) echo lost >> LOG; exit 1 ;;
      1[0-2]) echo babbled >> LOG; echo 'no JSON'; exit 0 ;;
      1[3-4]) echo hung >> LOG; sleep 30 ;;
      1[5-8]) echo lied >> LOG; endpoint='{"docker":"unix:///nowhere/docker.sock"}' ;;
      19|2[0-4]) echo slow >> LOG; sleep 1 ;;
    esac
  fi"#;

/// What was counted.
#[derive(Debug, Default)]
struct Counts {
    runs: u64,
    succeeded: u64,
    failed: u64,
    cancelled: u64,
    killed: u64,
    leaked_leases: u64,
    false_successes: u64,
    unproven_promoted: u64,
    secrets_seen: u64,
    panics: u64,
}

#[test]
#[ignore = "it takes a quarter of an hour: `just soak`"]
fn a_thousand_faults_leak_nothing_and_promote_nothing_bad() {
    let Some(mut shop) = Shop::new("a_thousand_faults_leak_nothing_and_promote_nothing_bad") else { return };
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let enough = number("LAMINA_SOAK_FAULTS").unwrap_or(1_000);
    let seed = number("LAMINA_SOAK_SEED").unwrap_or_else(|| fastrand::u64(..));
    println!("seed {seed}");
    let mut random = Rng::with_seed(seed);
    let farm = Farm::new(&shop);
    let (log, faults) = (shop.beside("faults.log"), shop.beside("faults"));
    fs::write(&log, "").unwrap();
    let sick = SICK.replace("LOG", &log.display().to_string()).replace("FAULTS", &faults.display().to_string());
    let program = farm.program("farm", &sick);

    // The registry's faults.
    let (is_sick, registry_faults) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let (sick, counted, chances) = (is_sick.clone(), registry_faults.clone(), Mutex::new(random.fork()));
    let proxy = Proxy::start(&shop.registry, move |_, _| {
        let chance = chances.lock().unwrap().u32(..1000);
        let what = match chance {
            _ if !sick.load(Ordering::SeqCst) => Do::Pass,
            0..25 => Do::Fail,
            25..28 => Do::Lie,
            _ => Do::Pass,
        };
        counted.fetch_add(u64::from(what != Do::Pass), Ordering::SeqCst);
        what
    });
    shop.catalog(&proxy.host);
    table(&shop, &[row("one", &program, "capacity = 2, timeout_s = 3"), row("two", &program, "timeout_s = 3")]);
    let secret = format!("value-{}", shop.unique.replace('-', ""));
    shop.env.insert("LAMINA_SECRET_TOKEN".into(), secret.clone().into());

    let mut counts = Counts::default();
    let mut layer_faults: BTreeMap<&str, u64> = BTreeMap::new();
    let mut outputs = String::new();
    let total = |layer_faults: &BTreeMap<&str, u64>, counts: &Counts| {
        let of_runners = fs::read_to_string(&log).unwrap().lines().count() as u64;
        let of_registry = registry_faults.load(Ordering::SeqCst);
        of_runners + of_registry + layer_faults.values().sum::<u64>() + counts.killed + counts.cancelled
    };
    while total(&layer_faults, &counts) < enough {
        counts.runs += 1;
        catalog(&shop, &mut random, counts.runs, &mut layer_faults);
        fs::write(&faults, "").unwrap();
        is_sick.store(true, Ordering::SeqCst);
        let mut args = vec!["build", "--all", "--progress", "plain", "--format", "json"];
        args.extend([&["--keep-going"][..], &[]][random.usize(..2)]);
        args.extend(["--promote", ["all", "each"][random.usize(..2)]]);
        let running = shop.start(&args);
        let signal = match random.u32(..10) {
            0 | 1 => Some(Signal::KILL),
            2 => Some(Signal::INT),
            _ => None,
        };
        if let Some(signal) = signal {
            thread::sleep(Duration::from_millis(random.u64(..6_000)));
            running.signal(signal);
        }
        let ran = running.end();
        is_sick.store(false, Ordering::SeqCst);
        fs::remove_file(&faults).unwrap();
        judge(&shop, &ran, &mut counts);
        outputs.push_str(&ran.stdout);
        outputs.push_str(&ran.stderr);

        // What is still leased is written down, and goes with the sweep.
        let known = written(&shop);
        let unknown = farm.left().into_iter().filter(|lease| !known.contains(&format!("{lease}.json")));
        counts.leaked_leases += unknown.count() as u64;
        let swept = shop.run(&["runners", "prune"]);
        counts.leaked_leases += u64::from(swept.code != Some(0)) + farm.left().len() as u64;
        counts.leaked_leases += written(&shop).len() as u64;
        if counts.runs.is_multiple_of(20) {
            println!("{} faults: {counts:?}", total(&layer_faults, &counts));
        }
    }
    counts.secrets_seen += outputs.matches(&secret).count() as u64;
    for folder in ["state", "cache", "tmp", "farm"] {
        counts.secrets_seen += holding(&shop.beside(folder), secret.as_bytes());
    }
    let of_runners = fs::read_to_string(&log).unwrap();
    let mut by_kind: BTreeMap<&str, u64> = BTreeMap::new();
    of_runners.lines().for_each(|line| *by_kind.entry(line).or_default() += 1);
    let of_registry = registry_faults.load(Ordering::SeqCst);
    println!("seed {seed}: {} faults", total(&layer_faults, &counts));
    println!("runners {by_kind:?}, registry {of_registry}, layers {layer_faults:?}\n{counts:?}");
    let Counts { leaked_leases, false_successes, unproven_promoted, secrets_seen, panics, .. } = counts;
    assert_eq!((leaked_leases, false_successes, unproven_promoted, secrets_seen, panics), (0, 0, 0, 0, 0));
}

/// Three layers, new ones in each round; some fail, and some are not what they declare.
fn catalog<'f>(shop: &Shop, random: &mut Rng, round: u64, faults: &mut BTreeMap<&'f str, u64>) {
    let mut lines = |name: &str| {
        let good = format!(
            "RUN echo {round} > /{name} && printf '#!/bin/sh\\necho good\\n' > /bin/tool-{name} && chmod +x /bin/tool-{name}"
        );
        let (fault, text): (Option<&'f str>, String) = match random.u32(..10) {
            0 => (Some("a step fails"), format!("{good}\nRUN exit 3")),
            1 => (Some("a step says 137"), format!("{good}\nRUN exit 137")),
            2 => (Some("a probe fails"), format!("RUN echo {round} > /{name}")),
            3 => (Some("a probe says something else"), good.replace("echo good", "echo bad")),
            _ => (None, good),
        };
        if let Some(fault) = fault {
            *faults.entry(fault).or_default() += 1;
        }
        text
    };
    let tool = |name: &str| {
        format!(
            "tools_provided = [{{ name = \"tool-{name}\", probe = [\"tool-{name}\"], version = \"good\" }}],\n  \
             build.secrets = [{{ id = \"token\", required = true }}],"
        )
    };
    let mount = "RUN --mount=type=secret,id=token cat /run/secrets/token && wc -c < /run/secrets/token";
    for (name, parent) in [("base", ""), ("left", "base"), ("right", "base")] {
        let text = lines(name);
        shop.layer(name, parent, &format!("{mount}\n{text}"), &tool(name));
    }
    if round == 1 {
        shop.lock();
    }
}

/// Holds what a run has said against what the registry has.
fn judge(shop: &Shop, ran: &Ran, counts: &mut Counts) {
    counts.panics += u64::from(ran.stderr.contains("panicked at"));
    let report: Option<Value> = serde_json::from_str(&ran.stdout).ok();
    let outcome = report.as_ref().and_then(|report| report["outcome"].as_str());
    match (ran.code, outcome) {
        (None, _) => counts.killed += 1,
        (Some(130), _) => counts.cancelled += 1,
        (Some(0), _) => counts.succeeded += 1,
        _ => counts.failed += 1,
    }
    counts.false_successes += u64::from((ran.code == Some(0)) != (outcome == Some("succeeded")));
    for layer in report.iter().flat_map(|report| report["layers"].as_array().into_iter().flatten()) {
        if layer["outcome"] != "succeeded" {
            continue;
        }
        let (name, digest) = (layer["layer"].as_str().unwrap(), layer["digest"].as_str().unwrap_or_default());
        let is_good = shop.digest(name, &proof(digest)).is_some() && has_good_tool(shop, name);
        counts.false_successes += u64::from(!is_good);
    }
    for name in ["base", "left", "right"] {
        let promoted = shop.digest(name, "latest");
        let is_proven = promoted.as_ref().is_none_or(|digest| shop.digest(name, &proof(digest)).is_some());
        counts.unproven_promoted += u64::from(!is_proven);
    }
}

/// Whether the layer's Dockerfile, as it is now, makes what the layer declares.
fn has_good_tool(shop: &Shop, name: &str) -> bool {
    let text = fs::read_to_string(shop.root().join(format!("layers/{name}/Dockerfile"))).unwrap();
    text.contains("echo good") && !text.contains("RUN exit")
}

/// The tag of an image's proof.
fn proof(digest: &str) -> String {
    match digest.parse() {
        Ok(digest) => lamina::snapshot::Probes::tag(&digest),
        Err(_) => "no-digest".to_owned(),
    }
}

/// How many files below a folder hold some bytes.
fn holding(folder: &Path, bytes: &[u8]) -> u64 {
    let mut found = 0;
    for entry in fs::read_dir(folder).into_iter().flatten().map_while(Result::ok) {
        let path = entry.path();
        found += match path.is_dir() {
            true => holding(&path, bytes),
            false => fs::read(&path).is_ok_and(|text| text.windows(bytes.len()).any(|window| window == bytes)).into(),
        };
    }
    found
}
