//! Why a command failed, in words for the person who has to act. The only place that gives library errors an exit
//! code and a hint.

use std::fmt::Display;
use std::path::Path;

use super::exit::Exit;
use crate::cargo::ProjectError;
use crate::catalog::eval::EvalError;
use crate::diag::Diagnostic;
use crate::host::process::ProcessError;
use crate::model::nearest;
use crate::registry::SetupError;
use crate::snapshot::Snapshot;
use crate::tree::RevisionError;

/// Why a command failed.
#[derive(Debug)]
pub struct CommandError {
    /// The code it ends with.
    pub exit: Exit,
    /// What failed and why.
    pub message: String,
    /// What to do.
    pub hints: Vec<String>,
    /// What is wrong with the catalog, each with the text of the files it is about.
    pub findings: Option<(Vec<Diagnostic>, Box<Snapshot>)>,
}

impl CommandError {
    /// An error without hints.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), hints: Vec::new(), findings: None }
    }

    /// Adds what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Adds what to do where nothing is said yet.
    #[must_use]
    pub fn hint_if_none(self, hint: impl Into<String>) -> Self {
        if self.hints.is_empty() { self.hint(hint) } else { self }
    }

    /// Something that does not exist, with the name that was most likely meant.
    pub fn unknown<'a>(what: &str, typed: &str, known: impl Iterator<Item = &'a str> + Clone) -> Self {
        let error = Self::new(Exit::Usage, format!("there is no {what} `{typed}`"));
        match nearest(typed, known.clone()) {
            Some(near) => error.hint(format!("did you mean `{near}`?")),
            None if known.clone().count() <= 20 => {
                error.hint(format!("there are: {}", known.collect::<Vec<_>>().join(", ")))
            }
            None => error,
        }
    }

    /// A project that can't be read, or that cargo says nothing about: which one, why, and what to do.
    pub fn project(folder: &Path, error: ProjectError) -> Self {
        let error = Self::from(error);
        Self { message: format!("the project {} can't be used: {}", folder.display(), error.message), ..error }
    }

    /// A failure with its cause.
    pub fn failure(message: impl Display, cause: impl Display) -> Self {
        Self::new(Exit::Failure, format!("{message}: {cause}"))
    }
}

impl From<EvalError> for CommandError {
    fn from(error: EvalError) -> Self {
        Self::new(Exit::Failure, format!("the catalog can't be evaluated: {error}"))
    }
}

impl From<ProjectError> for CommandError {
    fn from(error: ProjectError) -> Self {
        let message = error.to_string();
        match &error {
            ProjectError::NoManifest(_) => Self::new(Exit::Usage, message).hint("name a folder with a Cargo.toml"),
            _ => Self::new(Exit::Failure, message),
        }
    }
}

impl From<SetupError> for CommandError {
    fn from(error: SetupError) -> Self {
        Self::new(Exit::Failure, error.to_string())
    }
}

impl From<RevisionError> for CommandError {
    fn from(error: RevisionError) -> Self {
        let hint = match &error {
            RevisionError::Unknown { shallow: true, .. } => {
                Some("this is a shallow clone: fetch more of the history (`git fetch --unshallow`)")
            }
            RevisionError::Git(ProcessError::NotFound(_)) => Some("install git, or name the changes with --changed"),
            _ => None,
        };
        let error = Self::new(Exit::Unknown, error.to_string());
        match hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }
}
