//! Work at one layer: look for its image, build it, prove it; again where that may help.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::compose::{Places, compose};
use super::hooks::{self, HookError, HookEvent, HookInput};
use super::leased::Leased;
use super::rollback::Rollback;
use super::scheduler::Scheduler;
use super::steps::Steps;
use super::{Promote, Work, donor, promotion, sccache};
use crate::engine::{About, Engine, Solve, SolveError, Solved};
use crate::event::{Action, Built, Failure, FailureKind, Kind, Origin, ProbeResult, StepStatus};
use crate::model::{Digest, Hook, ImageRef, Layer, LayerName, Platform, Tier};
use crate::plan::Step;
use crate::publish::{self, Contents, DonorImage, Proof, UnitsError};
use crate::registry::{self, Registry, RegistryError, if_found};
use crate::runner::Request;
use crate::size::Sizing;

/// How long is waited before another attempt; the last one holds for all further ones.
const WAITS: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(4)];

/// Work at one layer of a plan.
pub(super) struct LayerWork<'a, R: Registry> {
    pub work: &'a Work<'a, R>,
    pub step: &'a Step,
    /// The images of its parents: those of this run, and those that were there.
    pub parents: BTreeMap<LayerName, Digest>,
    pub tell: UnboundedSender<Kind>,
    pub cancel: CancellationToken,
    pub scheduler: &'a RefCell<Scheduler>,
    /// What its cache in the registry stood for before it was built.
    pub cache: Rollback,
}

/// Why work at a layer ended without a good image.
pub(super) enum Stop {
    Cancelled,
    Failed {
        failure: Box<Failure>,
        /// Whether another attempt may succeed at once.
        retryable: bool,
        /// What may say that memory ran out.
        suspect: Option<Box<Suspect>>,
    },
}

/// A build that failed, before anybody has judged whether memory ran out.
pub(super) struct Suspect {
    pub error: SolveError,
    /// What BuildKit calls the step that failed.
    pub step: Option<String>,
    /// Its last lines.
    pub output: Vec<String>,
}

/// A layer with a good image.
pub(super) struct Good {
    pub built: Built,
    /// What has built it, or proven it, where anything has.
    pub engine: Option<About>,
    /// Why its tags for people were not moved, where they were to be.
    pub promotion: Option<publish::PromoteError>,
}

