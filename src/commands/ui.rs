//! The terminal: stdout carries the answer alone, stderr everything else.

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};

use anstyle::{AnsiColor, Style};

use super::error::CommandError;
use super::exit::Exit;
use crate::diag::Diagnostic;
use crate::report::diagnostics;
use crate::report::place::Texts;

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
            ColorChoice::Auto => is_terminal && wants_more_than_text(),
        };
        Self { color: wanted(io::stderr().is_terminal()), answer_color: wanted(io::stdout().is_terminal()), verbose }
    }

    /// Whether stdout is coloured.
    pub fn answer_color(&self) -> bool {
        self.answer_color
    }

    /// Whether everything is to be told.
    pub fn verbose(&self) -> bool {
        self.verbose
    }

    /// Whether stderr is a terminal on which lines can be drawn over.
    pub fn draws(&self) -> bool {
        io::stderr().is_terminal() && wants_more_than_text()
    }

    /// Writes the answer.
    ///
    /// # Errors
    /// When stdout can't be written. A reader that has gone is no error: it has seen enough.
    pub fn answer(&self, text: &str) -> Result<(), CommandError> {
        let mut stdout = io::stdout().lock();
        match stdout.write_all(printable(text, self.answer_color).as_bytes()).and_then(|()| stdout.flush()) {
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
    pub fn findings(&self, findings: Vec<Diagnostic>, texts: &Texts<'_>) {
        for finding in diagnostics::sorted(findings) {
            self.say(None, &format!("{}\n", diagnostics::text(&finding, texts, self.color)));
        }
    }

    /// Shows why a command failed.
    pub fn error(&self, error: &CommandError) {
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
        let _ = io::stderr().lock().write_all(printable(&text, self.color).as_bytes());
    }
}

/// Whether the environment lets a terminal get more than plain text.
fn wants_more_than_text() -> bool {
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    !no_color && !dumb
}

/// The text without control characters: a catalog, or the name of a file, must not be able to move the cursor or to
/// set a window's title. Line ends and tabs stay, and where output is coloured, colours.
fn printable(text: &str, color: bool) -> Cow<'_, str> {
    let is_plain = |c: char| !c.is_control() || matches!(c, '\n' | '\t');
    if text.chars().all(is_plain) {
        return text.into();
    }
    let is_color = |rest: &str| {
        let digits =
            rest.strip_prefix('[').map(|rest| rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';'));
        digits.is_some_and(|rest| rest.starts_with('m'))
    };
    let keep = |(at, c): &(usize, char)| is_plain(*c) || (color && *c == '\u{1b}' && is_color(&text[at + 1..]));
    let kept = text.char_indices().map(|(at, c)| if keep(&(at, c)) { c } else { '\u{fffd}' });
    kept.collect::<String>().into()
}

#[cfg(test)]
mod tests {
    use super::printable;

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        let text = "a\u{1b}]0;title\u{7} \u{1b}[2J \u{1b}[1;31mred\u{1b}[0m\tb\n";
        assert_eq!(printable(text, false).matches('\u{fffd}').count(), 5);
        assert_eq!(printable(text, true).matches('\u{fffd}').count(), 3);
        assert_eq!(printable("plain\ttext\n", false), "plain\ttext\n");
    }
}
