//! What happens to good images at the end: tags for people move, and what they were made from is written down.

use futures_util::future::join_all;
use jiff::Timestamp;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::hooks::HookEvent;
use super::layer::{self, Stop};
use super::leased::Leased;
use super::{Attest, Work};
use crate::engine::About;
use crate::event::{Built, FailureKind, Kind, StepStatus};
use crate::model::{Digest, ImageRef, Layer, LayerName};
use crate::plan::{Reason, Step};
use crate::publish::{self, Contents, Moved, PromoteError, Provenance};
use crate::registry::Registry;

/// The number of the first step of a promotion: no build has so many.
const FIRST_STEP: u32 = 1 << 20;

/// Whether a layer was selected, and is not only in the plan because another one needs it: the tags of others stay.
pub(super) fn is_selected(step: &Step) -> bool {
    !step.reasons.iter().any(|reason| matches!(reason, Reason::NeededBy { .. }))
}

/// Has the tags of a layer stand for its image.
pub(super) async fn promote<R: Registry>(
    work: &Work<'_, R>,
    layer: &LayerName,
    image: &ImageRef,
    digest: &Digest,
    tell: &UnboundedSender<Kind>,
) -> Result<(), PromoteError> {
    let (Some(found), Some(probes)) = (work.snapshot.layer(layer), work.snapshot.probes(layer)) else { return Ok(()) };
    let mut moved = |Moved { tag, before }: Moved| {
        let (layer, digest) = (layer.clone(), digest.clone());
        drop(tell.send(Kind::Promoted { layer, tag, digest, before }));
    };
    let allowed = async || allowed(work, found, image, digest, tell).await;
    publish::promote(work.registry, image, digest, &found.tags, &probes, allowed, &mut moved).await
}

/// Asks the layer's hooks, each as a step of its own.
async fn allowed<R: Registry>(
    work: &Work<'_, R>,
    layer: &Layer,
    image: &ImageRef,
    digest: &Digest,
    tell: &UnboundedSender<Kind>,
) -> Result<(), String> {
    let tell = |kind| drop(tell.send(kind));
    // Who is no longer waited for is killed.
    let cancel = CancellationToken::new();
    for (step, hook) in (FIRST_STEP..).zip(&layer.hooks.pre_promote) {
        let input = layer::hook_input(work, layer, image, HookEvent::PrePromote, Some(digest));
        let input = input.ok_or_else(|| format!("{} has no fingerprint", layer.name))?;
        let command = hook.command.join(" ");
        tell(Kind::StepStarted { layer: layer.name.clone(), step, name: format!("[hook] {command}"), line: None });
        let begun = Instant::now();
        let line = |line| tell(Kind::Output { layer: layer.name.clone(), step, stderr: hook.answers, line });
        let ran = work.settings.hooks.run(hook, &input, &cancel, line).await;
        let status = if ran.is_ok() { StepStatus::Done } else { StepStatus::Failed };
        let error = ran.err().map(|error| error.to_string());
        let ms = layer::millis(begun.elapsed());
        tell(Kind::StepFinished { layer: layer.name.clone(), step, status, ms, error: error.clone() });
        if let Some(error) = error {
            return Err(format!("the hook `{command}` failed: {error}"));
        }
    }
    Ok(())
}

/// Moves the tags of all these layers.
pub(super) async fn promote_all<R: Registry>(
    work: &Work<'_, R>,
    good: &[(LayerName, ImageRef, Digest)],
    tell: &UnboundedSender<Kind>,
) -> Vec<PromoteError> {
    let all = good.iter().map(|(layer, image, digest)| promote(work, layer, image, digest, tell));
    join_all(all).await.into_iter().filter_map(Result::err).collect()
}

/// Writes down what the images of this run were made from, and what is in them, as far as that is wanted. That it can't
/// be is no reason to call a layer bad.
pub(super) async fn attest_all<R: Registry>(work: &Work<'_, R>, done: &[Done<'_>], tell: &UnboundedSender<Kind>) {
    let cancel = CancellationToken::new();
    join_all(done.iter().map(|done| attest(work, done, tell, &cancel))).await;
}

async fn attest<R: Registry>(
    work: &Work<'_, R>,
    done: &Done<'_>,
    tell: &UnboundedSender<Kind>,
    cancel: &CancellationToken,
) {
    let (name, image, digest) = (&done.step.layer, &done.step.image, &done.built.digest);
    let warn = |message| drop(tell.send(Kind::Warning { layer: Some(name.clone()), message }));
    let Some(engine) = done.engine.as_ref().filter(|_| work.settings.attest >= Attest::Provenance) else { return };
    let provenance = Provenance {
        snapshot: &work.snapshot,
        layer: name,
        image,
        digest,
        parents: &done.parents,
        revision: work.settings.revision.as_deref(),
        engine,
        run: &work.run,
        started: done.started,
        finished: done.finished,
    };
    if let Err(error) = publish::attest(work.registry, &provenance).await {
        warn(format!("what it was made from is not written down: {error}"));
    }
    if work.settings.attest < Attest::All {
        return;
    }
    let Some(request) = layer::request(work, done.step) else { return };
    let runner = Leased::new(work, request, tell, cancel);
    let written = async {
        let engine = runner.engine().await?;
        let contents = Contents { snapshot: &work.snapshot, layer: name, image, digest };
        let written = publish::inventory(work.registry, engine, &contents, work.clock.now(), cancel).await;
        written.map_err(|error| layer::failed(FailureKind::Other, error.to_string()))
    };
    let written = written.await;
    if let Err(Stop::Failed { failure, .. }) = runner.give_back(written).await {
        warn(format!("what is in it is not written down: {}", failure.message));
    }
}

/// An image that this run has built.
pub(super) struct Done<'a> {
    pub step: &'a Step,
    pub built: Built,
    /// What has built it, or proven it.
    pub engine: Option<About>,
    pub parents: std::collections::BTreeMap<LayerName, Digest>,
    pub started: Timestamp,
    pub finished: Timestamp,
}
