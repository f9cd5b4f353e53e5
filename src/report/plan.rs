//! A plan as text.

use std::time::Duration;

use super::{count, enumeration, reason, table};
use crate::event::Action;
use crate::plan::{Estimate, Plan, Skipped, Step};
use crate::snapshot::Snapshot;

/// A plan with what a report on it needs.
#[derive(Clone, Copy, Debug)]
pub struct PlanReport<'a> {
    /// The catalog.
    pub snapshot: &'a Snapshot,
    /// What is to be done.
    pub plan: &'a Plan,
    /// Whether unlocked external images were refused.
    pub frozen: bool,
    /// Whether all reasons are told, and what needs nothing is named.
    pub verbose: bool,
}

impl PlanReport<'_> {
    /// A line a layer in order of building: what is done, how long that takes, and why.
    pub fn text(&self) -> String {
        let mut rows: Vec<[String; 4]> = self.plan.steps.iter().map(|step| self.row(step)).collect();
        if self.verbose {
            rows.extend(self.plan.skipped.iter().map(|skipped| self.skipped_row(skipped)));
        }
        match (rows.is_empty(), self.plan.skipped.len()) {
            (false, _) => table(&rows),
            (true, 0) => "no layer is affected: there is nothing to build\n".to_owned(),
            (true, 1) => "nothing to build: the layer is up to date\n".to_owned(),
            (true, layers) => format!("nothing to build: all {layers} layers are up to date\n"),
        }
    }

    fn row(&self, step: &Step) -> [String; 4] {
        let expected = step.expected.map(about).unwrap_or_default();
        let mut why = reason::all_planned(&step.reasons);
        if let Some(cause) = self.plan.causes.get(&step.layer) {
            why.push_str(&format!("; {cause}"));
        }
        [action(step.action).to_owned(), step.layer.to_string(), expected, why]
    }

    fn skipped_row(&self, skipped: &Skipped) -> [String; 4] {
        let why = format!("{}: {}", reason::skipped(&skipped.reason), skipped.digest);
        ["skip".to_owned(), skipped.layer.to_string(), String::new(), why]
    }

    /// What is said beside the answer: how much there is to do, and how long it takes.
    pub fn remarks(&self) -> Vec<String> {
        let Plan { steps, skipped, .. } = self.plan;
        if steps.is_empty() {
            return Vec::new();
        }
        let number = |action| steps.iter().filter(|step| step.action == action).count();
        let mut totals = Vec::new();
        for (number, what) in [
            (number(Action::Build), "to build"),
            (number(Action::Prove), "to prove"),
            (skipped.len(), if self.verbose { "up to date" } else { "up to date (-v names them)" }),
        ] {
            if number > 0 {
                totals.push(format!("{} {what}", count(number, "layer")));
            }
        }
        let mut remarks = vec![totals.join(", ")];
        if number(Action::Build) > 0 {
            remarks.push(estimate(&self.plan.estimate()));
        }
        remarks
    }
}

/// What is done, in a word.
fn action(action: Action) -> &'static str {
    match action {
        Action::Build => "build",
        Action::Prove => "prove",
    }
}

/// How long a plan takes: `about 27 min of building, 22 min from start to end (wasm → leptos)`.
fn estimate(estimate: &Estimate<'_>) -> String {
    let unknown = &estimate.without_figure;
    if estimate.machine.is_zero() {
        return "no layer says how long it takes".to_owned();
    }
    let bound = if unknown.is_empty() { "about" } else { "at least" };
    let way: Vec<&str> = estimate.critical.iter().map(|name| name.as_str()).collect();
    let (machine, wall) = (about(estimate.machine), about(estimate.wall));
    let mut words = format!("{bound} {machine} of building, {wall} from start to end ({})", way.join(" → "));
    if !unknown.is_empty() {
        let named: Vec<_> = unknown.iter().take(5).collect();
        let more = if unknown.len() > named.len() { " and others" } else { "" };
        words.push_str(&format!("; no figure for {}{more}", enumeration(&named)));
    }
    words
}

/// A time that is no more than expected: `8 s`, `12 min`, `1 h 5 min`.
fn about(time: Duration) -> String {
    let seconds = time.as_secs() + u64::from(time.subsec_nanos() > 0);
    let minutes = seconds.div_ceil(60);
    match (seconds, minutes / 60, minutes % 60) {
        (0..60, ..) => format!("{seconds} s"),
        (_, 0, minutes) => format!("{minutes} min"),
        (_, hours, 0) => format!("{hours} h"),
        (_, hours, minutes) => format!("{hours} h {minutes} min"),
    }
}
