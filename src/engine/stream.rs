//! BuildKit's progress: messages about vertexes, which become numbered steps.
//!
//! Vertexes repeat under the same digest, the last one wins, and one may be begun and ended several times. Times are
//! those of the engine's clock. Everything has a bound, because a step of a build decides what is in here.

mod message;

use std::collections::{BTreeMap, VecDeque};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;

use self::message::{Log, Message, Status, Vertex, Warning};
use super::framing::{Frame, Framing};
use super::{Instruction, Progress};
use crate::event::StepStatus;
use crate::host::lines::Lines;

/// The most steps of a build; what comes after these is not told.
const MAX_STEPS: usize = 10_000;

/// The most lines that are kept of what is no message: the last ones.
const MAX_TAIL: usize = 200;

/// The most warnings of a build.
const MAX_WARNINGS: usize = 200;

/// The longest name of a step and the longest error, in characters.
const MAX_TEXT: usize = 4 << 10;

/// The longest digest, in bytes; those of BuildKit have 71.
const MAX_DIGEST: usize = 256;

/// Reads what a client writes on stderr.
#[derive(Debug, Default)]
pub struct Stream {
    framing: Framing,
    state: State,
}

/// What has been seen of a build when its client has ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The steps that failed, in the order in which that was told.
    pub errors: Vec<VertexError>,
    /// What the client wrote besides, its last lines.
    pub tail: Vec<String>,
    /// How many steps have been seen.
    pub steps: u32,
    /// How many instructions were run; FROM is none.
    pub steps_run: u32,
    /// How many instructions were in a cache; FROM is none.
    pub steps_cached: u32,
}

/// A vertex with an error. Not each of them lets a build fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VertexError {
    /// The step's number.
    pub step: u32,
    /// What BuildKit calls it.
    pub name: String,
    /// The error.
    pub error: String,
}

#[derive(Debug, Default)]
struct State {
    /// The numbers of the steps, by digest.
    numbers: BTreeMap<String, u32>,
    steps: Vec<Step>,
    errors: Vec<u32>,
    tail: VecDeque<String>,
    warnings: usize,
}

/// A vertex that has begun.
#[derive(Debug)]
struct Step {
    name: String,
    instruction: Option<Instruction>,
    /// When it began the last time.
    started: Option<Timestamp>,
    /// How long it took the times before, and the last time, in milliseconds.
    before: u64,
    last: u64,
    /// How it ended, as it was told; none while it runs.
    told: Option<(StepStatus, u64, Option<String>)>,
    out: Lines,
    err: Lines,
}

impl Stream {
    /// Takes more bytes, and tells what they say.
    pub fn feed(&mut self, bytes: &[u8], progress: &mut dyn FnMut(Progress)) {
        let state = &mut self.state;
        self.framing.feed(bytes, |frame| state.frame(frame, progress));
    }

    /// The client has ended: tells what was left, and says what has been seen.
    pub fn finish(mut self, progress: &mut dyn FnMut(Progress)) -> Seen {
        let state = &mut self.state;
        self.framing.finish(|frame| state.frame(frame, progress));
        for (number, step) in (0..).zip(&mut self.state.steps) {
            step.flush(number, progress);
        }
        self.state.seen()
    }
}

impl State {
    fn frame(&mut self, frame: Frame<'_>, progress: &mut dyn FnMut(Progress)) {
        match frame {
            Frame::Object(bytes) => match serde_json::from_slice::<Message>(bytes) {
                Ok(message) if message.is_known() => self.message(message, progress),
                // An answer of a registry, quoted in an error.
                _ => bytes.split(|byte| *byte == b'\n').for_each(|line| self.line(line)),
            },
            Frame::Line(line) => self.line(line),
            Frame::TooLong => self.warn("BuildKit sent a message that is too long; it was passed over", progress),
        }
    }

    fn line(&mut self, line: &[u8]) {
        if self.tail.len() == MAX_TAIL {
            self.tail.pop_front();
        }
        let line = String::from_utf8_lossy(line);
        self.tail.push_back(bounded(line.trim_end()));
    }

