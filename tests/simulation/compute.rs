//! Who leases runners, and the ledger: both fail now and then, before they act or after.

use std::path::PathBuf;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use lamina::model::{ProviderKind, RunnerSource, Size};
use lamina::runner::providers::AtHand;
use lamina::runner::{
    About, Endpoint, Evidence, LeaseId, Ledger, LedgerError, Opener, Provider, ProviderError, Record, Source,
};
use tokio_util::sync::CancellationToken;

use crate::engine::Simulated;
use crate::world::{Runner, World};

/// One to three sources.
pub fn sources(world: &Arc<World>) -> Vec<Source> {
    let mut sources = Vec::new();
    for number in 0..world.between(1, 3) {
        let name = format!("source{number}");
        let at_hand = number == 0 && world.chance(0.15);
        let provider = match at_hand {
            true => ProviderKind::Engine,
            false => ProviderKind::Command { command: vec![name.clone()] },
        };
        let largest = world.chance(0.2).then_some(Size { cpu: 4, memory_mb: 8192 });
        let capacity = world.chance(0.7).then(|| world.between(1, 3) as u64);
        let row =
            RunnerSource { name: name.clone(), provider, capacity, platforms: Vec::new(), largest, timeout_s: 60 };
        let provider: Arc<dyn Provider> = match at_hand {
            true => Arc::new(AtHand::default()),
            false => Arc::new(Leasing::new(world, &name, capacity)),
        };
        sources.push(Source { row, provider });
    }
    sources
}

/// Who can release a lease whose row is not known any more.
pub fn provider(world: &Arc<World>, source: &str) -> Option<Box<dyn Provider>> {
    Some(Box::new(Leasing::new(world, source, None)))
}

/// What opens engines at endpoints.
pub fn opener(world: &Arc<World>) -> Opener {
    let world = Arc::clone(world);
    Box::new(move |endpoint| {
        let lease = match endpoint {
            Endpoint::Buildkit(address) => address.strip_prefix("sim://").map(str::to_owned),
            _ => None,
        };
        Ok(Arc::new(Simulated::new(&world, lease)))
    })
}

/// A provider of runners.
struct Leasing {
    world: Arc<World>,
    source: String,
    capacity: Option<u64>,
    about: About,
}

impl Leasing {
    fn new(world: &Arc<World>, source: &str, capacity: Option<u64>) -> Self {
        let about = About { leases: true, sized: true, capacity: None, detail: "simulated".to_owned() };
        Self { world: Arc::clone(world), source: source.to_owned(), capacity, about }
    }

    async fn lease(
        &self,
        record: &Record,
        note: &(dyn Fn(&str) -> Result<(), LedgerError> + Send + Sync),
    ) -> Result<Endpoint, ProviderError> {
        let world = &self.world;
        let is_written = world.state().ledger.contains_key(&record.lease);
        world.law("a lease is written down before it is asked for", is_written, record.lease.as_str());
        world.wait_up_to(if world.fails(0.03) { 200_000 } else { 8_000 }).await;
        if world.fails(0.08) {
            return Err(ProviderError::passing("it is full"));
        }
        if world.fails(0.005) {
            return Err(ProviderError::lasting("it is broken"));
        }
        let lease = record.lease.to_string();
        let runner =
            Runner { source: self.source.clone(), size: record.size, is_sound: !world.fails(0.03), has_killed: false };
        world.state().runners.insert(lease.clone(), runner);
        world.count(|totals| totals.leases += 1);
        let live = world.state().runners.values().filter(|runner| runner.source == self.source).count() as u64;
        let gone = world.state().release_failed.len() as u64;
        let holds = self.capacity.is_none_or(|capacity| live <= capacity + gone);
        world.law("no source leases more than it has room for", holds, &self.source);
        if world.chance(0.5) {
            note(&format!("handle of {lease}")).map_err(|error| ProviderError::passing(error.to_string()))?;
        }
        world.wait_up_to(20_000).await;
        if world.fails(0.06) {
            world.count(|totals| totals.lost_answers += 1);
            return Err(ProviderError::passing("its answer was lost"));
        }
        match world.fails(0.02) {
            true => Ok(Endpoint::Buildkit("sim://nothing".to_owned())),
            false => Ok(Endpoint::Buildkit(format!("sim://{lease}"))),
        }
    }
}

impl Provider for Leasing {
    fn about(&self) -> &About {
        &self.about
    }

    fn acquire<'a>(
        &'a self,
        record: &'a Record,
        note: &'a (dyn Fn(&str) -> Result<(), LedgerError> + Send + Sync),
        cancel: &'a CancellationToken,
    ) -> BoxFuture<'a, Result<Endpoint, ProviderError>> {
        async move {
            tokio::select! {
                biased;
                () = cancel.cancelled() => Err(ProviderError::passing("it was cancelled")),
                leased = self.lease(record, note) => leased,
            }
        }
        .boxed()
    }

    fn evidence<'a>(&'a self, record: &'a Record, _: Timestamp) -> BoxFuture<'a, Result<Evidence, ProviderError>> {
        async move {
            let world = &self.world;
            world.wait_up_to(if world.fails(0.05) { 60_000 } else { 1_000 }).await;
            if world.fails(0.1) {
                return Err(ProviderError::passing("it does not know"));
            }
            let killed = world.state().runners.get(record.lease.as_str()).is_some_and(|runner| runner.has_killed);
            let oom = (killed && world.chance(0.7)).then(|| "the kernel has killed a process".to_owned());
            Ok(Evidence { oom, alone: world.chance(0.5), usage: None })
        }
        .boxed()
    }

    fn lost<'a>(&'a self, _: &'a Record) -> BoxFuture<'a, String> {
        async move {
            if !self.world.fails(0.02) {
                std::future::pending::<()>().await;
            }
            self.world.wait_up_to(60_000).await;
            "the runner is gone".to_owned()
        }
        .boxed()
    }

    fn release<'a>(&'a self, record: &'a Record) -> BoxFuture<'a, Result<(), ProviderError>> {
        async move {
            let (world, lease) = (&self.world, record.lease.to_string());
            let failed = |why: &str| {
                world.state().release_failed.insert(lease.clone());
                world.count(|totals| totals.releases_failed += 1);
                Err(ProviderError::passing(why))
            };
            world.wait_up_to(if world.fails(0.02) { 100_000 } else { 3_000 }).await;
            if world.fails(0.12) {
                return failed("it does not answer");
            }
            world.state().runners.remove(&lease);
            world.wait_up_to(500).await;
            if world.fails(0.05) {
                return failed("its answer was lost");
            }
            Ok(())
        }
        .boxed()
    }
}

/// A ledger that outlives lamina.
pub struct Memory(pub Arc<World>);

impl Memory {
    fn trouble(&self, what: &str) -> Result<(), LedgerError> {
        match self.0.fails(0.004) {
            true => Err(LedgerError { path: PathBuf::from("ledger"), message: format!("the disk is full: {what}") }),
            false => Ok(()),
        }
    }
}

impl Ledger for Memory {
    fn write(&self, record: &Record) -> Result<(), LedgerError> {
        self.trouble("write")?;
        self.0.state().ledger.insert(record.lease.clone(), record.clone());
        Ok(())
    }

    fn remove(&self, lease: &LeaseId) -> Result<(), LedgerError> {
        self.trouble("remove")?;
        self.0.state().ledger.remove(lease);
        Ok(())
    }

    fn all(&self) -> Result<(Vec<Record>, Vec<LedgerError>), LedgerError> {
        Ok((self.0.state().ledger.values().cloned().collect(), Vec::new()))
    }
}
