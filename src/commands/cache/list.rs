use super::super::Format;
use super::super::caching::ActorArgs;
use super::super::context::Context;
use super::super::error::CommandError;
use super::super::exit::Exit;
use super::super::images::RegistryArgs;
use super::{root, usual};
use crate::cache;
use crate::report::cache::{self as report, Listed};
use crate::report::json;

/// List the layer caches that the registry has: whose they are, how large and how old
///
/// Where the registry says which repositories it has, the caches of all actors are listed; elsewhere those of the
/// catalog's layers that this actor uses.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lamina cache list
  lamina cache list --actor agent:fixer --format json")]
pub struct Args {
    #[command(flatten)]
    who: ActorArgs,
    /// How the answer looks
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    registry: RegistryArgs,
}

pub fn run(context: &Context<'_>, args: &Args) -> Result<Exit, CommandError> {
    let snapshot = context.snapshot()?;
    let (root, session) = (root(&snapshot)?, args.who.session(&snapshot)?);
    let named = usual(&session, snapshot.catalog.layers.keys().cloned());
    let (survey, repositories) = context.ask(&args.registry, &snapshot, async |registry| {
        let survey = cache::find(registry, &root, named).await;
        let repositories = cache::read_all(registry, &root, &survey.slots).await;
        (survey, repositories)
    })?;
    let listed = Listed { session: &session, root: &root, survey: &survey, repositories: &repositories };
    context.ui.answer(&match args.format {
        Format::Text => report::list(&listed),
        Format::Json => json::answer(json::cache::CacheList::new(&listed)),
    })?;
    report::remarks(&listed).iter().for_each(|remark| context.ui.remark(remark));
    Ok(if repositories.iter().any(|repository| repository.unread.is_some()) { Exit::Registry } else { Exit::Success })
}
