use super::Format;
use super::context::Context;
use super::error::CommandError;
use super::exit::Exit;
use super::images::{self, RegistryArgs};
use crate::lock::resolve;
use crate::lock::tag;
use crate::model::ImageRef;
use crate::registry::{RegistryError, RegistryErrorKind};
use crate::report::pins::{self, Pin};
use crate::report::{count, json};

/// List the external images that are behind: tags that moved or are gone, and newer ones of the same variant
///
/// A newer tag has the same pattern: `rust:1.97.1-slim-trixie` is followed by `rust:1.98.0-slim-trixie`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lamina outdated
  lamina outdated rust
  lamina outdated --format json
  lamina outdated --exit-code")]
pub struct Args {
    /// The images to look at: NAME:TAG, or NAME alone [default: all]
    #[arg(value_name = "IMAGE")]
    images: Vec<String>,
    /// End with exit code 4 when an image is outdated
    #[arg(long)]
    exit_code: bool,
    /// How the answer looks
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    registry: RegistryArgs,
}

pub fn run(context: &Context<'_>, args: &Args) -> Result<Exit, CommandError> {
    let snapshot = context.snapshot()?;
    let mut pins = images::select(images::pins(&snapshot), &args.images)?;
    // What no layer names is `lamina lock`'s to remove.
    pins.retain(|pin| !pin.layers.is_empty());
    let named: Vec<&ImageRef> = pins.iter().map(|pin| pin.image).collect();
    let tagged = named.clone();
    let (mut digests, tags) = context.ask(&args.registry, &snapshot, async |registry| {
        futures_util::future::join(resolve::digests(registry, named), resolve::tags(registry, tagged)).await
    })?;
    let mut errors = Vec::new();
    for pin in &mut pins {
        if let Some(answer) = digests.remove(pin.image) {
            errors.extend(images::compare(pin, answer));
        }
        if let Some(Ok(tags)) = tags.get(&resolve::repository(pin.image)) {
            let newer = tag::newer(pin.image.tag(), tags.iter().map(String::as_str));
            pin.newer = newer.into_iter().map(|(tag, step)| (tag.to_owned(), step)).collect();
        }
    }
    // A repository that is gone has been found out by its tag.
    let is_gone = |error: &RegistryError| matches!(error.kind, RegistryErrorKind::NotFound { .. });
    errors.extend(tags.into_values().filter_map(Result::err).filter(|error| !is_gone(error)));
    let outdated = pins.iter().filter(|pin| pin.is_outdated()).count();
    match args.format {
        Format::Text => {
            let is_shown = |pin: &&Pin<'_>| pin.is_outdated() || pin.error.is_some() || context.verbose();
            context.ui.answer(&pins::text(pins.iter().filter(is_shown)))?;
        }
        Format::Json => {
            let lock = images::lock_name(&snapshot, context);
            context.ui.answer(&json::answer(json::pins::Outdated::new(&lock, &pins)))?;
        }
    }
    if !errors.is_empty() {
        return Err(images::failed(context, pins.len(), &errors.iter().collect::<Vec<_>>()));
    }
    let verb = if outdated == 1 { "is" } else { "are" };
    context.ui.remark(&format!("{outdated} of {} {verb} outdated", count(pins.len(), "image")));
    Ok(if args.exit_code && outdated > 0 { Exit::Affected } else { Exit::Success })
}
