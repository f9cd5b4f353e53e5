//! Runners that a program leases: one process an operation, a JSON document on its stdin, one on its stdout. The
//! protocol is told in docs/command-runner.md.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use super::Host;
use crate::host::child::{Program, find, is_program};
use crate::host::process::{Limits, ProcessError};
use crate::runner::{About, Endpoint, Evidence, NoteHandle, Provider, ProviderError, Record, Usage};

/// The version of the protocol.
const VERSION: u32 = 1;
/// The largest answer, in bytes.
const MAX_ANSWER: usize = 64 << 10;
/// The longest handle, in bytes.
const MAX_HANDLE: usize = 4 << 10;
/// The longest text of an answer that is shown, in characters.
const MAX_SHOWN: usize = 300;
/// How long a lease may take. The pool's own limit, the row's `timeout_s`, is the stricter one as a rule.
const ACQUIRE: Duration = Duration::from_secs(60 * 60);
/// How long everything else may take.
const OTHER: Duration = Duration::from_secs(60);

/// A program that leases runners.
pub struct Command {
    about: About,
    /// What it lacks on this machine is said when it is asked.
    program: Result<Program, ProviderError>,
    deadlines: (Duration, Duration),
}

/// What a program is asked.
#[derive(Serialize)]
struct Question<'a> {
    version: u32,
    op: &'static str,
    lease: &'a Record,
    /// Of `evidence`: since when.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Timestamp>,
}

/// What it answers. Each operation reads its own fields.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Answer {
    endpoint: Option<At>,
    handle: Option<String>,
    oom: Option<String>,
    alone: bool,
    usage: Option<Usage>,
    error: Option<Refusal>,
}

/// Where a runner builds.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum At {
    Buildkit(String),
    Docker(String),
    Builder(String),
}

/// Why an operation failed.
#[derive(Debug, Deserialize)]
struct Refusal {
    message: String,
    /// Whether it may work later.
    #[serde(default)]
    passing: bool,
    /// Whether there is no room now.
    #[serde(default)]
    full: bool,
    #[serde(default)]
    hints: Vec<String>,
}

impl Command {
    /// The runners of a program, which is looked for in the folders of PATH; a name with a slash is a path below the
    /// catalog's root.
    pub fn new(command: &[String], host: &Host) -> Self {
        let name = command.first().map(String::as_str).unwrap_or_default();
        let program = found(name, host).map(|path| Program {
            path,
            args: command.iter().skip(1).map(OsString::from).collect(),
            env: host.env.passed(std::iter::empty()),
            lamina: host.lamina.clone(),
            folder: Some(host.root.clone()),
            reads_stdout: false,
        });
        let about = About { leases: true, sized: true, detail: shown(name), ..About::default() };
        Self { about, program, deadlines: (ACQUIRE, OTHER) }
    }

    /// The same with other limits of time: for a lease, and for everything else.
    pub fn with_deadlines(mut self, acquire: Duration, other: Duration) -> Self {
        self.deadlines = (acquire, other);
        self
    }

    async fn ask(
        &self,
        op: &'static str,
        lease: &Record,
        since: Option<Timestamp>,
        deadline: Duration,
    ) -> Result<Answer, ProviderError> {
        let program = self.program.as_ref().map_err(Clone::clone)?;
        let name = &self.about.detail;
        let question = serde_json::to_vec(&Question { version: VERSION, op, lease, since });
        let mut question = question.map_err(|error| ProviderError::lasting(format!("{name}: {error}")))?;
        question.push(b'\n');
        let answer = match program.exchange(question, Limits { deadline, output: MAX_ANSWER }).await {
            Ok(answer) => answer,
            // It may be faster, or say less, the next time; a program that is not there will not.
            Err(error @ (ProcessError::TimedOut { .. } | ProcessError::Io { .. })) => {
                return Err(ProviderError::passing(format!("{op}: {error}")));
            }
            Err(error) => return Err(ProviderError::lasting(format!("{op}: {error}"))),
        };
        // An object: where a struct is read, an array would do.
        let read = serde_json::from_slice::<Map<String, Value>>(&answer.stdout);
        let read = read.and_then(|answer| Answer::deserialize(Value::Object(answer)));
        if let Ok(Answer { error: Some(Refusal { message, passing, full, hints }), .. }) = read {
            let hints = hints.iter().take(10).map(|hint| shown(hint)).collect();
            let message = format!("{name}: {op}: {}", shown(&message));
            return Err(ProviderError { message, hints, passing: passing || full, full });
        }
        if !answer.status.success() {
            let text = String::from_utf8_lossy(&answer.stderr);
            let said = text.lines().rev().find(|line| !line.trim().is_empty()).map(shown);
            let said = said.map(|said| format!(": {said}")).unwrap_or_default();
            return Err(ProviderError::passing(format!("{name}: {op}: {}{said}", answer.status)));
        }
        read.map_err(|error| {
            let error = format!("{name}: {op}: its answer can't be understood: {}", shown(&error.to_string()));
            ProviderError::lasting(error).hint("docs/command-runner.md says what a program answers")
        })
    }

