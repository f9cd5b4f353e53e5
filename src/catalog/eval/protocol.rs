//! What host and worker say to each other: a [`Task`] and its [`Source`]s in, [`Reply`]s out, each as its
//! length and its postcard encoding.

use std::io::{self, Read, Write};
use std::ops::Range;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Evaluated, Job};
use crate::diag::Diagnostic;
use crate::model::RelPath;

/// The most that either side takes at once.
pub(super) const MAX_FRAME: usize = 64 << 20;

/// The folder that the worker sees the catalog in. It exists nowhere, and no text may show it.
pub(super) const ROOT: &str = "/<catalog>";

/// Where the worker sees a file of the catalog.
pub(super) fn place(path: &RelPath) -> String {
    format!("{ROOT}/{}", path.as_str())
}

/// A text that may be imported.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Source {
    /// The absolute path that imports find it by.
    pub place: String,
    /// The file that it counts as among the imports of a layer.
    pub file: Option<RelPath>,
    /// What findings call it; `None` for a text that the host wrote, which nobody can look up.
    pub shown: Option<String>,
    pub text: String,
}

impl Source {
    /// A place in the text, as whole characters of it: parsers of other formats count as they like.
    pub fn span(&self, span: &Range<usize>) -> Range<usize> {
        let whole = |at: &usize| self.text.is_char_boundary(*at);
        let end = span.end.max(span.start).min(self.text.len());
        let start = (0..=span.start.min(end)).rev().find(whole).unwrap_or(0);
        start..(end..=self.text.len()).find(whole).unwrap_or(start)
    }
}

/// What a worker has to do. Jobs are known by their index from here on.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Task {
    pub jobs: Vec<Job>,
    /// How many sources follow.
    pub sources: usize,
    /// Address space, in bytes.
    pub memory: u64,
    /// Processor time, in seconds: the end of a worker that nobody watches any more.
    pub cpu: u64,
}

/// What a worker tells.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Reply {
    /// The evaluator itself is loaded.
    Ready,
    /// What follows is about this job: if nothing follows, the job is to blame. With the processor time that the worker
    /// has used before it.
    Begin(usize, Duration),
    /// A job is done.
    Done(usize, Finished),
    /// All jobs are done.
    End,
}

/// How a job ended.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Finished {
    Evaluated {
        imports: Vec<RelPath>,
        evaluated: Box<Evaluated>,
    },
    Failed {
        imports: Vec<RelPath>,
        findings: Vec<Diagnostic>,
        /// The definitions in the job's own file of fields that the contract does not know.
        unknown: Vec<Range<usize>>,
    },
    /// It imports a file that was not supplied.
    Missing(Missing),
}

impl Finished {
    pub fn failed(imports: Vec<RelPath>, findings: Vec<Diagnostic>) -> Self {
        Self::Failed { imports, findings, unknown: Vec::new() }
    }
}

/// An import that was not supplied.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Missing {
    /// Where the importing file lies, as the worker sees it.
    pub importer: String,
    /// The path as it is written there.
    pub path: String,
    /// The import expression.
    pub span: Range<usize>,
}

pub(super) fn encode<T: Serialize>(value: &T) -> io::Result<Vec<u8>> {
    postcard::to_stdvec(value).map_err(io::Error::other)
}

pub(super) fn send(mut to: impl Write, message: &[u8]) -> io::Result<()> {
    let length = u32::try_from(message.len()).map_err(|_| too_large())?;
    to.write_all(&length.to_le_bytes())?;
    to.write_all(message)
}

pub(super) fn write<T: Serialize>(to: impl Write, value: &T) -> io::Result<()> {
    send(to, &encode(value)?)
}

/// Reads a value; `None` where the other side has closed the pipe.
pub(super) fn read<T: DeserializeOwned>(mut from: impl Read) -> io::Result<Option<T>> {
    let mut length = [0; 4];
    match from.read_exact(&mut length) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let length = u32::from_le_bytes(length) as usize;
    if length > MAX_FRAME {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    from.take(length as u64).read_to_end(&mut bytes)?;
    if bytes.len() < length {
        return Ok(None);
    }
    postcard::from_bytes(&bytes).map(Some).map_err(io::Error::other)
}

fn too_large() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the message is too large")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_whole_characters_of_the_text() {
        let text = "aé€".to_owned();
        let source = Source { place: String::new(), file: None, shown: None, text };
        let spans = [(0..1, 0..1), (1..2, 1..3), (2..3, 1..3), (2..4, 1..6), (4..5, 3..6), (6..7, 6..6), (9..99, 6..6)];
        for (strange, span) in spans {
            assert_eq!(source.span(&strange), span, "{strange:?}");
        }
        #[expect(clippy::reversed_empty_ranges, reason = "that is what is strange about it")]
        let reversed = 5..1;
        assert_eq!(source.span(&reversed), 3..6);
        assert_eq!(source.span(&(usize::MAX - 1..usize::MAX)), 6..6);
    }
}
