//! A lock moved towards layers, for people.

use super::seconds;
use crate::model::LayerName;
use crate::report::enumeration;
use crate::suggest::Move;

/// What moving a lock gains.
#[derive(Debug)]
pub struct AlignReport<'a> {
    /// The project's name.
    pub project: &'a str,
    /// The layers that it is moved towards.
    pub layers: &'a [&'a LayerName],
    /// What is moved, each with what is lost if it is left out, in milliseconds of processor time.
    pub moves: &'a [(Move, u64)],
    /// What is reused as it is: units, and milliseconds of processor time.
    pub before: (usize, u64),
    /// What is reused then.
    pub after: (usize, u64),
    /// Whether the lock was written.
    pub written: bool,
}

impl AlignReport<'_> {
    /// The lines to run, each with its gain.
    pub fn text(&self) -> String {
        if self.moves.is_empty() {
            return "nothing to align\n".to_owned();
        }
        let line = |(moved, gain): &(Move, u64)| {
            [
                format!("cargo update -p {}@{} --precise {}", moved.name, moved.from, moved.to),
                format!("# {}", seconds(*gain)),
            ]
        };
        let lines: Vec<[String; 2]> = self.moves.iter().map(line).collect();
        let ((units, ms), (then, then_ms)) = (self.before, self.after);
        format!(
            "{} towards {}: {units} → {then} units reused, {} → {} of processor time saved\n\n{}",
            self.project,
            enumeration(self.layers),
            seconds(ms),
            seconds(then_ms),
            crate::report::table(&lines)
        )
    }
}
