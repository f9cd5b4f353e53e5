//! What is tried on foreign input: a function for each target, which gets any bytes and panics where a law is broken.
//!
//! The fuzzer drives them (`fuzz_targets/`), and so does a test of lamina itself (`tests/cli/fuzz.rs`), which shares
//! this file. A target has no state, and opens, starts and prints nothing.

pub mod cache_entry;
pub mod catalog;
pub mod change_list;
pub mod dockerfile;
pub mod dockerignore;
pub mod engine_stream;
pub mod image;
pub mod journal;
pub mod lock;
pub mod registry_headers;
pub mod registry_logins;
pub mod registry_manifest;
pub mod tag;
pub mod units;

/// A target's name, and what it tries on an input.
pub type Target = (&'static str, fn(&[u8]));

/// All targets; each has seeds in `seeds/NAME/`.
pub const TARGETS: &[Target] = &[
    ("cache_entry", cache_entry::run),
    ("change_list", change_list::run),
    ("dockerfile", dockerfile::run),
    ("dockerignore", dockerignore::run),
    ("engine_stream", engine_stream::run),
    ("image", image::run),
    ("journal", journal::run),
    ("lock", lock::run),
    ("registry_headers", registry_headers::run),
    ("registry_logins", registry_logins::run),
    ("registry_manifest", registry_manifest::run),
    ("tag", tag::run),
    ("units", units::run),
];

/// The bytes before the first separator, and those behind it.
fn split(data: &[u8], separator: u8) -> (&[u8], &[u8]) {
    match data.iter().position(|byte| *byte == separator) {
        Some(at) => (&data[..at], &data[at + 1..]),
        None => (data, &[]),
    }
}
