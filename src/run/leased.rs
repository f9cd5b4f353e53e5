//! The runner of one attempt at a layer: leased when it is first needed, given back whatever has happened.

use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::OnceCell;
use tokio::sync::mpsc::UnboundedSender;
use tokio_util::sync::CancellationToken;

use super::Work;
use super::layer::{Stop, Suspect, failed, stopped};
use crate::engine::{About, Engine};
use crate::event::{Failure, FailureKind, Kind};
use crate::model::LayerName;
use crate::registry::Registry;
use crate::runner::{Evidence, Lease, LeaseError, Note, Pool, ProviderError, Request, oom};

/// How long a runner that is lost has to say why.
const POST_MORTEM: Duration = Duration::from_secs(5);
/// How often it is asked.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// The runner of one attempt.
pub(super) struct Leased<'a> {
    pool: Option<&'a Pool>,
    request: Request,
    tell: &'a UnboundedSender<Kind>,
    cancel: &'a CancellationToken,
    since: Timestamp,
    lease: OnceCell<Lease>,
}

impl<'a> Leased<'a> {
    /// Nothing is leased yet.
    pub fn new<R: Registry>(
        work: &Work<'a, R>,
        request: Request,
        tell: &'a UnboundedSender<Kind>,
        cancel: &'a CancellationToken,
    ) -> Self {
        Self { pool: work.pool, request, tell, cancel, since: work.clock.now(), lease: OnceCell::new() }
    }

    /// What builds; leases it, the first time.
    pub async fn engine(&self) -> Result<&dyn Engine, Stop> {
        let pool = self.pool.ok_or_else(|| failed(FailureKind::Engine, "there is no engine".to_owned()))?;
        let lease = self.lease.get_or_try_init(|| self.acquire(pool)).await?;
        Ok(&*lease.engine)
    }

    /// What builds, where it was leased.
    pub fn about(&self) -> Option<About> {
        Some(self.lease.get()?.engine.about().clone())
    }

    async fn acquire(&self, pool: &Pool) -> Result<Lease, Stop> {
        let layer = &self.request.layer;
        let begun = tokio::time::Instant::now();
        let tell = |Note(message)| drop(self.tell.send(Kind::Warning { layer: Some(layer.clone()), message }));
        let lease = pool.lease(&self.request, &tell, self.cancel).await.map_err(refused)?;
        if pool.is_told(&lease) {
            drop(self.tell.send(Kind::Leased {
                layer: layer.clone(),
                lease: lease.record.lease.to_string(),
                source: lease.record.source.clone(),
                size: lease.record.size,
                tier: lease.record.tier.clone(),
                endpoint: lease.endpoint.to_string(),
                ms: super::layer::millis(begun.elapsed()),
            }));
        }
        Ok(lease)
    }

    /// Gives the runner back, and has it say before what it knows of a build that failed on it.
    pub async fn give_back<T>(self, ended: Result<T, Stop>) -> Result<T, Stop> {
        let (Some(pool), Some(lease)) = (self.pool, self.lease.into_inner()) else { return ended };
        let is_lost = match &ended {
            // What nobody is suspected of gets no verdict.
            Err(Stop::Failed { failure, suspect: Some(_), .. }) => {
                failure.kind == FailureKind::Engine && pool.is_told(&lease)
            }
            _ => false,
        };
        // Nobody waits for what a runner says of a build that was given up.
        let asked = self.cancel.run_until_cancelled(evidence(pool, &lease, self.since, is_lost)).await;
        let evidence = match asked.unwrap_or_else(|| Ok(Evidence::default())) {
            Ok(evidence) => evidence,
            Err(error) => {
                // Of a build that went well, it is for estimates only.
                if ended.is_err() {
                    warn(self.tell, &self.request.layer, format!("the runner says nothing of the failure: {error}"));
                }
                Evidence::default()
            }
        };
        let ended = match ended {
            Err(Stop::Failed { mut failure, retryable, suspect: Some(suspect) }) => {
                let Suspect { error, step, output } = &*suspect;
                failure.oom = oom::verdict(error, step.as_deref(), output, &evidence);
                // One that ran out of memory is not broken.
                let is_broken = is_lost && failure.oom.is_none();
                if is_broken {
                    pool.blame(&lease, &failure.message);
                }
                Err(Stop::Failed { failure, retryable: retryable || is_broken, suspect: None })
            }
            ended => ended,
        };
        let (is_told, lease_id) = (pool.is_told(&lease), lease.record.lease.to_string());
        let released = pool.release(lease).await;
        if is_told {
            let usage = evidence.usage.unwrap_or_default();
            drop(self.tell.send(Kind::Released {
                layer: self.request.layer.clone(),
                lease: lease_id,
                peak_memory_mb: usage.peak_memory_mb,
                cpu_ms: usage.cpu_ms,
                trouble: released.err().map(|error| error.to_string()),
            }));
        }
        ended
    }
}

/// What a runner says of the build on it. Of one that is lost, it may take a moment until somebody knows why.
async fn evidence(pool: &Pool, lease: &Lease, since: Timestamp, is_lost: bool) -> Result<Evidence, ProviderError> {
    let begun = tokio::time::Instant::now();
    loop {
        let said = pool.evidence(lease, since).await;
        let says_nothing = said.as_ref().is_ok_and(|evidence| evidence.oom.is_none());
        if !(is_lost && says_nothing && begun.elapsed() < POST_MORTEM) {
            return said;
        }
        tokio::time::sleep(ASK_AGAIN).await;
    }
}

fn refused(error: LeaseError) -> Stop {
    let hints = match &error {
        LeaseError::Cancelled => return Stop::Cancelled,
        LeaseError::Failed(all) => all.iter().flat_map(|(_, error)| error.hints.clone()).collect(),
        LeaseError::Incapable(_) => vec!["`runners` in catalog/catalog.ncl says what there is".to_owned()],
        LeaseError::Ledger(_) => vec!["set XDG_STATE_HOME to a folder that can be written".to_owned()],
    };
    let (step, oom, log) = (None, None, None);
    stopped(Failure { kind: FailureKind::Runner, message: error.to_string(), hints, step, oom, log })
}

fn warn(tell: &UnboundedSender<Kind>, layer: &LayerName, message: String) {
    drop(tell.send(Kind::Warning { layer: Some(layer.clone()), message }));
}
