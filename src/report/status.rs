//! How layers are doing, as text.

use jiff::Timestamp;

use super::{count, reason, table};
use crate::plan::{Condition, Standing};
use crate::snapshot::Snapshot;

/// How layers are doing, with what a report on it needs.
#[derive(Clone, Copy, Debug)]
pub struct StatusReport<'a> {
    /// The catalog.
    pub snapshot: &'a Snapshot,
    /// The layers, in order of building.
    pub layers: &'a [Standing],
    /// This moment.
    pub now: Timestamp,
}

impl StatusReport<'_> {
    /// A line a layer: how it is doing, since when, and why.
    pub fn text(&self) -> String {
        let row = |standing: &Standing| {
            let age = standing.last.as_ref().map(|last| age(self.now, last.at)).unwrap_or_default();
            [standing.layer.to_string(), word(standing.condition).to_owned(), age, reason::standing(standing)]
        };
        match self.layers {
            [] => "no layer is affected\n".to_owned(),
            layers => table(&layers.iter().map(row).collect::<Vec<_>>()),
        }
    }

    /// How many layers are in each condition: `11 layers: 9 built, 2 stale`.
    pub fn remark(&self) -> String {
        let conditions = [Condition::Built, Condition::Unproven, Condition::Stale, Condition::Failed];
        let number = |condition| self.layers.iter().filter(|standing| standing.condition == condition).count();
        let numbers = conditions.into_iter().map(|condition| (number(condition), word(condition)));
        let numbers: Vec<String> =
            numbers.filter(|(number, _)| *number > 0).map(|(number, word)| format!("{number} {word}")).collect();
        match numbers.is_empty() {
            true => count(0_usize, "layer"),
            false => format!("{}: {}", count(self.layers.len(), "layer"), numbers.join(", ")),
        }
    }
}

/// How a layer is doing, in a word.
pub fn word(condition: Condition) -> &'static str {
    match condition {
        Condition::Built => "built",
        Condition::Unproven => "unproven",
        Condition::Stale => "stale",
        Condition::Failed => "failed",
    }
}

/// How long ago something was: `just now`, `5 minutes ago`, `3 days ago`.
fn age(now: Timestamp, at: Timestamp) -> String {
    let seconds = u64::try_from(now.as_second() - at.as_second()).unwrap_or(0);
    let ago = |number: u64, unit| format!("{} ago", count(number, unit));
    match seconds {
        0..60 => "just now".to_owned(),
        60..3600 => ago(seconds / 60, "minute"),
        3600..86400 => ago(seconds / 3600, "hour"),
        _ => ago(seconds / 86400, "day"),
    }
}
