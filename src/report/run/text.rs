//! The end report: what failed with all that helps to mend it, then every layer with its outcome, then the verdict.

use anstyle::AnsiColor;

use super::{Donor, LayerSummary, State, Summary};
use crate::event::{
    Action, CancelReason, Failure, NotRun, Oom, Origin, Outcome, ProbeResult, RunId, RunOutcome, SccacheUse,
    StepFailure,
};
use crate::model::{Digest, ImageRef};
use crate::report::progress::{oom_text, shown};
use crate::report::{count, duration, table};

/// How the end report looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// Whether it is coloured.
    pub color: bool,
    /// Whether somebody still writes the run down: without an end, it was not cut off.
    pub running: bool,
}

/// The end report, for people.
pub fn text(summary: &Summary, style: Style) -> String {
    let mut text = String::new();
    for layer in &summary.layers {
        if let State::Ended(Outcome::Failed { failure }) = &layer.state {
            text.push_str(&failed(layer, failure, style));
            text.push('\n');
        }
    }
    for (title, color, rows) in groups(summary, style) {
        if !rows.is_empty() {
            text.push_str(&paint(title, color, style));
            text.push('\n');
            table(&rows).lines().for_each(|line| text.push_str(&format!("  {line}\n")));
        }
    }
    for warning in &summary.warnings {
        let about = warning.layer.as_ref().map(|layer| format!("{layer}: ")).unwrap_or_default();
        let prefix = paint("warning", AnsiColor::Yellow, style);
        text.push_str(&format!("{prefix}: {about}{}\n", shown(&warning.message)));
    }
    for promoted in &summary.promoted {
        text.push_str(&format!("{} is {} now\n", promoted.tag.familiar(), promoted.digest));
    }
    if let Some(reason) = &summary.not_promoted {
        text.push_str(&format!("no tag was moved: {}\n", shown(reason)));
    }
    text.push_str(&verdict(summary, style));
    text
}

/// What sccache did: `sccache (s3): 12 hits, 3 misses`.
pub fn sccache(used: &SccacheUse) -> String {
    let SccacheUse { backend, hits, misses, errors, off } = used;
    let mut text = format!("sccache ({}): {}, {misses} missed", shown(backend), count(*hits, "hit"));
    if *errors > 0 {
        text.push_str(&format!(", {}", count(*errors, "error")));
    }
    if let Some(off) = off {
        text.push_str(&format!(", off: {}", shown(off)));
    }
    text
}

/// What became of the cache of a layer that is no good.
pub fn rolled_back(reference: &ImageRef, digest: Option<&Digest>, trouble: Option<&str>) -> String {
    let reference = reference.familiar();
    match (digest, trouble) {
        (_, Some(trouble)) => format!("the layer cache {reference} may be the failed build's: {}", shown(trouble)),
        (Some(digest), None) => format!("the layer cache {reference} is {digest} again, as before the build"),
        (None, None) => format!("the layer cache {reference} is removed: there was none before the build"),
    }
}

