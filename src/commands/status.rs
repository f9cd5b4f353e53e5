use std::collections::BTreeSet;

use super::Format;
use super::context::Context;
use super::error::CommandError;
use super::exit::Exit;
use super::images::RegistryArgs;
use super::planning;
use super::selection::SelectionArgs;
use crate::host::clock;
use crate::plan::{self, Image};
use crate::report::json;
use crate::report::status::StatusReport;

/// Say of layers whether they are built, and if not, why: stale, failed or not proven
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lamina status
  lamina status leptos rustelo
  lamina status --only class=source-dep --format json")]
pub struct Args {
    #[command(flatten)]
    selection: SelectionArgs,
    /// How the answer looks
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    registry: RegistryArgs,
}

pub fn run(context: &Context<'_>, args: &Args) -> Result<Exit, CommandError> {
    let (snapshot, selected) = args.selection.select_or_all(context)?;
    let past = planning::past(context, &snapshot);
    let standing = context.ask(&args.registry, &snapshot, async |registry| {
        let images = plan::state(registry, &snapshot, &selected.layers).await?;
        let missing = images.iter().filter(|(_, image)| **image == Image::Missing);
        let missing: BTreeSet<_> = missing.map(|(name, _)| name.clone()).collect();
        let others = plan::others(registry, &snapshot, &missing).await?;
        plan::standing(&snapshot, &images, &others, &past)
    })?;
    let standing = match standing {
        Ok(standing) => standing,
        Err(error) => return Err(planning::no_state(context, snapshot, error)),
    };
    let report = StatusReport { snapshot: &snapshot, layers: &standing, now: clock::now() };
    context.ui.answer(&match args.format {
        Format::Text => report.text(),
        Format::Json => json::answer(json::status::Status::new(&report)),
    })?;
    context.ui.remark(&report.remark());
    Ok(Exit::Success)
}
