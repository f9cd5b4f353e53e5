//! One worker process from start to end: deadlines, limits, and who is to blame.

use std::io::{self, BufReader, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use super::protocol::{self, Finished, Reply, Source, Task};
use super::{EvalError, WorkerCommand};
use crate::diag::{Code, Diagnostic};
use crate::host::machine;

/// The time that a worker has to load the evaluator itself, even on a busy machine.
const STARTUP: Duration = Duration::from_secs(60);
/// What is kept of a worker's standard error.
const MAX_STDERR: u64 = 64 << 10;
/// Replies that wait to be read.
const BACKLOG: usize = 16;
/// How often its time a file may take by the clock, on a machine that does other things as well.
const BUSY: u32 = 20;

/// What the kernel counts processor time in, and some more.
const TICK: Duration = Duration::from_millis(30);

/// How a worker ended.
pub(super) enum Ending {
    /// It went through all jobs.
    Complete,
    /// A job was its end.
    Culprit { job: usize, finding: Diagnostic },
}

/// A job that a worker is at.
struct Turn {
    job: usize,
    /// The processor time that the worker had used before.
    used_before: Duration,
    began: Instant,
}

impl Turn {
    /// What is left of its time after that time has passed by the clock: on a busy machine, a part of it was others'.
    /// None where the processor was its own, or nobody tells.
    fn left(&self, worker: u32, time: Duration) -> Option<Duration> {
        let used = machine::cpu_time(worker)?.saturating_sub(self.used_before);
        let left = time.checked_sub(used).filter(|left| *left > TICK)?;
        (self.began.elapsed() < time.saturating_mul(BUSY)).then_some(left)
    }
}

/// Runs a worker; `done` takes each job that it finishes.
pub(super) fn run(
    command: &WorkerCommand,
    task: &Task,
    sources: &[Source],
    time: Duration,
    mut done: impl FnMut(usize, Finished),
) -> Result<Ending, EvalError> {
    let started = Command::new(&command.program)
        .args(&command.args)
        .env_clear()
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let start_error = |source| EvalError::Start { program: command.program.clone(), source };
    let mut process = Process(started.map_err(start_error)?);
    let (Some(mut stdin), Some(stdout), Some(stderr)) =
        (process.0.stdin.take(), process.0.stdout.take(), process.0.stderr.take())
    else {
        return Err(start_error(io::Error::other("its pipes are missing")));
    };

    let mut messages = vec![protocol::encode(task).map_err(EvalError::Protocol)?];
    for source in sources {
        messages.push(protocol::encode(source).map_err(EvalError::Protocol)?);
    }
    // The pipe stays open while the thread's result waits here: its end would end the worker.
    let _writer = spawn(move || {
        let sent = messages.iter().try_for_each(|message| protocol::send(&mut stdin, message));
        (stdin, sent)
    })
    .map_err(start_error)?;
    let complaints = spawn(move || complaints(stderr)).map_err(start_error)?;
    let (sender, replies) = mpsc::sync_channel(BACKLOG);
    let _reader = spawn(move || {
        let mut stdout = BufReader::new(stdout);
        loop {
            let reply = protocol::read::<Reply>(&mut stdout);
            let is_last = !matches!(reply, Ok(Some(_)));
            if sender.send(reply).is_err() || is_last {
                break;
            }
        }
    })
    .map_err(start_error)?;

    let mut current: Option<Turn> = None;
    let mut patience = STARTUP;
    loop {
        match replies.recv_timeout(patience) {
            Ok(Ok(Some(Reply::Ready))) => {}
            Ok(Ok(Some(Reply::Begin(job, used_before)))) => {
                current = Some(Turn { job, used_before, began: Instant::now() });
                patience = time;
            }
            Ok(Ok(Some(Reply::Done(job, finished)))) => {
                done(job, finished);
                current = None;
                patience = STARTUP;
            }
            Ok(Ok(Some(Reply::End))) => return Ok(Ending::Complete),
            Ok(Err(error)) => return Err(EvalError::Protocol(error)),
            Err(RecvTimeoutError::Timeout) => {
                let Some(turn) = &current else {
                    return Err(EvalError::Worker { reason: "it does not answer".to_owned() });
                };
                if let Some(left) = turn.left(process.0.id(), time) {
                    patience = left;
                    continue;
                }
                let message = format!("evaluation took longer than {} and was ended", seconds(time));
                let finding = Diagnostic::new(Code::LimitTime, message)
                    .help("simplify the file, or raise the limit with `--eval-timeout`");
                return Ok(Ending::Culprit { job: turn.job, finding });
            }
            Ok(Ok(None)) | Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    let status = process.wait().map_err(EvalError::Protocol)?;
    let said = complaints.join().unwrap_or_default();
    match (current, post_mortem(status, &said)) {
        (Some(turn), Some(finding)) => Ok(Ending::Culprit { job: turn.job, finding }),
        _ => Err(EvalError::Worker { reason: reason(status, &said) }),
    }
}

/// What an unexpected end says about the file at hand; nothing where it is the worker's own failure.
fn post_mortem(status: ExitStatus, said: &str) -> Option<Diagnostic> {
    let says = |words: &[&str]| words.iter().any(|word| said.contains(word));
    let out_of_memory = || {
        Diagnostic::new(Code::LimitMemory, "evaluation needed too much memory and was ended")
            .help("simplify the file, or raise the limit with `--eval-memory`")
    };
    // Whoever can't allocate aborts or panics, as the case may be.
    if says(&["memory allocation", "capacity overflow", "out of memory", "Cannot allocate memory"]) {
        Some(out_of_memory())
    } else if says(&["overflowed its stack"]) {
        Some(Diagnostic::new(Code::LimitDepth, "the file, or a value in it, is nested too deeply"))
    } else if says(&["panicked at"]) {
        // The line after says what went wrong; the first one only where in the evaluator.
        let what = said.lines().skip_while(|line| !line.contains("panicked at")).nth(1);
        let finding = Diagnostic::new(Code::Evaluation, "the evaluator broke down over this file");
        Some(what.iter().fold(finding, |finding, what| finding.note(*what)))
    } else if status.signal() == Some(Signal::XCPU.as_raw()) {
        Some(Diagnostic::new(Code::LimitTime, "evaluation used up the worker's processor time"))
    } else {
        // The system's own killer says nothing.
        status.signal().map(|_| out_of_memory())
    }
}

fn reason(status: ExitStatus, said: &str) -> String {
    match said.lines().next() {
        Some(line) => line.to_owned(),
        None => status.to_string(),
    }
}

/// The beginning of what a worker says on standard error; the rest is read and dropped, lest it waits.
fn complaints(mut stderr: impl Read) -> String {
    let mut kept = Vec::new();
    let _ = stderr.by_ref().take(MAX_STDERR).read_to_end(&mut kept);
    let _ = io::copy(&mut stderr, &mut io::sink());
    String::from_utf8_lossy(&kept).into_owned()
}

fn spawn<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<JoinHandle<T>> {
    thread::Builder::new().name("worker pipe".to_owned()).spawn(work)
}

fn seconds(time: Duration) -> String {
    if time.subsec_millis() == 0 { format!("{} s", time.as_secs()) } else { format!("{} ms", time.as_millis()) }
}

/// A child that is gone, with its whole group, when this is.
struct Process(Child);

impl Process {
    fn wait(&mut self) -> io::Result<ExitStatus> {
        self.0.wait()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Once reaped, its id may belong to somebody else.
        if matches!(self.0.try_wait(), Ok(None)) {
            let _ = kill_process_group(Pid::from_child(&self.0), Signal::KILL);
            let _ = self.0.wait();
        }
    }
}
