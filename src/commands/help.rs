//! `lamina help`: what `--help` says, and what belongs to no command.

use super::error::CommandError;
use super::exit::Exit;
use super::ui::Ui;

/// The topic that lists the exit codes.
const EXIT_CODES: &str = "exit-codes";

/// Explain a command, or the exit codes
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lamina help
  lamina help cascade
  lamina help exit-codes")]
pub struct Args {
    /// A command, or `exit-codes`; what lamina is where it is absent
    topic: Option<String>,
}

pub fn run(ui: &Ui, args: &Args) -> Result<Exit, CommandError> {
    let mut words = vec!["lamina"];
    match args.topic.as_deref() {
        None => {}
        Some(EXIT_CODES) => {
            ui.answer(&exit_codes())?;
            return Ok(Exit::Success);
        }
        Some(topic) => {
            let topics = topics();
            let mut names = topics.iter().map(|(name, _)| name.as_str());
            if !names.any(|name| name == topic) {
                let names = topics.iter().map(|(name, _)| name.as_str());
                return Err(CommandError::unknown("command or topic", topic, names));
            }
            words.push(topic);
        }
    }
    words.push("--help");
    // clap answers `--help` by way of an error.
    if let Err(answer) = super::command().try_get_matches_from(words) {
        answer.print().map_err(|error| CommandError::failure("the help can't be written", error))?;
    }
    Ok(Exit::Success)
}

/// The topics with what they are about, as the help lists the commands.
pub fn topics() -> Vec<(String, String)> {
    let command = super::command();
    let about = |command: &clap::Command| command.get_about().map(ToString::to_string).unwrap_or_default();
    let commands = command.get_subcommands().map(|command| (command.get_name().to_owned(), about(command)));
    commands.chain([(EXIT_CODES.to_owned(), "What each exit code means".to_owned())]).collect()
}

/// All exit codes with what they mean, a line each.
pub fn exit_codes() -> String {
    Exit::ALL.iter().map(|(exit, meaning)| format!("  {}  {meaning}\n", exit.code())).collect()
}
