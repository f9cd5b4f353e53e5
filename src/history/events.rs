//! Reading the events of a run, from a file that may be cut off, damaged, or of another lamina.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::event::{Event, Kind, RunId, VERSION};

/// The longest line that is read, in bytes; what is longer is passed over. The first line of a run of ten thousand
/// layers has a third of it.
pub const MAX_LINE: usize = 16 << 20;

/// How many lines of a run are read at most.
pub const MAX_EVENTS: u64 = 20_000_000;

/// The events of a run as they were written. The first one is [`Kind::RunStarted`], and no other is; all are of the
/// same run. What can't be read is passed over and counted.
#[derive(Debug)]
pub struct Events<R> {
    lines: R,
    line: Vec<u8>,
    count: u64,
    run: Option<RunId>,
    passed: Passed,
    ended: bool,
}

/// What was passed over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Passed {
    /// Events that this lamina does not know.
    pub unknown: u64,
    /// Lines that are no events of the run.
    pub damaged: u64,
}

/// Why the events of a run can't be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// There are none.
    #[error("there are no events at {}", .0.display())]
    NotThere(PathBuf),
    /// They can't be read.
    #[error("the events can't be read: {0}")]
    Io(#[from] io::Error),
    /// They mean something else than this lamina would think.
    #[error("the events have version {found}; this lamina reads version {VERSION}")]
    Version {
        /// The version.
        found: u64,
    },
    /// What was read is no run.
    #[error("no run begins here: the first line is no `run-started`")]
    NoRun,
    /// There is no end of it.
    #[error("there are more than {MAX_EVENTS} events")]
    TooMany,
}

/// What events of all versions have.
#[derive(Deserialize)]
struct Head {
    run: RunId,
    event: String,
    version: Option<u64>,
}

enum Line {
    Whole,
    TooLong,
    End,
}

impl Events<BufReader<File>> {
    /// The events of a file.
    ///
    /// # Errors
    /// When it is not there or can't be opened.
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        match File::open(path) {
            Ok(file) => Ok(Self::new(BufReader::with_capacity(1 << 16, file))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(ReadError::NotThere(path.to_owned())),
            Err(error) => Err(error.into()),
        }
    }
}

impl<R: BufRead> Events<R> {
    /// The events of a text.
    pub fn new(lines: R) -> Self {
        Self { lines, line: Vec::new(), count: 0, run: None, passed: Passed::default(), ended: false }
    }

    /// What was passed over until now.
    pub fn passed(&self) -> Passed {
        self.passed
    }

    fn next_event(&mut self) -> Result<Option<Event>, ReadError> {
        loop {
            let line = self.next_line()?;
            self.count += 1;
            match line {
                Line::End => return Ok(None),
                _ if self.count > MAX_EVENTS => return Err(ReadError::TooMany),
                Line::TooLong => self.passed.damaged += 1,
                Line::Whole => {
                    if let Some(event) = self.parse()? {
                        return Ok(Some(event));
                    }
                }
            }
            if self.run.is_none() {
                return Err(ReadError::NoRun);
            }
        }
    }

    /// The event of the line; `None` where it is passed over.
    fn parse(&mut self) -> Result<Option<Event>, ReadError> {
        let event = serde_json::from_slice::<Event>(&self.line).ok();
        if let (Some(Event { kind: Kind::RunStarted { version: VERSION, .. }, run, .. }), None) = (&event, &self.run) {
            self.run = Some(run.clone());
            return Ok(event);
        }
        match (event, &self.run) {
            (Some(event), Some(run)) if event.run == *run && !matches!(event.kind, Kind::RunStarted { .. }) => {
                return Ok(Some(event));
            }
            _ => {}
        }
        let head = serde_json::from_slice::<Head>(&self.line).ok();
        match (head, &self.run) {
            (Some(Head { event, version: Some(found), .. }), None)
                if event == "run-started" && found != u64::from(VERSION) =>
            {
                return Err(ReadError::Version { found });
            }
            (Some(head), Some(run)) if head.run == *run && !is_known(&head.event) => self.passed.unknown += 1,
            _ => self.passed.damaged += 1,
        }
        Ok(None)
    }

    /// Reads a line without its end. The last one need not have an end: what was cut off is most likely damaged, which
    /// is found out by reading it.
    fn next_line(&mut self) -> io::Result<Line> {
        self.line.clear();
        let mut too_long = false;
        loop {
            let buffer = match self.lines.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                buffer => buffer?,
            };
            let end = buffer.iter().position(|byte| *byte == b'\n');
            let (part, used) = match end {
                Some(end) => (&buffer[..end], end + 1),
                None => (buffer, buffer.len()),
            };
            too_long = too_long || self.line.len() + part.len() > MAX_LINE;
            if !too_long {
                self.line.extend_from_slice(part);
            }
            self.lines.consume(used);
            match (end, used, too_long) {
                (None, 0, false) if self.line.is_empty() => return Ok(Line::End),
                (Some(_), _, false) | (None, 0, false) => return Ok(Line::Whole),
                (Some(_), _, true) | (None, 0, true) => return Ok(Line::TooLong),
                (None, ..) => {}
            }
        }
    }
}

/// Whether this lamina knows events of this name, so that one that can't be read is damaged.
fn is_known(name: &str) -> bool {
    Kind::NAMES.contains(&name)
}

impl<R: BufRead> Iterator for Events<R> {
    type Item = Result<Event, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = self.next_event().transpose();
        self.ended = !matches!(next, Some(Ok(_)));
        next
    }
}
