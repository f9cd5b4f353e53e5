//! Running a program to its end: argv only, no input, a bounded time.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

/// Why a program's answer can't be had.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// It is not installed.
    #[error("`{0}` is not installed or not on PATH")]
    NotFound(String),
    /// It could not be started or read.
    #[error("`{program}` can't be run: {source}")]
    Io {
        /// The program.
        program: String,
        /// What the system said.
        source: io::Error,
    },
    /// It ended with a failure.
    #[error("`{program}` failed: {stderr}")]
    Failed {
        /// The program and its first argument.
        program: String,
        /// What it said.
        stderr: String,
    },
}

/// A git command in a folder: no pager, no prompt, messages in a fixed language, no lock taken for reading.
pub fn git(folder: &Path) -> Command {
    let mut command = Command::new("git");
    command
        .arg("-C")
        .arg(folder)
        .env("LC_ALL", "C")
        .env("GIT_OPTIONAL_LOCKS", "0")
        .env("GIT_TERMINAL_PROMPT", "0")
        // Hooks, for example pre-commit's, run with these set; they would bend the path that -C names.
        .env_remove("GIT_DIR")
        .env_remove("GIT_WORK_TREE")
        .env_remove("GIT_PREFIX")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Runs a command to its end and returns what it wrote on stdout.
///
/// # Errors
/// When it can't be started, or ends with a failure.
pub fn output(mut command: Command) -> Result<Vec<u8>, ProcessError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|source| start_error(&program, source))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let what = command.get_args().filter(|arg| !arg.as_encoded_bytes().starts_with(b"-"));
    let what = what.map(OsStr::to_string_lossy).nth(1).unwrap_or_default().into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(ProcessError::Failed { program: format!("{program} {what}").trim_end().to_owned(), stderr })
}

/// Tells a missing program from other failures to start.
pub fn start_error(program: &str, source: io::Error) -> ProcessError {
    match source.kind() {
        io::ErrorKind::NotFound => ProcessError::NotFound(program.to_owned()),
        _ => ProcessError::Io { program: program.to_owned(), source },
    }
}
