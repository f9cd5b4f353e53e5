//! Places in texts, as lines and columns.

use std::path::PathBuf;
use std::sync::Arc;

/// Gives the text of a file by the name that labels call it.
pub type Texts<'a> = dyn Fn(&str) -> Option<Arc<str>> + 'a;

/// Says where a file lies by the name that labels call it.
pub type Locate<'a> = dyn Fn(&str) -> Located + 'a;

/// Where a file lies, for programs that look at the whole git repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Located {
    /// In the repository: the path from its root, with slashes.
    Inside(String),
    /// Elsewhere: the absolute path.
    Outside(PathBuf),
}

/// What is known of the files that findings name.
#[derive(Clone, Copy)]
pub struct Sources<'a> {
    /// Their texts.
    pub texts: &'a Texts<'a>,
    /// Where they lie.
    pub locate: &'a Locate<'a>,
}

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

/// Line and column of an offset, both from 1; the column counts UTF-16 code units, as SARIF and editors do.
pub fn position_utf16(text: &str, offset: usize) -> (usize, usize) {
    let (line, before) = line_before(text, offset);
    (line, before.encode_utf16().count() + 1)
}

/// The line of an offset, from 1, and what stands in this line before it.
fn line_before(text: &str, offset: usize) -> (usize, &str) {
    let before = &text[..boundary(text, offset)];
    (before.matches('\n').count() + 1, before.rsplit('\n').next().unwrap_or(before))
}
