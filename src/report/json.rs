//! What all JSON answers have in common. The shapes are described in docs/json.md; fields are added, never changed.

use serde::Serialize;
use serde_json::{Map, Value};

/// The version of the JSON answers. It changes when a field changes its meaning or goes.
pub const VERSION: u32 = 1;

/// An answer: the version, the command, then what the command has to say.
pub fn answer(command: &str, body: Value) -> String {
    let mut answer = Map::new();
    answer.insert("version".to_owned(), VERSION.into());
    answer.insert("command".to_owned(), command.into());
    if let Value::Object(members) = body {
        answer.extend(members);
    }
    let text = to_text(&answer);
    // An answer about thousands of layers has a million parts, which the end of the process takes down at once.
    std::mem::forget(answer);
    text
}

/// As [`answer`], of a type whose schema is published.
pub fn typed<T: Serialize>(command: &'static str, body: &T) -> String {
    #[derive(Serialize)]
    struct Answer<'a, T> {
        version: u32,
        command: &'static str,
        #[serde(flatten)]
        body: &'a T,
    }
    to_text(&Answer { version: VERSION, command, body })
}

/// Indented, with a line end.
pub fn to_text<T: Serialize>(value: &T) -> String {
    // Values and maps with text keys always have a JSON form.
    serde_json::to_string_pretty(value).unwrap_or_default() + "\n"
}
