//! Plain lines: for logs of CI, for files, for who wants no bars.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::time::Duration;

use super::shown;
use crate::event::{CancelReason, Event, Kind, Oom, OomVerdict, Origin, Outcome, Reader, RunOutcome, StepStatus};
use crate::model::LayerName;
use crate::report::run::{donor, is_instruction, rolled_back, sccache};
use crate::report::{count, duration};

/// Writes plain lines.
#[derive(Debug)]
pub struct Plain<W> {
    lines: Lines,
    out: W,
}

impl<W: Write> Plain<W> {
    /// Writes them there; all that happens, where `verbose`.
    pub fn new(out: W, verbose: bool) -> Self {
        Self { lines: Lines::new(verbose), out }
    }
}

impl<W: Write> Reader for Plain<W> {
    fn read(&mut self, event: &Event) {
        let lines: String = self.lines.lines(event).into_iter().map(|line| line + "\n").collect();
        // There is nobody left to tell that nobody reads.
        let _ = self.out.write_all(lines.as_bytes());
    }
}

/// What events look like as lines: a function of the events alone, so a replay gives the same lines.
#[derive(Clone, Debug, Default)]
pub struct Lines {
    verbose: bool,
    /// The longest name of a planned layer.
    width: usize,
    steps: BTreeMap<(LayerName, u32), String>,
    /// The steps that have begun since the last lines.
    begun: Vec<(LayerName, u32)>,
    /// The steps that have had their line: BuildKit begins some several times, an image's once for each of its layers.
    told: BTreeSet<(LayerName, u32)>,
}

impl Lines {
    /// Lines on what matters; on all that happens, where `verbose`.
    pub fn new(verbose: bool) -> Self {
        Self { verbose, ..Self::default() }
    }

    /// The lines on an event, without their ends.
    pub fn lines(&mut self, event: &Event) -> Vec<String> {
        let mut lines: Vec<String> = match &event.kind {
            // Whether a step is worth a line is not known before it is known to be no cached one.
            Kind::StepStarted { .. } | Kind::StepFinished { status: StepStatus::Cached, .. } => Vec::new(),
            _ => {
                let begun = std::mem::take(&mut self.begun);
                let line = |step: &(LayerName, u32)| Some(format!("{}  {}", self.name(&step.0), self.steps.get(step)?));
                let lines = begun.iter().filter_map(line).collect();
                self.told.extend(begun);
                lines
            }
        };
        lines.extend(self.about(event));
        lines
    }

    /// The line on an event itself, without those on what was held back.
    pub(super) fn about(&mut self, event: &Event) -> Option<String> {
        let text = self.text(event)?;
        Some(match event.kind.layer() {
            Some(layer) => format!("{}  {text}", self.name(layer)),
            None => text,
        })
    }

    /// A layer's name, as wide as the longest one.
    pub(super) fn name(&self, layer: &LayerName) -> String {
        format!("{layer:0$}", self.width)
    }

