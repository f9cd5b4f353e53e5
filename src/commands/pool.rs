//! The runners of a build, from the catalog's table and the command line.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::context::{Context, state_folder};
use super::engine::EngineArgs;
use super::error::CommandError;
use super::events;
use super::exit::Exit;
use crate::cache::Workspace;
use crate::engine::{Engine, Environment};
use crate::event::RunId;
use crate::host::clock::System;
use crate::model::{Catalog, ProviderKind, RunnerSource, Size};
use crate::runner::providers::{self, Host};
use crate::runner::{Endpoint, Folder, Opener, Owner, Pool, Record, Source, Swept};
use crate::snapshot::Snapshot;

/// How long a build waits for leases that others have left behind to go.
const SWEEP: Duration = Duration::from_secs(10);

/// How long lamina stays for runners that a run could not give back: who is in a hurry has asked twice.
const CLOSE: Duration = Duration::from_secs(15);

/// Where builds run.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct RunnerArgs {
    /// Build on runners of this row of the catalog's table `runners` only; may be repeated, in order of preference
    #[arg(long, value_name = "RUNNER")]
    pub runner: Vec<String>,
    /// Give each build this much, whatever its layer declares: processors and MiB of memory, CPU,MIB
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub size: Option<Size>,
    #[command(flatten)]
    pub engine: EngineArgs,
}

impl RunnerArgs {
    /// The runners of a run. Where only the engine at hand may build, it is looked for at once.
    ///
    /// # Errors
    /// When there is no such row, or no engine.
    pub fn pool(
        &self,
        context: &Context<'_>,
        snapshot: &Snapshot,
        host: &Host,
        run: &RunId,
    ) -> Result<Pool, CommandError> {
        let rows = self.rows(snapshot)?;
        let options = self.engine.options(context);
        let at_hand: OnceLock<Arc<dyn Engine>> = OnceLock::new();
        if rows.iter().all(|row| row.provider == ProviderKind::Engine) {
            let _ = at_hand.set(Arc::from(self.engine.open(context)?));
        }
        let open: Opener = Box::new(move |endpoint| match (endpoint, at_hand.get()) {
            (Endpoint::Current, Some(engine)) => Ok(Arc::clone(engine)),
            (endpoint, _) => Ok(Arc::from(endpoint.open(&options)?)),
        });
        let source = |row: RunnerSource| match providers::open(&row.provider, host) {
            Ok(provider) => Ok(Source { row, provider: provider.into() }),
            Err(error) => Err(CommandError::new(Exit::Usage, format!("runner {}: {error}", row.name))),
        };
        let sources = rows.into_iter().map(source).collect::<Result<_, _>>()?;
        let ledger = Box::new(Folder::new(host.state.join("leases")));
        Ok(Pool::new(sources, ledger, open, Arc::new(System), Owner::this(), run.clone()))
    }

    fn rows(&self, snapshot: &Snapshot) -> Result<Vec<RunnerSource>, CommandError> {
        let declared = declared(snapshot);
        if self.runner.is_empty() {
            return Ok(declared);
        }
        let row = |name: &String| {
            let found = declared.iter().find(|row| row.name == *name).cloned();
            found.ok_or_else(|| CommandError::unknown("runner", name, declared.iter().map(|row| row.name.as_str())))
        };
        self.runner.iter().map(row).collect()
    }
}

/// The catalog's table, in order of preference.
pub fn declared(snapshot: &Snapshot) -> Vec<RunnerSource> {
    let declared = snapshot.catalog.config.as_ref().map(|config| config.runners.clone()).unwrap_or_default();
    if declared.is_empty() { vec![at_hand()] } else { declared }
}

/// A size as the command line has it: `CPU,MIB`.
fn size(text: &str) -> Result<Size, String> {
    let whole = |text: &str| text.trim().parse::<u64>().ok().filter(|number| *number > 0);
    let size = text.split_once(',').and_then(|(cpu, memory)| Some((whole(cpu)?, whole(memory)?)));
    let (cpu, memory_mb) = size.ok_or("write CPU,MIB: 4,8192")?;
    Ok(Size { cpu, memory_mb })
}

/// The row of a catalog that has none.
fn at_hand() -> RunnerSource {
    let (capacity, largest) = (None, None);
    let provider = ProviderKind::Engine;
    RunnerSource { name: "engine".to_owned(), provider, capacity, platforms: Vec::new(), largest, timeout_s: 120 }
}

/// What providers need of this machine, and the workspace that they are told of: the catalog's, where none is named.
///
/// # Errors
/// When nobody says where the home folder is.
pub fn host(context: &Context<'_>, snapshot: &Snapshot, named: Option<&Workspace>) -> Result<Host, CommandError> {
    let state = state_folder().ok_or_else(|| {
        CommandError::new(Exit::Failure, "there is no folder to write leases down in")
            .hint("set HOME, or XDG_STATE_HOME")
    })?;
    let config = snapshot.catalog.config.as_ref();
    let of = |list: fn(&Catalog) -> Vec<String>| config.map(list).unwrap_or_default();
    Ok(Host {
        env: Environment::of_process(),
        lamina: Some(context.program().to_owned()),
        root: context.root().to_owned(),
        workspace: events::workspace(snapshot, named),
        state,
        plain_http: of(|catalog| catalog.plain_http.clone()),
        mirrors: config.map(|config| config.mirrors.clone()).unwrap_or_default(),
    })
}

/// Releases what runs that have ended have left behind, as far as that goes in a few seconds, and says what is left.
pub async fn sweep_stale(context: &Context<'_>, pool: &Pool, host: &Host) {
    let now = crate::host::clock::now();
    let stale = |record: &Record| record.is_stale(now);
    let sweep = pool.sweep(stale, |record| providers::open(&record.provider, host).ok());
    match tokio::time::timeout(SWEEP, sweep).await {
        Ok(Ok((swept, unreadable))) => {
            for Swept { record, error } in swept {
                let (lease, run) = (&record.lease, &record.run);
                context.ui.remark(&match error {
                    None => format!("the runner {lease}, which run {run} has left behind, is released"),
                    Some(error) => format!("the runner {lease} of run {run} can't be released: {error}"),
                });
            }
            unreadable.iter().for_each(|error| context.ui.remark(&format!("a lease can't be read: {error}")));
        }
        Ok(Err(error)) => context.ui.remark(&format!("leases can't be read: {error}")),
        Err(_) => {
            let seconds = SWEEP.as_secs();
            context.ui.remark(&format!("runners of earlier runs were not released in {seconds} s: `lamina runners`"));
        }
    }
}

/// Gives back what a run still holds, and says what is left: it is written down, and the next run tries again.
pub async fn close(context: &Context<'_>, pool: &Pool) {
    let hint = "`lamina runners prune` tries again";
    match tokio::time::timeout(CLOSE, pool.close()).await {
        Ok(all) => {
            for Swept { record, error } in all {
                if let Some(error) = error {
                    context.ui.remark(&format!("the runner {} is still leased: {error} ({hint})", record.lease));
                }
            }
        }
        Err(_) => {
            context.ui.remark(&format!("runners were not released in {} s ({hint})", CLOSE.as_secs()));
        }
    }
}
