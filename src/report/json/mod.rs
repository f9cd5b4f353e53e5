//! JSON answers: one type for each, written by hand, so that no type of the domain becomes the public format by
//! accident. The comments on fields are the descriptions of the published schemas (`schemas/json/`), and docs/json.md
//! says the same. Fields are added; none changes its meaning or goes without another [`VERSION`].
//!
//! A new answer is a type with [`Answer`], and a line in [`SHAPES`].

pub mod align;
pub mod build;
pub mod cache;
pub mod cascade;
mod change;
pub mod confirm;
pub mod crates;
pub mod decisions;
pub mod directives;
pub mod findings;
pub mod fleet;
pub mod graph;
pub mod integrate;
pub mod layers;
pub mod new;
pub mod pins;
pub mod plan;
pub mod runners;
pub mod schema;
pub mod size;
pub mod status;
pub mod suggest;
pub mod units;
pub mod update;
pub mod verify;
pub mod warm;
pub mod why;
mod words;
mod workflow;

use schemars::JsonSchema;
use serde::Serialize;

pub use schema::{SHAPES, Shape};

/// The version of the JSON answers. It changes when a field changes its meaning or goes.
pub const VERSION: u32 = 1;

/// What a command has to say in JSON, behind the two fields that every answer begins with.
pub trait Answer: Serialize + JsonSchema {
    /// The name of its schema: `cascade`, `validate-list`.
    const NAME: &'static str;
    /// The command that gives it.
    const COMMAND: &'static str = Self::NAME;
}

/// An answer with the two fields that all begin with.
#[derive(Serialize)]
struct Whole<'a, A> {
    version: u32,
    command: &'static str,
    #[serde(flatten)]
    answer: &'a A,
}

/// An answer as text: the version, the command, then what the command has to say.
pub fn answer<A: Answer>(answer: A) -> String {
    let text = to_text(&Whole { version: VERSION, command: A::COMMAND, answer: &answer });
    // An answer about thousands of layers has a million parts, which the end of the process takes down at once.
    std::mem::forget(answer);
    text
}

/// As [`answer`], on one line, without a line end.
pub fn answer_line<A: Answer>(answer: &A) -> String {
    to_line(&Whole { version: VERSION, command: A::COMMAND, answer })
}

/// Indented, with a line end.
pub fn to_text<T: Serialize>(value: &T) -> String {
    // Types with text keys always have a JSON form.
    escaped(serde_json::to_string_pretty(value).unwrap_or_default()) + "\n"
}

/// On one line, without a line end.
pub fn to_line<T: Serialize>(value: &T) -> String {
    escaped(serde_json::to_string(value).unwrap_or_default())
}

/// JSON lets DEL and the second block of control characters stand as they are, and a terminal takes them for commands.
/// They can only be in texts.
fn escaped(text: String) -> String {
    let is_command = |c: char| matches!(c, '\u{7f}'..='\u{9f}');
    if !text.contains(is_command) {
        return text;
    }
    let escaped = |c: char| if is_command(c) { format!("\\u{:04x}", u32::from(c)) } else { c.to_string() };
    text.chars().map(escaped).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_a_terminal_would_obey_is_escaped_and_reads_back_as_it_was() {
        let value = "a\u{1b}[2J\u{7f}\u{9b}2J\u{e9}";
        let text = super::to_text(&value);
        assert_eq!(text, "\"a\\u001b[2J\\u007f\\u009b2Jé\"\n");
        assert_eq!(serde_json::from_str::<String>(&text).unwrap(), value);
    }
}