    fn text(&mut self, event: &Event) -> Option<String> {
        let verbose = self.verbose;
        match &event.kind {
            Kind::RunStarted { command, engine, layers, skipped, jobs, .. } => {
                self.width = layers.iter().map(|planned| planned.layer.as_str().len()).max().unwrap_or(0);
                let up_to_date = match skipped.len() {
                    0 => String::new(),
                    number => format!(", {number} up to date"),
                };
                let jobs = if layers.is_empty() { String::new() } else { format!(", {jobs} at a time by {engine}") };
                Some(shown(&format!("{command} {}: {}{up_to_date}{jobs}", event.run, count(layers.len(), "layer"))))
            }
            Kind::LayerStarted { layer, attempt, .. } => {
                self.forget(layer);
                Some(if *attempt > 1 { format!("attempt {attempt}") } else { "begins".to_owned() })
            }
            Kind::Leased { source, size, tier, endpoint, ms, .. } => {
                let size = tier.as_deref().map_or(size.to_string(), |tier| format!("{} ({size})", shown(tier)));
                let took = duration(Duration::from_millis(*ms));
                Some(format!("on a runner of {}: {size}, {}, after {took}", shown(source), shown(endpoint)))
            }
            Kind::Released { lease, trouble, .. } => match trouble {
                Some(trouble) => Some(format!("the runner {} is still leased: {}", shown(lease), shown(trouble))),
                None => verbose.then(|| "the runner is given back".to_owned()),
            },
            Kind::Donor { tag, digest, why_none, .. } => {
                Some(donor(tag.as_ref(), digest.as_ref(), why_none.as_deref()))
            }
            Kind::StepStarted { layer, step, name, .. } => {
                let (step, name) = ((layer.clone(), *step), shown(name));
                if (self.verbose || is_instruction(&name)) && !self.told.contains(&step) {
                    self.begun.push(step.clone());
                }
                self.steps.insert(step, name);
                None
            }
            Kind::StepFinished { layer, step, status, ms, error } => {
                let step = (layer.clone(), *step);
                let name = self.steps.remove(&step)?;
                let took = duration(Duration::from_millis(*ms));
                match status {
                    StepStatus::Cached => {
                        self.begun.retain(|begun| *begun != step);
                        verbose.then(|| format!("{name}  cached"))
                    }
                    StepStatus::Done => verbose.then(|| format!("{name}  done in {took}")),
                    StepStatus::Failed => {
                        let error = error.as_deref().map(shown).unwrap_or_default();
                        Some(format!("{name}  failed after {took}: {error}"))
                    }
                    StepStatus::Cancelled => verbose.then(|| format!("{name}  cancelled")),
                }
            }
            Kind::Transfer { .. } | Kind::Proved { .. } | Kind::LayerBuilt { .. } => None,
            Kind::Output { line, .. } => verbose.then(|| format!("| {}", shown(line)).trim_end().to_owned()),
            Kind::Warning { message, .. } => Some(format!("warning: {}", shown(message))),
            Kind::Sccache { used, .. } => Some(sccache(used)),
            Kind::CacheRolledBack { reference, digest, trouble, .. } => {
                Some(rolled_back(reference, digest.as_ref(), trouble.as_deref()))
            }
            Kind::Retrying { attempt, reason, oom: Some(oom), .. } => {
                let oom = shown(&oom_text(oom));
                Some(format!("attempt {attempt} failed, the next one is on a larger runner: {}; {oom}", shown(reason)))
            }
            Kind::Retrying { attempt, reason, wait_ms, .. } => {
                let wait = duration(Duration::from_millis(*wait_ms));
                Some(format!("attempt {attempt} failed, the next one in {wait}: {}", shown(reason)))
            }
            Kind::Probed { probe, .. } => {
                let about = format!("{} on {}", shown(&probe.what), shown(&probe.platform));
                match &probe.wrong {
                    Some(wrong) => Some(format!("probe of {about} failed: {}", shown(wrong))),
                    None => verbose.then(|| format!("probe of {about} is right")),
                }
            }
            Kind::LayerFinished { layer, outcome, ms } => {
                self.forget(layer);
                finished(outcome, Duration::from_millis(*ms))
            }
            Kind::Promoted { tag, digest, .. } => Some(format!("{} is {digest} now", tag.familiar())),
            Kind::PromotionSkipped { reason } => Some(format!("no tag is moved: {}", shown(reason))),
            Kind::CancelRequested { reason } => Some(cancelled(*reason).to_owned()),
            Kind::RunFinished { outcome, ms } => {
                let how = match outcome {
                    RunOutcome::Succeeded => "succeeded",
                    RunOutcome::Failed => "failed",
                    RunOutcome::Cancelled => "cancelled",
                };
                Some(format!("{how} after {}", duration(Duration::from_millis(*ms))))
            }
        }
    }

    /// Forgets the steps of a layer's attempt.
    fn forget(&mut self, layer: &LayerName) {
        let steps = self.steps.range((layer.clone(), 0)..=(layer.clone(), u32::MAX));
        let steps: Vec<_> = steps.map(|(step, _)| step.clone()).collect();
        steps.iter().for_each(|step| drop(self.steps.remove(step)));
        self.begun.retain(|(begun, _)| begun != layer);
        self.told.retain(|(told, _)| told != layer);
    }
}

/// That memory ran out, as people read it.
pub fn oom_text(oom: &Oom) -> String {
    let verdict = match oom.verdict {
        OomVerdict::Certain => "certain",
        OomVerdict::Probable => "probable",
    };
    format!("oom: {verdict}, {}", oom.evidence)
}

fn finished(outcome: &Outcome, took: Duration) -> Option<String> {
    let took = duration(took);
    match outcome {
        Outcome::Succeeded { built } => Some(match built.origin {
            Origin::Built => format!("done in {took}"),
            Origin::Found => format!("found in the registry: somebody else built it, {took}"),
            Origin::Present => format!("proven in {took}"),
        }),
        Outcome::Failed { failure } => {
            let oom = failure.oom.as_ref().map(|oom| format!("; {}", shown(&oom_text(oom)))).unwrap_or_default();
            Some(format!("failed after {took}: {}{oom}", shown(&failure.message)))
        }
        Outcome::Cancelled => Some(format!("cancelled after {took}")),
        Outcome::NotRun { why } => Some(format!("not started: {}", crate::report::run::not_run(why))),
    }
}

/// What a request to end early means, in words.
pub fn cancelled(reason: CancelReason) -> &'static str {
    match reason {
        CancelReason::LayerFailed => "a layer failed: what runs is finished, nothing new is begun",
        CancelReason::Terminated => "asked to end: builds are cancelled",
        CancelReason::Interrupted => "interrupted: builds are cancelled; once more to wait for nothing",
        CancelReason::SecondSignal => "interrupted once more: nothing is waited for",
    }
}
