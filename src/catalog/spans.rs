//! Where the fields of a file's record stand.

use std::ops::Range;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::eval::FieldSpans;

/// The places of a record's fields; kept encoded, because only findings ask for them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(from = "ByteBuf", into = "ByteBuf")]
pub struct Spans(Arc<ByteBuf>);

impl From<ByteBuf> for Spans {
    fn from(bytes: ByteBuf) -> Self {
        Self(bytes.into())
    }
}

impl From<Spans> for ByteBuf {
    fn from(spans: Spans) -> Self {
        Arc::unwrap_or_clone(spans.0)
    }
}

impl Spans {
    /// Encodes what evaluation found.
    pub fn encode(spans: &FieldSpans) -> Self {
        // Writing into memory can't fail; without the places, findings point at the file alone.
        ByteBuf::from(postcard::to_allocvec(spans).unwrap_or_default()).into()
    }

    /// The place of a field, or else the beginning of the nearest record or list around it.
    pub fn find(&self, field: &str) -> Option<Range<usize>> {
        let spans: FieldSpans = postcard::from_bytes(&self.0).ok()?;
        let mut around = field;
        loop {
            if let Some((_, span)) = spans.iter().find(|(path, _)| path == around) {
                let (start, end) = (span.start as usize, span.end as usize);
                // What is absent has no place: its record as a whole would be too much to show.
                return Some(if around == field { start..end } else { start..end.min(start + 1) });
            }
            if around.is_empty() {
                return None;
            }
            around = &around[..around.rfind(['.', '[']).unwrap_or(0)];
        }
    }
}
