//! One call of cargo or rustc: with a deadline, a bound on what it may say, and errors that say what to do.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::{Project, ProjectError};
use crate::host::process::{self, Ended, Limits, ProcessError};
use crate::unit::UnitGraph;

/// cargo may have to fetch an index and some hundred crates.
const LIMITS: Limits = Limits { deadline: Duration::from_secs(600), output: UnitGraph::MAX_BYTES };

/// The lines of cargo's message that are shown at most.
const MESSAGE_LINES: usize = 12;

impl Project {
    /// cargo in the project's folder, with a target folder of its own, so that nothing is written into the project.
    pub(super) fn cargo(&self, target: &Path) -> Command {
        let mut command = self.program("cargo");
        // A folder for what lies between, which configuration can set apart from the target folder.
        command.env("CARGO_TARGET_DIR", target).env("CARGO_BUILD_BUILD_DIR", target);
        command
    }

    /// A program in the project's folder and environment.
    pub(super) fn program(&self, name: &str) -> Command {
        let mut command = Command::new(name);
        command.current_dir(&self.folder).env_clear().envs(&self.variables);
        // Messages are read here; and nobody asked for a toolchain to be installed.
        command.env("CARGO_TERM_COLOR", "never").env("LC_ALL", "C").env("RUSTUP_AUTO_INSTALL", "0");
        command.env_remove("CARGO_LOG").env_remove("RUST_BACKTRACE");
        command
    }
}

/// Runs a program to its end; a failure is an answer, too.
pub(super) fn run(command: Command) -> Result<Ended, ProjectError> {
    let cargo = command.get_program() == "cargo";
    process::collect(command, LIMITS).map_err(|error| match error {
        ProcessError::NotFound(_) if cargo => ProjectError::NoCargo,
        error => ProjectError::Process(error),
    })
}

/// Runs a program to its end, which must be a good one.
pub(super) fn answer(program: &'static str, command: Command) -> Result<Vec<u8>, ProjectError> {
    let ended = run(command)?;
    match ended.status.success() {
        true => Ok(ended.stdout),
        false => Err(failure(program, &ended)),
    }
}

/// What a failure means for who has to do something.
pub(super) fn failure(program: &'static str, ended: &Ended) -> ProjectError {
    let said = String::from_utf8_lossy(&ended.stderr);
    // What cargo did before it failed is of no interest.
    let error = said.find("error:").and_then(|start| said.get(start..)).unwrap_or(&said).trim();
    let message = error.lines().take(MESSAGE_LINES).collect::<Vec<_>>().join("\n");
    let says = |parts: &[&str]| parts.iter().any(|part| said.contains(part));
    if says(&["because --locked was passed", "because `--locked` was passed"]) {
        ProjectError::LockOutdated
    } else if says(&["is not installed", "rustup toolchain install"]) {
        ProjectError::NoToolchain(message)
    } else if says(&["--offline was specified", "Unable to update", "failed to download", "offline mode"]) {
        ProjectError::Unfetched(message)
    } else {
        ProjectError::Failed { program, message }
    }
}
