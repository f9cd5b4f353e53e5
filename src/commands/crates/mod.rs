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
use super::ui::Ui;
use source::Known;

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

/// Looks into a Rust project where there is no catalog; nothing for what is about layers.
pub fn without_catalog(ui: &Ui, args: &Args) -> Option<Result<Exit, CommandError>> {
    // Without a catalog nobody has measured anything.
    let known = Known::default();
    let nothing_named = || {
        let error =
            CommandError::new(Exit::Usage, "there is no catalog in this folder or above it, and no project is named");
        Some(Err(error
            .hint("`--project .` looks into the Rust project of this folder")
            .hint("--catalog DIR or LAMINA_CATALOG names a catalog")))
    };
    match &args.command {
        Crates::Cone(args) if args.is_of_project() => Some(cone::of_project(ui, args, &known)),
        Crates::Diff(args) => match &args.project {
            Some(folder) => Some(diff::of_project(ui, folder, args, &known)),
            None => nothing_named(),
        },
        Crates::Outdated(args) => match &args.project {
            Some(folder) => Some(outdated::of_project(ui, folder, args, &known, None)),
            None => nothing_named(),
        },
        Crates::Cone(_) | Crates::Snapshot(_) | Crates::Align(_) => None,
    }
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
