//! Runs in a simulated world: the very scheduler, leases, retries, proofs and promotion of `lamina build`, under a virtual
//! clock, with faults from every seam — registry, engine, provider, ledger, signals, the machine's stop.
//!
//! A seed decides everything. `cargo test --test simulation` runs some; LAMINA_SEEDS=100000 runs that many (with
//! `--release`), and LAMINA_SEED=N runs one and prints all that happened in it.

mod catalog;
mod compute;
mod engine;
mod laws;
mod registry;
#[path = "../../fuzz/src/catalog.rs"]
#[expect(dead_code, reason = "the fuzz targets use the rest")]
mod small;
mod world;

use std::env;
use std::sync::Arc;
use std::time::Duration;

use lamina::event::{Event, Kind, Reader, RunId};
use lamina::host::clock::Clock;
use lamina::host::signal::{Asked, Signals};
use lamina::model::{Platform, Size, Tier};
use lamina::plan::{Past, Plan, Wanted, asked};
use lamina::registry::{Retry, RetryPolicy};
use lamina::run::hooks::HookSettings;
use lamina::run::scheduler::Options;
use lamina::run::secrets::Secrets;
use lamina::run::{Attest, Promote, Settings, Work};
use lamina::runner::{Owner, Pool};
use tokio::sync::mpsc::unbounded_channel;

use world::{Virtual, World};

/// How many seeds a plain test run tries.
const SEEDS: u64 = 1_500;

#[test]
fn whatever_fails_nothing_is_leaked_and_nothing_bad_is_promoted() {
    if let Some(seed) = number("LAMINA_SEED") {
        let world = simulate(seed);
        println!("{}", world.story().join("\n"));
        let broken = world.broken();
        assert!(broken.is_empty(), "seed {seed}: {broken:#?}");
        return;
    }
    let seeds = number("LAMINA_SEEDS").unwrap_or(SEEDS);
    let first = number("LAMINA_FIRST_SEED").unwrap_or(0);
    let mut totals = world::Totals::default();
    for seed in first..first + seeds {
        let world = simulate(seed);
        let broken = world.broken();
        let replay = format!("LAMINA_SEED={seed} cargo test --test simulation -- --nocapture");
        assert!(broken.is_empty(), "seed {seed} breaks a law: {broken:#?}\nreplay it: {replay}");
        totals.add(&world.totals());
    }
    println!("{seeds} seeds from {first}: {totals:?}");
    // A world in which nothing goes wrong shows nothing.
    assert!(totals.is_eventful(), "{totals:?}");
}

#[test]
fn a_seed_decides_everything() {
    for seed in [3, 17, 4711] {
        assert_eq!(simulate(seed).story(), simulate(seed).story(), "seed {seed}");
    }
}

fn number(name: &str) -> Option<u64> {
    env::var(name).ok()?.parse().ok()
}

/// One world, from its beginning to the sweep after its end.
fn simulate(seed: u64) -> Arc<World> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    // Names of leases, and what the crate draws besides.
    fastrand::seed(seed);
    let world = Arc::new(World::new(seed));
    runtime.block_on(live(&world));
    world
}

/// What a run's readers are told.
struct Told(Arc<World>);

impl Reader for Told {
    fn read(&mut self, event: &Event) {
        self.0.told(event);
    }
}

