use std::collections::BTreeMap;

use clap::ValueEnum;

use super::context::Context;
use super::error::CommandError;
use super::exit::Exit;
use super::images::{self, RegistryArgs};
use super::retag::{self, Texts};
use crate::cascade::{Cascade, Estimate, Selection, Unreadable};
use crate::lock::tag::{self, Step};
use crate::lock::{LockText, Locked, resolve};
use crate::model::{ImageRef, RelPath};
use crate::registry::{Manifest, Registry, RegistryError};
use crate::report::cascade::{CascadeReport, Unaffecting};
use crate::report::pins::{Pin, PinState};
use crate::report::update::UpdateReport;
use crate::report::{count, json};
use crate::snapshot::Snapshot;
use crate::tree::EditedTree;

/// Move the locked digests to what their tags stand for now, and say what that makes stale
///
/// With --tags, images also move to newer tags of the same variant: where the catalog says the tag, it is changed.
/// The cascade and the minutes that it takes are shown before anything is written.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lamina update --dry-run
  lamina update rust
  lamina update --tags=minor --dry-run
  lamina update --format markdown")]
pub struct Args {
    /// The images to move: NAME:TAG, or NAME alone [default: all]
    #[arg(value_name = "IMAGE")]
    images: Vec<String>,
    /// Also move to newer tags of the same variant, at most this far
    #[arg(long, value_name = "STEP", value_enum, num_args = 0..=1, require_equals = true, default_missing_value = "minor")]
    tags: Option<MaxStep>,
    /// Write nothing
    #[arg(long)]
    dry_run: bool,
    /// How the answer looks
    #[arg(long, value_enum, default_value_t)]
    format: UpdateFormat,
    #[command(flatten)]
    registry: RegistryArgs,
}

/// How far a tag may move.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum MaxStep {
    /// 1.97.1 to 1.97.2
    Patch,
    /// 1.97.1 to 1.98.0
    Minor,
    /// 1.97.1 to 2.0.0
    Major,
}

/// How an update looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum UpdateFormat {
    /// For people
    #[default]
    Text,
    /// For programs; the shape is described in docs/json.md
    Json,
    /// For the text of a pull request
    Markdown,
}

impl From<MaxStep> for Step {
    fn from(step: MaxStep) -> Self {
        match step {
            MaxStep::Patch => Step::Patch,
            MaxStep::Minor => Step::Minor,
            MaxStep::Major => Step::Major,
        }
    }
}

pub fn run(context: &Context<'_>, args: &Args) -> Result<Exit, CommandError> {
    let old = context.snapshot()?;
    let pins = images::select(images::pins(&old), &args.images)?;
    for pin in pins.iter().filter(|pin| pin.state == PinState::Missing) {
        context.ui.remark(&format!("{} is not in the lock: `lamina lock` puts it there", pin.image.familiar()));
    }
    let pins: Vec<Pin<'_>> = pins.into_iter().filter(|pin| pin.state == PinState::Locked).collect();
    let locked: Vec<&ImageRef> = pins.iter().map(|pin| pin.image).collect();
    let limit = args.tags.map(Step::from);
    let answers = context.ask(&args.registry, &old, async |registry| look(registry, &old, &locked, limit).await)?;
    let errors: Vec<&RegistryError> = answers.values().filter_map(|answer| answer.as_ref().err()).collect();
    if !errors.is_empty() {
        return Err(images::failed(context, locked.len(), &errors).hint("nothing was written"));
    }
    let mut moves: Moves = answers
        .into_iter()
        .filter_map(|(image, answer)| Some((image.clone(), answer.ok()??)))
        .map(|(old, Found { image, manifest })| (old, (image, manifest.into())))
        .collect();

    let texts = edit_catalog(context, &old, &mut moves)?;
    let lock_name = images::lock_name(&old, context);
    let lock = edit_lock(&old, &lock_name, &moves)?;
    let tree = EditedTree::new(context.work_tree()?, texts.clone());
    let new = context.snapshot_with_lock(Box::new(tree), &lock.to_string())?;
    let cascade = Cascade::between(&old, &new, Unreadable::IsChanged);
    let waves = cascade.waves(&new, &Selection::default());
    let cascade = CascadeReport {
        snapshot: &new,
        old: Some(&old),
        cascade: &cascade,
        waves: &waves,
        unaffecting: &Unaffecting::default(),
        since: None,
        until: None,
        verbose: context.verbose(),
    };
    let report = UpdateReport {
        moves: &new.lock.moves_since(&old.lock),
        lock: &lock_name,
        files: texts.keys().map(RelPath::as_str).collect(),
        dry_run: args.dry_run,
        estimate: Estimate::of(&new, &cascade.selected()),
        cascade,
    };
    context.ui.answer(&match args.format {
        UpdateFormat::Text => report.text(),
        UpdateFormat::Json => json::answer(json::update::Update::new(&report)),
        UpdateFormat::Markdown => report.markdown(),
    })?;
    if args.dry_run || moves.is_empty() {
        let why = if moves.is_empty() { "all tags stand for what is locked" } else { "nothing was written" };
        context.ui.remark(&format!("{}: {why}", count(pins.len(), "image")));
        return Ok(Exit::Success);
    }
    // The catalog first: an image that it names and the lock does not is found by every check, the reverse is not.
    for (path, text) in &texts {
        let before = old.catalog.files.known_text(path.as_str());
        images::replace(&context.root().join(path.as_str()), before.as_deref(), text)?;
    }
    images::write(context, &old, &lock)?;
    let written: Vec<&str> = texts.keys().map(RelPath::as_str).chain([lock_name.as_str()]).collect();
    context.ui.remark(&format!("{} moved, in {}", count(moves.len(), "image"), written.join(", ")));
    Ok(Exit::Success)
}

