use super::Format;
use super::context::{Context, find_layer};
use super::error::CommandError;
use super::exit::Exit;
use super::{pool, sizing};
use crate::cache::Workspace;
use crate::model::LayerName;
use crate::report::{json, size};

/// Say how large a runner the builds of layers get, for how long, and why
///
/// Of each figure, the first that says it holds: the layer's `build.resources`, `.build-spec.ncl` in its build context,
/// what its earlier builds have used, the common figure of its language.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lamina size leptos
  lamina size rust nushell --format json
  lamina size --all")]
pub struct Args {
    /// The layers
    #[arg(value_name = "LAYER", required_unless_present = "all")]
    layers: Vec<String>,
    /// All layers
    #[arg(long, conflicts_with = "layers")]
    all: bool,
    /// The workspace that orchestrators are asked about [default: the catalog's events.workspace, or its name]
    #[arg(long, value_name = "WORKSPACE", env = "LAMINA_WORKSPACE", hide_env_values = true)]
    workspace: Option<Workspace>,
    /// How the answer looks
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub fn run(context: &Context<'_>, args: &Args) -> Result<Exit, CommandError> {
    let snapshot = context.snapshot()?;
    let named = args.layers.iter().map(|typed| find_layer(&snapshot, typed).map(|(name, _)| name));
    let names: Vec<&LayerName> = match args.all {
        true => snapshot.catalog.layers.keys().collect(),
        false => named.collect::<Result<_, _>>()?,
    };
    let rows = snapshot.catalog.config.as_ref().map(|config| &config.runners[..]).unwrap_or_default();
    let host = pool::host(context, &snapshot, args.workspace.as_ref()).ok();
    let sizes = sizing::sizes(context, &snapshot, names.into_iter(), rows, host.as_ref(), None);
    context.ui.answer(&match args.format {
        Format::Text => size::text(&snapshot, &sizes),
        Format::Json => json::answer(json::size::Sizes::new(&snapshot, &sizes)),
    })?;
    Ok(Exit::Success)
}
