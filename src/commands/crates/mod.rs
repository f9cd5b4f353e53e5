mod align;
mod cone;
mod diff;
mod outdated;
mod set;
mod side;
mod snapshot;
mod source;

use clap::Subcommand;

use super::context::Context;
use super::error::CommandError;
use super::exit::Exit;

/// Look into cooked sets and projects: what a bump recompiles, what is old, how large a set may be
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lamina crates cone libc --layer stratumiops --offline
  lamina crates cone --all --layer librosys --offline --format markdown
  lamina crates diff HEAD~1
  lamina crates snapshot")]
pub struct Args {
    #[command(subcommand)]
    command: Crates,
}

#[derive(Debug, Subcommand)]
enum Crates {
    Cone(cone::Args),
    Diff(diff::Args),
    Snapshot(snapshot::Args),
    Align(align::Args),
    Outdated(outdated::Args),
}

pub fn run(context: &Context<'_>, args: &Args) -> Result<Exit, CommandError> {
    match &args.command {
        Crates::Cone(args) => cone::run(context, args),
        Crates::Diff(args) => diff::run(context, args),
        Crates::Snapshot(args) => snapshot::run(context, args),
        Crates::Align(args) => align::run(context, args),
        Crates::Outdated(args) => outdated::run(context, args),
    }
}
