//! What a run came to, folded from its events: the same while it happens, from a record, and in a replay.

mod text;

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

pub use text::{Style, donor, list, not_run, probe, rolled_back, sccache, text};

use crate::event::{
    Built, CancelReason, Event, Kind, Oom, Outcome, PlannedLayer, ProbeResult, Reader, RunId, RunOutcome, SccacheUse,
    SkippedLayer, StepStatus,
};
use crate::model::{Digest, ImageRef, LayerName};

/// How many warnings, retries and probes are kept of a run or of a layer. A record may hold any number.
const MOST: usize = 10_000;

/// What a run came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// Its beginning; `None` before it has begun.
    pub start: Option<Start>,
    /// The planned layers, in order of building.
    pub layers: Vec<LayerSummary>,
    /// The selected layers that needed nothing, in order of building.
    pub skipped: Vec<SkippedLayer>,
    /// What was worth a warning.
    pub warnings: Vec<Warning>,
    /// The tags for people that were moved.
    pub promoted: Vec<Promoted>,
    /// Why no tag was moved, where that was said.
    pub not_promoted: Option<String>,
    /// The gravest reason to end early.
    pub cancelled: Option<CancelReason>,
    /// How it ended; `None` while it runs, and for a run that was cut off.
    pub end: Option<End>,
    /// The time of the last event.
    pub last: Option<Timestamp>,
    numbers: BTreeMap<LayerName, usize>,
}

/// How a run began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// Its name.
    pub run: RunId,
    /// When.
    pub at: Timestamp,
    /// The command: `build` or `verify`.
    pub command: String,
    /// lamina's version.
    pub lamina: String,
    /// The catalog's name.
    pub catalog: String,
    /// The registry that images are pushed to.
    pub registry: String,
    /// The path in the registry before a layer's name.
    pub namespace: String,
    /// The most layers at a time.
    pub jobs: u32,
    /// What builds.
    pub engine: String,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// How.
    pub outcome: RunOutcome,
    /// How long it took.
    pub took: Duration,
}

/// What became of a planned layer.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerSummary {
    /// What was planned.
    pub planned: PlannedLayer,
    /// Where it stands.
    pub state: State,
    /// How often it was begun.
    pub attempts: u32,
    /// When its first attempt began.
    pub started: Option<Timestamp>,
    /// How long it took, retries included; `None` where it was not begun or has not ended.
    pub took: Option<Duration>,
    /// Its image, where the registry has it: also of a layer whose proof failed.
    pub built: Option<Built>,
    /// How many instructions of its Dockerfile were run in the last attempt.
    pub steps_run: u32,
    /// How many instructions were in a cache in the last attempt.
    pub steps_cached: u32,
    /// Whether an earlier image stood in for its Dockerfile's stage `donor`; `None` where it takes none.
    pub donor: Option<Donor>,
    /// What sccache did in the last attempt, all steps together; `None` where no step has said it.
    pub sccache: Option<SccacheUse>,
    /// What came out of its probes.
    pub probes: Vec<ProbeResult>,
    /// Why it was tried again, attempt by attempt.
    pub retries: Vec<String>,
    /// The attempts for which memory ran out, in order.
    pub oom: Vec<(u32, Oom)>,
    /// The numbers of the steps that are instructions.
    instructions: BTreeSet<u32>,
}

/// The earlier image that a build could take compiled crates from, or why there was none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Donor {
    /// The tag that the image was found under.
    pub tag: Option<ImageRef>,
    /// The image.
    pub digest: Option<Digest>,
    /// Why there was none.
    pub why_none: Option<String>,
}

/// Where a layer stands.
#[derive(Clone, Debug, PartialEq)]
pub enum State {
    /// It was not begun yet.
    Waiting,
    /// It is worked at.
    Running,
    /// It has ended, or will not be begun.
    Ended(Outcome),
}

/// Something that did not stop anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The layer that it is about.
    pub layer: Option<LayerName>,
    /// What.
    pub message: String,
}

/// A tag that was moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promoted {
    /// The layer.
    pub layer: LayerName,
    /// The tag.
    pub tag: ImageRef,
    /// The image that it stands for now.
    pub digest: Digest,
    /// The image that it stood for before.
    pub before: Option<Digest>,
}

impl Summary {
    /// A planned layer.
    pub fn layer(&self, name: &LayerName) -> Option<&LayerSummary> {
        self.numbers.get(name).and_then(|number| self.layers.get(*number))
    }

    /// How the run ended, if it did.
    pub fn outcome(&self) -> Option<RunOutcome> {
        self.end.map(|end| end.outcome)
    }

    /// How long the run took; until the last event where it has not ended.
    pub fn took(&self) -> Duration {
        let until_now = || {
            let between = self.last?.duration_since(self.start.as_ref()?.at);
            between.try_into().ok()
        };
        self.end.map(|end| end.took).or_else(until_now).unwrap_or_default()
    }

    fn start(&mut self, event: &Event) {
        let Kind::RunStarted { lamina, command, catalog, registry, namespace, jobs, engine, layers, skipped, .. } =
            &event.kind
        else {
            return;
        };
        let start = Start {
            run: event.run.clone(),
            at: event.at,
            command: command.clone(),
            lamina: lamina.clone(),
            catalog: catalog.clone(),
            registry: registry.clone(),
            namespace: namespace.clone(),
            jobs: *jobs,
            engine: engine.clone(),
        };
        *self = Self { start: Some(start), last: Some(event.at), skipped: skipped.clone(), ..Self::default() };
        for planned in layers {
            // A plan names a layer once; a record may say anything.
            if let Entry::Vacant(number) = self.numbers.entry(planned.layer.clone()) {
                number.insert(self.layers.len());
                self.layers.push(LayerSummary::new(planned.clone()));
            }
        }
    }
}

