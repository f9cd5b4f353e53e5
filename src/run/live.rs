//! A run: the scheduler says who may start, layers are worked at side by side, and everything that happens is told.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use jiff::Timestamp;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio_util::sync::CancellationToken;

use super::layer::{Good, LayerWork, Stop};
use super::promotion::{self, Done};
use super::rollback::Rollback;
use super::scheduler::{LeftOut, ScheduleError, Scheduler, Task, Verdict};
use super::teller::Teller;
use super::{Promote, Work};
use crate::event::{CancelReason, FailureKind, Kind, Origin, Outcome, Reader, RunOutcome};
use crate::host::signal::{Asked, Signals};
use crate::model::{Digest, LayerName};
use crate::plan::Step;
use crate::publish::PromoteError;
use crate::registry::Registry;

/// How long a layer is taken to need that nobody has an estimate of.
const UNKNOWN: Duration = Duration::from_secs(60);

/// How a run ended.
#[derive(Debug)]
pub struct Ended {
    /// How.
    pub outcome: RunOutcome,
    /// Why it ended early, where it did.
    pub cancelled: Option<CancelReason>,
    /// The kinds of its layers' failures.
    pub failures: BTreeSet<FailureKind>,
    /// Why tags for people were not moved.
    pub promotion: Vec<PromoteError>,
}

/// Runs a plan to its end. `started` is the first event: [`Kind::RunStarted`].
///
/// # Errors
/// When the plan can't be run in any order; then nothing was told.
pub async fn run<R: Registry>(
    work: &Work<'_, R>,
    started: Kind,
    readers: &mut [Box<dyn Reader>],
    signals: &mut Signals,
) -> Result<Ended, ScheduleError> {
    let task = |step: &Step| {
        let expected = step.expected.unwrap_or(UNKNOWN);
        (step.layer.clone(), Task { needs: step.needs.clone(), expected })
    };
    let tasks = work.plan.steps.iter().map(task).collect();
    let scheduler = RefCell::new(Scheduler::new(tasks, work.settings.schedule)?);
    let mut teller = Teller::new(work.run.clone(), work.clock, &work.secrets.mask, readers);
    let begun = work.clock.now();
    teller.tell(started);
    let mut live = Live { work, scheduler: &scheduler, teller, good: BTreeMap::new(), failures: BTreeSet::new() };
    live.layers(signals).await;
    let promotion = live.promotion(signals).await;
    let cancelled = scheduler.borrow().cancelled();
    let outcome = match cancelled {
        Some(CancelReason::Terminated | CancelReason::Interrupted | CancelReason::SecondSignal) => {
            RunOutcome::Cancelled
        }
        _ if live.failures.is_empty() && promotion.is_empty() => RunOutcome::Succeeded,
        _ => RunOutcome::Failed,
    };
    let ms = since(begun, work.clock.now());
    live.teller.tell(Kind::RunFinished { outcome, ms });
    Ok(Ended { outcome, cancelled, failures: live.failures, promotion })
}

struct Live<'a, R: Registry> {
    work: &'a Work<'a, R>,
    scheduler: &'a RefCell<Scheduler>,
    teller: Teller<'a>,
    /// The layers that are good.
    good: BTreeMap<LayerName, GoodLayer<'a>>,
    failures: BTreeSet<FailureKind>,
}

struct GoodLayer<'a> {
    done: Done<'a>,
    promotion: Option<PromoteError>,
}

impl<'a, R: Registry> Live<'a, R> {
    /// Works at all layers that may be worked at.
    async fn layers(&mut self, signals: &mut Signals) {
        let (work, scheduler) = (self.work, self.scheduler);
        let steps: BTreeMap<&LayerName, &'a Step> = work.plan.steps.iter().map(|step| (&step.layer, step)).collect();
        let (tell, mut events) = unbounded_channel();
        let cancel = CancellationToken::new();
        let mut running = FuturesUnordered::new();
        let mut begun: BTreeMap<LayerName, Timestamp> = BTreeMap::new();
        loop {
            loop {
                let next = scheduler.borrow_mut().next();
                let Some(step) = next.and_then(|layer| steps.get(&layer).copied()) else { break };
                begun.insert(step.layer.clone(), work.clock.now());
                let parents = self.parents(step);
                let (tell, cancel) = (tell.clone(), cancel.clone());
                let layer = LayerWork {
                    work,
                    step,
                    parents: parents.clone(),
                    tell,
                    cancel,
                    scheduler,
                    cache: Rollback::default(),
                };
                running.push(async move { (step, parents, layer.run().await) });
            }
            if running.is_empty() {
                break;
            }
            tokio::select! {
                // What happened before something else is told before it.
                biased;
                Some(kind) = events.recv() => self.teller.tell(kind),
                asked = signals.next() => {
                    if self.asked(asked) {
                        cancel.cancel();
                    } else {
                        // Builds and hooks are killed when what waits for them goes.
                        break;
                    }
                }
                Some((step, parents, ended)) = running.next() => {
                    self.drain(&mut events);
                    let started = begun.remove(&step.layer).unwrap_or_else(|| work.clock.now());
                    self.ended(step, parents, ended, started);
                }
            }
        }
        drop(running);
        self.drain(&mut events);
        for (layer, started) in begun {
            self.left_out_by(&layer, Verdict::Cancelled, Outcome::Cancelled, started);
        }
    }

    /// The images of a layer's parents: all that it may start from have succeeded, or were there.
    fn parents(&self, step: &Step) -> BTreeMap<LayerName, Digest> {
        let built = step.needs.iter().filter_map(|name| {
            let good = self.good.get(name)?;
            Some((name.clone(), good.done.built.digest.clone()))
        });
        step.present.iter().map(|(name, digest)| (name.clone(), digest.clone())).chain(built).collect()
    }

