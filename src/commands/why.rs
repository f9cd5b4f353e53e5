use super::Format;
use super::cascade::{RevisionArgs, compare};
use super::context::{Context, find_layer};
use super::error::CommandError;
use super::exit::Exit;
use crate::report::explanation::Explanation;

/// Explain why a layer is stale, or why it is not
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lamina why leptos --since origin/main
  lamina why leptos --since HEAD~3 --until HEAD --format json")]
pub struct Args {
    /// The layer
    layer: String,
    #[command(flatten)]
    revisions: RevisionArgs,
    /// How the answer looks
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub fn run(context: &Context<'_>, args: &Args) -> Result<Exit, CommandError> {
    let Some(since) = &args.revisions.since else {
        return Err(
            CommandError::new(Exit::Usage, "which revision is it compared with?").hint("name it with --since REV")
        );
    };
    let (old, new, cascade) = compare(context, since, &args.revisions)?;
    let (layer, _) = find_layer(&new, &args.layer).map_err(|error| match cascade.is_removed(&args.layer) {
        true => CommandError::new(Exit::Usage, format!("the layer `{}` is gone since {since}", args.layer)),
        false => error,
    })?;
    let explanation = Explanation { old: old.as_ref(), new: &new, cascade: &cascade, layer, since };
    let answer = match args.format {
        Format::Text => explanation.text(),
        Format::Json => explanation.json(),
    };
    context.ui.answer(&answer)?;
    Ok(Exit::Success)
}
