//! What `lamina warm` did, as text.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::{count, duration, table};
use crate::model::ImageRef;
use crate::unit::UnitGraph;
use crate::warm::{Miss, Offer, Published, Verdict, Warmed};

/// Where units could come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The layer's name, or `the project`.
    pub name: String,
    /// Its units in the registry, where it has published some.
    pub at: Option<String>,
    /// Why there are none.
    pub missing: Option<String>,
}

impl Source {
    /// One that has published units.
    pub fn found(name: &str, at: &ImageRef) -> Self {
        Self { name: name.to_owned(), at: Some(at.to_string()), missing: None }
    }

    /// One that has none.
    pub fn missing(name: &str, why: String) -> Self {
        Self { name: name.to_owned(), at: None, missing: Some(why) }
    }
}

/// What became of a project's units.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// The project's units.
    pub graph: &'a UnitGraph,
    /// The target folder.
    pub folder: &'a Path,
    /// What became of each.
    pub warmed: &'a Warmed,
    /// Where they were looked for.
    pub offers: &'a [Offer],
    /// All that could have offered some.
    pub sources: &'a [Source],
}

/// Numbers of units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Those that others could have compiled.
    pub units: usize,
    /// Placed now.
    pub placed: usize,
    /// There before.
    pub there: usize,
    /// Left to cargo.
    pub missed: usize,
    /// The project's own.
    pub own: usize,
    /// The processor time that those which were placed had cost, in milliseconds, as far as it was measured.
    pub saved_ms: u64,
    /// Those which were placed, and of which nobody measured it.
    pub unmeasured: usize,
}

impl Counts {
    /// Counts verdicts.
    pub fn of(verdicts: &[Verdict]) -> Self {
        let mut counts = Self::default();
        for verdict in verdicts {
            match verdict {
                Verdict::Own => counts.own += 1,
                Verdict::There(_) => counts.there += 1,
                Verdict::Miss(_) => counts.missed += 1,
                Verdict::Take(take) => {
                    counts.placed += 1;
                    counts.saved_ms += take.cpu_ms.unwrap_or_default();
                    counts.unmeasured += usize::from(take.cpu_ms.is_none());
                }
            }
        }
        counts.units = counts.placed + counts.there + counts.missed;
        counts
    }
}

/// How many crates a line names.
const NAMED: usize = 6;

/// What was placed, from where, and why the rest was not. `verbose` names each unit.
pub fn text(answer: &Answer<'_>, verbose: bool) -> String {
    let Answer { graph, folder, warmed, offers, sources } = *answer;
    let counts = Counts::of(&warmed.verdicts);
    let mut text = format!("{} of {} placed in {}", counts.placed, count(counts.units, "unit"), folder.display());
    if counts.placed > 0 {
        text.push_str(&format!(": {} received", size(warmed.received)));
        if counts.saved_ms > 0 {
            let at_least = if counts.unmeasured > 0 { "at least " } else { "" };
            let saved = duration(Duration::from_millis(counts.saved_ms));
            text.push_str(&format!(", {at_least}{saved} of processor time saved"));
        }
    }
    text.push('\n');
    let line = |number: usize, one: &str, many: &str| match number {
        0 => String::new(),
        1 => format!("1 {one}\n"),
        number => format!("{number} {many}\n"),
    };
    text.push_str(&line(counts.there, "was there already", "were there already"));
    text.push_str(&line(counts.missed, "has to be compiled:", "have to be compiled:"));
    let mut missed: BTreeMap<&Miss, Vec<String>> = BTreeMap::new();
    for (unit, verdict) in graph.units.iter().zip(&warmed.verdicts) {
        if let Verdict::Miss(miss) = verdict {
            let package = graph.package(unit);
            missed.entry(miss).or_default().push(match verbose {
                false => package.name.clone(),
                true => format!("{} {} ({})", package.name, package.version, unit.kind.word()),
            });
        }
    }
    let mut grouped: BTreeMap<String, (usize, Vec<String>)> = BTreeMap::new();
    for (miss, names) in missed {
        let (number, known) = grouped.entry(group(miss)).or_default();
        *number += names.len();
        known.extend(names);
    }
    let mut rows = Vec::new();
    for (why, (number, mut names)) in grouped {
        names.sort();
        if !verbose {
            names.dedup();
        }
        let more = names.len().saturating_sub(if verbose { usize::MAX } else { NAMED });
        names.truncate(names.len() - more);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        rows.push((number, [format!("  {number:>4}"), why, names.join(", ") + &more]));
    }
    rows.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
    text.push_str(&table(&rows.into_iter().map(|(_, row)| row).collect::<Vec<_>>()));
    for source in sources {
        text.push_str(&format!("{}: {}\n", source.name, said(source, answer)));
        let offer = offers.iter().find(|offer| source.at.as_deref() == Some(&*offer.artifact.at.to_string()));
        for obstacle in offer.iter().flat_map(|offer| &offer.obstacles) {
            text.push_str(&format!("  {}: {} {}\n", obstacle.hindrance.code(), obstacle.text, obstacle.fix));
        }
    }
    text
}

