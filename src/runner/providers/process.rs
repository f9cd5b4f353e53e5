//! A buildkitd of lamina's own, on this machine, with nothing in its cache.
//!
//! It is the first process of a PID namespace (`unshare --fork --kill-child`, or `rootlesskit --pidns`): when it ends,
//! however it does, the kernel ends its steps with it, which a buildkitd that is killed leaves behind otherwise. Its
//! mounts are in a namespace of theirs as well, and go with it. Who starts it dies with lamina (`host::guard`).
//!
//! As root its steps run below a cgroup that has the size's limits. The daemon itself is not in it: what is killed
//! because memory ran out is always a step.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt};
use jiff::Timestamp;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::beside::{self, Beside};
use super::buildkitd::{Place, configuration};
use super::cgroup::Cgroups;
use super::watch::Watch;
use super::{Host, folder, kernel_log};
use crate::host::child::{Program, find};
use crate::runner::{About, Endpoint, Evidence, LeaseId, NoteHandle, Provider, ProviderError, Record};

/// How often it is looked whether the daemon listens, or has ended.
const LOOK: Duration = Duration::from_millis(20);
/// Where runc keeps what it knows of its containers.
const RUNC: &str = "/run/runc";

/// Leases buildkitds on this machine.
#[derive(Debug)]
pub struct Process {
    about: About,
    host: Host,
    rootless: bool,
    cgroups: Cgroups,
    running: Mutex<BTreeMap<LeaseId, Running>>,
}

/// A daemon that this provider has started.
#[derive(Debug)]
struct Running {
    daemon: Beside,
    watch: Option<Watch>,
}

impl Process {
    /// A provider for this machine.
    pub fn new(host: Host, rootless: bool) -> Self {
        let cgroups = Cgroups::of_machine();
        let sized = !rootless && cgroups.can_limit();
        let detail = if rootless { "buildkitd, rootless" } else { "buildkitd" }.to_owned();
        let about = About { leases: true, sized, detail, ..About::default() };
        Self { about, host, rootless, cgroups, running: Mutex::default() }
    }

