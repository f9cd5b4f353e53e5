//! Exit codes. They are part of the promise: CI branches on them.

use std::process::ExitCode;

/// How a command ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It did what was asked.
    Success,
    /// It failed for a reason that has no code of its own: a file that can't be read, a program that is missing.
    Failure,
    /// The command line is wrong; also a layer, a check or a code that does not exist.
    Usage,
    /// The catalog is invalid: `validate` found errors, or another command needs a valid catalog.
    Invalid,
    /// `--exit-code` was given, and something is affected or outdated.
    Affected,
    /// A change can't be judged: a path that no layer claims, a revision that can't be read or evaluated.
    Unknown,
    /// A registry can't be asked, or its answer can't be trusted.
    Registry,
    /// A layer could not be built or proven.
    Build,
    /// There is no engine to build with: its client is missing or too old, or it can't be reached.
    Engine,
    /// There is nothing to suggest.
    Nothing,
    /// The run was ended by a signal.
    Interrupted,
}

impl Exit {
    /// All codes with what they mean, as the help and the reference say it.
    pub const ALL: [(Exit, &'static str); 11] = [
        (Exit::Success, "success; also when nothing is affected"),
        (Exit::Failure, "failure: a file can't be read, a program is missing, the disk is full"),
        (Exit::Usage, "the command line is wrong, or names a layer, a check or a code that does not exist"),
        (Exit::Invalid, "the catalog is invalid, or its lock is not what it needs"),
        (Exit::Affected, "something is affected or outdated, and --exit-code was given"),
        (Exit::Unknown, "a change can't be judged: an unclaimed path, or a revision that can't be read or evaluated"),
        (Exit::Registry, "a registry can't be asked, or its answer can't be trusted"),
        (Exit::Build, "a layer could not be built or proven"),
        (Exit::Engine, "nothing to build with: a client is missing or too old, or no engine or runner is there"),
        (Exit::Nothing, "there is nothing to suggest"),
        (Exit::Interrupted, "the run was ended by a signal: Ctrl-C, SIGTERM or SIGHUP"),
    ];

    /// The number.
    pub fn code(self) -> u8 {
        match self {
            Exit::Success => 0,
            Exit::Failure => 1,
            Exit::Usage => 2,
            Exit::Invalid => 3,
            Exit::Affected => 4,
            Exit::Unknown => 5,
            Exit::Registry => 6,
            Exit::Build => 7,
            Exit::Engine => 8,
            Exit::Nothing => 9,
            Exit::Interrupted => 130,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}
