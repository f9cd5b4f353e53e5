//! Completion of command lines. The shell's script calls this program with `LAMINA_COMPLETE` set and the words that
//! stand on the line; the answer are candidates, from the catalog that the line names.
//!
//! Somebody waits for each answer with a finger on a key: nothing is evaluated, no network is used, the time is
//! bounded, and whatever goes wrong, the answer is no candidate and not a word.

mod candidates;
mod shells;

use std::ffi::OsString;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use super::error::CommandError;
use super::exit::Exit;
use super::ui::Ui;
use candidates::Line;
use shells::Shell;

/// The variable that makes this program answer a shell, and names it.
const VARIABLE: &str = "LAMINA_COMPLETE";

/// How long a shell waits at most.
const PATIENCE: Duration = Duration::from_secs(2);

/// Print the script that completes command lines of lamina in a shell
///
/// Layers, checks, codes, decisions, images and git revisions come from the catalog at hand, or from the one that
/// --catalog names on the line. docs/shell.md says how each shell loads its script.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  source <(lamina completions bash)
  source <(lamina completions zsh)
  lamina completions fish | source
  lamina completions powershell | Out-String | Invoke-Expression
  lamina completions nushell | save -f lamina.nu")]
pub struct Args {
    /// The shell
    shell: Shell,
}

/// Prints the script; `program` is what the shell is to call.
pub fn run(ui: &Ui, program: &str, args: &Args) -> Result<Exit, CommandError> {
    let failed = |error| CommandError::failure("the script can't be written", error);
    ui.answer(&args.shell.script(VARIABLE, program).map_err(failed)?)?;
    Ok(Exit::Success)
}

/// The program as a shell can call it from any folder: what was typed, with the folder where a path was typed.
pub fn program(typed: Option<&OsString>) -> String {
    let typed = Path::new(typed.map_or("lamina".as_ref(), OsString::as_os_str));
    let here = std::env::current_dir().ok().filter(|_| typed.components().count() > 1);
    here.map_or_else(|| typed.to_owned(), |here| here.join(typed)).to_string_lossy().into_owned()
}

/// Whether a shell asks. Then its question is answered, and nothing else is to be done.
///
/// `words` are all of this program's own arguments; those behind `--` stand on the line.
pub fn answered(words: &[OsString], command: fn() -> clap::Command) -> bool {
    let Some(shell) = std::env::var_os(VARIABLE).filter(|shell| !shell.is_empty()) else { return false };
    let line = words.iter().skip_while(|word| *word != "--").skip(1).cloned().collect();
    // What the question stumbles over is a matter of neither the shell nor the person.
    std::panic::set_hook(Box::new(|_| {}));
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(answer(&shell.to_string_lossy(), line, command)));
    if let Ok(Some(answer)) = receiver.recv_timeout(PATIENCE) {
        // A shell that has gone does not want to know.
        let _ = std::io::stdout().lock().write_all(&answer);
    }
    true
}

fn answer(shell: &str, words: Vec<OsString>, command: fn() -> clap::Command) -> Option<Vec<u8>> {
    let shell = Shell::named(shell)?;
    let question = shell.question(words)?;
    let line = Arc::new(Line::new(question.words.clone()));
    let mut command = command();
    // Only then are there --help and --version, and do subcommands have the options of all commands.
    command.build();
    let mut command = candidates::attach(command, &line);
    if !question.current().starts_with('-') {
        command = candidates::without_options(command);
    }
    shell.answer(&mut command, question, line.folder()).ok()
}
