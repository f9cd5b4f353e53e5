use super::Format;
use super::context::{Context, find_layer};
use super::error::CommandError;
use super::exit::Exit;
use crate::report::{catalog, json};

/// Show all about a layer: bases, parents, children, what it provides, what its consumers have to install
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lamina show fastembed
  lamina show fastembed --format json")]
pub struct Args {
    /// The layer
    layer: String,
    /// How the answer looks
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub fn run(context: &Context<'_>, args: &Args) -> Result<Exit, CommandError> {
    let snapshot = context.snapshot()?;
    let (_, loaded) = find_layer(&snapshot, &args.layer)?;
    let answer = match args.format {
        Format::Text => catalog::show_text(&snapshot, loaded),
        Format::Json => json::answer(json::layers::Show::new(&snapshot, loaded)),
    };
    context.ui.answer(&answer)?;
    Ok(Exit::Success)
}
