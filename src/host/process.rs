//! Running a program to its end: argv only; with input, a deadline and a bound on its output where it is not trusted.

use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use wait_timeout::ChildExt;

/// Why a program's answer can't be had.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// It is not installed.
    #[error("`{0}` is not installed or not on PATH")]
    NotFound(String),
    /// It could not be started or read.
    #[error("`{program}` can't be run: {source}")]
    Io {
        /// The program.
        program: String,
        /// What the system said.
        source: io::Error,
    },
    /// It ended with a failure.
    #[error("`{program}` failed: {stderr}")]
    Failed {
        /// The program and its first argument.
        program: String,
        /// What it said.
        stderr: String,
    },
    /// It was not done in time, and was ended with all that it had started.
    #[error("`{program}` was not done after {} s", deadline.as_secs_f32())]
    TimedOut {
        /// The program.
        program: String,
        /// The time that it had.
        deadline: Duration,
    },
    /// It wrote more than anybody would read.
    #[error("`{program}` wrote more than {limit} bytes")]
    TooMuch {
        /// The program.
        program: String,
        /// The bound.
        limit: usize,
    },
}

/// What a program may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The time until it has ended.
    pub deadline: Duration,
    /// The bytes on stdout.
    pub output: usize,
}

/// How a program ended, and what it wrote on stdout.
#[derive(Debug)]
pub struct Ended {
    /// Its exit status.
    pub status: ExitStatus,
    /// What it wrote.
    pub stdout: Vec<u8>,
    /// What it wrote on stderr, where that was asked for.
    pub stderr: Vec<u8>,
}

/// A git command in a folder: no pager, no prompt, messages in a fixed language, no lock taken for reading.
pub fn git(folder: &Path) -> Command {
    let mut command = Command::new("git");
    command
        .arg("-C")
        .arg(folder)
        .env("LC_ALL", "C")
        .env("GIT_OPTIONAL_LOCKS", "0")
        .env("GIT_TERMINAL_PROMPT", "0")
        // Hooks, for example pre-commit's, run with these set; they would bend the path that -C names.
        .env_remove("GIT_DIR")
        .env_remove("GIT_WORK_TREE")
        .env_remove("GIT_PREFIX")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Runs a command to its end and returns what it wrote on stdout.
///
/// # Errors
/// When it can't be started, or ends with a failure.
pub fn output(mut command: Command) -> Result<Vec<u8>, ProcessError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|source| start_error(&program, source))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let what = command.get_args().filter(|arg| !arg.as_encoded_bytes().starts_with(b"-"));
    let what = what.map(OsStr::to_string_lossy).nth(1).unwrap_or_default().into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(ProcessError::Failed { program: format!("{program} {what}").trim_end().to_owned(), stderr })
}

/// Tells a missing program from other failures to start.
pub fn start_error(program: &str, source: io::Error) -> ProcessError {
    match source.kind() {
        io::ErrorKind::NotFound => ProcessError::NotFound(program.to_owned()),
        _ => ProcessError::Io { program: program.to_owned(), source },
    }
}

/// Runs a command within limits: `input` is its stdin, stderr is dropped, and at the deadline it is killed with its
/// whole process group. A failure of the program is an answer, too.
///
/// # Errors
/// When it can't be started or waited for, or exceeds a limit.
pub fn converse(mut command: Command, input: Vec<u8>, limits: Limits) -> Result<Ended, ProcessError> {
    command.stderr(Stdio::null());
    within(command, input, limits)
}

/// Runs a command within limits as [`converse`] does, without input, and keeps what it writes on stderr, too: as much
/// of it as of stdout.
///
/// # Errors
/// When it can't be started or waited for, or exceeds a limit.
pub fn collect(mut command: Command, limits: Limits) -> Result<Ended, ProcessError> {
    command.stderr(Stdio::piped());
    within(command, Vec::new(), limits)
}

fn within(mut command: Command, input: Vec<u8>, limits: Limits) -> Result<Ended, ProcessError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let started = Instant::now();
    let io_error = |source| ProcessError::Io { program: program.clone(), source };
    let timed_out = || ProcessError::TimedOut { program: program.clone(), deadline: limits.deadline };
    command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped());
    let child = command.spawn().map_err(|source| start_error(&program, source))?;
    let mut group = Group { leader: child, reaped: false };
    let (Some(mut stdin), Some(stdout)) = (group.leader.stdin.take(), group.leader.stdout.take()) else {
        return Err(io_error(io::Error::other("its pipes are missing")));
    };
    // Who does not read its input may still give an answer.
    spawn(move || drop(stdin.write_all(&input))).map_err(io_error)?;
    let answer = capture(stdout, limits.output).map_err(io_error)?;
    let messages = group.leader.stderr.take().map(|stderr| capture(stderr, limits.output)).transpose();
    let messages = messages.map_err(io_error)?;
    let left = || limits.deadline.saturating_sub(started.elapsed());
    let all =
        |pipe: Receiver<io::Result<Vec<u8>>>| pipe.recv_timeout(left()).map_err(|_| timed_out())?.map_err(io_error);
    // The pipes end before the program does, so the group can be killed for as long as its leader is not reaped.
    let stdout = all(answer)?;
    let stderr = messages.map(all).transpose()?.unwrap_or_default();
    let status = group.leader.wait_timeout(left()).map_err(io_error)?.ok_or_else(timed_out)?;
    group.reaped = true;
    match stdout.len().max(stderr.len()) > limits.output {
        true => Err(ProcessError::TooMuch { program, limit: limits.output }),
        false => Ok(Ended { status, stdout, stderr }),
    }
}

/// Reads up to one byte more than the limit; the rest is dropped, lest the writer waits.
fn capture(mut pipe: impl Read + Send + 'static, limit: usize) -> io::Result<Receiver<io::Result<Vec<u8>>>> {
    let (sender, receiver) = mpsc::channel();
    spawn(move || {
        let mut kept = Vec::new();
        let read = pipe.by_ref().take(limit as u64 + 1).read_to_end(&mut kept);
        let read = read.and_then(|_| io::copy(&mut pipe, &mut io::sink()));
        // Nobody waits any longer after the deadline.
        let _ = sender.send(read.map(|_| kept));
    })?;
    Ok(receiver)
}

fn spawn(work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new().name("pipe".to_owned()).spawn(work).map(drop)
}

/// A program that is gone, with all that it has started, when this is.
struct Group {
    leader: Child,
    /// Once it is, its id may belong to somebody else.
    reaped: bool,
}

impl Drop for Group {
    fn drop(&mut self) {
        if !self.reaped {
            let _ = kill_process_group(Pid::from_child(&self.leader), Signal::KILL);
            let _ = self.leader.wait();
        }
    }
}
