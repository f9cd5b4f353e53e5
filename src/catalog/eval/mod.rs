//! Evaluation of Nickel files in confined worker processes.
//!
//! The host (this process) never runs Nickel: it supplies sources and reads typed records or findings.
//! Start reading at [`evaluate`].

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::raw;
use crate::diag::Diagnostic;
use crate::model::RelPath;

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
    /// The time for one file.
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

/// STUB
#[derive(Debug, thiserror::Error)]
#[error("stub")]
pub struct EvalError;
/// STUB
pub fn worker_main() -> ! {
    std::process::exit(70)
}
/// STUB
pub fn evaluate(
    _jobs: &[Job],
    _sources: &dyn Sources,
    _overlays: &[Overlay],
    _limits: &Limits,
    _worker: &WorkerCommand,
) -> Result<Vec<Outcome>, EvalError> {
    Err(EvalError)
}
