//! The steps of a build, as events tell them: where each comes from, and what is left of a failed one.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use crate::dockerfile::Dockerfile;
use crate::engine::{Instruction, Progress, SolveError};
use crate::event::{Failure, Kind, StepFailure, StepStatus};
use crate::model::{LayerName, RelPath};
use crate::runner::oom;
use crate::tree::Files;

/// How many of a step's last lines are kept for the case that it fails.
const KEPT: usize = oom::LINES;

/// How many of them a failure shows.
const TOLD: usize = 40;

/// How many lines of a Dockerfile are shown around a failed step, on either side.
const AROUND: u32 = 2;

/// How many lines of a Dockerfile are shown at most.
const SHOWN: usize = 24;

/// The steps of a layer's attempt.
pub struct Steps {
    layer: LayerName,
    source: Option<Source>,
    /// The number of the build's first step: hooks have run before.
    first: u32,
    /// The number of the next step that is none of the build's.
    next: u32,
    seen: BTreeMap<u32, Seen>,
}

/// A Dockerfile with its text.
struct Source {
    path: RelPath,
    text: Arc<str>,
    parsed: Dockerfile,
}

#[derive(Default)]
struct Seen {
    name: String,
    /// Its lines in the Dockerfile, from 1: first and last.
    lines: Option<(u32, u32)>,
    output: VecDeque<String>,
}

impl Steps {
    /// Nothing has happened yet.
    pub fn new(layer: LayerName, files: &Files, dockerfile: &RelPath) -> Self {
        // What is wrong with a Dockerfile is the build's to say.
        let text = files.text(dockerfile).ok().flatten().map(|file| file.text);
        let source = text.and_then(|text| {
            let parsed = Dockerfile::parse(dockerfile.as_str(), &text).ok()?;
            Some(Source { path: dockerfile.clone(), text, parsed })
        });
        Self { layer, source, first: 0, next: 0, seen: BTreeMap::new() }
    }

    /// A step that is no step of the build begins: a hook.
    pub fn hook(&mut self, name: String) -> (u32, Kind) {
        let step = self.next;
        self.next += 1;
        self.seen.insert(step, Seen { name: name.clone(), ..Seen::default() });
        (step, Kind::StepStarted { layer: self.layer.clone(), step, name, line: None })
    }

    /// The steps that come now are those of a build.
    pub fn begin_build(&mut self) {
        self.first = self.next;
    }

    /// A line that a step wrote.
    pub fn output(&mut self, step: u32, stderr: bool, line: String) -> Kind {
        let seen = self.seen.entry(step).or_default();
        if seen.output.len() == KEPT {
            seen.output.pop_front();
        }
        seen.output.push_back(line.clone());
        Kind::Output { layer: self.layer.clone(), step, stderr, line }
    }

    /// What happens in the build, as an event.
    pub fn progress(&mut self, progress: Progress) -> Kind {
        let layer = self.layer.clone();
        match progress {
            Progress::Started { step, name, instruction } => {
                let step = self.first.saturating_add(step);
                self.next = self.next.max(step.saturating_add(1));
                let lines = instruction.and_then(|instruction| self.lines(&instruction));
                let seen = self.seen.entry(step).or_default();
                (seen.name, seen.lines) = (name.clone(), lines);
                Kind::StepStarted { layer, step, name, line: lines.map(|(first, _)| first) }
            }
            Progress::Finished { step, status, ms, error } => {
                let step = self.first.saturating_add(step);
                if matches!(status, StepStatus::Done | StepStatus::Cached) {
                    self.seen.remove(&step);
                }
                Kind::StepFinished { layer, step, status, ms, error }
            }
            Progress::Transfer { step, id, current, total } => {
                Kind::Transfer { layer, step: self.first.saturating_add(step), id, current, total }
            }
            Progress::Output { step, stderr, line } => self.output(self.first.saturating_add(step), stderr, line),
            Progress::Warning(message) => Kind::Warning { layer: Some(layer), message },
        }
    }

    /// Why a build failed, with what is known of the step that did.
    pub fn failure(&self, error: SolveError) -> Failure {
        let step = error.step.and_then(|step| self.step(self.first.saturating_add(step), error.exit_code));
        Failure { kind: error.kind, message: error.message, hints: error.hints, step, oom: None, log: None }
    }

    /// What BuildKit calls the step that a build failed in, where it failed in one.
    pub fn failed<'s>(&'s self, error: &SolveError) -> Option<&'s str> {
        self.seen.get(&self.first.saturating_add(error.step?)).map(|seen| seen.name.as_str())
    }

    /// The last lines of the step that a build failed in.
    pub fn last_lines(&self, error: &SolveError) -> Vec<String> {
        let seen = error.step.and_then(|step| self.seen.get(&self.first.saturating_add(step)));
        seen.map(|seen| seen.output.iter().cloned().collect()).unwrap_or_default()
    }

    /// What is known of a step that failed.
    pub fn step(&self, step: u32, exit_code: Option<i32>) -> Option<StepFailure> {
        let seen = self.seen.get(&step)?;
        let source = self.source.as_ref().zip(seen.lines);
        let dockerfile = source.map(|(source, _)| source.path.to_string());
        let lines = source.map(|(source, span)| excerpt(&source.text, span)).unwrap_or_default();
        let output = seen.output.iter().skip(seen.output.len().saturating_sub(TOLD)).cloned().collect();
        Some(StepFailure { name: seen.name.clone(), dockerfile, lines, span: seen.lines, exit_code, output })
    }

    fn lines(&self, instruction: &Instruction) -> Option<(u32, u32)> {
        let source = self.source.as_ref()?;
        let Range { start, end } = source.parsed.step(&instruction.stage, instruction.number)?;
        let line = |at: usize| {
            let before = source.text.get(..at)?;
            u32::try_from(before.bytes().filter(|byte| *byte == b'\n').count() + 1).ok()
        };
        let own = source.text.get(start..end)?.trim_end();
        Some((line(start)?, line(start + own.len())?))
    }
}

/// The lines around a span of them.
fn excerpt(text: &str, (first, last): (u32, u32)) -> Vec<(u32, String)> {
    let from = first.saturating_sub(AROUND).max(1);
    let lines = (1..).zip(text.lines()).skip_while(|(number, _)| *number < from);
    let lines = lines.take_while(|(number, _)| *number <= last.saturating_add(AROUND));
    lines.take(SHOWN).map(|(number, line)| (number, line.to_owned())).collect()
}
