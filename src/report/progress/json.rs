//! The events themselves.

use std::io::Write;

use crate::event::{Event, Reader};
use crate::report::json::to_line;

/// Writes each event as a line of JSON, as the journal does; what a terminal would obey is escaped.
#[derive(Debug)]
pub struct JsonLines<W> {
    out: W,
}

impl<W: Write> JsonLines<W> {
    /// Writes them there.
    pub fn new(out: W) -> Self {
        Self { out }
    }
}

impl<W: Write> Reader for JsonLines<W> {
    fn read(&mut self, event: &Event) {
        // There is nobody left to tell that nobody reads.
        let _ = self.out.write_all((to_line(event) + "\n").as_bytes());
    }
}
