//! Runs a client of BuildKit to its end: what both clients have in common.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use tokio_util::sync::CancellationToken;

use super::failure::{Ending, judge};
use super::{Environment, Output, Progress, SecretSource, Solve, SolveError, Solved, Stream};
use crate::event::FailureKind;
use crate::host::child::Program;
use crate::host::process::ProcessError;

/// The largest file that a client answers with, in bytes.
const MAX_METADATA: u64 = 1 << 20;

/// A client's program, and what it is run with.
#[derive(Debug)]
pub(super) struct Client {
    /// The program, and what stands before its own arguments.
    pub program: PathBuf,
    pub before: Vec<String>,
    pub env: Environment,
    /// Variables that are set for it besides.
    pub set: &'static [(&'static str, &'static str)],
    pub lamina: Option<PathBuf>,
}

impl Client {
    /// The whole command line.
    pub fn command(&self, args: Vec<String>) -> Vec<String> {
        let program = self.program.to_string_lossy().into_owned();
        std::iter::once(program).chain(self.before.iter().cloned()).chain(args).collect()
    }

    /// Builds: `args` gives the arguments when it gets the file for the answer.
    pub async fn solve(
        &self,
        solve: &Solve,
        args: impl FnOnce(&Path) -> Vec<String>,
        progress: &mut (dyn FnMut(Progress) + Send),
        cancel: &CancellationToken,
    ) -> Result<Solved, SolveError> {
        // Private to this user, and gone with this call.
        let folder = tempfile::Builder::new().prefix("lamina-solve-").tempdir().map_err(no_folder)?;
        let metadata = folder.path().join("metadata.json");
        let variables = solve.secrets.values().filter_map(|source| match source {
            SecretSource::Env(name) => Some(name.as_str()),
            SecretSource::File(_) => None,
        });
        let mut env = self.env.passed(variables);
        env.extend(self.set.iter().map(|(name, value)| (OsString::from(name), OsString::from(value))));
        let program = Program {
            path: self.program.clone(),
            args: self.before.iter().cloned().chain(args(&metadata)).map(OsString::from).collect(),
            env,
            lamina: self.lamina.clone(),
            folder: None,
            reads_stdout: false,
        };
        let mut stream = Stream::default();
        let ended = program.run(cancel, |bytes| stream.feed(bytes, &mut *progress)).await;
        let seen = stream.finish(progress);
        let ended = ended.map_err(not_run)?;
        let ending = Ending {
            code: ended.status.code(),
            cancelled: ended.cancelled,
            pushed: matches!(solve.output, Output::Push(_)),
            metadata: read(&metadata),
        };
        judge(&ending, seen)
    }
}

/// The answer, where the client has written one of a bearable size.
fn read(file: &Path) -> Option<Vec<u8>> {
    let size = file.metadata().ok()?.len();
    if size > MAX_METADATA { None } else { std::fs::read(file).ok() }
}

fn no_folder(error: std::io::Error) -> SolveError {
    SolveError::new(FailureKind::Other, format!("a temporary folder can't be made: {error}"))
}

fn not_run(error: ProcessError) -> SolveError {
    SolveError::new(FailureKind::Engine, error.to_string())
}

/// A list of `key=value`, as the clients read it: CSV, where a field with a comma, a quote or a newline is quoted.
#[derive(Debug, Default)]
pub(super) struct Fields(Vec<String>);

impl Fields {
    pub fn add(mut self, key: &str, value: &str) -> Self {
        let field = format!("{key}={value}");
        self.0.push(match field.contains([',', '"', '\n', '\r']) {
            true => format!("\"{}\"", field.replace('"', "\"\"")),
            false => field,
        });
        self
    }

    pub fn add_if(self, condition: bool, key: &str, value: &str) -> Self {
        if condition { self.add(key, value) } else { self }
    }

    pub fn text(&self) -> String {
        self.0.join(",")
    }
}

/// The exporter of a result; none where there is nothing to export. `rewrite` is whether the engine can rewrite times.
pub(super) fn exporter(solve: &Solve, rewrite: bool) -> Option<String> {
    let fields = match &solve.output {
        Output::None => return None,
        Output::Folder(folder) => Fields::default().add("type", "local").add("dest", &folder.to_string_lossy()),
        Output::Push(image) => {
            let mut fields = Fields::default()
                .add("type", "image")
                .add("name", &image.to_string())
                .add("push", "true")
                .add("oci-mediatypes", "true")
                .add_if(solve.insecure, "registry.insecure", "true")
                .add_if(rewrite && solve.source_date_epoch.is_some(), "rewrite-timestamp", "true");
            for (key, value) in &solve.annotations {
                fields = fields.add(&format!("annotation.{key}"), value);
                // Only several platforms have an index, and BuildKit refuses an annotation of what there is not.
                fields = fields.add_if(solve.platforms.len() > 1, &format!("annotation-index.{key}"), value);
            }
            fields
        }
    };
    Some(fields.text())
}

/// The layer cache that is written. It never fails a build: that it could not be written is told as a warning.
pub(super) fn cache_to(solve: &Solve) -> Option<String> {
    let reference = solve.cache_to.as_deref()?;
    let fields = Fields::default().add("type", "registry").add("mode", "max").add("image-manifest", "true");
    let fields = fields.add("oci-mediatypes", "true").add("ignore-error", "true").add("ref", reference);
    Some(fields.add_if(solve.insecure, "registry.insecure", "true").text())
}

/// The layer caches that are read.
pub(super) fn cache_from(solve: &Solve) -> impl Iterator<Item = String> {
    solve.cache_from.iter().map(|reference| {
        let fields = Fields::default().add("type", "registry").add("ref", reference);
        fields.add_if(solve.insecure, "registry.insecure", "true").text()
    })
}

/// The secrets: places alone.
pub(super) fn secrets(solve: &Solve) -> impl Iterator<Item = String> {
    solve.secrets.iter().map(|(id, source)| {
        let fields = Fields::default().add("id", id);
        match source {
            SecretSource::File(file) => fields.add("src", &file.to_string_lossy()).text(),
            SecretSource::Env(name) => fields.add("env", name).text(),
        }
    })
}

/// The SSH agents and keys.
pub(super) fn ssh(solve: &Solve) -> impl Iterator<Item = String> {
    solve.ssh.iter().map(|(id, path)| match path {
        Some(path) => format!("{id}={}", path.display()),
        None => id.clone(),
    })
}

/// The build arguments, with the time where one is to be set.
pub(super) fn build_args(solve: &Solve) -> impl Iterator<Item = (String, String)> {
    let time = solve.source_date_epoch.map(|time| ("SOURCE_DATE_EPOCH".to_owned(), time.to_string()));
    solve.args.iter().map(|(name, value)| (name.clone(), value.clone())).chain(time)
}

/// The platforms in one text; none for the engine's own.
pub(super) fn platforms(solve: &Solve) -> Option<String> {
    let platforms: Vec<&str> = solve.platforms.iter().map(|platform| platform.as_str()).collect();
    (!platforms.is_empty()).then(|| platforms.join(","))
}
