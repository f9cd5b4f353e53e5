//! Places in texts, as lines and columns.

use std::sync::Arc;

/// Gives the text of a file by the name that labels call it.
pub type Texts<'a> = dyn Fn(&str) -> Option<Arc<str>> + 'a;

/// Lines longer than this are not shown: nobody reads them.
pub const LONGEST_LINE: usize = 1000;

/// The nearest character's start at or before an offset.
pub fn boundary(text: &str, offset: usize) -> usize {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

/// Line and column of an offset, both from 1; the column counts characters.
pub fn position(text: &str, offset: usize) -> (usize, usize) {
    let (line, before) = line_before(text, offset);
    (line, before.chars().count() + 1)
}

/// The line of an offset, from 1, and what stands in this line before it.
fn line_before(text: &str, offset: usize) -> (usize, &str) {
    let before = &text[..boundary(text, offset)];
    (before.matches('\n').count() + 1, before.rsplit('\n').next().unwrap_or(before))
}
