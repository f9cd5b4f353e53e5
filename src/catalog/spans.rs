//! Where the fields of a file's record stand.

use std::ops::Range;

use super::eval::FieldSpans;

/// The places of a record's fields; kept encoded, because only findings ask for them.
#[derive(Clone, Debug, Default)]
pub struct Spans(Vec<u8>);

impl Spans {
    /// Encodes what evaluation found.
    pub fn encode(spans: &FieldSpans) -> Self {
        // Writing into memory can't fail; without the places, findings point at the file alone.
        Self(postcard::to_allocvec(spans).unwrap_or_default())
    }

    /// Wraps encoded places.
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The encoded places.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The place of a field, or else of the nearest record or list around it.
    pub fn find(&self, field: &str) -> Option<Range<usize>> {
        let spans: FieldSpans = postcard::from_bytes(&self.0).ok()?;
        let mut field = field;
        loop {
            if let Some((_, span)) = spans.iter().find(|(path, _)| path == field) {
                return Some(span.start as usize..span.end as usize);
            }
            if field.is_empty() {
                return None;
            }
            field = &field[..field.rfind(['.', '[']).unwrap_or(0)];
        }
    }
}
