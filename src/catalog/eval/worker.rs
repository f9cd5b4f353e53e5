//! The worker: a process that evaluates what it is sent, and can reach nothing else.

use std::collections::{BTreeSet, HashMap};
use std::io::{self, BufReader, BufWriter, Read, StdoutLock, Write};
use std::ops::Range;
use std::panic;
use std::process;
use std::thread;

use nickel_lang_core::cache::CacheHub;
use nickel_lang_core::error::{Error, ImportErrorKind, NullReporter, TypecheckErrorKind};
use nickel_lang_core::eval::cache::CacheImpl;
use nickel_lang_core::eval::value::NickelValue;
use nickel_lang_core::eval::{VirtualMachine, VmContext};
use nickel_lang_core::files::FileId;
use nickel_lang_core::position::TermPos;
use nickel_lang_core::serialize::{self, ExportFormat};
use rustix::process::{Resource, Rlimit, setrlimit};
use serde::Deserialize;

use super::diagnose::Diagnoser;
use super::fields::{Fields, range};
use super::library::Library;
use super::protocol::{self, Finished, Missing, Reply, Source, Task};
use super::{Evaluated, Job, Kind, Record};
use crate::catalog::raw;
use crate::diag::{Code, Diagnostic};
use crate::model::RelPath;

type Context = VmContext<CacheHub, CacheImpl>;
type Machine<'a> = VirtualMachine<'a, CacheHub, CacheImpl>;

/// Nickel recurses on the stack while it parses and evaluates. Reserved, not used up.
const STACK: usize = 256 << 20;

/// Deeper values than this are not searched for further errors.
const PERMISSIVE_DEPTH: usize = 64;

/// No record is so large by intent, and the host keeps thousands of them.
const MAX_ANSWER: usize = 2 << 20;

/// Reads a task from standard input, evaluates it, writes the replies to standard output, and exits.
///
/// The process is ended when standard input is closed, so it does not outlive its host.
pub fn worker_main() -> ! {
    let (task, sources) = match receive(BufReader::new(io::stdin().lock())) {
        Ok(Some(received)) => received,
        Ok(None) => process::exit(0),
        Err(error) => {
            eprintln!("the task can't be read: {error}");
            process::exit(2);
        }
    };
    // Unwinding would drop what broke the evaluator: a chain so deep that its end is a stack overflow.
    panic::set_hook(Box::new(|panic| {
        eprintln!("{panic}");
        process::exit(101);
    }));
    // The limits come after the stack: reserving it is the largest allocation of all.
    let spawned = thread::Builder::new().name("evaluation".to_owned()).stack_size(STACK).spawn(move || {
        if let Err(error) = confine(&task).and_then(|()| work(&task, sources)) {
            eprintln!("{error}");
            process::exit(2);
        }
    });
    if let Err(error) = spawned {
        eprintln!("the evaluation thread can't be started: {error}");
        process::exit(2);
    }
    let mut rest = [0];
    while matches!(io::stdin().lock().read(&mut rest), Ok(1)) {}
    process::exit(0)
}

fn receive(mut from: impl Read) -> io::Result<Option<(Task, Vec<Source>)>> {
    let Some(task) = protocol::read::<Task>(&mut from)? else {
        return Ok(None);
    };
    let mut sources = Vec::new();
    for _ in 0..task.sources {
        let Some(source) = protocol::read(&mut from)? else {
            return Ok(None);
        };
        sources.push(source);
    }
    Ok(Some((task, sources)))
}

/// Gives up what evaluation does not need. Without a file descriptor left, an import of something that
/// was not supplied fails whatever its path.
fn confine(task: &Task) -> io::Result<()> {
    // macOS accepts RLIMIT_AS and does not enforce it: there the deadline alone ends a worker that grows.
    let limits = [
        (Resource::As, task.memory),
        (Resource::Core, 0),
        (Resource::Fsize, 0),
        (Resource::Cpu, task.cpu),
        (Resource::Nofile, 0),
    ];
    for (resource, limit) in limits {
        match setrlimit(resource, Rlimit { current: Some(limit), maximum: Some(limit) }) {
            Ok(()) => {}
            // Some systems refuse to lower the address space below what is in use.
            Err(_) if cfg!(target_os = "macos") && matches!(resource, Resource::As) => {}
            Err(error) => {
                return Err(io::Error::other(format!("the worker can't be confined: {error}")));
            }
        }
    }
    Ok(())
}

