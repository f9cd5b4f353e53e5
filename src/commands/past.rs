//! Runs of the past: what `report` and `replay` share.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use super::context::Context;
use super::error::CommandError;
use super::exit::Exit;
use crate::event::RunId;
use crate::history::{Events, History, Passed, ReadError};
use crate::report::count;

/// A run of the past.
pub struct Run {
    /// Its events.
    pub events: Events<BufReader<File>>,
    /// Whether somebody still writes it down.
    pub running: bool,
}

/// The run that was named, or else the last one. A file of events is named by a path with a slash or `.jsonl`.
///
/// # Errors
/// When there is no such run.
pub fn open(context: &Context<'_>, typed: Option<&str>) -> Result<Run, CommandError> {
    if let Some(path) = typed.filter(|typed| typed.contains('/') || typed.ends_with(".jsonl")) {
        return Ok(Run { events: Events::open(Path::new(path))?, running: false });
    }
    let history = context.history()?;
    let id = find(&history, typed)?;
    // Asked first: what ends in between has all of its events.
    let running = history.is_running(&id);
    Ok(Run { events: history.events(&id)?, running })
}

/// The run that was named, or else the last one.
///
/// # Errors
/// When there is no such run.
pub fn find(history: &History, typed: Option<&str>) -> Result<RunId, CommandError> {
    let runs = list(history)?;
    let Some(last) = runs.first() else {
        let error = CommandError::new(Exit::Failure, "this catalog has no recorded run yet");
        return Err(error.hint("`lamina build` records each run that builds something"));
    };
    let Some(typed) = typed else { return Ok(last.clone()) };
    let found = runs.iter().find(|run| run.as_str() == typed).cloned();
    found.ok_or_else(|| {
        CommandError::unknown("run", typed, runs.iter().map(RunId::as_str))
            .hint_if_none("`lamina report --list` lists all runs")
    })
}

/// All runs, newest first.
///
/// # Errors
/// When the history can't be read.
pub fn list(history: &History) -> Result<Vec<RunId>, CommandError> {
    let folder = history.folder().display();
    history.runs().map_err(|error| CommandError::failure(format!("{folder} can't be read"), error))
}

/// Says what was passed over.
pub fn remark(context: &Context<'_>, passed: Passed) {
    if passed.unknown > 0 {
        let events = count(passed.unknown, "event");
        context.ui.remark(&format!("{events} of another version of lamina could not be read"));
    }
    if passed.damaged > 0 {
        context.ui.remark(&format!("{} of the record could not be read", count(passed.damaged, "line")));
    }
}

impl From<ReadError> for CommandError {
    fn from(error: ReadError) -> Self {
        let newer = matches!(error, ReadError::Version { .. });
        let error = Self::new(Exit::Failure, error.to_string());
        if newer { error.hint("the lamina that wrote them can read them") } else { error }
    }
}
