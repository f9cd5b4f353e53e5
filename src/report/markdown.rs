//! A cascade as a comment on a pull request, in the Markdown that GitHub and GitLab share.
//!
//! Names and values come from a change that nobody has read yet. All of them stand in code spans: there, Markdown, HTML,
//! links and mentions mean nothing.

use std::fmt::Write;

use super::cascade::CascadeReport;
use super::pipeline::bounded;
use super::{count, reason};
use crate::cascade::Estimate;
use crate::lock::Move;
use crate::model::{Digest, ImageRef, LayerName};

/// The first line: by it, a bot finds the comment that it replaces.
pub const MARKER: &str = "<!-- lamina cascade -->";

/// The largest comment that GitHub takes, in characters. Bytes are counted here, of which there are never fewer.
pub const MAX_SIZE: usize = 65_536;

/// How much of it each list may take that stands before the layers, in bytes.
const SHORT_LIST: usize = 6_000;

/// The room for the heading and the ends of lists, in bytes.
const FRAME: usize = 2_000;

/// A list with more items is folded.
const FOLD: usize = 12;

/// How much of a reason, an image or a list of names is told, in characters.
const REASON: usize = 300;

/// The comment.
pub fn markdown(report: &CascadeReport<'_>) -> String {
    let mut text = format!("{MARKER}\n{}\n", heading(report));
    let removed: Vec<String> = report.cascade.removed.iter().map(|name| code(name.as_str())).collect();
    text.push_str(&list("Removed layers; their images stay in the registry", &removed, SHORT_LIST));
    let moves: Vec<String> = report.moves().iter().map(moved).collect();
    text.push_str(&list("Locked images that moved", &moves, SHORT_LIST));
    let unlocked = report.snapshot.unlocked();
    let unlocked: Vec<String> = unlocked.iter().map(|image| code(&bounded(&image.familiar(), REASON))).collect();
    text.push_str(&list(
        "Images without a digest in the lock: a move of the tag goes unnoticed",
        &unlocked,
        SHORT_LIST,
    ));
    let left = MAX_SIZE.saturating_sub(text.len() + FRAME);
    text.push_str(&waves(report, left));
    text
}

fn heading(report: &CascadeReport<'_>) -> String {
    let affected = report.waves.iter().map(Vec::len).sum::<usize>();
    if affected == 0 {
        return "### No layer is rebuilt".to_owned();
    }
    let verb = if affected == 1 { "is" } else { "are" };
    let all = count(report.snapshot.graph.names().len(), "layer");
    let waves = count(report.waves.len(), "wave");
    let set = report.selected();
    let minutes = minutes(&Estimate::of(report.snapshot, &set));
    format!("### {affected} of {all} {verb} rebuilt, in {waves}\n\n{minutes}")
}