impl Reader for Summary {
    fn read(&mut self, event: &Event) {
        self.last = Some(event.at);
        if let Some(layer) = event.kind.layer().and_then(|layer| self.numbers.get(layer)) {
            self.layers[*layer].read(event);
        }
        match &event.kind {
            Kind::RunStarted { .. } => self.start(event),
            Kind::Warning { layer, message } => {
                push(&mut self.warnings, Warning { layer: layer.clone(), message: message.clone() });
            }
            Kind::CacheRolledBack { layer, reference, digest, trouble } => {
                let message = rolled_back(reference, digest.as_ref(), trouble.as_deref());
                push(&mut self.warnings, Warning { layer: Some(layer.clone()), message });
            }
            Kind::Promoted { layer, tag, digest, before } => {
                let promoted =
                    Promoted { layer: layer.clone(), tag: tag.clone(), digest: digest.clone(), before: before.clone() };
                push(&mut self.promoted, promoted);
            }
            Kind::PromotionSkipped { reason } => self.not_promoted = Some(reason.clone()),
            Kind::CancelRequested { reason } => self.cancelled = self.cancelled.max(Some(*reason)),
            Kind::RunFinished { outcome, ms } => {
                self.end = Some(End { outcome: *outcome, took: Duration::from_millis(*ms) });
                // Tags are moved side by side.
                self.promoted.sort_by(|a, b| (&a.layer, &a.tag).cmp(&(&b.layer, &b.tag)));
            }
            _ => {}
        }
    }
}

impl LayerSummary {
    fn new(planned: PlannedLayer) -> Self {
        Self {
            planned,
            state: State::Waiting,
            attempts: 0,
            started: None,
            took: None,
            built: None,
            steps_run: 0,
            steps_cached: 0,
            donor: None,
            sccache: None,
            probes: Vec::new(),
            retries: Vec::new(),
            oom: Vec::new(),
            instructions: BTreeSet::new(),
        }
    }

    fn read(&mut self, event: &Event) {
        match &event.kind {
            Kind::LayerStarted { attempt, .. } => {
                self.state = State::Running;
                self.attempts = self.attempts.max(*attempt);
                self.started = self.started.or(Some(event.at));
                (self.steps_run, self.steps_cached) = (0, 0);
                self.instructions.clear();
                self.sccache = None;
                self.probes.clear();
            }
            Kind::StepStarted { step, name, .. } if is_instruction(name) && self.instructions.len() < MOST => {
                self.instructions.insert(*step);
            }
            Kind::StepFinished { step, status, .. } if self.instructions.remove(step) => match status {
                StepStatus::Cached => self.steps_cached += 1,
                StepStatus::Done | StepStatus::Failed => self.steps_run += 1,
                StepStatus::Cancelled => {}
            },
            Kind::Donor { tag, digest, why_none, .. } => {
                let (tag, digest, why_none) = (tag.clone(), digest.clone(), why_none.clone());
                self.donor = Some(Donor { tag, digest, why_none });
            }
            Kind::Sccache { used, .. } => {
                let all = self.sccache.get_or_insert_with(SccacheUse::default);
                all.backend.clone_from(&used.backend);
                all.hits = all.hits.saturating_add(used.hits);
                all.misses = all.misses.saturating_add(used.misses);
                all.errors = all.errors.saturating_add(used.errors);
                all.off = all.off.take().or_else(|| used.off.clone());
            }
            Kind::Retrying { reason, attempt, oom, .. } => {
                push(&mut self.retries, reason.clone());
                self.ran_out(*attempt, oom.as_ref());
            }
            Kind::LayerBuilt { built, .. } => self.built(built),
            Kind::Probed { probe, .. } => push(&mut self.probes, probe.clone()),
            Kind::LayerFinished { outcome, ms, .. } => {
                match outcome {
                    Outcome::Succeeded { built } => self.built(built),
                    Outcome::Failed { failure } => self.ran_out(self.attempts, failure.oom.as_ref()),
                    Outcome::Cancelled | Outcome::NotRun { .. } => {}
                }
                self.took = self.started.map(|_| Duration::from_millis(*ms));
                self.state = State::Ended(outcome.clone());
            }
            _ => {}
        }
    }

    fn ran_out(&mut self, attempt: u32, oom: Option<&Oom>) {
        if let Some(oom) = oom {
            push(&mut self.oom, (attempt, oom.clone()));
        }
    }

    fn built(&mut self, built: &Built) {
        (self.steps_run, self.steps_cached) = (built.steps_run, built.steps_cached);
        self.built = Some(built.clone());
    }
}

/// Whether a step is an instruction of the Dockerfile, `[STAGE N/M] RUN …`, and no work of BuildKit's own.
pub fn is_instruction(name: &str) -> bool {
    let place = name.strip_prefix('[').and_then(|rest| rest.split_once("] ")).map(|(place, _)| place);
    let number = place.and_then(|place| place.split(' ').next_back()).and_then(|number| number.split_once('/'));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    number.is_some_and(|(number, of)| is_number(number) && is_number(of))
}

fn push<T>(list: &mut Vec<T>, item: T) {
    if list.len() < MOST {
        list.push(item);
    }
}