struct Output(BufWriter<StdoutLock<'static>>);

impl Output {
    fn begin(&mut self, job: usize) -> io::Result<()> {
        protocol::write(&mut self.0, &Reply::Begin(job))?;
        self.0.flush()
    }

    fn done(&mut self, job: usize, finished: Finished) -> io::Result<()> {
        let mut message = protocol::encode(&Reply::Done(job, finished))?;
        if message.len() > MAX_ANSWER {
            let finding = Diagnostic::new(Code::LimitMemory, "the record is larger than 2 MiB");
            let findings = vec![finding];
            message = protocol::encode(&Reply::Done(job, Finished::failed(Vec::new(), findings)))?;
        }
        protocol::send(&mut self.0, &message)
    }
}

/// Why a file can't be prepared; each file that imports it fails for the same reason.
#[derive(Clone)]
enum Broken {
    Missing(Missing),
    Failed(Vec<Diagnostic>),
}

impl Broken {
    fn finish(self, imports: Vec<RelPath>) -> Finished {
        match self {
            Self::Missing(missing) => Finished::Missing(missing),
            Self::Failed(findings) => Finished::failed(imports, findings),
        }
    }
}

/// Where the fields stand that hide all other mistakes of their record, because Nickel stops at them.
fn unknown_fields(hub: &CacheHub, id: FileId, job: &Job, findings: &[Diagnostic]) -> Vec<Range<usize>> {
    let Some(ast) = hub.asts.get(id) else { return Vec::new() };
    let fields = Fields::of(ast);
    findings
        .iter()
        .filter(|finding| finding.code == Code::UnknownField && finding.main_file() == Some(job.path.as_str()))
        .filter_map(|finding| Some(fields.get(finding.field.as_deref()?)?.whole.clone()))
        .collect()
}

fn work(task: &Task, sources: Vec<Source>) -> io::Result<()> {
    let mut out = Output(BufWriter::new(io::stdout().lock()));
    let mut context: Context = VmContext::new(CacheHub::new(), io::sink(), NullReporter {});
    if context.import_resolver.prepare_stdlib(&mut context.pos_table).is_err() {
        return Err(io::Error::other("Nickel's standard library does not load"));
    }
    protocol::write(&mut out.0, &Reply::Ready)?;

    let library = Library::register(&mut context.import_resolver, sources);
    let mut prepared = Vec::new();
    let mut broken: HashMap<FileId, Broken> = HashMap::new();
    for (index, job) in task.jobs.iter().enumerate() {
        let Some(id) = library.file(&job.path) else {
            return Err(io::Error::other("a job without its source"));
        };
        out.begin(index)?;
        match context.prepare_eval(id) {
            Ok(value) => prepared.push((index, id, value)),
            Err(error) => {
                let (culprit, why) = explain(&context, &library, id, job, error);
                broken.insert(culprit, why.clone());
                out.done(index, why.finish(imports(&context.import_resolver, &library, id, job)))?;
            }
        }
    }

    let mut machine = VirtualMachine::new(&mut context);
    for (index, id, value) in prepared {
        let job = &task.jobs[index];
        out.begin(index)?;
        let mut closure = machine.import_resolver().import_data.transitive_imports(id);
        closure.insert(id);
        let imports = imports(machine.import_resolver(), &library, id, job);
        // A file that failed to prepare is half prepared for the next one that imports it.
        let culprit = closure.iter().filter(|id| broken.contains_key(id)).min();
        let finished = match culprit.and_then(|id| broken.get(id)) {
            Some(why) => why.clone().finish(imports),
            None => match evaluate(&mut machine, &library, id, job, value) {
                Ok(evaluated) => Finished::Evaluated { imports, evaluated: Box::new(evaluated) },
                Err(findings) => {
                    let unknown = unknown_fields(machine.import_resolver(), id, job, &findings);
                    Finished::Failed { imports, findings, unknown }
                }
            },
        };
        out.done(index, finished)?;
    }
    protocol::write(&mut out.0, &Reply::End)?;
    out.0.flush()?;
    // To drop the context would take time, and free what the process gives back anyway.
    process::exit(0)
}

/// The files of the catalog that a job imports, sorted.
fn imports(hub: &CacheHub, library: &Library, id: FileId, job: &Job) -> Vec<RelPath> {
    let files: BTreeSet<_> = hub
        .import_data
        .transitive_imports(id)
        .into_iter()
        .filter_map(|id| library.source(id)?.file.clone())
        .filter(|file| *file != job.path)
        .collect();
    files.into_iter().collect()
}

/// Which file is to blame for a failed preparation, and why.
fn explain(context: &Context, library: &Library, id: FileId, job: &Job, error: Error) -> (FileId, Broken) {
    if let Some((path, pos)) = missing_import(&error)
        && let Some(importer) = pos.src_id()
        && let Some(source) = library.source(importer)
    {
        let span: Range<usize> = range(pos).unwrap_or(0..0);
        return (importer, Broken::Missing(Missing { importer: source.place.clone(), path, span }));
    }
    let diagnoser = Diagnoser::new(&context.import_resolver, library, job, id);
    let (culprit, findings) = diagnoser.unprepared(error);
    (culprit.unwrap_or(id), Broken::Failed(findings))
}

fn missing_import(error: &Error) -> Option<(String, TermPos)> {
    let kind = match error {
        Error::ImportError(kind) => kind,
        Error::TypecheckError(data) => match data.borrow_error() {
            TypecheckErrorKind::ImportError(kind) => kind,
            _ => return None,
        },
        _ => return None,
    };
    match kind {
        ImportErrorKind::IOError(path, _, pos) => Some((path.clone(), *pos)),
        _ => None,
    }
}

fn evaluate(
    machine: &mut Machine<'_>,
    library: &Library,
    id: FileId,
    job: &Job,
    value: NickelValue,
) -> Result<Evaluated, Vec<Diagnostic>> {
    let full = match machine.eval_full_for_export(value.clone()) {
        Ok(full) => full,
        Err(first) => {
            // Evaluation stops at its first error, which is not the first one in the file: collect them all.
            machine.reset();
            let all = machine.eval_permissive(value, PERMISSIVE_DEPTH);
            machine.reset();
            return Err(Diagnoser::new(machine.import_resolver(), library, job, id).failed(*first, all));
        }
    };
    let hub = machine.import_resolver();
    let diagnoser = Diagnoser::new(hub, library, job, id);
    // Functions, and numbers that are no `f64`. A decision holds enum variants, which JSON does not know.
    if matches!(job.kind, Kind::Workflow | Kind::Catalog)
        && let Err(error) = serialize::validate(ExportFormat::Json, &full)
    {
        return Err(vec![diagnoser.unexportable(error)]);
    }
    let record = match job.kind {
        Kind::Catalog => raw::Catalog::deserialize(full).map(Record::Catalog),
        Kind::Axioms => Vec::<raw::Axiom>::deserialize(full).map(Record::Axioms),
        Kind::Adr => raw::Adr::deserialize(full).map(Record::Adr),
        Kind::Workflow => raw::Workflow::deserialize(full).map(Record::Workflow),
    };
    let record = record.map_err(|error| vec![diagnoser.misshapen(&error.to_string())])?;
    let own = library.shown(&job.path).unwrap_or(id);
    let spans = hub.asts.get(own).map(|ast| Fields::of(ast).into_spans()).unwrap_or_default();
    Ok(Evaluated { record, spans })
}