async fn live(world: &Arc<World>) {
    let clock = Arc::new(Virtual::new());
    let snapshot = catalog::snapshot(world);
    let registry = registry::Simulated(Arc::clone(world));
    let policy = RetryPolicy { seed: Some(world.seed), ..RetryPolicy::default() };
    let registry = Retry::new(registry, policy);
    let selected = snapshot.graph.names().cloned().collect();
    let images = asked(&snapshot, &selected).into_iter().map(|name| {
        let image = world.image_before(&name, &snapshot);
        (name, image)
    });
    let images = images.collect();
    let wanted = Wanted { selected, ancestors: true, ..Wanted::default() };
    let plan = Plan::of(&snapshot, &wanted, &images, &Past::default()).expect("every layer can be built");
    world.planned(&plan);
    let run = RunId::new(clock.now(), u32::try_from(world.seed % 1_000_000).unwrap());
    let pool = || {
        let (sources, ledger) = (compute::sources(world), Box::new(compute::Memory(Arc::clone(world))));
        let clock: Arc<dyn Clock> = Arc::<Virtual>::clone(&clock);
        Pool::new(sources, ledger, compute::opener(world), clock, Owner::this(), run.clone())
    };
    let first = pool();
    let secrets = Secrets::default();
    let promote = world.pick(&[Promote::All, Promote::Each, Promote::None]);
    world.promotes(promote);
    let settings = Settings {
        schedule: Options { jobs: world.between(1, 5), keep_going: world.chance(0.5), attempts: 3 },
        sizes: world.sizes(&snapshot),
        promote,
        attest: world.pick(&[Attest::Provenance, Attest::None]),
        cache: None,
        source_date_epoch: None,
        donors: None,
        hooks: HookSettings::default(),
        revision: None,
        log: &|_| None,
    };
    let work = Work {
        run: run.clone(),
        snapshot: Arc::clone(&snapshot),
        plan: &plan,
        pool: Some(&first),
        registry: &registry,
        stage: &catalog::Nothing,
        secrets: &secrets,
        settings,
        clock: &*clock,
    };
    let (ask, heard) = unbounded_channel();
    let mut signals = Signals::told(heard);
    let mut readers: Vec<Box<dyn Reader>> = vec![Box::new(Told(Arc::clone(world)))];
    let started = Kind::PromotionSkipped { reason: "the run begins".to_owned() };
    let interrupts = world.interrupts();
    let asking = async {
        for after in &interrupts {
            tokio::time::sleep(*after).await;
            world.tell("somebody asks the run to end".to_owned());
            let _ = ask.send(Asked::Interrupt);
        }
        std::future::pending::<()>().await
    };
    let stop = world.stop();
    let ended = tokio::select! {
        biased;
        ended = lamina::run::run(&work, started, &mut readers, &mut signals) => Some(ended.expect("plans can be run")),
        () = asking => None,
        () = tokio::time::sleep(stop.unwrap_or(Duration::from_secs(100 * 3600))) => None,
    };
    drop(work);
    drop(readers);
    match (&ended, stop) {
        (Some(ended), _) => {
            world.tell(format!("the run has ended: {:?}", ended.outcome));
            let left = first.close().await;
            world.closed(&left);
            world.ended(ended);
        }
        (None, Some(_)) => world.tell("lamina is killed".to_owned()),
        (None, None) => world.law("a run ends", false, "it did not end in a hundred hours"),
    }
    drop(first);
    laws::after(world, ended.is_some());
    // The next lamina finds all that was left behind, once whoever leases can release.
    world.heal();
    let next = pool();
    let provider = |record: &lamina::runner::Record| compute::provider(world, &record.source);
    match next.sweep(|_| true, provider).await {
        Ok((swept, unreadable)) => {
            for swept in swept {
                world.law("a sweep releases", swept.error.is_none(), &format!("{:?}", swept.error));
            }
            world.law("records can be read", unreadable.is_empty(), &format!("{unreadable:?}"));
        }
        Err(error) => world.law("a ledger can be read", false, &error.to_string()),
    }
    laws::swept(world);
}

/// The sizes that runners are leased in.
fn tiers() -> Vec<Tier> {
    let platform: Platform = "linux/amd64".parse().unwrap();
    let tier = |(name, cpu, memory_mb): (&str, u64, u64)| {
        let (name, platform) = (name.to_owned(), platform.clone());
        Tier { name, platform, size: Size { cpu, memory_mb } }
    };
    [("small", 2, 4096), ("middle", 4, 8192), ("large", 8, 16384)].into_iter().map(tier).collect()
}
