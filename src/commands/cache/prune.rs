use std::time::Duration;

use super::super::Format;
use super::super::caching::ActorArgs;
use super::super::context::Context;
use super::super::error::CommandError;
use super::super::exit::Exit;
use super::super::images::RegistryArgs;
use super::{root, usual};
use crate::cache::{self, Access, Policy, Removed, Repository, decide, judge};
use crate::host::clock;
use crate::report::cache::{self as report, Fate, Pruned};
use crate::report::json;

/// Remove layer caches that are old, of those that this actor may write
///
/// What can't be read, and what nobody knows the age of, stays. The registry frees the space when it next collects its
/// garbage.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lamina cache prune --keep-days 14 --dry-run
  lamina cache prune --keep-days 30 --keep-last 20 --actor ci
  lamina cache prune --keep-last 0 --actor human:ann --format json")]
#[command(group(clap::ArgGroup::new("retention").args(["keep_days", "keep_last"]).required(true).multiple(true)))]
pub struct Args {
    /// Keep what is younger than this
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(0..=36_500))]
    keep_days: Option<u32>,
    /// Keep so many of each namespace, the youngest ones, however old they are
    #[arg(long, value_name = "N")]
    keep_last: Option<u32>,
    /// Keep what is younger than this in any case: a build may be about to use it
    #[arg(long, value_name = "HOURS", default_value_t = 24, value_parser = clap::value_parser!(u32).range(0..=8760))]
    grace_hours: u32,
    /// Say what would go, and remove nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    who: ActorArgs,
    /// How the answer looks
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    registry: RegistryArgs,
}

impl Args {
    fn policy(&self) -> Policy {
        let hours = |hours: u64| Duration::from_secs(hours * 3600);
        Policy {
            keep: self.keep_days.map(|days| hours(u64::from(days) * 24)),
            last: self.keep_last.map_or(0, |last| usize::try_from(last).unwrap_or(usize::MAX)),
            grace: hours(self.grace_hours.into()),
        }
    }
}

pub fn run(context: &Context<'_>, args: &Args) -> Result<Exit, CommandError> {
    let snapshot = context.snapshot()?;
    let (root, session) = (root(&snapshot)?, args.who.session(&snapshot)?);
    let named = usual(&session, snapshot.catalog.layers.keys().cloned());
    let pruned = context.ask(&args.registry, &snapshot, async |registry| {
        let mut survey = cache::find(registry, &root, named).await;
        // Others' are not even looked at; nor are those of other workspaces.
        survey.slots.retain(|slot| {
            let is_allowed = decide(&session.actor, Access::Write, slot, &session.grants).is_ok();
            is_allowed && *slot.namespace.workspace() == session.workspace
        });
        let repositories = cache::read_all(registry, &root, &survey.slots).await;
        let judged = judge(&repositories, args.policy(), clock::now());
        let mut fates = Vec::new();
        for (repository, kept) in repositories.iter().zip(judged) {
            for (tagged, kept) in repository.tags.iter().zip(kept) {
                let fate = match kept {
                    Some(kept) => Fate::Kept(kept),
                    None if args.dry_run => Fate::Planned,
                    None => match cache::remove(registry, &root, &repository.slot, tagged).await {
                        Removed::Gone => Fate::Removed,
                        Removed::Moved => Fate::Moved,
                        Removed::Failed(why) => Fate::Failed(why),
                    },
                };
                fates.push((repository.slot.clone(), tagged.clone(), fate));
            }
        }
        let unread: Vec<Repository> = repositories.into_iter().filter(|found| found.unread.is_some()).collect();
        Pruned { root: root.clone(), session: session.clone(), survey, unread, fates }
    })?;
    context.ui.answer(&match args.format {
        Format::Text => report::pruned(&pruned, context.verbose()),
        Format::Json => json::answer(json::cache::CachePrune::new(&pruned)),
    })?;
    pruned.remarks().iter().for_each(|remark| context.ui.remark(remark));
    Ok(if pruned.is_clean() { Exit::Success } else { Exit::Registry })
}
