use clap::ValueEnum;

use super::context::Context;
use super::error::CommandError;
use super::exit::Exit;
use crate::cascade::{Only, Selection};
use crate::report::{catalog, json};

/// List the layers
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lamina list
  lamina list --only class=toolchain --format names")]
pub struct Args {
    /// Leave out all layers but these: class=CLASS or name=GLOB; may be repeated
    #[arg(long, value_name = "CONDITION")]
    only: Vec<Only>,
    /// How the answer looks
    #[arg(long, value_enum, default_value_t)]
    format: ListFormat,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum ListFormat {
    /// Name, class, build base and summary
    #[default]
    Text,
    /// For programs; the shape is described in docs/json.md
    Json,
    /// A name a line
    Names,
}

pub fn run(context: &Context<'_>, args: &Args) -> Result<Exit, CommandError> {
    let snapshot = context.snapshot()?;
    let selection = Selection { only: args.only.clone(), ..Selection::default() };
    let layers: Vec<_> = snapshot.layers().filter(|loaded| selection.matches(&loaded.layer, 0)).collect();
    let answer = match args.format {
        ListFormat::Text => catalog::list_text(&layers),
        ListFormat::Json => json::answer(json::layers::List::new(&snapshot, &layers)),
        ListFormat::Names => layers.iter().map(|loaded| format!("{}\n", loaded.layer.name)).collect(),
    };
    context.ui.answer(&answer)?;
    Ok(Exit::Success)
}
