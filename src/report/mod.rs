//! How answers look: text for people, JSON for programs, graph languages. Nothing here decides anything.

pub mod cache;
pub mod cascade;
pub mod catalog;
pub mod crates;
pub mod diagnostics;
pub mod drawing;
pub mod explanation;
pub mod github;
pub mod graph;
pub mod json;
pub mod markdown;
pub mod pins;
pub mod pipeline;
pub mod place;
pub mod plan;
pub mod progress;
pub mod reason;
pub mod run;
pub mod runners;
pub mod sarif;
pub mod size;
pub mod status;
pub mod suggest;
pub mod units;
pub mod update;
pub mod verify;
pub mod warm;

use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::Duration;

use crate::cascade::Estimate;
use crate::model::{EdgeKind, LayerName};

/// A number with its noun: `1 layer`, `3 layers`.
pub fn count<N: Display + PartialEq + From<u8>>(number: N, noun: &str) -> String {
    if number == N::from(1) { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// How long something took: `3.2 s`, `2 min 3 s`, `1 h 5 min`.
pub fn duration(took: Duration) -> String {
    let seconds = took.as_secs();
    match seconds {
        0..60 => format!("{}.{} s", seconds, took.subsec_millis() / 100),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

/// How long building takes: `about 65 minutes of building, 31 from start to end`, where each layer starts as soon as its
/// parents are there.
pub fn minutes(estimate: &Estimate<'_>) -> String {
    let unknown = &estimate.without_figure;
    if estimate.machine_min == 0 && !unknown.is_empty() {
        return "no layer says how long it takes".to_owned();
    }
    let bound = if unknown.is_empty() { "about" } else { "at least" };
    let machine = count(estimate.machine_min, "minute");
    let mut words = format!("{bound} {machine} of building, {} from start to end", estimate.wall_min);
    if !unknown.is_empty() {
        let named: Vec<&LayerName> = unknown.iter().take(5).copied().collect();
        let more = if unknown.len() > named.len() { " and others" } else { "" };
        words.push_str(&format!("; no figure for {}{more}", enumeration(&named)));
    }
    words
}

/// Names with all their roles: `rust (build base, runtime base)`.
pub fn with_roles<'a>(related: impl IntoIterator<Item = (&'a LayerName, EdgeKind)>) -> Vec<String> {
    let mut roles: BTreeMap<&LayerName, Vec<String>> = BTreeMap::new();
    related.into_iter().for_each(|(name, kind)| roles.entry(name).or_default().push(kind.to_string()));
    roles.into_iter().map(|(name, roles)| format!("{name} ({})", roles.join(", "))).collect()
}

/// Columns of equal width, separated by two blanks; the last one is not padded, and an empty one is left out.
pub fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths).filter(|(_, width)| *width > 0) {
            line.push_str(&format!("{cell:width$}  "));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// `a`, `a and b`, `a, b and c`.
pub fn enumeration<T: Display>(items: &[T]) -> String {
    match items {
        [] => String::new(),
        [one] => one.to_string(),
        [first @ .., last] => {
            let first: Vec<String> = first.iter().map(T::to_string).collect();
            format!("{} and {last}", first.join(", "))
        }
    }
}
