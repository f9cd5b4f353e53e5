//! What an update moves, and what that makes stale.

use super::cascade::CascadeReport;
use super::{count, markdown, minutes, reason, table};
use crate::cascade::Estimate;
use crate::lock::Move;
use crate::model::{Digest, LayerName};

/// An update with what a report on it needs.
#[derive(Debug)]
pub struct UpdateReport<'a> {
    /// What moves.
    pub moves: &'a [Move<'a>],
    /// The lock file's name.
    pub lock: &'a str,
    /// The catalog's files that change, besides the lock.
    pub files: Vec<&'a str>,
    /// Whether nothing is written.
    pub dry_run: bool,
    /// What becomes stale.
    pub cascade: CascadeReport<'a>,
    /// How long building that takes.
    pub estimate: Estimate<'a>,
}

impl UpdateReport<'_> {
    /// A line an image, then a line a stale layer, then the minutes.
    pub fn text(&self) -> String {
        if self.moves.is_empty() {
            return "nothing to move\n".to_owned();
        }
        let row = |moved: &Move<'_>| {
            let (old, new) = (moved.old, moved.new);
            let image = match (old, new) {
                (Some((old, _)), Some((new, _))) if old != new => format!("{} → {}", old.familiar(), new.tag()),
                _ => old.or(new).map(|(image, _)| image.familiar()).unwrap_or_default(),
            };
            let short = |(_, digest): (_, &Digest)| digest.short().to_owned();
            let [old, new] = [old, new].map(|pin| pin.map_or("none".to_owned(), short));
            [image, format!("{old} → {new}")]
        };
        let mut text = table(&self.moves.iter().map(row).collect::<Vec<_>>());
        let stale = self.cascade.waves.concat();
        if !stale.is_empty() {
            let row = |name: &LayerName| [name.to_string(), reason::chain(self.cascade.cascade, name, false)];
            text.push('\n');
            text.push_str(&table(&stale.into_iter().map(row).collect::<Vec<_>>()));
        }
        text.push_str(&format!("\n{}\n", self.summary()));
        text
    }

    /// How much becomes stale, and what building it takes.
    fn summary(&self) -> String {
        let stale = self.cascade.waves.iter().map(Vec::len).sum::<usize>();
        if stale == 0 {
            return "no layer becomes stale".to_owned();
        }
        let verb = if stale == 1 { "becomes" } else { "become" };
        let waves = count(self.cascade.waves.len(), "wave");
        format!("{} {verb} stale, in {waves}: {}", count(stale, "layer"), minutes(&self.estimate))
    }

    /// The text of a pull request: that of the comment on one.
    pub fn markdown(&self) -> String {
        markdown::markdown(&self.cascade)
    }
}
