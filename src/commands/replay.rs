use std::thread;
use std::time::Duration;

use super::context::Context;
use super::error::CommandError;
use super::exit::Exit;
use super::past;
use super::progress::ProgressArgs;
use crate::event::Reader;
use crate::report::run::{self, Style, Summary};

/// Play a run once more: its progress as it was shown, then its report
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lamina replay --speed 10
  lamina replay 20261121-180802-x3k9 --speed 0 -v
  lamina replay ./events.jsonl --progress plain")]
pub struct Args {
    /// The run, or a file with its events [default: the last run]
    #[arg(value_name = "RUN")]
    run: Option<String>,
    /// How much faster than it was; 0 for at once
    #[arg(long, value_name = "FACTOR", default_value = "1", value_parser = speed)]
    speed: f64,
    #[command(flatten)]
    progress: ProgressArgs,
}

pub fn run(context: &Context<'_>, args: &Args) -> Result<Exit, CommandError> {
    let mut run = past::open(context, args.run.as_deref())?;
    let mut readers = args.progress.readers(context.ui);
    let mut summary = Summary::default();
    for event in &mut run.events {
        let event = event?;
        let pause = summary.last.and_then(|last| Duration::try_from(event.at.duration_since(last)).ok());
        if let Some(pause) = pause.filter(|_| args.speed > 0.0) {
            thread::sleep(Duration::try_from_secs_f64(pause.as_secs_f64() / args.speed).unwrap_or(Duration::MAX));
        }
        summary.read(&event);
        readers.iter_mut().for_each(|reader| reader.read(&event));
    }
    // Bars of a run that was cut off go before the report comes.
    drop(readers);
    past::remark(context, run.events.passed());
    let style = Style { color: context.ui.answer_color(), running: run.running };
    context.ui.answer(&run::text(&summary, style))?;
    Ok(Exit::Success)
}

fn speed(text: &str) -> Result<f64, String> {
    let speed = text.parse::<f64>().ok().filter(|speed| speed.is_finite() && *speed >= 0.0);
    speed.ok_or_else(|| "write a number, 0 or more".to_owned())
}
