//! A layer's cache over all attempts at the layer: what it stood for before is put back where the layer is no good.

use std::time::Duration;

use tokio::sync::OnceCell;
use tokio::sync::mpsc::UnboundedSender;

use super::Work;
use crate::cache::{self, Before, Disposition, PutBack, Root};
use crate::event::Kind;
use crate::plan::Step;
use crate::registry::Registry;

/// How long a run that is given up waits for a cache to be put back.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a layer's cache stood for before it was built.
#[derive(Default)]
pub(super) struct Rollback {
    /// Nothing where it was not looked at, or can't be put back.
    before: OnceCell<Option<Before>>,
}

impl Rollback {
    /// Looks, once, at what will be overwritten. Returns whether it may be: what nobody can put back is not written.
    pub async fn remember<R: Registry>(&self, work: &Work<'_, R>, step: &Step, tell: &UnboundedSender<Kind>) -> bool {
        let session = work.settings.cache.as_ref();
        let Some(session) = session.filter(|session| session.disposition == Disposition::Rollback) else { return true };
        let Some(slot) = session.uses(&step.layer).to else { return true };
        let remember = async {
            let reference = Root::beside(&step.image).reference(&slot).map_err(|error| error.to_string())?;
            cache::remember(work.registry, slot, reference).await.map_err(|error| error.to_string())
        };
        let before = self.before.get_or_init(async || match remember.await {
            Ok(before) => Some(before),
            Err(error) => {
                let message = format!("its cache is not written, for it could not be put back: {error}");
                drop(tell.send(Kind::Warning { layer: Some(step.layer.clone()), message }));
                None
            }
        });
        before.await.is_some()
    }

    /// Has the cache of a layer that is no good stand for what it stood for before.
    pub async fn put_back<R: Registry>(&self, work: &Work<'_, R>, step: &Step, tell: &UnboundedSender<Kind>) {
        let Some(Some(before)) = self.before.get() else { return };
        let putting = tokio::time::timeout(PATIENCE, cache::put_back(work.registry, before));
        let (digest, trouble) = match putting.await {
            Ok(Ok(PutBack::Unchanged)) => return,
            Ok(Ok(PutBack::Restored(digest))) => (Some(digest), None),
            Ok(Ok(PutBack::Deleted)) => (None, None),
            Ok(Ok(PutBack::Undeletable)) => (None, Some("there was none, and the registry does not delete".to_owned())),
            Ok(Err(error)) => (None, Some(error.to_string())),
            Err(_) => (None, Some(format!("the registry did not do it in {} s", PATIENCE.as_secs()))),
        };
        let (layer, reference) = (step.layer.clone(), before.reference.clone());
        drop(tell.send(Kind::CacheRolledBack { layer, reference, digest, trouble }));
    }
}