impl<R: Registry> LayerWork<'_, R> {
    /// Works at the layer until it is good, has failed for good, or is cancelled.
    pub async fn run(self) -> Result<Good, Stop> {
        let ended = self.attempts().await;
        if ended.is_err() {
            self.cache.put_back(self.work, self.step, &self.tell).await;
        }
        ended
    }

    async fn attempts(&self) -> Result<Good, Stop> {
        let mut attempt = 1;
        let mut image = None;
        let gone = || failed(FailureKind::Other, format!("there is no layer {}", self.step.layer));
        let mut size = sizing(self.work, self.step).ok_or_else(gone)?;
        loop {
            let (layer, parents) = (self.step.layer.clone(), self.parents.clone());
            self.tell(Kind::LayerStarted { layer, attempt, parents });
            let runner = Leased::new(self.work, request_of(self.work, self.step, &size), &self.tell, &self.cancel);
            let ended = self.attempt(&mut image, &size, &runner).await;
            let (failure, retryable) = match runner.give_back(ended).await {
                Err(Stop::Failed { failure, retryable, .. }) if retryable || failure.oom.is_some() => {
                    (failure, retryable)
                }
                ended => return ended,
            };
            let larger = failure.oom.as_ref().and_then(|_| larger(self.work, self.step, &size));
            let (next, wait) = match larger {
                Some(larger) => {
                    size = larger;
                    (self.scheduler.borrow_mut().retry_larger(&self.step.layer), Duration::ZERO)
                }
                None if !retryable => (None, Duration::ZERO),
                None => {
                    let wait = WAITS[(attempt as usize - 1).min(WAITS.len() - 1)];
                    (self.scheduler.borrow_mut().retry(&self.step.layer), wait)
                }
            };
            let Some(next) = next else { return Err(Stop::Failed { failure, retryable, suspect: None }) };
            let (layer, wait_ms) = (self.step.layer.clone(), millis(wait));
            self.tell(Kind::Retrying { layer, attempt, reason: failure.message, wait_ms, oom: failure.oom });
            self.unless_cancelled(sleep(wait)).await?;
            attempt = next;
        }
    }

    /// One attempt; `image` is what an earlier one has got to.
    async fn attempt(&self, image: &mut Option<Built>, size: &Sizing, runner: &Leased<'_>) -> Result<Good, Stop> {
        let name = &self.step.layer;
        let layer = self.work.snapshot.layer(name);
        let layer = layer.ok_or_else(|| failed(FailureKind::Other, format!("there is no layer {name}")))?;
        let mut steps = Steps::new(name.clone(), &self.work.snapshot.catalog.files, &layer.build.dockerfile);
        let built = match image {
            Some(built) => built.clone(),
            None => {
                let mut built = self.image(layer, &mut steps, size, runner).await?;
                let size = registry::compressed_size(self.work.registry, &self.step.image, Some(&built.digest));
                // It is for people to know; nothing depends on it.
                built.size = self.unless_cancelled(size).await?.ok();
                *image = Some(built.clone());
                self.tell(Kind::LayerBuilt { layer: name.clone(), built: built.clone() });
                if built.origin == Origin::Built {
                    self.after_build(layer, &built.digest, &mut steps).await?;
                }
                built
            }
        };
        self.prove(&built.digest, &steps, runner).await?;
        self.units(layer, &built.digest, runner).await?;
        let promotion = match self.work.settings.promote {
            Promote::Each if promotion::is_selected(self.step) => {
                let moving = promotion::promote(self.work, name, &self.step.image, &built.digest, &self.tell);
                self.unless_cancelled(moving).await?.err()
            }
            _ => None,
        };
        Ok(Good { built, engine: runner.about(), promotion })
    }

    /// The layer's image: the one that is there, or the one that is built.
    async fn image(&self, layer: &Layer, steps: &mut Steps, size: &Sizing, runner: &Leased<'_>) -> Result<Built, Stop> {
        let before = self.look_up().await?;
        let found = |digest, origin| Built { digest, origin, size: None, steps_run: 0, steps_cached: 0 };
        match (before, self.step.action) {
            (Some(digest), Action::Prove) => Ok(found(digest, Origin::Present)),
            (None, Action::Prove) => {
                let message = format!("{} was there when the run was planned, and is gone", self.step.image);
                Err(failed(FailureKind::Registry, message))
            }
            (Some(digest), Action::Build) if !self.step.forced => Ok(found(digest, Origin::Found)),
            (before, Action::Build) => match self.build(layer, steps, size.minutes, runner).await {
                Ok(solved) => self.agree(solved).await,
                Err(Stop::Cancelled) => Err(Stop::Cancelled),
                Err(Stop::Failed { failure, retryable, suspect }) => {
                    // The push may have been good although the build was not; or somebody else has pushed meanwhile.
                    match self.look_up().await {
                        Ok(Some(digest)) if before.as_ref() != Some(&digest) => {
                            let message =
                                format!("the registry has the image although its build failed: {}", failure.message);
                            self.tell(Kind::Warning { layer: Some(layer.name.clone()), message });
                            Ok(found(digest, Origin::Found))
                        }
                        _ => Err(Stop::Failed { failure, retryable, suspect }),
                    }
                }
            },
        }
    }

    /// The image that the tag stands for once the build is done. Another lamina may have pushed its own at the same
    /// time; both take the one that the registry has.
    async fn agree(&self, solved: Solved) -> Result<Built, Stop> {
        let Some(digest) = self.look_up().await? else {
            let message = format!("{} was pushed, and the registry does not have it", self.step.image);
            return Err(failed(FailureKind::Registry, message));
        };
        let origin = if solved.digest.as_ref() == Some(&digest) { Origin::Built } else { Origin::Found };
        let Solved { steps_run, steps_cached, .. } = solved;
        Ok(Built { digest, origin, size: None, steps_run, steps_cached })
    }

    async fn build(&self, layer: &Layer, steps: &mut Steps, minutes: u64, runner: &Leased<'_>) -> Result<Solved, Stop> {
        let work = self.work;
        // Waiting for a runner is no part of the build's time.
        let engine = runner.engine().await?;
        let deadline = Instant::now().checked_add(Duration::from_secs(minutes.saturating_mul(60)));
        for hook in &layer.hooks.pre_build {
            let ran = self.in_time(deadline, minutes, async |cancel: &CancellationToken| {
                self.hook(layer, hook, None, steps, cancel).await
            });
            ran.await?;
        }
        if let Some(parent) = self.missing_parent(layer) {
            return Err(failed(FailureKind::Other, format!("the image of {parent} is not known")));
        }
        let staged = self.unless_cancelled(work.stage.stage(&work.snapshot, &layer.name)).await?.map_err(|error| {
            let hints = error.hint().map(str::to_owned).into_iter().collect();
            let (step, oom, log) = (None, None, None);
            stopped(Failure { kind: error.kind(), message: error.to_string(), hints, step, oom, log })
        })?;
        let donor = self.donor().await?;
        let how = (work.settings.cache.as_ref(), work.settings.source_date_epoch);
        let remembering = self.cache.remember(work, self.step, &self.tell);
        let writes_cache = self.unless_cancelled(remembering).await?;
        let compose = |donor: Option<DonorImage>| {
            let places = Places {
                dockerfile: staged.dockerfile.clone(),
                context: staged.context.clone(),
                contexts: staged.contexts.clone(),
                donor,
            };
            let solve = compose(&work.snapshot, self.step, layer, &self.parents, places, work.secrets, how);
            let solve = solve.map(|solve| Solve { cache_to: solve.cache_to.filter(|_| writes_cache), ..solve });
            solve.ok_or_else(|| failed(FailureKind::Other, format!("{} can't be built", layer.name)))
        };
        let building = async |cancel: &CancellationToken| {
            let solved = self.solve(engine, &compose(donor.clone())?, steps, cancel).await;
            let solved = match (&donor, solved) {
                (Some(donor), Err(error)) if donor::is_to_blame(donor, &error, steps.failed(&error)) => {
                    self.tell_donor(&Err(format!("{donor} can't be used any more: {}", error.message)));
                    self.solve(engine, &compose(None)?, steps, cancel).await
                }
                (_, solved) => solved,
            };
            solved.map_err(|error| self.stop(error, steps))
        };
        self.in_time(deadline, minutes, building).await
    }

    async fn solve(
        &self,
        engine: &dyn Engine,
        solve: &Solve,
        steps: &mut Steps,
        cancel: &CancellationToken,
    ) -> Result<Solved, SolveError> {
        let tell = self.tell.clone();
        steps.begin_build();
        // Who reads has gone when the run was given up.
        let mut hear = |progress| {
            let kind = steps.progress(progress);
            let used = match &kind {
                Kind::Output { layer, line, .. } => sccache::said(line).map(|used| (layer.clone(), used)),
                _ => None,
            };
            drop(tell.send(kind));
            used.into_iter().for_each(|(layer, used)| drop(tell.send(Kind::Sccache { layer, used })));
        };
        engine.solve(solve, &mut hear, cancel).await
    }

    /// The image that stands in for the Dockerfile's stage `donor`. Why there is none fails nothing.
    async fn donor(&self) -> Result<Option<DonorImage>, Stop> {
        let found = donor::of_run(self.work, &self.step.layer);
        let Some(found) = self.unless_cancelled(found).await? else { return Ok(None) };
        self.tell_donor(&found);
        Ok(found.ok())
    }

    fn tell_donor(&self, found: &Result<DonorImage, String>) {
        let donor = found.as_ref().ok();
        self.tell(Kind::Donor {
            layer: self.step.layer.clone(),
            tag: donor.map(|donor| donor.tag.clone()),
            digest: donor.map(|donor| donor.digest.clone()),
            why_none: found.as_ref().err().cloned(),
        });
    }

    /// Puts the unit manifest of a cooked layer beside its image, where it is not there. That it can't be done costs
    /// those advice who build on the layer, and undoes no build.
    async fn units(&self, layer: &Layer, digest: &Digest, runner: &Leased<'_>) -> Result<(), Stop> {
        if layer.cooked.is_none() {
            return Ok(());
        }
        let engine = runner.engine().await?;
        let (snapshot, layer) = (&*self.work.snapshot, &self.step.layer);
        let contents = Contents { snapshot, layer, image: &self.step.image, digest };
        let publishing = publish::publish_units(self.work.registry, engine, &contents, &self.cancel);
        match self.unless_cancelled(publishing).await? {
            Err(UnitsError::Engine(error)) if error.cancelled => Err(Stop::Cancelled),
            Err(error) => {
                let message = format!("nobody can ask what is cooked into it: {error}");
                self.tell(Kind::Warning { layer: Some(layer.clone()), message });
                Ok(())
            }
            Ok(_) => Ok(()),
        }
    }

    /// A command before or after the build, as a step of its own.
    async fn hook(
        &self,
        layer: &Layer,
        hook: &Hook,
        built: Option<&Digest>,
        steps: &mut Steps,
        cancel: &CancellationToken,
    ) -> Result<(), Stop> {
        let command = hook.command.join(" ");
        let (step, started) = steps.hook(format!("[hook] {command}"));
        self.tell(started);
        let begun = Instant::now();
        let event = if built.is_some() { HookEvent::PostBuild } else { HookEvent::PreBuild };
        let input = hook_input(self.work, layer, &self.step.image, event, built);
        let input = input.ok_or_else(|| failed(FailureKind::Other, format!("{} has no fingerprint", layer.name)))?;
        let hooks = &self.work.settings.hooks;
        let ran = hooks.run(hook, &input, cancel, |line| self.tell(steps.output(step, hook.answers, line))).await;
        let (status, error) = match &ran {
            Ok(()) => (StepStatus::Done, None),
            Err(HookError::Cancelled) => (StepStatus::Cancelled, None),
            Err(error) => (StepStatus::Failed, Some(error.to_string())),
        };
        let (layer, ms) = (layer.name.clone(), millis(begun.elapsed()));
        self.tell(Kind::StepFinished { layer, step, status, ms, error });
        ran.map_err(|error| {
            let code = match error {
                HookError::Cancelled => return Stop::Cancelled,
                HookError::Failed { code } => code,
                _ => None,
            };
            stopped(Failure {
                kind: FailureKind::Hook,
                message: format!("the hook `{command}` failed: {error}"),
                hints: Vec::new(),
                step: steps.step(step, code),
                oom: None,
                log: None,
            })
        })
    }

    /// What goes wrong after a build does not undo it.
    async fn after_build(&self, layer: &Layer, built: &Digest, steps: &mut Steps) -> Result<(), Stop> {
        for hook in &layer.hooks.post_build {
            match self.hook(layer, hook, Some(built), steps, &self.cancel).await {
                Err(Stop::Failed { failure, .. }) => {
                    self.tell(Kind::Warning { layer: Some(layer.name.clone()), message: failure.message });
                }
                ended => ended?,
            }
        }
        Ok(())
    }

    async fn prove(&self, digest: &Digest, steps: &Steps, runner: &Leased<'_>) -> Result<(), Stop> {
        let (work, image) = (self.work, &self.step.image);
        let Some(probes) = work.snapshot.probes(&self.step.layer).filter(|probes| !probes.is_empty()) else {
            return Ok(());
        };
        let registry_failed = |error: RegistryError| failed(FailureKind::Registry, error.to_string());
        let known = publish::is_proven(work.registry, image, digest);
        let proved = |probes: usize| Kind::Proved {
            layer: self.step.layer.clone(),
            digest: digest.clone(),
            probes: u32::try_from(probes).unwrap_or(u32::MAX),
        };
        if self.unless_cancelled(known).await?.map_err(registry_failed)? {
            let count = (probes.tools.len() + probes.artifacts.len()) * probes.platforms.len();
            self.tell(proved(count));
            return Ok(());
        }
        let engine = runner.engine().await?;
        let (tell, layer) = (self.tell.clone(), self.step.layer.clone());
        let mut found = |probe: ProbeResult| drop(tell.send(Kind::Probed { layer: layer.clone(), probe }));
        let verdict = publish::prove(engine, image, digest, &probes, &mut found, &self.cancel).await;
        let verdict = verdict.map_err(|error| self.stop(SolveError { step: None, ..error }, steps))?;
        if !verdict.is_good() {
            return Err(stopped(unproven(&verdict)));
        }
        let count = verdict.results.len();
        let (layer, fingerprint) = (self.step.layer.clone(), self.step.fingerprint);
        let proof = Proof::new(layer, fingerprint, digest.clone(), work.clock.now(), verdict.results);
        let recorded = publish::record(work.registry, image, &proof);
        self.unless_cancelled(recorded).await?.map_err(registry_failed)?;
        self.tell(proved(count));
        Ok(())
    }

    /// What the layer's tag stands for, from the very bytes: it becomes the base of other layers.
    async fn look_up(&self) -> Result<Option<Digest>, Stop> {
        let raw = if_found(self.unless_cancelled(self.work.registry.raw(&self.step.image, None)).await?);
        let raw = raw.map_err(|error| failed(FailureKind::Registry, error.to_string()))?;
        Ok(raw.map(|raw| raw.digest))
    }

    fn missing_parent<'l>(&self, layer: &'l Layer) -> Option<&'l LayerName> {
        layer.edges().filter_map(|edge| edge.base.as_layer()).find(|parent| !self.parents.contains_key(*parent))
    }

    /// Runs work that is to be done by a moment: then it is asked to end, and waited for.
    async fn in_time<T>(
        &self,
        deadline: Option<Instant>,
        minutes: u64,
        work: impl AsyncFnOnce(&CancellationToken) -> Result<T, Stop>,
    ) -> Result<T, Stop> {
        let cancel = self.cancel.child_token();
        let mut work = std::pin::pin!(work(&cancel));
        let late = async {
            match deadline {
                Some(deadline) => sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            ended = &mut work => return ended,
            () = late => cancel.cancel(),
        }
        match work.await {
            // It was done at the last moment.
            Ok(done) => Ok(done),
            Err(_) if self.cancel.is_cancelled() => Err(Stop::Cancelled),
            Err(_) => {
                let message = format!("it was not done in its time of {minutes} min");
                let hints = vec!["`build.resources.time_budget_min` says how long it may take".to_owned()];
                Err(stopped(Failure { kind: FailureKind::TimedOut, message, hints, step: None, oom: None, log: None }))
            }
        }
    }

    /// Waits for something that may be dropped at any moment.
    async fn unless_cancelled<T>(&self, work: impl Future<Output = T>) -> Result<T, Stop> {
        self.cancel.run_until_cancelled(work).await.ok_or(Stop::Cancelled)
    }

    fn stop(&self, error: SolveError, steps: &Steps) -> Stop {
        if error.cancelled {
            return Stop::Cancelled;
        }
        let (step, output) = (steps.failed(&error).map(str::to_owned), steps.last_lines(&error));
        let suspect = Box::new(Suspect { error: error.clone(), step, output });
        let retryable = error.retryable;
        Stop::Failed { failure: Box::new(steps.failure(error)), retryable, suspect: Some(suspect) }
    }

    fn tell(&self, kind: Kind) {
        // Who reads has gone when the run was given up.
        let _ = self.tell.send(kind);
    }
}

