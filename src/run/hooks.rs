//! Commands beside a build.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use tokio_util::sync::CancellationToken;

use crate::host::child::{Program, find};
use crate::host::lines::Lines;
use crate::host::process::ProcessError;

/// Where hooks run, and with what.
#[derive(Clone, Debug, Default)]
pub struct HookSettings {
    /// The catalog's root; a hook runs in its layer's folder.
    pub root: PathBuf,
    /// Their environment: lamina's own, without the variables that secrets are in.
    pub env: BTreeMap<OsString, OsString>,
    /// lamina's own program, so that hooks end with lamina.
    pub lamina: Option<PathBuf>,
}

/// Why a hook is no success.
#[derive(Debug, thiserror::Error)]
pub enum HookError {
    /// It was ended by request.
    #[error("it was cancelled")]
    Cancelled,
    /// It can't be run.
    #[error(transparent)]
    NotRun(#[from] ProcessError),
    /// It ended with a failure.
    #[error("it ended with {}", code.map_or("a signal".to_owned(), |code| format!("exit code {code}")))]
    Failed {
        /// Its exit code; none after a signal.
        code: Option<i32>,
    },
}

impl HookSettings {
    /// Runs a command, which is a program and its arguments, in a folder below the root; `line` gets what it writes.
    ///
    /// # Errors
    /// When it can't be run, fails, or is cancelled.
    pub async fn run(
        &self,
        command: &[String],
        folder: &Path,
        cancel: &CancellationToken,
        mut line: impl FnMut(String),
    ) -> Result<(), HookError> {
        let Some((name, args)) = command.split_first() else { return Ok(()) };
        let folder = self.root.join(folder);
        let program = Program {
            path: self.program(name, &folder)?,
            args: args.iter().map(OsString::from).collect(),
            env: self.env.clone(),
            lamina: self.lamina.clone(),
            folder: Some(folder),
            reads_stdout: true,
        };
        let mut lines = Lines::default();
        let ended = program.run(cancel, |piece| lines.feed(piece, &mut line)).await?;
        lines.finish(&mut line);
        match ended {
            ended if ended.cancelled => Err(HookError::Cancelled),
            ended if ended.status.success() => Ok(()),
            ended => Err(HookError::Failed { code: ended.status.code() }),
        }
    }

    /// As a shell would find it: by PATH, or where it has a slash, from the folder.
    fn program(&self, name: &str, folder: &Path) -> Result<PathBuf, ProcessError> {
        if name.contains('/') {
            return Ok(folder.join(name));
        }
        let path = self.env.get(std::ffi::OsStr::new("PATH"));
        find(name, path.map(OsString::as_os_str)).ok_or_else(|| ProcessError::NotFound(name.to_owned()))
    }
}
