//! The worker: a process that evaluates what it is sent, and can reach nothing else.

use std::io::{self, BufReader, BufWriter, Read, StdoutLock, Write};
use std::ops::Range;
use std::panic;
use std::process;
use std::thread;

use nickel_lang_core::cache::CacheHub;
use nickel_lang_core::error::NullReporter;
use nickel_lang_core::eval::cache::CacheImpl;
use nickel_lang_core::eval::value::NickelValue;
use nickel_lang_core::eval::{VirtualMachine, VmContext};
use nickel_lang_core::files::FileId;
use nickel_lang_core::serialize::{self, ExportFormat};
use rustix::process::{Resource, Rlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};
use serde::Deserialize;

use super::diagnose::Diagnoser;
use super::fields::Fields;
use super::library::Library;
use super::prepare::{Prepared, names};
use super::protocol::{self, Finished, Reply, Source, Task};
use super::{Evaluated, Job, Kind, Record};
use crate::catalog::raw;
use crate::diag::{Code, Diagnostic};

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
        let used = clock_gettime(ClockId::ProcessCPUTime);
        protocol::write(&mut self.0, &Reply::Begin(job, used.try_into().unwrap_or_default()))?;
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
    let mut files = Prepared::default();
    let mut prepared = Vec::new();
    for (index, job) in task.jobs.iter().enumerate() {
        let Some(id) = library.file(&job.path) else {
            return Err(io::Error::other("a job without its source"));
        };
        out.begin(index)?;
        if let Err(failure) = files.prepare(&mut context.import_resolver, &mut context.pos_table, &library, job, id) {
            out.done(index, failure)?;
            continue;
        }
        match context.prepare_eval(id) {
            Ok(value) => prepared.push((index, id, value)),
            Err(error) => {
                let (_, findings) = Diagnoser::new(&context.import_resolver, &library, job, id).unprepared(id, error);
                out.done(index, Finished::failed(Vec::new(), findings))?;
            }
        }
    }

    let mut machine = VirtualMachine::new(&mut context);
    for (index, id, value) in prepared {
        let job = &task.jobs[index];
        out.begin(index)?;
        let imports = names(&library, job, machine.import_resolver().import_data.transitive_imports(id));
        let finished = match evaluate(&mut machine, &library, id, job, value) {
            Ok(evaluated) => Finished::Evaluated { imports, evaluated: Box::new(evaluated) },
            Err(findings) => {
                let unknown = unknown_fields(machine.import_resolver(), id, job, &findings);
                Finished::Failed { imports, findings, unknown }
            }
        };
        out.done(index, finished)?;
    }
    protocol::write(&mut out.0, &Reply::End)?;
    out.0.flush()?;
    // To drop the context would take time, and free what the process gives back anyway.
    process::exit(0)
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
    // Functions, and numbers that are no `f64`. A decision holds enum variants, which JSON does not know, and so do
    // a catalog's choices with settings.
    if matches!(job.kind, Kind::Workflow | Kind::Catalog | Kind::Directives | Kind::BuildSpec)
        && let Err(error) = serialize::validate(ExportFormat::Json, &full)
        && !(job.kind == Kind::Catalog && diagnoser.is_choice(&error))
    {
        return Err(vec![diagnoser.unexportable(error)]);
    }
    let record = match job.kind {
        Kind::Catalog => raw::Catalog::deserialize(full).map(Record::Catalog),
        Kind::Axioms => Vec::<raw::Axiom>::deserialize(full).map(Record::Axioms),
        Kind::Adr => raw::Adr::deserialize(full).map(Record::Adr),
        Kind::Workflow => raw::Workflow::deserialize(full).map(Record::Workflow),
        Kind::Directives => raw::Directives::deserialize(full).map(Record::Directives),
        Kind::BuildSpec => raw::BuildSpec::deserialize(full).map(Record::BuildSpec),
    };
    let record = record.map_err(|error| vec![diagnoser.misshapen(&error.to_string())])?;
    let own = library.shown(&job.path).unwrap_or(id);
    let spans = hub.asts.get(own).map(|ast| Fields::of(ast).into_spans()).unwrap_or_default();
    Ok(Evaluated { record, spans })
}
