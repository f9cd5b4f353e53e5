//! What happens to good images at the end: tags for people move, and what they were made from is written down.

use futures_util::future::join_all;
use jiff::Timestamp;
use tokio::sync::mpsc::UnboundedSender;
use tokio_util::sync::CancellationToken;

use super::{Attest, Work};
use crate::event::{Built, Kind};
use crate::model::{Digest, ImageRef, LayerName};
use crate::plan::{Reason, Step};
use crate::publish::{self, Contents, Moved, PromoteError, Provenance};
use crate::registry::Registry;

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
    publish::promote(work.registry, image, digest, &found.tags, &probes, &mut moved).await
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
    let attest = |done: &Done<'_>| {
        let (layer, image, digest) = (done.step.layer.clone(), done.step.image.clone(), done.built.digest.clone());
        let (parents, started, finished) = (done.parents.clone(), done.started, done.finished);
        let cancel = &cancel;
        async move {
            let Some(engine) = work.engine.filter(|_| work.settings.attest >= Attest::Provenance) else { return };
            let provenance = Provenance {
                snapshot: &work.snapshot,
                layer: &layer,
                image: &image,
                digest: &digest,
                parents: &parents,
                revision: work.settings.revision.as_deref(),
                engine: engine.about(),
                run: &work.run,
                started,
                finished,
            };
            if let Err(error) = publish::attest(work.registry, &provenance).await {
                let message = format!("what it was made from is not written down: {error}");
                drop(tell.send(Kind::Warning { layer: Some(layer.clone()), message }));
            }
            if work.settings.attest < Attest::All {
                return;
            }
            let contents = Contents { snapshot: &work.snapshot, layer: &layer, image: &image, digest: &digest };
            let now = work.clock.now();
            if let Err(error) = publish::inventory(work.registry, engine, &contents, now, cancel).await {
                let message = format!("what is in it is not written down: {error}");
                drop(tell.send(Kind::Warning { layer: Some(layer.clone()), message }));
            }
        }
    };
    join_all(done.iter().map(attest)).await;
}

/// An image that this run has built.
pub(super) struct Done<'a> {
    pub step: &'a Step,
    pub built: Built,
    pub parents: std::collections::BTreeMap<LayerName, Digest>,
    pub started: Timestamp,
    pub finished: Timestamp,
}