/// What the build of a step's layer gets; none for a layer that is not there, which can't be built either.
fn sizing<R: Registry>(work: &Work<'_, R>, step: &Step) -> Option<Sizing> {
    let known = work.settings.sizes.get(&step.layer).cloned();
    let catalog = &work.snapshot.catalog;
    known.or_else(|| Some(Sizing::of(catalog.layers.get(&step.layer)?, &catalog.files, None, tiers(work))))
}

fn tiers<'w, R: Registry>(work: &'w Work<'_, R>) -> &'w [Tier] {
    work.snapshot.catalog.config.as_ref().map(|config| &config.tiers[..]).unwrap_or_default()
}

fn platforms<'w, R: Registry>(work: &'w Work<'_, R>, step: &Step) -> &'w [Platform] {
    work.snapshot.layer(&step.layer).map(|layer| &layer.build.platforms[..]).unwrap_or_default()
}

/// The size of the one attempt after memory ran out.
fn larger<R: Registry>(work: &Work<'_, R>, step: &Step, size: &Sizing) -> Option<Sizing> {
    size.larger(tiers(work), platforms(work, step).first())
}

/// What a hook of a layer is told.
pub(super) fn hook_input<R: Registry>(
    work: &Work<'_, R>,
    layer: &Layer,
    image: &ImageRef,
    event: HookEvent,
    digest: Option<&Digest>,
) -> Option<HookInput> {
    let hooks = &work.settings.hooks;
    Some(HookInput {
        version: hooks::VERSION,
        event,
        run: work.run.to_string(),
        workspace: hooks.workspace.clone(),
        layer: layer.name.clone(),
        fingerprint: work.snapshot.fingerprints().get(&layer.name)?,
        image: image.clone(),
        digest: digest.cloned(),
        folder: hooks.folder(layer.build.dockerfile.parent().unwrap_or_default().as_str()),
    })
}

