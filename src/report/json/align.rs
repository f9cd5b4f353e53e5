//! What `lamina suggest --align` says.

use schemars::JsonSchema;
use serde::Serialize;

use super::Answer;
use crate::report::suggest::AlignReport;
use crate::suggest;

/// How a project's lock is moved towards layers, and what that gains.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Align<'a> {
    /// The project's name.
    name: &'a str,
    /// The layers that it is moved towards.
    towards: Vec<&'a str>,
    /// What is moved, the dearest first.
    moves: Vec<Move<'a>>,
    /// What is reused as it is.
    before: Reused,
    /// What is reused then.
    after: Reused,
    /// Whether the project's lock was written.
    written: bool,
}

/// A crate that is moved.
#[derive(Debug, Serialize, JsonSchema)]
struct Move<'a> {
    /// The crate.
    package: &'a str,
    /// Its version in the lock.
    from: &'a str,
    /// The layers' version.
    to: &'a str,
    /// What is lost if it is left out, in milliseconds of processor time.
    gain_ms: u64,
}

/// What is reused.
#[derive(Debug, Serialize, JsonSchema)]
struct Reused {
    /// How many units.
    units: usize,
    /// What they cost, in milliseconds of processor time.
    saved_ms: u64,
}

impl Answer for Align<'_> {
    const NAME: &'static str = "suggest-align";
    const COMMAND: &'static str = "suggest";
}

impl<'a> Align<'a> {
    /// All that is moved.
    pub fn new(report: &'a AlignReport<'a>) -> Self {
        let moved = |(moved, gain_ms): &'a (suggest::Move, u64)| Move {
            package: &moved.name,
            from: &moved.from,
            to: &moved.to,
            gain_ms: *gain_ms,
        };
        let reused = |(units, saved_ms)| Reused { units, saved_ms };
        Self {
            name: report.project,
            towards: report.layers.iter().map(|layer| layer.as_str()).collect(),
            moves: report.moves.iter().map(moved).collect(),
            before: reused(report.before),
            after: reused(report.after),
            written: report.written,
        }
    }
}
