//! The terminal: stdout carries the answer alone, stderr everything else.

use std::io::{self, IsTerminal, Write};

use anstyle::{AnsiColor, Style};

use super::context::Context;
use super::error::CommandError;
use super::exit::Exit;
use crate::diag::Diagnostic;
use crate::report::diagnostics;
use crate::snapshot::Snapshot;

/// When output is coloured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum ColorChoice {
    /// On a terminal, unless NO_COLOR is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Where answers and remarks go.
#[derive(Clone, Copy, Debug)]
pub struct Ui {
    /// Whether stderr is coloured.
    color: bool,
    /// Whether stdout is coloured.
    answer_color: bool,
    verbose: bool,
}

impl Ui {
    /// Looks at the terminal and the environment.
    pub fn new(choice: ColorChoice, verbose: bool) -> Self {
        let wanted = |is_terminal: bool| match choice {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => {
                let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
                let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
                is_terminal && !no_color && !dumb
            }
        };
        Self { color: wanted(io::stderr().is_terminal()), answer_color: wanted(io::stdout().is_terminal()), verbose }
    }

    /// Whether stdout is coloured.
    pub fn answer_color(&self) -> bool {
        self.answer_color
    }

    /// Writes the answer.
    ///
    /// # Errors
    /// When stdout can't be written. A reader that has gone is no error: it has seen enough.
    pub fn answer(&self, text: &str) -> Result<(), CommandError> {
        let mut stdout = io::stdout().lock();
        match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(CommandError::failure("the answer can't be written", error))
            }
            _ => Ok(()),
        }
    }

    /// Says something beside the answer.
    pub fn remark(&self, text: &str) {
        self.say(None, text);
    }

    /// Says something that only `-v` asks for.
    pub fn detail(&self, text: &str) {
        if self.verbose {
            self.say(None, text);
        }
    }

    /// Shows findings, worst first where they stand at one place.
    pub fn findings(&self, findings: Vec<Diagnostic>, context: Option<&Context<'_>>, snapshot: &Snapshot) {
        for finding in diagnostics::sorted(findings) {
            let texts = |file: &str| match context {
                Some(context) => context.text(snapshot, file),
                None => snapshot.catalog.files.known_text(file),
            };
            self.say(None, &format!("{}\n", diagnostics::text(&finding, &texts, self.color)));
        }
    }

    /// Shows why a command failed.
    pub fn error(&self, error: &CommandError, context: Option<&Context<'_>>) {
        if let Some((findings, snapshot)) = &error.findings {
            self.findings(findings.clone(), context, snapshot);
        }
        let red = Style::new().fg_color(Some(AnsiColor::Red.into())).bold();
        self.say(Some((red, "error")), &error.message);
        for hint in &error.hints {
            let cyan = Style::new().fg_color(Some(AnsiColor::Cyan.into())).bold();
            self.say(Some((cyan, "hint")), hint);
        }
        if error.exit == Exit::Usage && error.hints.is_empty() {
            self.say(None, "see `lamina --help`");
        }
    }

    fn say(&self, prefix: Option<(Style, &str)>, text: &str) {
        let text = match prefix {
            Some((style, prefix)) if self.color => format!("{style}{prefix}{style:#}: {text}\n"),
            Some((_, prefix)) => format!("{prefix}: {text}\n"),
            None => format!("{text}\n"),
        };
        // There is nobody left to tell that stderr is gone.
        let _ = io::stderr().lock().write_all(text.as_bytes());
    }
}