    fn unusable(&self, what: &str) -> ProviderError {
        ProviderError::lasting(format!("{}: acquire: {what}", self.about.detail))
            .hint("docs/command-runner.md says what a program answers")
    }

    fn endpoint(&self, at: Option<At>) -> Result<Endpoint, ProviderError> {
        let usable = |text: &str| {
            !text.is_empty() && text.len() <= MAX_HANDLE && !text.starts_with('-') && !text.contains(char::is_control)
        };
        match at {
            Some(At::Buildkit(address)) if usable(&address) && address.contains("://") => {
                Ok(Endpoint::Buildkit(address))
            }
            Some(At::Docker(address)) if usable(&address) && address.contains("://") => Ok(Endpoint::Docker(address)),
            Some(At::Builder(name)) if usable(&name) => Ok(Endpoint::Builder(name)),
            Some(_) => Err(self.unusable("its endpoint is no address")),
            None => Err(self.unusable("its answer names no endpoint")),
        }
    }
}

fn found(name: &str, host: &Host) -> Result<PathBuf, ProviderError> {
    let path = match name.contains('/') {
        true => Some(host.root.join(name)).filter(|path| is_program(path)),
        false => find(name, host.env.get("PATH")),
    };
    path.ok_or_else(|| {
        let error = ProviderError::lasting(format!("there is no program `{}`", shown(name)));
        error.hint("`command` of the runner names a program of PATH, or a path below the catalog's root")
    })
}

/// A line of a bearable length, without control characters.
fn shown(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").chars().filter(|c| !c.is_control()).take(MAX_SHOWN).collect()
}

impl Provider for Command {
    fn about(&self) -> &About {
        &self.about
    }

    fn acquire<'a>(
        &'a self,
        record: &'a Record,
        note: &'a NoteHandle<'a>,
        cancel: &'a CancellationToken,
    ) -> BoxFuture<'a, Result<Endpoint, ProviderError>> {
        async move {
            // The program is killed when nobody waits for it any more, and is asked to release what it may have leased.
            let asked = cancel.run_until_cancelled(self.ask("acquire", record, None, self.deadlines.0)).await;
            let answer = asked.unwrap_or_else(|| Err(ProviderError::passing("cancelled")))?;
            if let Some(handle) = &answer.handle {
                if handle.len() > MAX_HANDLE {
                    return Err(self.unusable("its handle is too long"));
                }
                note(handle).map_err(|error| ProviderError::lasting(error.to_string()))?;
            }
            self.endpoint(answer.endpoint)
        }
        .boxed()
    }

    fn evidence<'a>(&'a self, record: &'a Record, since: Timestamp) -> BoxFuture<'a, Result<Evidence, ProviderError>> {
        async move {
            let Answer { oom, alone, usage, .. } = self.ask("evidence", record, Some(since), self.deadlines.1).await?;
            let oom = oom.as_deref().map(shown).filter(|text| !text.is_empty());
            Ok(Evidence { oom, alone, usage })
        }
        .boxed()
    }

    fn release<'a>(&'a self, record: &'a Record) -> BoxFuture<'a, Result<(), ProviderError>> {
        self.ask("release", record, None, self.deadlines.1).map(|answer| answer.map(drop)).boxed()
    }
}
