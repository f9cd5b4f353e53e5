//! What builds: BuildKit, reached by one of its clients.
//!
//! [`Engine`] is all that the rest of lamina knows of it: what it can do as data, and one verb. An implementation is a
//! file of its own (`buildx`, `buildctl`) and makes arguments; `client` runs them. Both share one reader of BuildKit's
//! progress stream (`framing` cuts it, `stream` understands it), and one judgement of how a build ended (`failure`).

mod buildctl;
mod buildx;
mod client;
mod environment;
mod failure;
mod framing;
mod known;
mod open;
mod stream;

use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;

use tokio_util::sync::CancellationToken;

pub use environment::Environment;
pub use failure::{Ending, judge};
pub use open::{ClientChoice, INSTALL_DOCKER, OpenError, Options, is_here, open};
pub use stream::{Seen, Stream, VertexError};

use crate::event::{FailureKind, StepStatus};
use crate::model::{Digest, ImageRef, Network, Platform};

/// What builds.
pub trait Engine: Send + Sync {
    /// Who it is and what it can do; found out once, when it was opened.
    fn about(&self) -> &About;

    /// Builds once, and tells what happens while it does. When `cancel` is cancelled, the build is ended on the engine
    /// too, and the answer is a [`SolveError`] with `cancelled`.
    ///
    /// Dropping the future ends the client and all that it has started.
    fn solve<'a>(
        &'a self,
        solve: &'a Solve,
        progress: &'a mut (dyn FnMut(Progress) + Send),
        cancel: &'a CancellationToken,
    ) -> Pin<Box<dyn Future<Output = Result<Solved, SolveError>> + Send + 'a>>;

    /// The command that [`Engine::solve`] would run, program first. It holds no secret: those are named by the file or
    /// the variable that they come from.
    fn command(&self, solve: &Solve) -> Vec<String>;
}

/// Who an engine is and what it can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// The client: `docker buildx`, `buildctl`.
    pub client: String,
    /// The client's version, as it says.
    pub version: String,
    /// Where the engine is: a socket, a host, a builder's name. Without a login.
    pub endpoint: String,
    /// Whether timestamps of files can be rewritten to SOURCE_DATE_EPOCH.
    pub rewrites_timestamps: bool,
}

/// One build.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Solve {
    /// The Dockerfile's path on this machine.
    pub dockerfile: PathBuf,
    /// The build context's folder on this machine.
    pub context: PathBuf,
    /// Further contexts by name: a folder, or `docker-image://…`.
    pub contexts: BTreeMap<String, String>,
    /// The build arguments.
    pub args: BTreeMap<String, String>,
    /// The stage that is built; the last one where it is absent.
    pub target: Option<String>,
    /// The platforms; the engine's own where it is empty.
    pub platforms: Vec<Platform>,
    /// The secrets by id.
    pub secrets: BTreeMap<String, SecretSource>,
    /// SSH agents or keys by id: `default`, or an id with a path.
    pub ssh: BTreeMap<String, Option<PathBuf>>,
    /// Which network its steps have.
    pub network: Network,
    /// The image's labels.
    pub labels: BTreeMap<String, String>,
    /// Annotations of the manifest, and of the index where there is one.
    pub annotations: BTreeMap<String, String>,
    /// References that the layer cache is read from. One that is not there is no error.
    pub cache_from: Vec<String>,
    /// The reference that the layer cache is written to. That it can't be written is a warning.
    pub cache_to: Option<String>,
    /// Whether every step is run, cached or not.
    pub no_cache: bool,
    /// Seconds since 1970 that times in the image are set to.
    pub source_date_epoch: Option<u64>,
    /// What becomes of the result.
    pub output: Output,
    /// Whether the registries of the image and of the layer cache speak plain HTTP.
    pub insecure: bool,
}

/// What becomes of the result of a build.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Output {
    /// Nothing: the steps were run for what they say.
    #[default]
    None,
    /// It is pushed under this name.
    Push(ImageRef),
    /// Its files are written into this folder of this machine.
    Folder(PathBuf),
}

/// Where a secret comes from. lamina hands the place on; the value is in no argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// A file.
    File(PathBuf),
    /// A variable of lamina's environment.
    Env(String),
}

/// What happens in a build.
#[derive(Clone, Debug, PartialEq)]
pub enum Progress {
    /// A step begins, or began and is known now. BuildKit begins some again that had ended; their number
    /// stays.
    Started {
        /// Its number, from 0, in order of beginning.
        step: u32,
        /// What BuildKit calls it.
        name: String,
        /// Where in the Dockerfile it comes from, where it comes from there.
        instruction: Option<Instruction>,
    },
    /// A step ended. Of one that began again, the last end holds.
    Finished {
        /// Its number.
        step: u32,
        /// How.
        status: StepStatus,
        /// How long it took on the engine's clock, all its times together.
        ms: u64,
        /// Why it failed.
        error: Option<String>,
    },
    /// A step moves bytes.
    Transfer {
        /// Its number.
        step: u32,
        /// What is moved.
        id: String,
        /// How many bytes have been moved.
        current: u64,
        /// Of how many; 0 where that is not known.
        total: u64,
    },
    /// A whole line that a step wrote. Secrets are not masked yet.
    Output {
        /// Its number.
        step: u32,
        /// Whether to stderr.
        stderr: bool,
        /// The line without its end, as text; what is no UTF-8 is replaced.
        line: String,
    },
    /// Something that does not stop the build: a finding of BuildKit about the Dockerfile, a cache that can't be
    /// written.
    Warning(String),
}

/// Which instruction of a Dockerfile a step is: `[STAGE N/M] RUN …`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// The stage's name as BuildKit says it; empty for a single stage without one.
    pub stage: String,
    /// Its number among the stage's steps, from 1.
    pub number: u32,
    /// Of how many.
    pub of: u32,
    /// The instruction as BuildKit says it, with arguments replaced.
    pub text: String,
}

/// A build that succeeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Solved {
    /// The pushed manifest's or index's digest; none where nothing was pushed.
    pub digest: Option<Digest>,
    /// How many instructions were run.
    pub steps_run: u32,
    /// How many instructions were in a cache.
    pub steps_cached: u32,
}

/// A build that failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SolveError {
    /// What kind of failure.
    pub kind: FailureKind,
    /// What failed and why, in a line, without the client's prefixes.
    pub message: String,
    /// What to do about it.
    pub hints: Vec<String>,
    /// The number of the step that failed, where one did.
    pub step: Option<u32>,
    /// The exit code of the step's command.
    pub exit_code: Option<i32>,
    /// Whether the same build may succeed at once: a lost connection, a server's error.
    pub retryable: bool,
    /// Whether it was ended by request.
    pub cancelled: bool,
    /// Whether BuildKit itself says that memory ran out.
    pub out_of_memory: bool,
    /// What else the client wrote, its last lines; old clients repeat what the step wrote. Secrets are not masked yet.
    pub tail: Vec<String>,
}

impl SolveError {
    /// A failure of which no more is known: final, of no step, and not asked for.
    pub fn new(kind: FailureKind, message: String) -> Self {
        let (hints, tail) = (Vec::new(), Vec::new());
        let (step, exit_code) = (None, None);
        let (retryable, cancelled, out_of_memory) = (false, false, false);
        Self { kind, message, hints, step, exit_code, retryable, cancelled, out_of_memory, tail }
    }
}
