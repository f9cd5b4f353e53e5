use std::fs::File;
use std::io::{BufRead, BufReader, Read};

use super::context::Context;
use super::error::CommandError;
use super::exit::Exit;
use super::{Format, past};
use crate::event::{Reader, RunId};
use crate::history::Events;
use crate::model::LayerName;
use crate::report::json;
use crate::report::json::build::{Report, ReportList};
use crate::report::run::{self, Style, Summary};

/// How much of a log is written at once.
const CHUNK: usize = 1 << 16;

/// Show what a run came to: every layer with its outcome, what failed, and why
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lamina report
  lamina report --list
  lamina report 20261121-180802-x3k9 --format json
  lamina report --log rust")]
pub struct Args {
    /// The run, or a file with its events [default: the last run]
    #[arg(value_name = "RUN")]
    run: Option<String>,
    /// List the recorded runs, newest first
    #[arg(long, conflicts_with = "run")]
    list: bool,
    /// Print all that LAYER's steps wrote
    #[arg(long, value_name = "LAYER", conflicts_with_all = ["list", "format"])]
    log: Option<String>,
    /// How the answer looks
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub fn run(context: &Context<'_>, args: &Args) -> Result<Exit, CommandError> {
    match &args.log {
        Some(layer) => log(context, args.run.as_deref(), layer),
        None if args.list => list(context, args.format),
        None => one(context, args),
    }
}

fn one(context: &Context<'_>, args: &Args) -> Result<Exit, CommandError> {
    let mut run = past::open(context, args.run.as_deref())?;
    let summary = fold(&mut run.events)?;
    past::remark(context, run.events.passed());
    let style = Style { color: context.ui.answer_color(), running: run.running };
    let answer = match args.format {
        Format::Text => run::text(&summary, style),
        Format::Json => json::answer(Report::new(&summary, run.running)),
    };
    context.ui.answer(&answer)?;
    Ok(Exit::Success)
}

fn list(context: &Context<'_>, format: Format) -> Result<Exit, CommandError> {
    let history = context.history()?;
    let mut runs: Vec<(RunId, Summary, bool)> = Vec::new();
    for id in past::list(&history)? {
        let running = history.is_running(&id);
        // One run that can't be read hides no other.
        match history.events(&id).map_err(CommandError::from).and_then(|mut events| fold(&mut events)) {
            Ok(summary) => runs.push((id, summary, running)),
            Err(error) => context.ui.remark(&format!("{id}: {}", error.message)),
        }
    }
    let answer = match format {
        Format::Text => run::list(&runs),
        Format::Json => json::answer(ReportList::new(&runs)),
    };
    context.ui.answer(&answer)?;
    Ok(Exit::Success)
}

fn log(context: &Context<'_>, run: Option<&str>, layer: &str) -> Result<Exit, CommandError> {
    let history = context.history()?;
    let run = past::find(&history, run)?;
    let summary = fold(&mut history.events(&run)?)?;
    let names = || summary.layers.iter().map(|layer| layer.planned.layer.as_str());
    let found = layer.parse::<LayerName>().ok().filter(|layer| summary.layer(layer).is_some());
    let found = found.ok_or_else(|| CommandError::unknown(&format!("layer in {run}"), layer, names()))?;
    let path = history.log(&run, &found);
    let failed = |error| CommandError::failure(format!("the log of {found} in {run} can't be read"), error);
    let mut log = BufReader::new(File::open(path).map_err(failed)?);
    let mut chunk = Vec::new();
    loop {
        let read = log.by_ref().take(CHUNK as u64).read_until(b'\n', &mut chunk).map_err(failed)?;
        if read == 0 || chunk.len() >= CHUNK {
            context.ui.answer(&String::from_utf8_lossy(&chunk))?;
            chunk.clear();
        }
        if read == 0 {
            return Ok(Exit::Success);
        }
    }
}

/// What a run came to.
fn fold<R: BufRead>(events: &mut Events<R>) -> Result<Summary, CommandError> {
    let mut summary = Summary::default();
    for event in events {
        summary.read(&event?);
    }
    Ok(summary)
}
