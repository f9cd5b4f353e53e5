//! How a run is shown while it happens: what `build` and `replay` share.

use std::io;

use super::ui::Ui;
use crate::event::Reader;
use crate::report::progress::{Bars, JsonLines, Plain};

/// How progress is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Progress {
    /// Bars on a terminal, lines elsewhere, and where NO_COLOR is set
    #[default]
    Auto,
    /// A bar a layer, with its step and its last line
    Bars,
    /// Lines; with -v also all that the steps write
    Plain,
    /// Events, one a line; their shape is described in docs/runs.md
    Json,
    /// Nothing
    Quiet,
}

/// How progress is shown.
#[derive(Debug, clap::Args)]
pub struct ProgressArgs {
    /// How progress is shown, on stderr
    #[arg(long, value_name = "HOW", value_enum, default_value_t)]
    progress: Progress,
}

impl ProgressArgs {
    /// Who shows it.
    pub fn readers(&self, ui: &Ui) -> Vec<Box<dyn Reader>> {
        let plain = || Box::new(Plain::new(io::stderr(), ui.verbose()));
        vec![match self.progress {
            Progress::Quiet => return Vec::new(),
            Progress::Json => Box::new(JsonLines::new(io::stderr())),
            Progress::Bars => Box::new(Bars::stderr()),
            Progress::Auto if ui.draws() => Box::new(Bars::stderr()),
            Progress::Plain | Progress::Auto => plain(),
        }]
    }
}
