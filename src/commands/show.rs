use super::Format;
use super::context::{Context, find_layer};
use super::error::CommandError;
use super::exit::Exit;
use super::images::{self, RegistryArgs};
use crate::cooked::{self, Missing};
use crate::model::LayerName;
use crate::report::units::{self, Units};
use crate::report::{catalog, json};
use crate::snapshot::Snapshot;

/// Show all about a layer: bases, parents, children, what it provides, what its consumers have to install
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lamina show fastembed
  lamina show fastembed --format json
  lamina show stratumiops --units")]
pub struct Args {
    /// The layer
    layer: String,
    /// Show instead what is cooked into its image, unit by unit, most expensive first; the registry is asked
    #[arg(long)]
    units: bool,
    /// How the answer looks
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    registry: RegistryArgs,
}

pub fn run(context: &Context<'_>, args: &Args) -> Result<Exit, CommandError> {
    let snapshot = context.snapshot()?;
    let (name, loaded) = find_layer(&snapshot, &args.layer)?;
    if args.units {
        return show_units(context, args, &snapshot, name);
    }
    let answer = match args.format {
        Format::Text => catalog::show_text(&snapshot, loaded),
        Format::Json => json::answer(json::layers::Show::new(&snapshot, loaded)),
    };
    context.ui.answer(&answer)?;
    Ok(Exit::Success)
}

fn show_units(context: &Context<'_>, args: &Args, snapshot: &Snapshot, name: &LayerName) -> Result<Exit, CommandError> {
    let mut store = context.unit_store();
    let answers = context.ask(&args.registry, snapshot, async |registry| {
        cooked::manifests(Some(registry), &mut store, snapshot, &[name]).await
    })?;
    let answer = answers.into_iter().next().unwrap_or(Err(Missing::NotBuilt));
    let (found, manifest) = answer.map_err(|missing| no_units(context, snapshot, name, &missing))?;
    if !found.current {
        let message = format!("{name} is not built as it is now: this is what {} has", found.image.familiar());
        context.ui.remark(&message);
    }
    let units = Units::new(&found, &manifest);
    context.ui.answer(&match args.format {
        Format::Text => units::text(&units),
        Format::Json => json::answer(json::units::Units::new(&units)),
    })?;
    Ok(Exit::Success)
}

/// Why a layer's unit manifest can't be shown, and what to do.
fn no_units(context: &Context<'_>, snapshot: &Snapshot, name: &LayerName, missing: &Missing) -> CommandError {
    let error = |exit| CommandError::new(exit, format!("the units of {name} are not known: {missing}"));
    match missing {
        Missing::NotCooked => {
            let cooked = snapshot.layers().filter(|loaded| loaded.layer.cooked.is_some());
            let cooked: Vec<&str> = cooked.map(|loaded| loaded.layer.name.as_str()).take(20).collect();
            match cooked.is_empty() {
                true => error(Exit::Usage),
                false => error(Exit::Usage).hint(format!("cooked are: {}", cooked.join(", "))),
            }
        }
        Missing::Unnamed => error(Exit::Invalid),
        Missing::NotBuilt => error(Exit::Failure).hint(format!("`lamina build {name}` builds it")),
        Missing::NoManifest { .. } | Missing::Unusable { .. } => error(Exit::Failure)
            .hint(format!("`lamina verify {name}` takes it out of the image; an image without one is built anew by `lamina build {name} --force`")),
        Missing::Registry(error) => images::failed(context, 1, &[error]),
        Missing::Offline => error(Exit::Registry),
    }
}
