//! What an update moves, and what that makes stale: as text, and as the text of a pull request.

use super::{count, minutes, reason, table};
use crate::cascade::{Cascade, Estimate};
use crate::lock::Locked;
use crate::model::{Digest, ImageRef, LayerName};
use crate::snapshot::Snapshot;

/// An image that moves: to another digest, and maybe to another tag.
#[derive(Clone, Debug)]
pub struct Move {
    /// The image as it is locked.
    pub old: ImageRef,
    /// The digest that is locked.
    pub old_digest: Digest,
    /// The image that takes its place; the same one where only the digest moves.
    pub new: ImageRef,
    /// What is locked for it from now on.
    pub locked: Locked,
}

/// An update with what a report on it needs.
#[derive(Debug)]
pub struct UpdateReport<'a> {
    /// What moves.
    pub moves: &'a [Move],
    /// The lock file's name.
    pub lock: &'a str,
    /// The catalog's files that change, besides the lock.
    pub files: Vec<&'a str>,
    /// Whether nothing is written.
    pub dry_run: bool,
    /// The catalog as it will be.
    pub snapshot: &'a Snapshot,
    /// What becomes stale.
    pub cascade: &'a Cascade,
    /// The stale layers in waves of building.
    pub waves: &'a [Vec<&'a LayerName>],
    /// How long building them takes.
    pub estimate: Estimate<'a>,
}

impl UpdateReport<'_> {
    /// A line an image, then a line a stale layer, then the minutes.
    pub fn text(&self) -> String {
        if self.moves.is_empty() {
            return "nothing to move\n".to_owned();
        }
        let row = |a: &Move| {
            let tag = if a.old == a.new { String::new() } else { format!(" → {}", a.new.tag()) };
            [format!("{}{tag}", a.old.familiar()), format!("{} → {}", a.old_digest.short(), a.locked.digest.short())]
        };
        let mut text = table(&self.moves.iter().map(row).collect::<Vec<_>>());
        let stale = self.waves.concat();
        if !stale.is_empty() {
            let row = |name: &LayerName| [name.to_string(), reason::chain(self.cascade, name, false)];
            text.push('\n');
            text.push_str(&table(&stale.into_iter().map(row).collect::<Vec<_>>()));
        }
        text.push_str(&format!("\n{}\n", self.summary()));
        text
    }

    /// How much becomes stale, and what building it takes.
    fn summary(&self) -> String {
        let stale = self.waves.iter().map(Vec::len).sum::<usize>();
        if stale == 0 {
            return "no layer becomes stale".to_owned();
        }
        let verb = if stale == 1 { "becomes" } else { "become" };
        let waves = count(self.waves.len(), "wave");
        format!("{} {verb} stale, in {waves}: {}", count(stale, "layer"), minutes(&self.estimate))
    }

    /// The text of a pull request.
    pub fn markdown(&self) -> String {
        let mut text = String::from("## Images move\n\n| image | from | to |\n|--|--|--|\n");
        for a in self.moves {
            let to = if a.old == a.new { String::new() } else { format!("`{}` ", a.new.tag()) };
            text.push_str(&format!(
                "| `{}` | `{}` | {to}`{}` |\n",
                a.old.familiar(),
                a.old_digest.short(),
                a.locked.digest.short()
            ));
        }
        if self.moves.is_empty() {
            return "Every image is what its tag stands for.\n".to_owned();
        }
        text.push_str(&format!("\n{}.\n", self.summary()));
        for (number, wave) in self.waves.iter().enumerate() {
            text.push_str(&format!("\n### Wave {}\n\n", number + 1));
            for name in wave {
                text.push_str(&format!("- `{name}`: {}\n", reason::chain(self.cascade, name, false)));
            }
        }
        text
    }
}
