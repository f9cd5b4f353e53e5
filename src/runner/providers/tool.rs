//! Programs that are asked and answer: docker, kubectl.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Host;
use crate::host::child::{Program, find, keep_end};
use crate::host::process::{Limits, ProcessError};
use crate::runner::ProviderError;

/// What a question may take: less than the time that a release has.
const LIMITS: Limits = Limits { deadline: Duration::from_secs(25), output: 4 << 20 };

/// What is kept of what a program writes while it works, in bytes.
const KEPT: usize = 64 << 10;

/// A program, and what it is run with.
#[derive(Debug)]
pub struct Tool<'a> {
    path: PathBuf,
    host: &'a Host,
}

/// What a program said.
#[derive(Debug)]
pub struct Said {
    /// Whether it succeeded.
    pub is_good: bool,
    /// On stdout.
    pub out: String,
    /// On stderr, or on both where it was run to do something.
    pub err: String,
}

impl Said {
    /// The line of its complaint that says most: the last one.
    pub fn complaint(&self) -> String {
        let line = self.err.lines().rev().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
        line.trim_start_matches("ERROR: ").trim_start_matches("error: ").to_owned()
    }
}

impl<'a> Tool<'a> {
    /// A program of PATH. `hint` says how to install it.
    pub fn find(host: &'a Host, name: &str, hint: &str) -> Result<Self, ProviderError> {
        let missing = || ProviderError::lasting(format!("there is no {name} on PATH")).hint(hint);
        Ok(Self { path: find(name, host.env.get("PATH")).ok_or_else(missing)?, host })
    }

    /// Asks it something, or has it do something that is soon done.
    pub async fn ask(&self, args: Vec<String>) -> Result<Said, ProviderError> {
        let answer = self.program(args, self.env()).exchange(Vec::new(), LIMITS).await.map_err(failed)?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(Said { is_good: answer.status.success(), out: text(&answer.stdout), err: text(&answer.stderr) })
    }

    /// Has it do something that may take long; `environment` is set besides.
    pub async fn work(
        &self,
        args: Vec<String>,
        environment: &[(&str, String)],
        cancel: &CancellationToken,
    ) -> Result<Said, ProviderError> {
        let mut env = self.env();
        env.extend(environment.iter().map(|(name, value)| ((*name).into(), value.into())));
        let mut kept = Vec::new();
        let keep = |bytes: &[u8]| keep_end(&mut kept, bytes, KEPT);
        let ended = self.program(args, env).run(cancel, keep).await.map_err(failed)?;
        if ended.cancelled {
            return Err(ProviderError::passing("cancelled"));
        }
        let err = String::from_utf8_lossy(&kept).into_owned();
        Ok(Said { is_good: ended.status.success(), out: String::new(), err })
    }

    fn program(&self, args: Vec<String>, env: BTreeMap<OsString, OsString>) -> Program {
        Program {
            path: self.path.clone(),
            args: args.into_iter().map(Into::into).collect(),
            env,
            lamina: self.host.lamina.clone(),
            folder: None,
            reads_stdout: true,
        }
    }

    fn env(&self) -> BTreeMap<OsString, OsString> {
        self.host.env.passed(["KUBECONFIG"].into_iter())
    }
}

fn failed(error: ProcessError) -> ProviderError {
    match error {
        ProcessError::TimedOut { .. } => ProviderError::passing(error.to_string()),
        _ => ProviderError::lasting(error.to_string()),
    }
}