    /// Somebody asks the run to end. Returns whether what runs is waited for; the second time it is not.
    fn asked(&mut self, asked: Asked) -> bool {
        let before = self.scheduler.borrow().cancelled().filter(|reason| *reason > CancelReason::LayerFailed);
        let reason = match (before, asked) {
            (Some(_), _) => CancelReason::SecondSignal,
            (None, Asked::Interrupt) => CancelReason::Interrupted,
            (None, Asked::Terminate) => CancelReason::Terminated,
        };
        self.teller.tell(Kind::CancelRequested { reason });
        let left_out = self.scheduler.borrow_mut().cancel(reason);
        self.left_out(left_out);
        before.is_none()
    }

    fn ended(
        &mut self,
        step: &'a Step,
        parents: BTreeMap<LayerName, Digest>,
        ended: Result<Good, Stop>,
        started: Timestamp,
    ) {
        let (verdict, outcome) = match ended {
            Ok(Good { built, engine, promotion }) => {
                let finished = self.work.clock.now();
                let done = Done { step, built: built.clone(), engine, parents, started, finished };
                self.good.insert(step.layer.clone(), GoodLayer { done, promotion });
                (Verdict::Succeeded, Outcome::Succeeded { built })
            }
            Err(Stop::Cancelled) => (Verdict::Cancelled, Outcome::Cancelled),
            Err(Stop::Failed { mut failure, .. }) => {
                failure.log = (self.work.settings.log)(&step.layer);
                self.failures.insert(failure.kind);
                (Verdict::Failed, Outcome::Failed { failure })
            }
        };
        self.left_out_by(&step.layer, verdict, outcome, started);
    }

    /// A layer has ended, and maybe others with it.
    fn left_out_by(&mut self, layer: &LayerName, verdict: Verdict, outcome: Outcome, started: Timestamp) {
        let ms = since(started, self.work.clock.now());
        self.teller.tell(Kind::LayerFinished { layer: layer.clone(), outcome, ms });
        let before = self.scheduler.borrow().cancelled();
        let left_out = self.scheduler.borrow_mut().finished(layer, verdict);
        let now = self.scheduler.borrow().cancelled();
        if let Some(reason) = now.filter(|_| now > before && !left_out.is_empty()) {
            self.teller.tell(Kind::CancelRequested { reason });
        }
        self.left_out(left_out);
    }

    fn left_out(&mut self, left_out: Vec<LeftOut>) {
        for (layer, why) in left_out {
            self.teller.tell(Kind::LayerFinished { layer, outcome: Outcome::NotRun { why }, ms: 0 });
        }
    }

    fn drain(&mut self, events: &mut UnboundedReceiver<Kind>) {
        while let Ok(kind) = events.try_recv() {
            self.teller.tell(kind);
        }
    }

    /// Writes down what was built, and moves the tags for people as far as the policy and the outcome allow.
    async fn promotion(&mut self, signals: &mut Signals) -> Vec<PromoteError> {
        let work = self.work;
        let mut errors: Vec<PromoteError> = self.good.values_mut().filter_map(|good| good.promotion.take()).collect();
        if self.scheduler.borrow().cancelled() > Some(CancelReason::LayerFailed) {
            self.skip("the run was cancelled");
            return errors;
        }
        let is_good = self.good.len() == work.plan.steps.len();
        let selected = |good: &&GoodLayer<'_>| promotion::is_selected(good.done.step);
        let built =
            self.good.values().filter(selected).map(|good| {
                (good.done.step.layer.clone(), good.done.step.image.clone(), good.done.built.digest.clone())
            });
        let present = work.plan.skipped.iter().filter_map(|skipped| {
            let image = work.snapshot.image(&skipped.layer)?.ok()?;
            Some((skipped.layer.clone(), image, skipped.digest.clone()))
        });
        let to_move: Vec<_> = match work.settings.promote {
            Promote::None => Vec::new(),
            // Those of this run were moved when they were proven.
            Promote::Each => present.collect(),
            Promote::All if is_good => built.chain(present).collect(),
            Promote::All => Vec::new(),
        };
        let built_here = |good: GoodLayer<'a>| (good.done.built.origin == Origin::Built).then_some(good.done);
        let done: Vec<Done<'a>> = std::mem::take(&mut self.good).into_values().filter_map(built_here).collect();
        if work.settings.promote == Promote::All && !is_good {
            self.skip("not every layer is good");
        }
        let (tell, mut events) = unbounded_channel();
        let moving = async {
            promotion::attest_all(work, &done, &tell).await;
            promotion::promote_all(work, &to_move, &tell).await
        };
        let mut moving = std::pin::pin!(moving);
        loop {
            tokio::select! {
                biased;
                Some(kind) = events.recv() => self.teller.tell(kind),
                asked = signals.next() => {
                    self.asked(asked);
                    self.drain(&mut events);
                    self.skip("the run was cancelled");
                    return errors;
                }
                failed = &mut moving => {
                    self.drain(&mut events);
                    errors.extend(failed);
                    break;
                }
            }
        }
        for error in &errors {
            self.skip(&error.to_string());
        }
        errors
    }

    /// Says that tags were not moved, where they were to be.
    fn skip(&mut self, reason: &str) {
        if self.work.settings.promote != Promote::None {
            self.teller.tell(Kind::PromotionSkipped { reason: reason.to_owned() });
        }
    }
}

/// The milliseconds from one moment to another; a clock that was set back has none.
fn since(from: Timestamp, to: Timestamp) -> u64 {
    u64::try_from(to.as_millisecond().saturating_sub(from.as_millisecond())).unwrap_or_default()
}
