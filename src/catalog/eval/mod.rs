//! Evaluation of Nickel files in confined worker processes.
//!
//! The host (this process) never runs Nickel: it supplies sources and reads typed records or findings.
//! Start reading at [`evaluate`].
//!
//! A batch is cut into chunks (`chunk`); for each one the host collects texts (`supply`), starts a worker and
//! watches it (`supervise`). Inside of the worker (`worker`), files are made ready one by one (`prepare`) and
//! evaluated; Nickel's errors become findings (`diagnose`), with the help of the syntax tree (`fields`). Both sides speak `protocol`.

mod chunk;
mod diagnose;
mod fields;
mod library;
mod prepare;
mod protocol;
mod supervise;
mod supply;
mod worker;

use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::raw;
use crate::diag::Diagnostic;
use crate::model::RelPath;

pub use worker::worker_main;

/// The file that overlays are merged over.
const CATALOG: &str = "catalog/catalog.ncl";
/// A worker with more jobs than this would need too much memory, and each of its errors more time.
const MAX_JOBS: usize = 1000;
/// The same for the length of all texts, for files that are much larger than people write them.
const MAX_TEXT: usize = 8 << 20;
/// A worker pays for the evaluator's start; fewer jobs than this are not worth another one.
const JOBS_PER_WORKER: usize = 60;

/// What a file has to evaluate to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// `catalog/catalog.ncl`.
    Catalog,
    /// `catalog/axioms.ncl`.
    Axioms,
    /// `adrs/*.ncl`.
    Adr,
    /// `layers/*/workflow.ncl`.
    Workflow,
    /// What a caller asks of one run.
    Directives,
    /// `.build-spec.ncl` in a build context.
    BuildSpec,
}

/// A file to evaluate.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Job {
    /// What it has to evaluate to.
    pub kind: Kind,
    /// Where it lies.
    pub path: RelPath,
}

/// What a file evaluated to.
#[expect(clippy::large_enum_variant, reason = "nearly all records are workflows, and each is moved a few times")]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Record {
    /// The catalog, merged with the overlays.
    Catalog(raw::Catalog),
    /// The axioms.
    Axioms(Vec<raw::Axiom>),
    /// A decision.
    Adr(raw::Adr),
    /// A layer.
    Workflow(raw::Workflow),
    /// What a caller asks of one run.
    Directives(raw::Directives),
    /// What a build needs.
    BuildSpec(raw::BuildSpec),
}

/// Where each field of a record stands in its file: the field's path (`build.args.X`, `donors[1].layer`;
/// empty for the whole record) and the bytes of its value. Sorted by path.
pub type FieldSpans = Vec<(String, Range<u32>)>;

/// A file that evaluated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluated {
    /// The value.
    pub record: Record,
    /// Where its fields stand.
    pub spans: FieldSpans,
}

/// An overlay: merged over `catalog/catalog.ncl`, in the order given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overlay {
    /// The overlay as the user named it; findings show this.
    pub name: String,
    /// Where it lies in the catalog; `None` for one from elsewhere, which can't import files.
    pub path: Option<RelPath>,
    /// Its text.
    pub text: Arc<str>,
}

/// What an evaluation may use.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The processor time for one file; by the clock it may take 20 times as long, where the system tells what it used.
    pub time: Duration,
    /// The address space of one worker, in MiB.
    pub memory_mb: u64,
    /// Workers at the same time.
    pub workers: usize,
}

impl Default for Limits {
    /// Ten seconds a file, 1 GiB a worker, a worker a processor.
    fn default() -> Self {
        Self {
            time: Duration::from_secs(10),
            memory_mb: 1024,
            workers: std::thread::available_parallelism().map_or(1, usize::from),
        }
    }
}

/// How to start a worker: this program and the arguments that make it one.
#[derive(Clone, Debug)]
pub struct WorkerCommand {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
}

