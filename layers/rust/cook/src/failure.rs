//! Why it ends.

use std::fmt;
use std::io;
use std::path::Path;
use std::process::ExitCode;

/// What went wrong, and with it the exit code.
#[derive(Debug)]
pub enum Failure {
    /// The command line: exit code 2.
    Usage(String),
    /// cargo or cargo-chef failed, and has said why: exit code 3.
    Cargo(String),
    /// What cargo made and what it says of it don't agree: exit code 4.
    Mismatch(String),
    /// More units than allowed were compiled a second time: exit code 5.
    Repeated(String),
    /// A file or program: exit code 1.
    Other(String),
}

/// What a step gives.
pub type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    /// Its exit code.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Failure::Other(_) => 1,
            Failure::Usage(_) => 2,
            Failure::Cargo(_) => 3,
            Failure::Mismatch(_) => 4,
            Failure::Repeated(_) => 5,
        })
    }

    /// A file that can't be read or written: `doing` is what was tried, as `read`.
    pub fn file<'a>(doing: &'a str, path: &'a Path) -> impl FnOnce(io::Error) -> Failure + 'a {
        move |error| Failure::Other(format!("can't {doing} {}: {error}", path.display()))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Usage(text)
            | Failure::Cargo(text)
            | Failure::Mismatch(text)
            | Failure::Repeated(text)
            | Failure::Other(text) => f.write_str(text),
        }
    }
}