/// What moves, each with what takes its place in the lock.
type Moves = BTreeMap<ImageRef, (ImageRef, Locked)>;

/// What an image moves to.
struct Found {
    image: ImageRef,
    manifest: Manifest,
}

/// What each image moves to; none where its pin is what its tag stands for.
async fn look<'a>(
    registry: &impl Registry,
    snapshot: &Snapshot,
    images: &[&'a ImageRef],
    limit: Option<Step>,
) -> BTreeMap<&'a ImageRef, Result<Option<Found>, RegistryError>> {
    let tags = match limit {
        Some(_) => resolve::tags(registry, images.iter().copied()).await,
        None => BTreeMap::new(),
    };
    let look = |image: &'a ImageRef| {
        let tags = tags.get(&resolve::repository(image));
        async move {
            let newest = match (tags, limit) {
                (Some(Ok(tags)), Some(limit)) => newest(image, tags, limit),
                _ => None,
            };
            let target = newest.unwrap_or_else(|| image.clone());
            let is_locked = |digest| snapshot.lock.get(image).is_some_and(|locked| locked.digest == digest);
            if target == *image && is_locked(registry.digest(image).await?) {
                return Ok(None);
            }
            let manifest = registry.manifest(&target).await?;
            if target == *image && is_locked(manifest.digest.clone()) {
                return Ok(None);
            }
            Ok(Some(Found { image: target, manifest }))
        }
    };
    let mut found = resolve::each(images.iter().copied(), look).await;
    for (repository, answer) in tags {
        if let Err(error) = answer {
            let image = images.iter().find(|image| resolve::repository(image) == repository);
            image.and_then(|image| found.insert(*image, Err(error)));
        }
    }
    found
}

/// The newest tag of the same variant that is no further away than the limit.
fn newest(image: &ImageRef, tags: &[String], limit: Step) -> Option<ImageRef> {
    let newer = tag::newer(image.tag(), tags.iter().map(String::as_str));
    let (tag, _) = newer.into_iter().find(|(_, step)| *step <= limit)?;
    image.with_tag(tag).ok()
}

/// The catalog's files with the new tags. A move whose place is not found does not take place, and is told of.
fn edit_catalog(context: &Context<'_>, snapshot: &Snapshot, moves: &mut Moves) -> Result<Texts, CommandError> {
    let wanted: BTreeMap<ImageRef, ImageRef> =
        moves.iter().map(|(old, (new, _))| (old.clone(), new.clone())).filter(|(old, new)| old != new).collect();
    let mut texts = Texts::new();
    let mut images = retag::images(snapshot);
    for (old, new) in &wanted {
        // An edit for another image may have moved this one along.
        if images.contains(new) && !images.contains(old) {
            continue;
        }
        match retag::find(context, snapshot, &texts, &images, (old, new), &wanted)? {
            Some(edit) => (texts, images) = edit,
            None => {
                moves.remove(old);
                context.ui.remark(&format!(
                    "{} could move to {}, but no single text in the catalog says so: change it by hand, then run \
                     `lamina lock`",
                    old.familiar(),
                    new.familiar()
                ));
            }
        }
    }
    let moved = wanted.into_iter().filter(|(old, _)| moves.contains_key(old)).collect();
    retag::set_defaults(snapshot, &mut texts, &moved);
    Ok(texts)
}

/// The lock with the new digests and tags.
fn edit_lock(snapshot: &Snapshot, name: &str, moves: &Moves) -> Result<LockText, CommandError> {
    let mut lock = images::lock_text(snapshot, name)?;
    for (old, (new, locked)) in moves {
        lock.rename(old, new, locked);
    }
    Ok(lock)
}
