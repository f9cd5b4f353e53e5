use super::Format;
use super::context::Context;
use super::error::CommandError;
use super::exit::Exit;
use crate::checks;
use crate::report::{catalog, json};

/// Show the architecture decisions, and whether their constraints hold
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lamina adr
  lamina adr 002")]
pub struct Args {
    /// The decision's id; all in short where it is absent
    id: Option<String>,
    /// How the answer looks
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub fn run(context: &Context<'_>, args: &Args) -> Result<Exit, CommandError> {
    let snapshot = context.decided_snapshot()?;
    let mut states = checks::constraints(&snapshot);
    let adrs = &snapshot.catalog.adrs;
    let wanted = match &args.id {
        None => &adrs[..],
        Some(id) => {
            let found = adrs.iter().position(|loaded| loaded.adr.id == *id);
            let ids = adrs.iter().map(|loaded| loaded.adr.id.as_str());
            let at = found.ok_or_else(|| CommandError::unknown("decision", id, ids))?;
            states.retain(|state| state.adr.adr.id == *id);
            &adrs[at..=at]
        }
    };
    let answer = match (args.format, wanted, &args.id) {
        (Format::Json, wanted, _) => json::answer(json::decisions::Adrs::new(wanted, &states)),
        (Format::Text, [one], Some(_)) => catalog::adr_text(one, &states),
        (Format::Text, wanted, _) => catalog::adrs_text(wanted, &states),
    };
    context.ui.answer(&answer)?;
    Ok(Exit::Success)
}
