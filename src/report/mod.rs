//! How answers look: text for people, JSON for programs, graph languages. Nothing here decides anything.

pub mod cascade;
pub mod catalog;
pub mod diagnostics;
pub mod explanation;
pub mod github;
pub mod graph;
pub mod json;
pub mod place;
pub mod reason;
pub mod sarif;

use std::collections::BTreeMap;
use std::fmt::Display;

use crate::model::{EdgeKind, LayerName};

/// A number with its noun: `1 layer`, `3 layers`.
pub fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// Names with all their roles: `rust (build base, runtime base)`.
pub fn with_roles<'a>(related: impl IntoIterator<Item = (&'a LayerName, EdgeKind)>) -> Vec<String> {
    let mut roles: BTreeMap<&LayerName, Vec<String>> = BTreeMap::new();
    related.into_iter().for_each(|(name, kind)| roles.entry(name).or_default().push(kind.to_string()));
    roles.into_iter().map(|(name, roles)| format!("{name} ({})", roles.join(", "))).collect()
}

/// Columns of equal width, separated by two blanks; the last one is not padded.
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
        for (cell, width) in row.iter().zip(widths) {
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
