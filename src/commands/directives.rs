use super::caching::ActorArgs;
use super::context::{Context, find_layer};
use super::error::CommandError;
use super::exit::Exit;
use crate::report::json;
use crate::report::json::directives::Directives;
use crate::size::Sizing;

/// Print what a layer is built with, as JSON: arguments, secrets by name, hooks, resources, what a runner has to offer
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lamina directives rust
  lamina directives fastembed --overlay staging.ncl")]
pub struct Args {
    /// The layer
    layer: String,
    #[command(flatten)]
    who: ActorArgs,
}

pub fn run(context: &Context<'_>, args: &Args) -> Result<Exit, CommandError> {
    let snapshot = context.snapshot()?;
    let (name, loaded) = find_layer(&snapshot, &args.layer)?;
    let recipe = match snapshot.recipe(name) {
        Some(Ok(recipe)) => recipe,
        Some(Err(finding)) => {
            let mut error = CommandError::new(Exit::Invalid, format!("{name} can't be built"));
            error.findings = Some((vec![*finding], Box::new(snapshot)));
            return Err(error);
        }
        None => return Err(CommandError::unknown("layer", &args.layer, std::iter::empty())),
    };
    let config = snapshot.catalog.config.as_ref();
    let tiers = config.map(|config| &config.tiers[..]).unwrap_or_default();
    let runners = config.map(|config| &config.runners[..]).unwrap_or_default();
    let sizing = Sizing::of(loaded, &snapshot.catalog.files, None, tiers);
    let cache = args.who.session(&snapshot)?.references(&recipe.image, name);
    let cache = (cache.from.iter().map(ToString::to_string).collect(), cache.to.map(|to| to.to_string()));
    let answer = Directives::new(&recipe, snapshot.fingerprints().get(name), &sizing, runners, cache);
    context.ui.answer(&json::answer(answer))?;
    Ok(Exit::Success)
}
