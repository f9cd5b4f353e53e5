use tokio_util::sync::CancellationToken;

use super::Format;
use super::context::{Context, Registries};
use super::engine::EngineArgs;
use super::error::CommandError;
use super::exit::Exit;
use super::images::{self, RegistryArgs};
use super::selection::SelectionArgs;
use crate::engine::Engine;
use crate::event::FailureKind;
use crate::host::signal::Signals;
use crate::model::{Digest, LayerName};
use crate::publish::{self, Contents, Subject, Verified};
use crate::report::verify::{self, Row, State};
use crate::report::{count, json};
use crate::snapshot::Snapshot;

/// Prove the images of layers again: run every probe in a clean container, look for every artifact
///
/// It is the image that the registry has under the layer's fingerprint. Where all is right, the proof is put beside the
/// image; nothing is built, and no tag moves.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lamina verify rust
  lamina verify --all --no-record
  lamina verify --only class=toolchain --all --format json")]
pub struct Args {
    #[command(flatten)]
    selection: SelectionArgs,
    /// The image of one layer to prove, instead of the one of its fingerprint; its proof is not recorded
    #[arg(long, value_name = "SHA256")]
    digest: Option<Digest>,
    /// Do not put the proof beside the image
    #[arg(long)]
    no_record: bool,
    /// How the answer looks
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    engine: EngineArgs,
    #[command(flatten)]
    registry: RegistryArgs,
}

pub fn run(context: &Context<'_>, args: &Args) -> Result<Exit, CommandError> {
    let (snapshot, selected) = args.selection.select(context)?;
    if args.digest.is_some() && selected.layers.len() != 1 {
        let error = CommandError::new(Exit::Usage, "--digest is the image of one layer");
        return Err(error.hint("name that layer alone"));
    }
    let wanted = snapshot.graph.build_order().filter(|name| selected.layers.contains(*name));
    let subjects = wanted.map(|name| subject(&snapshot, name, args)).collect::<Result<Vec<_>, _>>()?;
    let engine = args.engine.open(context)?;
    let cancel = CancellationToken::new();
    let answers = context.ask(&args.registry, &snapshot, async |registry| {
        let mut signals = Signals::listen().map_err(|error| CommandError::failure("signals can't be heard", error))?;
        let mut answers = Vec::new();
        for (number, (layer, subject)) in subjects.iter().enumerate() {
            context.ui.remark(&format!("proving {layer} ({} of {})", number + 1, subjects.len()));
            let verifying = publish::verify(registry, &*engine, subject, !args.no_record, &cancel);
            tokio::pin!(verifying);
            let answer = tokio::select! {
                answer = &mut verifying => answer,
                _ = signals.next() => {
                    cancel.cancel();
                    // Who asks a second time does not wait for the engine to say that it has ended.
                    tokio::select! {
                        answer = verifying => answer,
                        _ = signals.next() => break,
                    }
                }
            };
            if let Ok(verified) = &answer {
                keep_units(context, args, registry, &*engine, (&snapshot, layer, subject), verified, &cancel).await;
            }
            let goes_on = answer.as_ref().is_ok_and(|verified| !is_engines(verified)) && !cancel.is_cancelled();
            answers.push(answer);
            // Where the registry or the engine fails, it fails the others as well, and takes its time over each.
            if !goes_on {
                break;
            }
        }
        Ok::<_, CommandError>(answers)
    })??;
    let (mut rows, mut errors) = (Vec::<Row<'_>>::new(), Vec::new());
    for ((layer, subject), answer) in subjects.iter().zip(&answers) {
        match answer {
            Ok(verified) => rows.push((layer, subject, verified)),
            Err(error) => errors.push(error),
        }
    }
    let about = engine.about();
    context.ui.answer(&match args.format {
        Format::Text => verify::text(&rows),
        Format::Json => {
            let catalog = snapshot.catalog.config.as_ref().map_or("", |catalog| &catalog.name);
            let engine = format!("{} at {}", about.client, about.endpoint);
            json::answer(json::verify::Verify::new(catalog, &engine, &rows))
        }
    })?;
    match errors.is_empty() {
        _ if cancel.is_cancelled() => {
            Err(CommandError::new(Exit::Interrupted, "not all layers were proven: interrupted"))
        }
        true => end(context, &rows),
        false => Err(images::failed(context, subjects.len(), &errors)),
    }
}

/// Puts the unit manifest of a layer beside its image, where it is not there.
async fn keep_units(
    context: &Context<'_>,
    args: &Args,
    registry: &Registries,
    engine: &dyn Engine,
    (snapshot, layer, subject): (&Snapshot, &LayerName, &Subject<'_>),
    verified: &Verified,
    cancel: &CancellationToken,
) {
    let Some(digest) = verified.digest.as_ref().filter(|_| verified.is_good() && !args.no_record) else { return };
    let contents = Contents { snapshot, layer, image: &subject.image, digest };
    match publish::publish_units(registry, engine, &contents, cancel).await {
        Ok(None) => {}
        Ok(Some(_)) => context.ui.remark(&format!("{layer}: what is cooked into it is kept beside the image")),
        Err(error) => context.ui.remark(&format!("{layer}: nobody can ask what is cooked into it: {error}")),
    }
}

fn subject<'s>(
    snapshot: &'s Snapshot,
    name: &'s LayerName,
    args: &Args,
) -> Result<(&'s LayerName, Subject<'s>), CommandError> {
    let unbuildable = |why: String| CommandError::new(Exit::Invalid, why);
    let missing = || unbuildable(format!("{name} has no fingerprint"));
    let image = snapshot.image(name).ok_or_else(missing)?.map_err(|finding| unbuildable(finding.message.clone()))?;
    let fingerprint = snapshot.fingerprints().get(name).ok_or_else(missing)?;
    let probes = snapshot.probes(name).ok_or_else(missing)?;
    Ok((name, Subject { fingerprint, image, digest: args.digest.clone(), probes }))
}

/// Whether it was the engine that failed.
fn is_engines(verified: &Verified) -> bool {
    verified.error.as_ref().is_some_and(|error| error.kind == FailureKind::Engine)
}

/// How it ends: what is wrong has been shown.
fn end(context: &Context<'_>, rows: &[Row<'_>]) -> Result<Exit, CommandError> {
    if let Some((_, _, Verified { error: Some(error), .. })) = rows.iter().find(|(.., verified)| is_engines(verified)) {
        let failed = CommandError::new(Exit::Engine, error.message.clone());
        return Err(error.hints.iter().fold(failed, CommandError::hint));
    }
    let of = |state| rows.iter().filter(|(.., verified)| State::of(verified) == state).count();
    let good = of(State::Proven);
    if good == rows.len() {
        let recorded = rows.iter().filter(|(.., verified)| verified.recorded).count();
        let recorded = if recorded > 0 { format!("; {} recorded", count(recorded, "proof")) } else { String::new() };
        context.ui.remark(&format!("{} proven{recorded}", count(good, "layer")));
        return Ok(Exit::Success);
    }
    let message = format!("{} of {} not proven", rows.len() - good, count(rows.len(), "layer"));
    let error = CommandError::new(Exit::Build, message);
    let hints = [
        (of(State::Missing) > 0, "`lamina build` builds what is missing"),
        (of(State::Wrong) > 0, "the image is not what its workflow.ncl says: mend either, and build again"),
    ];
    Err(hints.into_iter().filter(|(applies, _)| *applies).fold(error, |error, (_, hint)| error.hint(hint)))
}
