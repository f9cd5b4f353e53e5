use super::Format;
use super::context::Context;
use super::error::CommandError;
use super::exit::Exit;
use crate::checks;
use crate::report::{catalog, json};

/// Show what the catalog takes for granted, and whether it holds
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lamina axioms
  lamina axioms --format json")]
pub struct Args {
    /// How the answer looks
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub fn run(context: &Context<'_>, args: &Args) -> Result<Exit, CommandError> {
    let snapshot = context.decided_snapshot()?;
    let states = checks::constraints(&snapshot);
    let axioms = &snapshot.catalog.axioms;
    let answer = match args.format {
        Format::Text => catalog::axioms_text(axioms, &states),
        Format::Json => json::answer(json::decisions::Axioms::new(axioms, &states)),
    };
    context.ui.answer(&answer)?;
    Ok(Exit::Success)
}