/// The lease that work at a step asks for.
pub(super) fn request<R: Registry>(work: &Work<'_, R>, step: &Step) -> Option<Request> {
    Some(request_of(work, step, &sizing(work, step)?))
}

fn request_of<R: Registry>(work: &Work<'_, R>, step: &Step, size: &Sizing) -> Request {
    Request {
        layer: step.layer.clone(),
        size: size.leased(),
        tier: size.tier.as_ref().map(|tier| tier.name.clone()),
        platforms: platforms(work, step).to_vec(),
        minutes: size.minutes,
    }
}

pub(super) fn failed(kind: FailureKind, message: String) -> Stop {
    stopped(Failure { kind, message, hints: Vec::new(), step: None, oom: None, log: None })
}

pub(super) fn stopped(failure: Failure) -> Stop {
    Stop::Failed { failure: Box::new(failure), retryable: false, suspect: None }
}

/// Why an image is not good.
fn unproven(verdict: &publish::Verdict) -> Failure {
    let wrong: Vec<&ProbeResult> = verdict.wrong().collect();
    let one = |probe: &&ProbeResult| format!("{}: {}", probe.what, probe.wrong.as_deref().unwrap_or_default());
    let first = wrong.first().map(one).unwrap_or_default();
    let message = match wrong.len() {
        1 => format!("a probe failed: {first}"),
        count => format!("{count} of {} probes failed: {first}", verdict.results.len()),
    };
    Failure { kind: FailureKind::Proof, message, hints: Vec::new(), step: None, oom: None, log: None }
}

/// A duration in whole milliseconds.
pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