/// Supplies the text of a file in the catalog; confined, bounded, each file read once.
pub trait Sources: Sync {
    /// # Errors
    /// A finding with code `import`, `not-a-file`, `too-large`, `not-utf8` or `unreadable`
    /// that says why the file can't be used.
    fn text(&self, path: &RelPath) -> Result<Arc<str>, Box<Diagnostic>>;
}

/// What became of a job.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The job.
    pub job: Job,
    /// The files that it imports, directly or not, sorted; without itself and without overlays.
    pub imports: Vec<RelPath>,
    /// Its value, or all that is wrong with it.
    pub result: Result<Evaluated, Vec<Diagnostic>>,
}

/// Why nothing could be evaluated; never the fault of a file.
#[derive(Debug, thiserror::Error)]
pub enum EvalError {
    /// The worker did not start.
    #[error("the evaluation worker `{program}` can't be started")]
    Start {
        /// The program.
        program: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The worker ended, and no file is to blame.
    #[error("the evaluation worker failed: {reason}")]
    Worker {
        /// What it said, or how it ended.
        reason: String,
    },
    /// The worker can't be understood.
    #[error("the evaluation worker can't be understood")]
    Protocol(#[source] io::Error),
}

/// Evaluates `jobs` in workers; the outcomes come in the order of the jobs.
///
/// Whatever the files hold, this ends: a file that takes too long, too much memory or too much stack gets a
/// finding, and the others are evaluated without it.
///
/// # Errors
/// Only when workers can't be started or don't keep to their protocol.
pub fn evaluate(
    jobs: &[Job],
    sources: &dyn Sources,
    overlays: &[Overlay],
    limits: &Limits,
    worker: &WorkerCommand,
) -> Result<Vec<Outcome>, EvalError> {
    let workers = limits.workers.clamp(1, jobs.len().div_ceil(JOBS_PER_WORKER).max(1));
    let chunks = chunks(jobs, sources, workers);
    let run = |chunk: &[Job]| chunk::run(chunk, supply::Supply::new(sources, overlays), limits, worker);
    let mut outcomes = Vec::with_capacity(jobs.len());
    for result in in_parallel(&chunks, workers, run) {
        outcomes.extend(result?);
    }
    for outcome in &mut outcomes {
        if let (Kind::Workflow, Err(findings)) = (outcome.job.kind, &mut outcome.result)
            && let Some(folder) = outcome.job.path.parent()
        {
            for finding in findings {
                finding.layer.get_or_insert_with(|| folder.file_name().to_owned());
            }
        }
    }
    Ok(outcomes)
}

/// Cuts the jobs so that each worker has about as many, and none has too much.
fn chunks<'a>(jobs: &'a [Job], sources: &dyn Sources, workers: usize) -> Vec<&'a [Job]> {
    let most = jobs.len().div_ceil(workers).clamp(1, MAX_JOBS);
    let mut chunks = Vec::new();
    let (mut start, mut size) = (0, 0);
    for (index, job) in jobs.iter().enumerate() {
        let length = sources.text(&job.path).map_or(0, |text| text.len());
        if index - start == most || (index > start && size + length > MAX_TEXT) {
            chunks.push(&jobs[start..index]);
            (start, size) = (index, 0);
        }
        size += length;
    }
    if start < jobs.len() {
        chunks.push(&jobs[start..]);
    }
    chunks
}

/// Runs `work` on each item, on as many threads as there are workers; the results come in the items' order.
fn in_parallel<I: Sync + Copy, T: Send>(items: &[I], workers: usize, work: impl Fn(I) -> T + Sync) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    let take_turns = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(index) else { break };
            let result = work(*item);
            done.lock().unwrap_or_else(PoisonError::into_inner).push((index, result));
        }
    };
    thread::scope(|scope| {
        for _ in 1..workers.min(items.len()) {
            // Without another thread the work takes longer, no more.
            let _ = thread::Builder::new().spawn_scoped(scope, take_turns);
        }
        take_turns();
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}