    /// One message. What it says of a step's end comes behind what the step wrote.
    fn message(&mut self, message: Message, progress: &mut dyn FnMut(Progress)) {
        let vertexes = message.vertexes.unwrap_or_default();
        for vertex in &vertexes {
            self.begun(vertex, progress);
        }
        for status in message.statuses.unwrap_or_default() {
            self.status(status, progress);
        }
        for log in message.logs.unwrap_or_default() {
            self.log(&log, progress);
        }
        for warning in message.warnings.unwrap_or_default() {
            self.warning(&warning, progress);
        }
        for vertex in vertexes {
            self.ended(vertex, progress);
        }
    }

    fn step(&mut self, digest: &str) -> Option<(u32, &mut Step)> {
        let number = *self.numbers.get(digest)?;
        self.steps.get_mut(number as usize).map(|step| (number, step))
    }

    fn begun(&mut self, vertex: &Vertex, progress: &mut dyn FnMut(Progress)) {
        if vertex.started.is_none() && vertex.completed.is_none() && vertex.error.is_none() {
            return;
        }
        let started = vertex.started();
        if let Some((number, step)) = self.step(&vertex.digest) {
            if started.is_some() && started != step.started {
                step.started = started;
                step.before = step.before.saturating_add(std::mem::take(&mut step.last));
                // Only one that had ended begins again; another one has a better time now.
                if step.told.take().is_some() {
                    progress(step.begins(number));
                }
            }
            return;
        }
        if self.steps.len() >= MAX_STEPS || vertex.digest.len() > MAX_DIGEST {
            return;
        }
        let name = bounded(&vertex.name);
        let number = self.steps.len() as u32;
        self.numbers.insert(vertex.digest.clone(), number);
        let step = Step {
            instruction: instruction(&name),
            name,
            started,
            before: 0,
            last: 0,
            told: None,
            out: Lines::default(),
            err: Lines::default(),
        };
        progress(step.begins(number));
        self.steps.push(step);
    }

    fn ended(&mut self, vertex: Vertex, progress: &mut dyn FnMut(Progress)) {
        let error = vertex.error.as_deref().filter(|error| !error.is_empty()).map(ends);
        if vertex.completed.is_none() && error.is_none() {
            return;
        }
        let ended = vertex.completed();
        let Some((number, step)) = self.step(&vertex.digest) else { return };
        if let (Some(from), Some(to)) = (step.started, ended) {
            step.last = u64::try_from(to.duration_since(from).as_millis()).unwrap_or(0);
        }
        let ms = step.before.saturating_add(step.last);
        let harmless = error.as_deref().and_then(|error| harmless(&step.name, error));
        let failed = error.is_some() && harmless.is_none();
        let status = match &error {
            Some(error) if failed && is_cancelled(error) => StepStatus::Cancelled,
            Some(_) if failed => StepStatus::Failed,
            _ if vertex.cached == Some(true) => StepStatus::Cached,
            _ => StepStatus::Done,
        };
        let told = (status, ms, error);
        if step.told.as_ref() == Some(&told) {
            return;
        }
        step.told = Some(told.clone());
        step.flush(number, progress);
        let error = told.2.filter(|_| failed);
        progress(Progress::Finished { step: number, status, ms, error });
        if told.0 == StepStatus::Failed && !self.errors.contains(&number) {
            self.errors.push(number);
        }
        if let Some(Some(warning)) = harmless {
            self.warn(&warning, progress);
        }
    }

    fn status(&mut self, status: Status, progress: &mut dyn FnMut(Progress)) {
        let amount = |value: Option<i64>| value.and_then(|value| u64::try_from(value).ok()).unwrap_or(0);
        let (current, total) = (amount(status.current), amount(status.total));
        let Some((step, _)) = self.step(&status.vertex) else { return };
        if current > 0 || total > 0 {
            progress(Progress::Transfer { step, id: bounded(&status.id), current, total });
        }
    }

    fn log(&mut self, log: &Log, progress: &mut dyn FnMut(Progress)) {
        let Some(bytes) = log.data.as_deref().and_then(|data| STANDARD.decode(data).ok()) else { return };
        let Some((number, step)) = self.step(&log.vertex) else { return };
        let stderr = log.stream == Some(2);
        let lines = if stderr { &mut step.err } else { &mut step.out };
        lines.feed(&bytes, |line| progress(Progress::Output { step: number, stderr, line }));
    }

