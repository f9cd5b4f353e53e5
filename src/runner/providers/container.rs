//! An ephemeral BuildKit container, by buildx' driver docker-container: with the memory and the processors of the size,
//! and a volume that goes with it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt};
use jiff::Timestamp;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::builder::{self, Driver, MADE};
use super::cgroup::Cgroups;
use super::tool::Tool;
use super::watch::Watch;
use super::{Host, folder, kernel_log};
use crate::engine::INSTALL_DOCKER;
use crate::model::Size;
use crate::runner::{About, Endpoint, Evidence, LeaseId, NoteHandle, Provider, ProviderError, Record};

/// After a request that was given up, dockerd may still make what was asked for.
const LATE: Duration = Duration::from_secs(1);

/// Leases BuildKit containers.
#[derive(Debug)]
pub struct Container {
    about: About,
    host: Host,
    image: Option<String>,
    network: Option<String>,
    watches: Mutex<BTreeMap<LeaseId, Watch>>,
}

/// What Docker says of a container.
struct Inspected {
    id: String,
    pid: u32,
    oom_killed: bool,
}

impl Container {
    /// A provider by the Docker engine that is there.
    pub fn new(host: Host, image: Option<String>, network: Option<String>) -> Self {
        let detail = "docker buildx, driver docker-container".to_owned();
        let about = About { leases: true, sized: true, detail, ..About::default() };
        Self { about, host, image, network, watches: Mutex::default() }
    }

    fn watches(&self) -> std::sync::MutexGuard<'_, BTreeMap<LeaseId, Watch>> {
        self.watches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn docker(&self) -> Result<Tool<'_>, ProviderError> {
        Tool::find(&self.host, "docker", INSTALL_DOCKER)
    }

    async fn inspect(&self, lease: &LeaseId) -> Result<Inspected, ProviderError> {
        let asked = ["container", "inspect", &builder::node(lease)].map(str::to_owned).into();
        let said = self.docker()?.ask(asked).await?;
        let answer: Value = serde_json::from_str(&said.out).unwrap_or_default();
        let text = |pointer: &str| answer.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let id = text("/0/Id");
        if !said.is_good || id.is_empty() {
            return Err(ProviderError::passing(format!("docker inspect: {}", said.complaint())));
        }
        let pid = answer.pointer("/0/State/Pid").and_then(Value::as_u64).and_then(|pid| u32::try_from(pid).ok());
        let oom_killed = answer.pointer("/0/State/OOMKilled").and_then(Value::as_bool).unwrap_or_default();
        Ok(Inspected { id, pid: pid.unwrap_or_default(), oom_killed })
    }

    async fn lease(
        &self,
        record: &Record,
        note: &NoteHandle<'_>,
        cancel: &CancellationToken,
    ) -> Result<Endpoint, ProviderError> {
        let options = options(record.size, self.image.as_deref(), self.network.as_deref());
        let driver = Driver { name: "docker-container", options: &options, environment: &[] };
        builder::make(&self.host, record, driver, note, cancel).await?;
        // What it uses is for estimates: a container that can't be looked into builds as well.
        if let Ok(Inspected { id, pid, .. }) = self.inspect(&record.lease).await
            && let Some(cgroup) = Cgroups::of_machine().of_container(pid, &id)
        {
            self.watches().insert(record.lease.clone(), Watch::start(cgroup));
        }
        Ok(Endpoint::Builder(record.lease.to_string()))
    }

    async fn observe(&self, record: &Record) -> Result<Evidence, ProviderError> {
        let Inspected { id, oom_killed, .. } = self.inspect(&record.lease).await?;
        let name = builder::node(&record.lease);
        let told = oom_killed.then(|| format!("Docker says OOMKilled of the container {name}"));
        let watches = self.watches();
        let watch = watches.get(&record.lease);
        let counted = || {
            let kills = watch?.cgroup().kills().filter(|kills| *kills > 0)?;
            Some(format!("the kernel counts {kills} in oom_kill of memory.events of the container {name}"))
        };
        let logged = || kernel_log::out_of_memory(&id, record.asked_at);
        let oom = logged().or_else(counted).or(told);
        Ok(Evidence { oom, alone: true, usage: watch.map(Watch::usage) })
    }

    async fn free(&self, record: &Record) -> Result<(), ProviderError> {
        self.watches().remove(&record.lease);
        if let Some(handle) = &record.handle {
            let docker = self.docker()?;
            self.remove(&docker, &record.lease).await?;
            if handle != MADE {
                tokio::time::sleep(LATE).await;
                self.remove(&docker, &record.lease).await?;
            }
        }
        folder::clear(&self.host, &record.lease).await
    }

    async fn remove(&self, docker: &Tool<'_>, lease: &LeaseId) -> Result<(), ProviderError> {
        builder::forget(docker, lease).await?;
        let name = builder::node(lease);
        let volume = format!("{name}_state");
        for args in [&["rm", "--force", "--volumes", &*name], &["volume", "rm", "--force", &*volume]] {
            let said = docker.ask(args.iter().map(|arg| (*arg).to_owned()).collect()).await?;
            let is_gone = ["No such container", "no such volume", "No such volume"].iter();
            if !said.is_good && !is_gone.into_iter().any(|sign| said.err.contains(sign)) {
                return Err(ProviderError::passing(format!("docker {}: {}", args.join(" "), said.complaint())));
            }
        }
        Ok(())
    }
}

/// The driver's options. Without a limit of swap, as much of it could be used again as of memory.
fn options(size: Size, image: Option<&str>, network: Option<&str>) -> Vec<(String, String)> {
    const PERIOD_US: u64 = 100_000;
    let memory = format!("{}m", size.memory_mb);
    let mut options = vec![
        ("memory".to_owned(), memory.clone()),
        ("memory-swap".to_owned(), memory),
        ("cpu-period".to_owned(), PERIOD_US.to_string()),
        ("cpu-quota".to_owned(), size.cpu.saturating_mul(PERIOD_US).to_string()),
    ];
    options.extend(image.map(|image| ("image".to_owned(), image.to_owned())));
    options.extend(network.map(|network| ("network".to_owned(), network.to_owned())));
    options
}

impl Provider for Container {
    fn about(&self) -> &About {
        &self.about
    }

    fn acquire<'a>(
        &'a self,
        record: &'a Record,
        note: &'a NoteHandle<'a>,
        cancel: &'a CancellationToken,
    ) -> BoxFuture<'a, Result<Endpoint, ProviderError>> {
        self.lease(record, note, cancel).boxed()
    }

    fn evidence<'a>(&'a self, record: &'a Record, _since: Timestamp) -> BoxFuture<'a, Result<Evidence, ProviderError>> {
        self.observe(record).boxed()
    }

    fn release<'a>(&'a self, record: &'a Record) -> BoxFuture<'a, Result<(), ProviderError>> {
        self.free(record).boxed()
    }
}