    fn running(&self) -> std::sync::MutexGuard<'_, BTreeMap<LeaseId, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn program(&self, name: &str, hint: &str) -> Result<PathBuf, ProviderError> {
        let missing = || ProviderError::lasting(format!("there is no {name} on PATH")).hint(hint);
        find(name, self.host.env.get("PATH")).ok_or_else(missing)
    }

    /// The command that runs the daemon.
    fn daemon(&self, folder: &Path, configuration: &Path) -> Result<Program, ProviderError> {
        const BUILDKIT: &str = "install BuildKit (https://github.com/moby/buildkit/releases)";
        if !cfg!(target_os = "linux") {
            return Err(ProviderError::lasting("buildkitd runs on Linux only"));
        }
        let buildkitd = self.program("buildkitd", BUILDKIT)?;
        self.program("buildctl", BUILDKIT)?;
        let temporary = folder.join("tmp");
        fs::create_dir_all(&temporary).map_err(|error| ProviderError::lasting(error.to_string()))?;
        let (path, mut args) = match self.rootless {
            true => {
                let kit = self.program("rootlesskit", "install rootlesskit and uidmap (newuidmap)")?;
                let state = folder.join("kit").to_string_lossy().into_owned();
                (kit, vec!["--pidns".to_owned(), "--net=host".to_owned(), format!("--state-dir={state}")])
            }
            false if !rustix::process::geteuid().is_root() => {
                let error = ProviderError::lasting("buildkitd takes root");
                return Err(error.hint("give the row `'process { rootless = true }`, and install rootlesskit"));
            }
            false => {
                let unshare = self.program("unshare", "install util-linux")?;
                (unshare, ["--pid", "--fork", "--kill-child", "--mount-proc"].map(str::to_owned).into())
            }
        };
        args.extend([
            buildkitd.to_string_lossy().into_owned(),
            "--config".to_owned(),
            configuration.to_string_lossy().into_owned(),
        ]);
        let mut env = self.host.env.passed(std::iter::empty());
        if self.rootless {
            // Where runc keeps what it knows of its containers then.
            env.insert("XDG_RUNTIME_DIR".into(), temporary.clone().into());
        }
        env.insert("TMPDIR".into(), temporary.into());
        Ok(Program {
            path,
            args: args.into_iter().map(Into::into).collect(),
            env,
            lamina: self.host.lamina.clone(),
            folder: Some(folder.to_owned()),
            reads_stdout: true,
        })
    }

    async fn lease(&self, record: &Record, note: &NoteHandle<'_>) -> Result<Endpoint, ProviderError> {
        let lease = &record.lease;
        let folder = folder::make(&self.host, lease)?;
        let socket = folder::socket(&folder)?;
        let file = folder.join("buildkitd.toml");
        let program = self.daemon(&folder, &file)?;
        let cgroup = match self.about.sized {
            true => Some(self.cgroups.make(lease.as_str(), record.size).map_err(|error| {
                ProviderError::lasting(format!("a cgroup of {} can't be made: {error}", record.size))
            })?),
            false => None,
        };
        let root = folder.join("root");
        let cgroup_name = cgroup.as_ref().map(|_| lease.as_str());
        let traces = folder.join("traces.sock");
        let place = Place { root: &root, socket: &socket, traces: &traces, cgroup: cgroup_name };
        folder::write(&file, &configuration(&self.host, Some(place)))?;
        let daemon = Beside::start(program).await.map_err(|error| ProviderError::lasting(error.to_string()))?;
        let handle = daemon.handle();
        self.running().insert(lease.clone(), Running { daemon, watch: cgroup.map(Watch::start) });
        note(&handle).map_err(|error| ProviderError::passing(error.to_string()))?;
        // It listens when it is ready, and not before.
        while UnixStream::connect(&socket).is_err() {
            sleep(LOOK).await;
            let over = |running: &Running| running.daemon.is_over().then(|| running.daemon.last_words("buildkitd: "));
            match self.running().get(lease).map(over) {
                Some(None) => {}
                Some(Some(words)) => {
                    return Err(ProviderError::passing(format!("buildkitd does not start: {words}")));
                }
                None => return Err(ProviderError::passing("it was released")),
            }
        }
        Ok(Endpoint::Buildkit(format!("unix://{}", socket.display())))
    }

    async fn free(&self, record: &Record) -> Result<(), ProviderError> {
        let running = self.running().remove(&record.lease);
        if let Some(Running { daemon, watch }) = running {
            drop(watch);
            daemon.stop().await;
        }
        beside::end(record).await?;
        if !self.rootless {
            let name = record.lease.as_str();
            let left = |error| folder::left(format!("the cgroup {name}"), &error);
            let containers = self.cgroups.remove(name).await.map_err(left)?;
            // runc itself would have removed these; it was killed.
            containers.iter().for_each(|container| drop(fs::remove_dir_all(Path::new(RUNC).join(container))));
        }
        match folder::remove(&self.host, &record.lease).await {
            Err(error) if self.rootless && error.kind() == std::io::ErrorKind::PermissionDenied => {
                self.remove_as_owner(&record.lease).await
            }
            removed => removed.map_err(|error| folder::left(folder::of(&self.host, &record.lease).display(), &error)),
        }
    }

    /// Files of a rootless daemon belong to users whom only a user namespace knows.
    async fn remove_as_owner(&self, lease: &LeaseId) -> Result<(), ProviderError> {
        let kit = self.program("rootlesskit", "install rootlesskit and uidmap (newuidmap)")?;
        let folder = folder::of(&self.host, lease);
        let program = Program {
            path: kit,
            args: ["rm".into(), "-rf".into(), folder.clone().into()].into(),
            env: self.host.env.passed(std::iter::empty()),
            lamina: self.host.lamina.clone(),
            folder: None,
            reads_stdout: true,
        };
        let ended = program.run(&CancellationToken::new(), |_| {}).await;
        match ended {
            Ok(ended) if ended.status.success() => Ok(()),
            _ => Err(ProviderError::passing(format!("{} can't be removed", folder.display()))),
        }
    }
}

impl Provider for Process {
    fn about(&self) -> &About {
        &self.about
    }

    fn acquire<'a>(
        &'a self,
        record: &'a Record,
        note: &'a NoteHandle<'a>,
        cancel: &'a CancellationToken,
    ) -> BoxFuture<'a, Result<Endpoint, ProviderError>> {
        let leased = cancel.run_until_cancelled(self.lease(record, note));
        leased.map(|leased| leased.unwrap_or_else(|| Err(ProviderError::passing("cancelled")))).boxed()
    }

    fn evidence<'a>(&'a self, record: &'a Record, _since: Timestamp) -> BoxFuture<'a, Result<Evidence, ProviderError>> {
        async move {
            let name = record.lease.as_str();
            let cgroup = self.cgroups.named(name);
            let kills = cgroup.kills().filter(|kills| *kills > 0);
            let counted = kills.map(|kills| format!("the kernel counts {kills} in oom_kill of {name}/memory.events"));
            // The cgroup is this lease's alone, so a kill at any time is of this build.
            let logged = || kernel_log::out_of_memory(&format!("/{name}/"), record.asked_at);
            let usage = self.running().get(&record.lease).and_then(|running| Some(running.watch.as_ref()?.usage()));
            Ok(Evidence { oom: counted.or_else(logged), alone: true, usage })
        }
        .boxed()
    }

    fn release<'a>(&'a self, record: &'a Record) -> BoxFuture<'a, Result<(), ProviderError>> {
        self.free(record).boxed()
    }
}
