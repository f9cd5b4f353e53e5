use super::super::Format;
use super::super::caching::CacheArgs;
use super::super::context::{Context, find_layer};
use super::super::error::CommandError;
use super::super::exit::Exit;
use super::root;
use crate::report::cache::{self as report, Explained};
use crate::report::json;

/// Say which layer caches a build of this actor reads and writes, and why not others
///
/// Nothing is asked of the registry.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lamina cache explain rust
  lamina cache explain rust --actor ci-aux:docs --format json")]
pub struct Args {
    /// The layer
    #[arg(value_name = "LAYER")]
    layer: String,
    #[command(flatten)]
    cache: CacheArgs,
    /// How the answer looks
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub fn run(context: &Context<'_>, args: &Args) -> Result<Exit, CommandError> {
    let snapshot = context.snapshot()?;
    let (layer, _) = find_layer(&snapshot, &args.layer)?;
    let root = root(&snapshot)?;
    // What is forbidden is explained here and not refused.
    let session = args.cache.unchecked(&snapshot)?;
    let explained = Explained { session: &session, root: &root, layer };
    context.ui.answer(&match args.format {
        Format::Text => report::explain(&explained),
        Format::Json => json::answer(json::cache::CacheExplain::new(&explained)),
    })?;
    Ok(Exit::Success)
}
