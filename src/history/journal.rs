//! Writing a run down while it happens.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;

use super::layers::Fold;
use super::{History, Retention, private_file, private_folder};
use crate::event::{Event, Kind, Reader, RunId};
use crate::model::LayerName;

/// Writes a run's events and logs into the history. A run that plans nothing is not written down.
///
/// When something can't be written, it says so once and writes no more: the run goes on.
#[derive(Debug)]
pub struct Journal {
    history: History,
    retention: Retention,
    open: Option<Open>,
    trouble: Option<String>,
}

#[derive(Debug)]
struct Open {
    run: RunId,
    /// Locked for as long as it is open.
    events: File,
    logs: BTreeMap<LayerName, Log>,
    fold: Fold,
    /// Whether it was said that layers are not remembered.
    forgetful: bool,
}

/// The log of a layer that is worked at.
#[derive(Debug)]
struct Log {
    file: File,
    /// The step that the last line is of.
    step: Option<u32>,
    names: BTreeMap<u32, String>,
}

impl Journal {
    pub(super) fn new(history: History, retention: Retention) -> Self {
        Self { history, retention, open: None, trouble: None }
    }

    fn begin(&mut self, run: &RunId) -> io::Result<()> {
        private_folder(&self.history.runs_folder())?;
        // A run of this name that is there already is somebody else's.
        DirBuilder::new().mode(0o700).create(self.history.run_folder(run))?;
        let events = private_file(&self.history.events_file(run), OpenOptions::new().append(true))?;
        events.lock()?;
        private_folder(&self.history.logs_folder(run))?;
        self.open =
            Some(Open { run: run.clone(), events, logs: BTreeMap::new(), fold: Fold::default(), forgetful: false });
        if let Err(error) = self.retention.apply(&self.history) {
            self.trouble = Some(format!("runs of long ago can't be removed: {error}"));
        }
        Ok(())
    }

    fn write(&mut self, event: &Event) -> io::Result<()> {
        if let Kind::RunStarted { layers, .. } = &event.kind
            && !layers.is_empty()
        {
            self.begin(&event.run)?;
        }
        let Some(open) = &mut self.open else { return Ok(()) };
        let mut line = serde_json::to_vec(event)?;
        line.push(b'\n');
        open.events.write_all(&line)?;
        open.log(&self.history, event)?;
        if let Some(worked) = open.fold.read(event)
            && let Err(error) = self.history.remember(worked)
            && !std::mem::replace(&mut open.forgetful, true)
        {
            self.trouble = Some(format!("how long layers take is not noted: {error}"));
        }
        Ok(())
    }
}

impl Reader for Journal {
    fn read(&mut self, event: &Event) {
        if let Err(error) = self.write(event) {
            let folder = self.history.folder().display();
            self.trouble = Some(format!("this run is not written down any more: {folder} can't be written: {error}"));
            self.open = None;
        }
    }

    fn trouble(&mut self) -> Option<String> {
        self.trouble.take()
    }
}

impl Open {
    /// Adds to a layer's log what belongs there.
    fn log(&mut self, history: &History, event: &Event) -> io::Result<()> {
        match &event.kind {
            Kind::LayerStarted { layer, attempt, .. } => {
                let path = history.log(&self.run, layer);
                let mut file = private_file(&path, OpenOptions::new().append(true))?;
                writeln!(file, "### {layer}, attempt {attempt}, {}", event.at)?;
                self.logs.insert(layer.clone(), Log { file, step: None, names: BTreeMap::new() });
            }
            Kind::Donor { layer, tag: Some(tag), digest: Some(digest), .. } => {
                self.line(layer, None, &format!("donor: {tag}@{digest}"))?;
            }
            Kind::Donor { layer, why_none: Some(why), .. } => self.line(layer, None, &format!("no donor: {why}"))?,
            Kind::StepStarted { layer, step, name, .. } => {
                if let Some(log) = self.logs.get_mut(layer) {
                    log.names.insert(*step, name.clone());
                }
            }
            Kind::StepFinished { layer, step, error: Some(error), .. } => self.line(layer, Some(*step), error)?,
            Kind::Output { layer, step, line, .. } => self.line(layer, Some(*step), line)?,
            Kind::Warning { layer: Some(layer), message } => self.line(layer, None, &format!("warning: {message}"))?,
            Kind::Retrying { layer, reason, .. } => self.line(layer, None, &format!("is tried again: {reason}"))?,
            Kind::LayerFinished { layer, .. } => {
                self.logs.remove(layer);
            }
            _ => {}
        }
        Ok(())
    }

    /// A line of a layer's log, behind the name of its step where that is another one than before.
    fn line(&mut self, layer: &LayerName, step: Option<u32>, line: &str) -> io::Result<()> {
        let Some(log) = self.logs.get_mut(layer) else { return Ok(()) };
        let mut text = String::new();
        if log.step != step {
            log.step = step;
            if let Some(name) = step.and_then(|step| log.names.get(&step)) {
                text = format!("## {name}\n");
            }
        }
        text.push_str(line);
        text.push('\n');
        log.file.write_all(text.as_bytes())
    }
}