type Group = (&'static str, AnsiColor, Vec<[String; 3]>);

/// Name, what there is to say, and duration of every layer, by outcome.
fn groups(summary: &Summary, style: Style) -> Vec<Group> {
    let mut succeeded = Vec::new();
    let mut skipped = Vec::new();
    let mut cancelled = Vec::new();
    let mut not_begun = Vec::new();
    let mut failed = Vec::new();
    for layer in &summary.layers {
        let took = layer.took.map(duration).unwrap_or_default();
        let row = |what: String| [layer.planned.layer.to_string(), what, took.clone()];
        match &layer.state {
            State::Ended(Outcome::Succeeded { built }) => {
                succeeded.push(row(format!(
                    "{}: {}{}{}",
                    how(layer, built.origin),
                    shown(&layer.planned.reason),
                    tries(layer),
                    ran_out(layer)
                )));
            }
            State::Ended(Outcome::Failed { failure }) => {
                failed.push(row(format!("{}{}", shown(&failure.message), tries(layer))));
            }
            State::Ended(Outcome::Cancelled) => cancelled.push(row(format!("cancelled{}", tries(layer)))),
            State::Ended(Outcome::NotRun { why }) => not_begun.push(row(not_run(why))),
            State::Running if style.running => cancelled.push(row("is worked at".to_owned())),
            State::Running => cancelled.push(row("was worked at when the run was cut off".to_owned())),
            State::Waiting => not_begun.push(row(shown(&layer.planned.reason))),
        }
    }
    for layer in &summary.skipped {
        skipped.push([layer.layer.to_string(), shown(&layer.reason), String::new()]);
    }
    vec![
        ("up to date", AnsiColor::Cyan, skipped),
        ("succeeded", AnsiColor::Green, succeeded),
        ("not finished", AnsiColor::Yellow, cancelled),
        ("not started", AnsiColor::Yellow, not_begun),
        ("failed", AnsiColor::Red, failed),
    ]
}

/// Recorded runs, newest first, a line each; of each, whether somebody still writes it down.
pub fn list(runs: &[(RunId, Summary, bool)]) -> String {
    let row = |(run, summary, running): &(RunId, Summary, bool)| {
        let command = summary.start.as_ref().map(|start| shown(&start.command)).unwrap_or_default();
        let (how, _) = how_it_ended(summary, *running);
        [run.to_string(), command, how.to_owned(), counted(summary), duration(summary.took())]
    };
    match runs {
        [] => "no run is recorded\n".to_owned(),
        runs => table(&runs.iter().map(row).collect::<Vec<_>>()),
    }
}

/// What was done with a layer, and how much of it.
fn how(layer: &LayerSummary, origin: Origin) -> String {
    let steps = |ran: String| match layer.steps_cached {
        0 => ran,
        cached => format!("{ran}, {cached} cached"),
    };
    match (layer.planned.action, origin) {
        (Action::Prove, _) | (_, Origin::Present) => "proven".to_owned(),
        (_, Origin::Found) => "built by somebody else meanwhile".to_owned(),
        (_, Origin::Built) => {
            let donor = layer.donor.as_ref();
            let donor = donor.map(|Donor { tag, digest, why_none }| {
                format!(" ({})", self::donor(tag.as_ref(), digest.as_ref(), why_none.as_deref()))
            });
            let ran = steps(format!("{} run", count(layer.steps_run, "step")));
            let sccache = layer.sccache.as_ref().map(|used| format!(", {}", self::sccache(used)));
            format!("built, {ran}{}{}", donor.unwrap_or_default(), sccache.unwrap_or_default())
        }
    }
}

/// The earlier image that a build can take compiled crates from, or why there is none.
pub fn donor(tag: Option<&ImageRef>, digest: Option<&Digest>, why_none: Option<&str>) -> String {
    match (tag, digest) {
        (Some(tag), Some(digest)) => format!("donor {}@{}", tag.tag(), digest.short()),
        _ => shown(&format!("no donor: {}", why_none.unwrap_or_default())),
    }
}

/// The attempts for which memory ran out, of a layer that came out good in the end.
fn ran_out(layer: &LayerSummary) -> String {
    let one = |(attempt, oom): &(u32, Oom)| format!("; attempt {attempt}: {}", shown(&oom_text(oom)));
    layer.oom.iter().map(one).collect()
}

fn tries(layer: &LayerSummary) -> String {
    if layer.attempts > 1 { format!(" ({} attempts)", layer.attempts) } else { String::new() }
}

/// Why a layer was not begun, in words.
pub fn not_run(why: &NotRun) -> String {
    match why {
        NotRun::ParentFailed { parent } => format!("its parent {parent} was not built"),
        NotRun::RunFailed { layer } => format!("nothing was begun after {layer} had failed"),
        NotRun::Cancelled => "the run was cancelled before".to_owned(),
    }
}

/// A failed layer, with all that helps to mend it.
fn failed(layer: &LayerSummary, failure: &Failure, style: Style) -> String {
    let name = &layer.planned.layer;
    let mut text = format!("{}: {name}: {}\n", paint("failed", AnsiColor::Red, style), shown(&failure.message));
    for (attempt, oom) in &layer.oom {
        text.push_str(&format!("  attempt {attempt}: {}\n", shown(&oom_text(oom))));
    }
    if let Some(step) = &failure.step {
        text.push_str(&self::step(step, style));
    }
    for probe in layer.probes.iter().filter(|probe| probe.wrong.is_some()) {
        text.push_str(&self::probe(probe, name.as_str()));
    }
    for hint in &failure.hints {
        text.push_str(&format!("  {}: {}\n", paint("hint", AnsiColor::Cyan, style), shown(hint)));
    }
    if let Some(log) = &failure.log {
        text.push_str(&format!("  full log: {}\n", shown(&log.to_string_lossy())));
    }
    text
}

/// The step that failed: the Dockerfile's lines with a mark, the command, its code and its last lines.
fn step(step: &StepFailure, style: Style) -> String {
    let mut text = String::new();
    let first = step.span.map(|(first, _)| first).or_else(|| step.lines.first().map(|(number, _)| *number));
    if let Some(file) = &step.dockerfile {
        let line = first.map(|line| format!(":{line}")).unwrap_or_default();
        text.push_str(&format!("  {}{line}\n", shown(file)));
    }
    let width = step.lines.last().map_or(1, |(number, _)| number.to_string().len());
    for (number, line) in &step.lines {
        let is_own = step.span.is_some_and(|(first, last)| (first..=last).contains(number));
        let line = format!("{} {number:width$} | {}", if is_own { '>' } else { ' ' }, shown(line));
        let line = line.trim_end();
        let line = if is_own { paint(line, AnsiColor::Red, style) } else { line.to_owned() };
        text.push_str(&format!("  {line}\n"));
    }
    text.push_str(&format!("  {}", shown(&step.name)));
    match step.exit_code {
        Some(code) => text.push_str(&format!(": exit code {code}\n")),
        None => text.push('\n'),
    }
    output(&step.output, &mut text);
    text
}

/// A probe that is wrong: what it is, what was run, and what that wrote.
pub fn probe(probe: &ProbeResult, layer: &str) -> String {
    let from = match probe.declared_by.as_str() {
        own if own == layer => String::new(),
        parent => format!(", declared by {parent}"),
    };
    let wrong = probe.wrong.as_deref().map(shown).unwrap_or_default();
    let mut text = format!("  {} on {}{from}: {wrong}\n", shown(&probe.what), shown(&probe.platform));
    if !probe.command.is_empty() {
        text.push_str(&format!("    $ {}\n", shown(&probe.command.join(" "))));
    }
    if let Some(expected) = &probe.expected {
        text.push_str(&format!("    expected: {}\n", shown(expected)));
    }
    output(&probe.output, &mut text);
    text
}

fn output(lines: &[String], text: &mut String) {
    for line in lines {
        text.push_str(format!("    | {}", shown(line)).trim_end());
        text.push('\n');
    }
}

/// The last line: how the run ended, how many layers of which outcome, and how long it took.
fn verdict(summary: &Summary, style: Style) -> String {
    let Some(start) = &summary.start else { return "the run was cut off before it began\n".to_owned() };
    let (how, color) = how_it_ended(summary, style.running);
    let how = paint(how, color, style);
    format!("{} {} {how}: {}, in {}\n", shown(&start.command), start.run, counted(summary), duration(summary.took()))
}

/// How many layers had which outcome.
fn counted(summary: &Summary) -> String {
    let of = |wanted: fn(&State) -> bool| summary.layers.iter().filter(|layer| wanted(&layer.state)).count();
    let numbers = [
        (of(|state| matches!(state, State::Ended(Outcome::Succeeded { .. }))), "succeeded"),
        (of(|state| matches!(state, State::Ended(Outcome::Failed { .. }))), "failed"),
        (of(|state| matches!(state, State::Ended(Outcome::Cancelled) | State::Running)), "not finished"),
        (of(|state| matches!(state, State::Ended(Outcome::NotRun { .. }) | State::Waiting)), "not started"),
        (summary.skipped.len(), "up to date"),
    ];
    let counted: Vec<String> =
        numbers.iter().filter(|(number, _)| *number > 0).map(|(number, what)| format!("{number} {what}")).collect();
    if counted.is_empty() { "nothing to do".to_owned() } else { counted.join(", ") }
}

fn how_it_ended(summary: &Summary, running: bool) -> (&'static str, AnsiColor) {
    match (summary.outcome(), summary.cancelled) {
        (Some(RunOutcome::Succeeded), _) => ("succeeded", AnsiColor::Green),
        (Some(RunOutcome::Failed), _) => ("failed", AnsiColor::Red),
        (Some(RunOutcome::Cancelled), Some(CancelReason::Terminated)) => ("was asked to end", AnsiColor::Yellow),
        (Some(RunOutcome::Cancelled), _) => ("was interrupted", AnsiColor::Yellow),
        (None, _) if running => ("is still running", AnsiColor::Cyan),
        (None, _) => ("was cut off", AnsiColor::Red),
    }
}

fn paint(text: &str, color: AnsiColor, style: Style) -> String {
    if !style.color {
        return text.to_owned();
    }
    let paint = anstyle::Style::new().fg_color(Some(color.into())).bold();
    format!("{paint}{text}{paint:#}")
}
