//! A run while it happens, on stderr: plain lines, bars, or the events themselves. All of them read the same stream,
//! live or recorded, and none of them can make a run fail.

mod bars;
mod board;
mod json;
mod lines;
mod shown;

pub use bars::Bars;
pub use board::{Board, Left};
pub use json::JsonLines;
pub use lines::{Lines, Plain, oom_text};
pub use shown::shown;
