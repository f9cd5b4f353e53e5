//! A real kill: the kernel ends a step because memory ran out, and the layer is tried once more on a larger runner.
//!
//! The runner is a program that sets the memory limit of the engine's steps to what was leased. That concerns every build
//! on that engine, so this is a test binary of its own, and the only one that runs then. It is skipped, and says so, where
//! the limit can't be set (it takes root, and steps below the cgroup `docker/buildkit`).

#[path = "../build/farm.rs"]
mod farm;
#[path = "../build/shop.rs"]
#[expect(dead_code, reason = "it is another test's too")]
mod shop;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use farm::{Farm, replace, row, table, written};
use shop::{Shop, layer};

/// The file with the limit, and what lifts it; none where it can't be written.
fn limit() -> Option<(PathBuf, &'static str)> {
    let files = [
        ("/sys/fs/cgroup/memory/docker/buildkit/memory.limit_in_bytes", "-1"),
        ("/sys/fs/cgroup/docker/buildkit/memory.max", "max"),
    ];
    files.into_iter().find(|(file, lifted)| fs::write(file, lifted).is_ok()).map(|(file, lifted)| (file.into(), lifted))
}

/// Lifts the limit when a test ends, however it does.
struct Lifted<'a>(&'a Path, &'static str);

impl Drop for Lifted<'_> {
    fn drop(&mut self) {
        let _ = fs::write(self.0, self.1);
    }
}

/// What peaks at some 134 MiB.
const GREEDY: &str = "RUN awk 'BEGIN{s=\"x\"; while(length(s)<67108864) s=s s; print length(s)}'";

#[test]
fn a_kill_for_want_of_memory_earns_one_larger_runner() {
    let test = "a_kill_for_want_of_memory_earns_one_larger_runner";
    let Some(shop) = Shop::new(test) else { return };
    // The folder is there once the engine has run a step.
    shop.layer("warm", "", "RUN true", "").lock();
    assert_eq!(shop.run(&["build", "warm"]).code, Some(0));
    let Some((file, lift)) = limit() else {
        eprintln!("{test} is skipped: the memory limit of the engine's steps can't be set");
        return;
    };
    let _lifted = Lifted(&file, lift);
    let farm = Farm::new(&shop);
    let acquire = format!("echo $((memory << 20)) > {}", file.display());
    table(&shop, &[row("limited", &farm.program("limited", &acquire), "capacity = 1")]);
    let tier = |name: &str, memory: u64| {
        format!("{{ name = \"{name}\", platform = \"linux/amd64\", cpu = 1, memory_mb = {memory} }}")
    };
    let tiers = [tier("small", 64), tier("large", 512)].join(", ");
    replace(&shop, "  rust.version", &format!("  tiers = [{tiers}],\n  rust.version"));
    let small = "build.resources = { cpu = 1, memory_mb = 64 },";
    let before = format!("RUN echo kept > /kept\n{GREEDY}");
    shop.layer("greedy", "", &before, small).layer("greedier", "", &format!("{GREEDY}\nRUN exit 137"), small).lock();

    let (code, report) = shop.build(&["greedy"]);
    assert_eq!(code, Some(0), "{report:#}");
    let events = shop.events();
    let of = |kind: &str| -> Vec<&Value> { events.iter().filter(|event| event["event"] == kind).collect() };
    let tiers: Vec<&Value> = of("leased").into_iter().map(|event| &event["tier"]).collect();
    assert_eq!(tiers, ["small", "large"]);
    let retries = of("retrying");
    assert_eq!(retries.len(), 1, "{retries:#?}");
    let oom = &retries[0]["oom"];
    assert!(["certain", "probable"].iter().any(|verdict| oom["verdict"] == *verdict), "{oom}");
    assert!(oom["evidence"].as_str().unwrap().contains("RUN awk"), "{oom}");
    assert_eq!(of("released").len(), 2);
    // The step before the greedy one was not run again: the retry keeps the cache.
    assert_eq!(layer(&report, "greedy")["steps_cached"].as_u64(), Some(2), "{report:#}");
    assert_eq!((farm.left(), written(&shop)), (Vec::<String>::new(), Vec::<String>::new()));

    // Who runs out of memory on the larger runner, too, has failed.
    let (code, report) = shop.build(&["greedier"]);
    assert_eq!(code, Some(7), "{report:#}");
    let verdicts = layer(&report, "greedier")["oom"].as_array().unwrap();
    assert_eq!(verdicts.len(), 2, "{report:#}");
    assert_eq!(verdicts[1]["verdict"], "probable", "{report:#}");
    let count = shop.events().iter().filter(|event| event["event"] == "leased").count();
    assert_eq!(count, 2, "one retry, and no more");
    assert_eq!(shop.tags("greedier"), Vec::<String>::new(), "a failed build is no success");
    assert_eq!((farm.left(), written(&shop)), (Vec::<String>::new(), Vec::<String>::new()));
}
