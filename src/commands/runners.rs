use std::sync::Arc;

use clap::Subcommand;

use super::Format;
use super::context::Context;
use super::error::CommandError;
use super::exit::Exit;
use super::pool;
use crate::event::RunId;
use crate::host::clock::{self, Clock, System};
use crate::model::RunnerSource;
use crate::registry::block_on;
use crate::report::json;
use crate::report::json::runners::{Runners, RunnersPrune};
use crate::report::runners::{self as report, RunnersReport};
use crate::runner::providers::{self, Host};
use crate::runner::{Folder, LeaseId, Ledger, LedgerError, Owner, OwnerState, Pool, ProviderError, Record, Swept};

/// Show which runners are leased on this machine, and release those that nobody needs
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lamina runners
  lamina runners --format json
  lamina runners prune
  lamina runners prune lamina-20261122-040502-3k9w2m7q")]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    list: ListArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the leases that are written down, and where runners come from
    #[command(after_help = "Examples:
  lamina runners list --format json")]
    List(ListArgs),
    Prune(PruneArgs),
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    /// How the answer looks
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Release the leases that nobody needs: those whose time is over, or whose owner has ended
///
/// A lease that a process of this machine still builds on is never released.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lamina runners prune
  lamina runners prune --all --format json
  lamina runners prune lamina-20261122-040502-3k9w2m7q")]
struct PruneArgs {
    /// Release these leases, also where their owner is on another machine and nothing is known of it
    #[arg(value_name = "LEASE")]
    leases: Vec<LeaseId>,
    /// Release all leases but those that a process of this machine builds on
    #[arg(long, conflicts_with = "leases")]
    all: bool,
    /// Strike these leases out also where nobody can release them any more; what is left of them is yours to remove
    #[arg(long, requires = "leases")]
    forget: bool,
    /// How the answer looks
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub fn run(context: &Context<'_>, args: &Args) -> Result<Exit, CommandError> {
    match &args.command {
        None => list(context, &args.list),
        Some(Command::List(args)) => list(context, args),
        Some(Command::Prune(args)) => prune(context, args),
    }
}

fn list(context: &Context<'_>, args: &ListArgs) -> Result<Exit, CommandError> {
    let snapshot = context.unchecked_snapshot()?;
    let host = pool::host(context, &snapshot, None)?;
    let (leases, unreadable) = ledger(&host).all().map_err(unread)?;
    let about = |row: RunnerSource| match providers::open(&row.provider, &host) {
        Ok(provider) => (row, provider.about().clone()),
        // That it can't be opened is told where somebody wants to build on it.
        Err(_) => (row, crate::runner::About::default()),
    };
    let sources: Vec<_> = pool::declared(&snapshot).into_iter().map(about).collect();
    let report = RunnersReport { leases: &leases, sources: &sources, now: clock::now() };
    context.ui.answer(&match args.format {
        Format::Text => report.text(),
        Format::Json => json::answer(Runners::new(&report, &unreadable)),
    })?;
    remark(context, &unreadable);
    context.ui.remark(&report.remark());
    Ok(Exit::Success)
}

fn prune(context: &Context<'_>, args: &PruneArgs) -> Result<Exit, CommandError> {
    let snapshot = context.unchecked_snapshot()?;
    let host = pool::host(context, &snapshot, None)?;
    let now = clock::now();
    let in_use = |record: &Record| !record.is_stale(now) && record.owner.state() == OwnerState::Running;
    let wanted = |record: &Record| match (args.all, &args.leases[..]) {
        (false, []) => record.is_stale(now),
        (true, _) => !in_use(record),
        (false, leases) => leases.contains(&record.lease) && !in_use(record),
    };
    let (before, _) = ledger(&host).all().map_err(unread)?;
    let run = RunId::new(System.now(), fastrand::u32(..));
    // Whoever has leased a runner is in its record, so no row of the table is needed.
    let none = Box::new(|_: &_| Err(crate::engine::OpenError::NoBuildx));
    let sweeper = Pool::new(Vec::new(), Box::new(ledger(&host)), none, Arc::new(System), Owner::this(), run);
    let sweep = sweeper.sweep(wanted, |record| providers::open(&record.provider, &host).ok());
    let (mut swept, unreadable) = block_on(sweep)?.map_err(unread)?;
    for lease in &args.leases {
        match before.iter().find(|record| record.lease == *lease) {
            None => context.ui.remark(&format!("{lease} is not written down on this machine: there is nothing to do")),
            Some(record) if in_use(record) => {
                let error = ProviderError::passing(format!("process {} builds on it", record.owner.pid))
                    .hint("end that process first: it releases the runner itself");
                swept.push(Swept { record: record.clone(), error: Some(error) });
            }
            Some(_) => {}
        }
    }
    swept.sort_by(|a, b| a.record.lease.cmp(&b.record.lease));
    let (forgotten, swept): (Vec<Swept>, Vec<Swept>) =
        swept.into_iter().partition(|swept| args.forget && swept.error.is_some() && !in_use(&swept.record));
    for Swept { record, .. } in &forgotten {
        ledger(&host)
            .remove(&record.lease)
            .map_err(|error| CommandError::failure("a lease can't be struck out", error))?;
    }
    context.ui.answer(&match args.format {
        Format::Text => report::swept(&swept, &forgotten),
        Format::Json => json::answer(RunnersPrune::new(&swept, &forgotten, &unreadable, now)),
    })?;
    remark(context, &unreadable);
    let left: Vec<_> = swept.iter().filter_map(|swept| swept.error.as_ref()).collect();
    if left.is_empty() && unreadable.is_empty() {
        return Ok(Exit::Success);
    }
    let message = format!("{} could not be released", crate::report::count(left.len() + unreadable.len(), "lease"));
    let mut hints: Vec<&String> = left.iter().flat_map(|error| &error.hints).collect();
    hints.dedup();
    Err(hints.into_iter().fold(CommandError::new(Exit::Failure, message), |error, hint| error.hint(hint)))
}

fn ledger(host: &Host) -> Folder {
    Folder::new(host.state.join("leases"))
}

fn unread(error: LedgerError) -> CommandError {
    CommandError::failure("leases can't be read", error)
}

fn remark(context: &Context<'_>, unreadable: &[LedgerError]) {
    unreadable.iter().for_each(|error| context.ui.remark(&format!("a lease can't be read: {error}")));
}