/// How many units came from a source.
pub fn placed_from(source: &Source, Answer { warmed, offers, .. }: &Answer<'_>) -> usize {
    let number = offers.iter().position(|offer| source.at.as_deref() == Some(&*offer.artifact.at.to_string()));
    let from = |verdict: &&Verdict| matches!(verdict, Verdict::Take(take) if Some(take.offer) == number);
    warmed.verdicts.iter().filter(from).count()
}

fn said(source: &Source, answer: &Answer<'_>) -> String {
    match &source.missing {
        Some(why) => why.clone(),
        None => format!("{} placed", count(placed_from(source, answer), "unit")),
    }
}

/// What misses of a sort have in common.
fn group(miss: &Miss) -> String {
    match miss {
        Miss::Crate => "nobody has the crate".to_owned(),
        Miss::Version(_) => "others have another version".to_owned(),
        Miss::Features => "others have it with other features".to_owned(),
        Miss::Profile => "others have it with another profile or for another target".to_owned(),
        Miss::Dependencies => "others have it with other dependencies".to_owned(),
        Miss::Environment(hindrance) => format!("the environment differs ({})", hindrance.code()),
        Miss::Variable(name) => format!("{name} has another value"),
        Miss::Unpublished => "it was not published".to_owned(),
        Miss::Below(_) => "it depends on what has to be compiled".to_owned(),
        Miss::Differs(_) => "it was made with another build of a crate that is there".to_owned(),
        Miss::Needed => "crates that are there were made with another build of it".to_owned(),
        Miss::Failed(why) => why.clone(),
    }
}

/// Why a unit has to be compiled, as a sentence.
pub fn reason(miss: &Miss) -> String {
    match miss {
        Miss::Version(version) => format!("others have another version: {version}"),
        Miss::Below(name) => format!("it depends on {name}, which has to be compiled"),
        Miss::Differs(name) => format!("it was made with another build of {name} than the one that is there"),
        other => group(other),
    }
}

/// Bytes in words: `38.2 MB`.
fn size(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{} kB", bytes.div_ceil(1000)),
        _ => format!("{}.{} MB", bytes / 1_000_000, bytes % 1_000_000 / 100_000),
    }
}

/// What was published of a layer or a project.
#[derive(Clone, Copy, Debug)]
pub struct Sent<'a> {
    /// Its name.
    pub name: &'a str,
    /// Where.
    pub at: &'a ImageRef,
    /// What.
    pub published: &'a Published,
}

/// What was published, a line each, and what could not be.
pub fn sent(sent: &[Sent<'_>], verbose: bool) -> String {
    let mut text = String::new();
    for Sent { name, at, published } in sent {
        let Published { units, new, bytes, new_bytes, left_out, .. } = published;
        text.push_str(&format!(
            "{name}: {} published as {at}: {}, of which {new} ({}) were sent\n",
            count(*units, "unit"),
            size(*bytes),
            size(*new_bytes)
        ));
        if !left_out.is_empty() {
            text.push_str(&format!("  {} left out\n", count(left_out.len(), "unit")));
        }
        for (place, why) in left_out.iter().filter(|_| verbose) {
            text.push_str(&format!("    {place}: {why}\n"));
        }
    }
    text
}