    fn warning(&mut self, warning: &Warning, progress: &mut dyn FnMut(Progress)) {
        let short = warning.short.as_deref().and_then(|text| STANDARD.decode(text).ok()).unwrap_or_default();
        let short = String::from_utf8_lossy(&short);
        if short.trim().is_empty() {
            return;
        }
        match warning.line() {
            Some(line) => self.warn(&format!("{} (line {line})", short.trim()), progress),
            None => self.warn(short.trim(), progress),
        }
    }

    fn warn(&mut self, text: &str, progress: &mut dyn FnMut(Progress)) {
        self.warnings += 1;
        if self.warnings <= MAX_WARNINGS {
            progress(Progress::Warning(bounded(text)));
        }
    }

    fn seen(self) -> Seen {
        let ended = |wanted: StepStatus| {
            let has = |step: &&Step| step.is_counted() && step.told.as_ref().is_some_and(|told| told.0 == wanted);
            self.steps.iter().filter(has).count() as u32
        };
        let error = |number: &u32| {
            let step = self.steps.get(*number as usize)?;
            let (status, _, error) = step.told.as_ref()?;
            let error = error.clone().filter(|_| *status == StepStatus::Failed)?;
            Some(VertexError { step: *number, name: step.name.clone(), error })
        };
        Seen {
            errors: self.errors.iter().filter_map(error).collect(),
            steps: self.steps.len() as u32,
            steps_run: ended(StepStatus::Done),
            steps_cached: ended(StepStatus::Cached),
            tail: self.tail.into(),
        }
    }
}

impl Step {
    fn begins(&self, number: u32) -> Progress {
        Progress::Started { step: number, name: self.name.clone(), instruction: self.instruction.clone() }
    }

    /// Whether it is an instruction that is run or is in a cache.
    fn is_counted(&self) -> bool {
        self.instruction.as_ref().is_some_and(|instruction| !instruction.text.starts_with("FROM "))
    }

    /// Tells what has no end of a line yet.
    fn flush(&mut self, number: u32, progress: &mut dyn FnMut(Progress)) {
        self.out.finish(|line| progress(Progress::Output { step: number, stderr: false, line }));
        self.err.finish(|line| progress(Progress::Output { step: number, stderr: true, line }));
    }
}

/// Whether an error says that something else ended the step.
fn is_cancelled(error: &str) -> bool {
    error.trim_end().ends_with("context canceled")
}

/// Whether a step's error lets no build fail, and what is to be said about it then. A cache that is not there is the
/// ordinary case before the first build.
fn harmless(name: &str, error: &str) -> Option<Option<String>> {
    let missing =
        ["not found", "404 Not Found", "manifest unknown", "name unknown"].iter().any(|text| error.contains(text));
    if name.starts_with("importing cache manifest from ") {
        return Some((!missing && !is_cancelled(error)).then(|| format!("the layer cache can't be read: {error}")));
    }
    let export = name.starts_with("exporting cache to ");
    export.then(|| (!is_cancelled(error)).then(|| format!("the layer cache can't be written: {error}")))
}

/// The instruction that a name stands for: `[STAGE N/M] TEXT`, where the stage may be absent.
fn instruction(name: &str) -> Option<Instruction> {
    let (place, text) = name.strip_prefix('[')?.split_once("] ")?;
    let (stage, place) = place.rsplit_once(' ').unwrap_or(("", place));
    let (number, of) = place.split_once('/')?;
    let (number, of) = (number.parse().ok()?, of.parse().ok()?);
    Some(Instruction { stage: stage.to_owned(), number, of, text: text.to_owned() })
}

/// A text of a bearable length.
fn bounded(text: &str) -> String {
    match text.char_indices().nth(MAX_TEXT) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// An error of a bearable length: it begins with the command that failed, which may be long, and ends with how.
fn ends(text: &str) -> String {
    let all = text.chars().count();
    if all <= MAX_TEXT {
        return text.to_owned();
    }
    let begin = text.chars().take(MAX_TEXT / 2);
    begin.chain(['…']).chain(text.chars().skip(all - MAX_TEXT / 2)).collect()
}
