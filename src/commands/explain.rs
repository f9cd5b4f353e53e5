use super::Format;
use super::error::CommandError;
use super::exit::Exit;
use super::ui::Ui;
use crate::checks;
use crate::diag::Code;
use crate::report::json::findings::Explain;
use crate::report::{diagnostics, json, suggest};
use crate::unit::Hindrance;

/// Explain a finding's code, or that of an obstacle to reuse: what it means, why it matters, what to do
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lamina explain from-undeclared
  lamina explain other-profile
  lamina explain cycle --format json

`lamina validate --list` lists all codes.")]
pub struct Args {
    /// The code, as a finding shows it in brackets
    code: String,
    /// How the answer looks
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Needs no catalog.
pub fn run(ui: &Ui, args: &Args) -> Result<Exit, CommandError> {
    let hindrance = Hindrance::ALL.into_iter().find(|hindrance| hindrance.code() == args.code);
    let answer = match (hindrance, args.format) {
        (Some(hindrance), Format::Text) => {
            let (summary, explanation) = (suggest::summary(hindrance), suggest::explanation(hindrance));
            format!("{} (obstacle to reuse)\n\n{summary}\n\n{explanation}\n", hindrance.code())
        }
        (Some(hindrance), Format::Json) => json::answer(Explain::from(hindrance)),
        (None, Format::Text) => text(find(&args.code)?),
        (None, Format::Json) => json::answer(Explain::from(find(&args.code)?)),
    };
    ui.answer(&answer)?;
    Ok(Exit::Success)
}

/// A code by the name that was typed.
///
/// # Errors
/// When there is none, with the one that was most likely meant.
pub fn find(name: &str) -> Result<Code, CommandError> {
    let code = Code::ALL.iter().find(|code| code.as_str() == name);
    let names = Code::ALL.iter().map(|code| code.as_str());
    code.copied().ok_or_else(|| {
        CommandError::unknown("code", name, names).hint_if_none("`lamina validate --list` lists all codes")
    })
}

/// A code for people.
pub fn text(code: Code) -> String {
    let checks = checks::of(code).map(|check| check.name).collect::<Vec<_>>().join(", ");
    let severity = diagnostics::severity(code.severity());
    format!("{code} ({severity}, check {checks})\n\n{}\n\n{}\n", code.summary(), code.explanation())
}
