//! Commands beside a build: what they are told on stdin, and what their answer means.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};
use tokio_util::sync::CancellationToken;

use crate::host::child::{Program, find};
use crate::host::lines::Lines;
use crate::host::process::ProcessError;
use crate::model::{Digest, Fingerprint, Hook, ImageRef, LayerName};

/// The version of what hooks read and answer. It changes when a field changes its meaning or goes.
pub const VERSION: u32 = 1;

/// The largest answer, in bytes.
const MAX_ANSWER: usize = 64 << 10;

/// The longest message of an answer that is told, in characters.
const MAX_MESSAGE: usize = 1000;

/// The variables that each hook gets, where lamina has them.
const COMMON: [&str; 3] = ["PATH", "HOME", "LANG"];

/// Where hooks run, and with what.
#[derive(Clone, Debug, Default)]
pub struct HookSettings {
    /// The catalog's root; a hook runs in its layer's folder.
    pub root: PathBuf,
    /// lamina's environment without the variables that secrets are in: a hook gets what it names of it.
    pub env: BTreeMap<OsString, OsString>,
    /// lamina's own program, so that hooks end with lamina.
    pub lamina: Option<PathBuf>,
    /// The workspace that hooks are told of.
    pub workspace: String,
}

/// What a hook reads on stdin: one document, then the end of input.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct HookInput {
    /// The version of this document.
    #[schemars(extend("const" = 1))]
    pub version: u32,
    /// What is about to happen, or has happened.
    pub event: HookEvent,
    /// The run's name.
    pub run: String,
    /// The workspace.
    pub workspace: String,
    /// The layer.
    #[schemars(with = "String")]
    pub layer: LayerName,
    /// The layer's fingerprint.
    #[schemars(with = "String")]
    pub fingerprint: Fingerprint,
    /// The image's name, with the tag of the fingerprint.
    #[schemars(with = "String")]
    pub image: ImageRef,
    /// The image in the registry; null before it is built.
    #[schemars(with = "Option<String>")]
    pub digest: Option<Digest>,
    /// The folder of the layer's Dockerfile, which the hook runs in; absolute.
    #[serde(serialize_with = "lossy")]
    pub folder: PathBuf,
}

/// When a hook runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HookEvent {
    /// Before the build context is sent.
    PreBuild,
    /// After a successful build.
    PostBuild,
    /// Before tags for people move to the image.
    PrePromote,
}

/// What a hook may answer on stdout; an empty answer leaves the word to its exit code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HookAnswer {
    /// Whether lamina is to go on.
    pub ok: bool,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
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
    /// It says no.
    #[error("{0}")]
    Refused(String),
    /// It wrote something else than an answer.
    #[error("its answer on stdout can't be read ({0}): what is for people goes to stderr")]
    Unreadable(String),
    /// It was not done in time, and was killed with all that it had started.
    #[error("it was not done after {0} s")]
    TimedOut(u64),
}

impl HookSettings {
    /// Runs a hook in a folder below the root; `line` gets what it writes for people.
    ///
    /// # Errors
    /// When it can't be run, fails, says no, is not done in time, or is cancelled.
    pub async fn run(
        &self,
        hook: &Hook,
        input: &HookInput,
        cancel: &CancellationToken,
        mut line: impl FnMut(String),
    ) -> Result<(), HookError> {
        let Some((name, args)) = hook.command.split_first() else { return Ok(()) };
        let program = Program {
            path: self.program(name, &input.folder)?,
            args: args.iter().map(OsString::from).collect(),
            env: self.environment(hook),
            lamina: self.lamina.clone(),
            folder: Some(input.folder.clone()),
            reads_stdout: true,
        };
        let mut lines = Lines::default();
        let read = |piece: &[u8]| lines.feed(piece, &mut line);
        let running = async {
            match hook.answers {
                // A document of texts always has a JSON form.
                true => program.converse(serde_json::to_vec(input).unwrap_or_default(), MAX_ANSWER, cancel, read).await,
                false => program.run(cancel, read).await.map(|ended| (ended, Vec::new())),
            }
        };
        // What is given up is killed, with its whole group.
        let ended = tokio::time::timeout(Duration::from_secs(hook.timeout_s), running).await;
        lines.finish(&mut line);
        let (ended, answer) = ended.map_err(|_| HookError::TimedOut(hook.timeout_s))??;
        if ended.cancelled {
            return Err(HookError::Cancelled);
        }
        judge(ended.status.success(), ended.status.code(), &answer)
    }

    /// The folder that a layer's hooks run in.
    pub fn folder(&self, dockerfile_folder: &str) -> PathBuf {
        self.root.join(dockerfile_folder)
    }

    fn environment(&self, hook: &Hook) -> BTreeMap<OsString, OsString> {
        let named = COMMON.iter().copied().chain(hook.env.iter().map(String::as_str)).map(OsStr::new);
        named.filter_map(|name| Some((name.to_owned(), self.env.get(name)?.clone()))).collect()
    }

    /// As a shell would find it: by PATH, or where it has a slash, from the folder.
    fn program(&self, name: &str, folder: &Path) -> Result<PathBuf, ProcessError> {
        if name.contains('/') {
            return Ok(folder.join(name));
        }
        let path = self.env.get(OsStr::new("PATH"));
        find(name, path.map(OsString::as_os_str)).ok_or_else(|| ProcessError::NotFound(name.to_owned()))
    }
}

/// As text, also where it is none: a document without it would be none at all.
fn lossy<S: Serializer>(path: &Path, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&path.to_string_lossy())
}

/// What a hook's end and its answer mean. A failure is one whatever the answer says.
fn judge(success: bool, code: Option<i32>, answer: &[u8]) -> Result<(), HookError> {
    let failed = || HookError::Failed { code };
    if answer.trim_ascii().is_empty() {
        return if success { Ok(()) } else { Err(failed()) };
    }
    match serde_json::from_slice::<HookAnswer>(answer) {
        Ok(HookAnswer { ok: true, .. }) if success => Ok(()),
        Ok(HookAnswer { ok: false, message }) => {
            let message = message.unwrap_or_else(|| "it says no, and not why".to_owned());
            Err(HookError::Refused(message.chars().filter(|c| !c.is_control()).take(MAX_MESSAGE).collect()))
        }
        Err(error) if success => Err(HookError::Unreadable(error.to_string())),
        _ => Err(failed()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_counts_as_long_as_the_hook_does_not_fail() {
        let said = |code: i32, answer: &str| match judge(code == 0, Some(code), answer.as_bytes()) {
            Ok(()) => "yes".to_owned(),
            Err(error) => error.to_string(),
        };
        assert_eq!(said(0, ""), "yes");
        assert_eq!(said(0, " \n"), "yes");
        assert_eq!(said(0, "{\"ok\":true, \"later\": 1}\n"), "yes");
        assert_eq!(said(3, ""), "it ended with exit code 3");
        assert_eq!(said(3, "{\"ok\":true}"), "it ended with exit code 3");
        assert_eq!(said(0, "{\"ok\":false,\"message\":\"not\\u0007 today\"}"), "not today");
        assert_eq!(said(3, "{\"ok\":false,\"message\":\"no\"}"), "no");
        assert_eq!(said(0, "{\"ok\":false}"), "it says no, and not why");
        for wrong in ["done", "{\"ok\":1}", "{}", "{\"ok\":true} {\"ok\":false}"] {
            assert!(said(0, wrong).starts_with("its answer on stdout can't be read"), "{wrong}");
            assert_eq!(said(1, wrong), "it ended with exit code 1");
        }
    }
}
