use super::Format;
use super::context::Context;
use super::error::CommandError;
use super::exit::Exit;
use super::images::{self, RegistryArgs};
use crate::lock::{Locked, resolve};
use crate::model::ImageRef;
use crate::registry::RegistryError;
use crate::report::pins::{self, Pin, PinState};
use crate::report::{count, json};
use crate::snapshot::Snapshot;

/// Lock the external images: put each one's digest into the lock, next to its tag
///
/// Adds what is missing and removes what no layer uses. What is locked stays as it is: `lamina update` moves it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lamina lock
  lamina lock --check
  lamina lock --check --online
  lamina lock --lock lab.lock --overlay lab.ncl")]
pub struct Args {
    /// Write nothing; fail when an image is missing in the lock, or unused
    #[arg(long)]
    check: bool,
    /// Also ask the registries, and fail when a tag stands for another digest now
    #[arg(long, requires = "check")]
    online: bool,
    /// How the answer looks
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    registry: RegistryArgs,
}

pub fn run(context: &Context<'_>, args: &Args) -> Result<Exit, CommandError> {
    let snapshot = context.snapshot()?;
    let mut pins = images::pins(&snapshot);
    if args.check { check(context, args, &snapshot, &mut pins) } else { fill(context, args, &snapshot, pins) }
}

/// Compares the lock with the catalog and, if that is wanted, with the registries.
fn check(context: &Context<'_>, args: &Args, snapshot: &Snapshot, pins: &mut [Pin<'_>]) -> Result<Exit, CommandError> {
    let mut errors = Vec::new();
    if args.online {
        let locked: Vec<&ImageRef> =
            pins.iter().filter(|pin| pin.state == PinState::Locked).map(|pin| pin.image).collect();
        let mut answers =
            context.ask(&args.registry, snapshot, async |registry| resolve::digests(registry, locked).await)?;
        for pin in pins.iter_mut() {
            if let Some(answer) = answers.remove(pin.image) {
                errors.extend(images::compare(pin, answer));
            }
        }
    }
    let lock = images::lock_name(snapshot, context);
    let wrong = pins.iter().filter(|pin| pin.state.is_wrong()).count();
    answer(context, args, &lock, false, pins)?;
    if !errors.is_empty() {
        return Err(images::failed(context, pins.len(), &errors.iter().collect::<Vec<_>>()));
    }
    if wrong == 0 {
        let online = if args.online { ", as their tags say" } else { "; --online compares it with the registries" };
        context.ui.remark(&format!("{lock} holds what the catalog needs: {}{online}", count(pins.len(), "image")));
        return Ok(Exit::Success);
    }
    let error =
        CommandError::new(Exit::Invalid, format!("{lock} is not what the catalog needs: {}", pins::summary(&*pins)));
    let is = |state: PinState| pins.iter().any(|pin| pin.state == state);
    let hints = [
        (
            is(PinState::Missing) || is(PinState::Unused),
            "`lamina lock` adds what is missing and removes what is unused",
        ),
        (is(PinState::Moved), "`lamina update` moves the digests, and says what will be rebuilt"),
        (is(PinState::Gone), "name another tag in the catalog; `lamina outdated` lists those that there are"),
    ];
    Err(hints.into_iter().filter(|(applies, _)| *applies).fold(error, |error, (_, hint)| error.hint(hint)))
}

/// Adds what is missing, removes what is unused.
fn fill<'a>(
    context: &Context<'_>,
    args: &Args,
    snapshot: &'a Snapshot,
    mut pins: Vec<Pin<'a>>,
) -> Result<Exit, CommandError> {
    let missing: Vec<&ImageRef> =
        pins.iter().filter(|pin| pin.state == PinState::Missing).map(|pin| pin.image).collect();
    let asked = missing.len();
    let answers = match asked {
        0 => Default::default(),
        _ => context.ask(&args.registry, snapshot, async |registry| resolve::manifests(registry, missing).await)?,
    };
    let errors: Vec<&RegistryError> = answers.values().filter_map(|answer| answer.as_ref().err()).collect();
    if !errors.is_empty() {
        return Err(images::failed(context, asked, &errors).hint("nothing was written"));
    }
    let lock = images::lock_name(snapshot, context);
    let mut text = images::lock_text(snapshot, &lock)?;
    for pin in &mut pins {
        match pin.state {
            PinState::Unused => {
                text.remove(pin.image);
                pin.state = PinState::Removed;
            }
            PinState::Missing => {
                let Some(Ok(manifest)) = answers.get(pin.image) else { continue };
                text.set(pin.image, &Locked::from(manifest.clone()));
                pin.now = Some(manifest.digest.clone());
                pin.state = PinState::Added;
            }
            _ => {}
        }
    }
    let changed = pins.iter().any(|pin| pin.state != PinState::Locked);
    let is_new = snapshot.lock_text.is_none();
    if changed || is_new {
        images::write(context, snapshot, &text)?;
    }
    answer(context, args, &lock, changed || is_new, &pins)?;
    let all = count(pins.iter().filter(|pin| pin.state != PinState::Removed).count(), "image");
    context.ui.remark(&match changed {
        true => format!("{lock}: {}; it holds {all}", pins::summary(&pins)),
        false => format!("{lock} holds all there is to lock: {all}"),
    });
    Ok(Exit::Success)
}

/// Says how the pins are doing: in text those alone about which there is something to say.
fn answer(context: &Context<'_>, args: &Args, lock: &str, written: bool, pins: &[Pin<'_>]) -> Result<(), CommandError> {
    context.ui.answer(&match args.format {
        Format::Text => pins::text(pins.iter().filter(|pin| pin.state != PinState::Locked || context.verbose())),
        Format::Json => json::answer(json::pins::Lock::new(lock, args.check, args.online, written, pins)),
    })
}