fn minutes(estimate: &Estimate<'_>) -> String {
    if estimate.machine_min == 0 && !estimate.is_complete() {
        return "No layer says how long it takes: `build.resources.expected_min`.".to_owned();
    }
    let least = if estimate.is_complete() { "About" } else { "At least" };
    let mut text = format!(
        "{least} {} of building; {} from start to end where each layer starts as soon as its parents are there.",
        count(estimate.machine_min, "minute"),
        count(estimate.wall_min, "minute"),
    );
    if !estimate.is_complete() {
        let names: Vec<String> = estimate.without_figure.iter().map(|name| code(name.as_str())).collect();
        let shown = shown(&names, REASON);
        let more = match names.len() - shown {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let all = count(names.len(), "layer");
        let _ = write!(text, " {all} without a figure: {}{more}.", names[..shown].join(", "));
    }
    text
}

/// How many of the items fit into so many bytes; at least one.
fn shown(items: &[String], most: usize) -> usize {
    let mut size = 0;
    let fit = items.iter().take_while(|item| {
        size += item.len() + 2;
        size <= most
    });
    fit.count().max(1).min(items.len())
}

/// An image that moved: what it was, what it is.
fn moved(moved: &Move<'_>) -> String {
    let short = |digest: &Digest| digest.as_str().get(..19).unwrap_or(digest.as_str()).to_owned();
    let name = |image: &ImageRef| code(&bounded(&image.familiar(), REASON));
    match (moved.old, moved.new) {
        (Some((old, before)), Some((new, now))) if old == new => {
            format!("{} from {} to {}", name(new), code(&short(before)), code(&short(now)))
        }
        (Some((old, before)), Some((new, now))) => {
            format!("{} at {}, was {} at {}", name(new), code(&short(now)), name(old), code(&short(before)))
        }
        (None, Some((new, now))) => format!("{} is new, at {}", name(new), code(&short(now))),
        (Some((old, before)), None) => format!("{} is gone, was at {}", name(old), code(&short(before))),
        (None, None) => String::new(),
    }
}

/// A list with its heading, in so many bytes; nothing where it is empty.
fn list(heading: &str, items: &[String], most: usize) -> String {
    if items.is_empty() {
        return String::new();
    }
    let shown = shown(items, most);
    let mut lines: String = items[..shown].iter().map(|item| format!("- {item}\n")).collect();
    if shown < items.len() {
        let _ = writeln!(lines, "- and {} more", items.len() - shown);
    }
    match items.len() > FOLD {
        true => format!("\n<details><summary>{heading}: {}</summary>\n\n{lines}\n</details>\n", items.len()),
        false => format!("\n**{heading}**\n\n{lines}"),
    }
}

/// The layers in waves, in so many bytes.
fn waves(report: &CascadeReport<'_>, most: usize) -> String {
    let all = report.waves.iter().map(Vec::len).sum::<usize>();
    let mut text = String::new();
    let mut shown = 0;
    'waves: for (at, wave) in report.waves.iter().enumerate() {
        let number = at + 1;
        let folded = wave.len() > FOLD;
        let (open, close) = match folded {
            true => (
                format!("\n<details><summary>Wave {number}: {}</summary>\n\n", count(wave.len(), "layer")),
                "\n</details>\n",
            ),
            false => (format!("\n**Wave {number}**\n\n"), ""),
        };
        let mut is_open = false;
        for name in wave {
            let line = layer(report, name);
            let cost = line.len() + close.len() + if is_open { 0 } else { open.len() };
            if text.len() + cost > most {
                text.push_str(if is_open { close } else { "" });
                break 'waves;
            }
            if !is_open {
                text.push_str(&open);
                is_open = true;
            }
            text.push_str(&line);
            shown += 1;
        }
        text.push_str(close);
    }
    if shown < all {
        let _ = write!(text, "\nand {} more: a comment holds no more than this.\n", count(all - shown, "layer"));
    }
    text
}

fn layer(report: &CascadeReport<'_>, name: &LayerName) -> String {
    let expected = report.snapshot.layer(name).and_then(|layer| layer.build.resources.expected_min);
    let minutes = expected.map(|minutes| format!(" ({minutes} min)")).unwrap_or_default();
    let reason = bounded(&reason::chain(report.cascade, name, false), REASON);
    format!("- {}{minutes}: {}\n", code(name.as_str()), code(&reason))
}

/// A text as a code span, with a fence that the text can't end. Characters that turn the direction of writing are
/// taken out: they would show something else than what is there.
fn code(text: &str) -> String {
    let turns = |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let text: String = text.chars().map(|c| if turns(c) || c.is_control() { '\u{fffd}' } else { c }).collect();
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    // A blank at both ends is taken off again, and keeps fence and text apart.
    let blank = if text.is_empty() || text.starts_with(['`', ' ']) || text.ends_with(['`', ' ']) { " " } else { "" };
    format!("{fence}{blank}{text}{blank}{fence}")
}

#[cfg(test)]
mod tests {
    use super::code;

    #[test]
    fn no_text_ends_its_code_span() {
        assert_eq!(code("a"), "`a`");
        assert_eq!(code("a`b``c"), "```a`b``c```");
        assert_eq!(code("`"), "`` ` ``");
        assert_eq!(code("a\u{202e}\nb"), "`a\u{fffd}\u{fffd}b`");
    }
}
