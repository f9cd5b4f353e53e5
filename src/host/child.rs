//! A program that runs beside others: in a process group of its own, with an environment that was chosen, and what it
//! writes on stderr read while it runs.
//!
//! It is asked to end before it is made to. When its handle is dropped, it and all that it has started are killed.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStderr};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::guard;
use super::process::{Limits, ProcessError, start_error};

/// How long a program has to end after it was asked to.
const GRACE: Duration = Duration::from_secs(5);

/// How long is read on after a program has ended, for what others still hold its pipe.
const REST: Duration = Duration::from_secs(2);

/// What is kept of the end of what a program writes on stderr while it answers, in bytes.
const MAX_STDERR: usize = 16 << 10;

/// What is read at once, in bytes.
const CHUNK: usize = 64 * 1024;

/// A program with all that it is started with.
#[derive(Clone, Debug)]
pub struct Program {
    /// Where it is.
    pub path: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Its whole environment.
    pub env: BTreeMap<OsString, OsString>,
    /// lamina's own program, where this one is to die with lamina.
    pub lamina: Option<PathBuf>,
    /// The folder that it runs in; lamina's own where it is absent.
    pub folder: Option<PathBuf>,
    /// Whether what it writes on stdout is read too, together with stderr; of no meaning where it is conversed with.
    pub reads_stdout: bool,
}

/// How a program ended.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    /// Its exit status.
    pub status: ExitStatus,
    /// Whether it had been asked to end.
    pub cancelled: bool,
}

/// What a program answered.
#[derive(Debug)]
pub struct Answer {
    /// Its exit status.
    pub status: ExitStatus,
    /// What it wrote on stdout.
    pub stdout: Vec<u8>,
    /// The end of what it wrote on stderr.
    pub stderr: Vec<u8>,
}

impl Program {
    /// Runs it to its end; `read` gets what it writes on stderr, in pieces. Its stdin is empty, and its stdout is
    /// dropped unless it is read, too. When `cancel` is cancelled, it gets SIGINT, and its whole group SIGKILL some
    /// seconds later.
    ///
    /// # Errors
    /// When it can't be started or waited for.
    pub async fn run(&self, cancel: &CancellationToken, read: impl FnMut(&[u8])) -> Result<Ended, ProcessError> {
        self.attend(|_| {}, None, cancel, read).await.map(|(ended, _)| ended)
    }

    /// Runs it as [`Program::run`] does; `started` gets its process id first.
    ///
    /// # Errors
    /// When it can't be started or waited for.
    pub async fn run_told(
        &self,
        started: impl FnOnce(u32),
        cancel: &CancellationToken,
        read: impl FnMut(&[u8]),
    ) -> Result<Ended, ProcessError> {
        self.attend(started, None, cancel, read).await.map(|(ended, _)| ended)
    }

    /// Runs it to its end as [`Program::run`] does, with something on its stdin, and returns what it wrote on stdout: at
    /// most `limit` bytes. It need not read its input.
    ///
    /// # Errors
    /// When it can't be started or waited for, or writes more: then it is killed at once.
    pub async fn converse(
        &self,
        input: Vec<u8>,
        limit: usize,
        cancel: &CancellationToken,
        read: impl FnMut(&[u8]),
    ) -> Result<(Ended, Vec<u8>), ProcessError> {
        self.attend(|_| {}, Some((input, limit)), cancel, read).await
    }

    /// Asks it something on its stdin, which it need not read, and returns its answer. When its time is over, or who waits
    /// for it goes, it and all that it has started are killed.
    ///
    /// # Errors
    /// When it can't be started or waited for, or exceeds a limit.
    pub async fn exchange(&self, input: Vec<u8>, limits: Limits) -> Result<Answer, ProcessError> {
        let mut stderr = Vec::new();
        let keep = |bytes: &[u8]| keep_end(&mut stderr, bytes, MAX_STDERR);
        let never = CancellationToken::new();
        let talk = self.attend(|_| {}, Some((input, limits.output)), &never, keep);
        let (ended, stdout) = timeout(limits.deadline, talk).await.unwrap_or_else(|_| {
            Err(ProcessError::TimedOut { program: self.path.to_string_lossy().into_owned(), deadline: limits.deadline })
        })?;
        Ok(Answer { status: ended.status, stdout, stderr })
    }

    async fn attend(
        &self,
        started: impl FnOnce(u32),
        talk: Option<(Vec<u8>, usize)>,
        cancel: &CancellationToken,
        mut read: impl FnMut(&[u8]),
    ) -> Result<(Ended, Vec<u8>), ProcessError> {
        let name = self.path.to_string_lossy().into_owned();
        let io_error = |source| ProcessError::Io { program: name.clone(), source };
        let mut group = Group::start(self, talk.is_some()).map_err(|source| start_error(&name, source))?;
        if let Some(id) = group.leader.id() {
            started(id);
        }
        let mut stderr = group.leader.stderr.take();
        let (mut stdin, mut stdout) = (group.leader.stdin.take(), group.leader.stdout.take());
        let (input, limit) = talk.unwrap_or_default();
        let mut answer = Vec::new();
        let mut told = std::pin::pin!(async {
            if let Some(mut stdin) = stdin.take() {
                // Who has read enough closes it.
                let _ = stdin.write_all(&input).await;
            }
        });
        let mut is_told = false;
        let (mut buffer, mut piece) = (vec![0; CHUNK], vec![0; CHUNK]);
        let mut status = None;
        // When what is not done by then is given up.
        let mut end: Option<Instant> = None;
        let mut cancelled = false;
        loop {
            if let (Some(status), None, None) = (status, &stderr, &stdout) {
                return Ok((Ended { status, cancelled }, answer));
            }
            tokio::select! {
                // What was written before it ended is read before that is noticed.
                biased;
                () = at(end) => match status {
                    Some(status) => {
                        // Somebody has the pipe, so somebody of the group is left, and its id is no other's.
                        group.kill_all();
                        return Ok((Ended { status, cancelled }, answer));
                    }
                    None => {
                        group.kill_all();
                        end = None;
                    }
                },
                () = cancel.cancelled(), if !cancelled && status.is_none() => {
                    cancelled = true;
                    end = Some(Instant::now() + GRACE);
                    group.interrupt();
                }
                () = &mut told, if !is_told => is_told = true,
                got = some(&mut stdout, &mut piece) => match got {
                    Ok(0) | Err(_) => stdout = None,
                    Ok(length) => {
                        if answer.len() + length > limit {
                            return Err(ProcessError::TooMuch { program: name.clone(), limit });
                        }
                        answer.extend_from_slice(piece.get(..length).unwrap_or_default());
                    }
                },
                got = some(&mut stderr, &mut buffer) => match got {
                    Ok(0) | Err(_) => stderr = None,
                    Ok(length) => read(buffer.get(..length).unwrap_or_default()),
                },
                ended = group.leader.wait(), if status.is_none() => {
                    group.reaped = true;
                    status = Some(ended.map_err(io_error)?);
                    end = Some(Instant::now() + REST);
                }
            }
        }
    }

    pub(super) fn command(&self) -> Command {
        let mut command = match &self.lamina {
            Some(lamina) => guard::command(lamina, &self.path),
            None => Command::new(&self.path),
        };
        command.args(&self.args).env_clear().envs(&self.env);
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        command
    }
}

/// Adds to what is kept of a program's messages: at most so many bytes of their end, which says why.
pub fn keep_end(kept: &mut Vec<u8>, bytes: &[u8], most: usize) {
    kept.extend_from_slice(bytes);
    kept.drain(..kept.len().saturating_sub(most));
}

/// Waits for a moment, or for ever.
async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// Reads some bytes, or waits for ever where there are none to come.
async fn some(pipe: &mut Option<impl AsyncRead + Unpin>, buffer: &mut [u8]) -> io::Result<usize> {
    match pipe {
        Some(pipe) => pipe.read(buffer).await,
        None => std::future::pending().await,
    }
}

/// A program that is gone, with all that it has started, when this is.
struct Group {
    leader: Child,
    id: Option<Pid>,
    /// Once it is, its id may belong to somebody else.
    reaped: bool,
}

impl Group {
    fn start(program: &Program, talks: bool) -> io::Result<Self> {
        let mut command = tokio::process::Command::from(program.command());
        command.process_group(0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut merged = None;
        if talks {
            command.stdin(Stdio::piped()).stdout(Stdio::piped());
        } else if program.reads_stdout {
            // One pipe for both, so that lines come in the order in which they were written.
            let (reader, writer) = io::pipe()?;
            command.stdout(writer.try_clone()?).stderr(writer);
            merged = Some(ChildStderr::from_std(OwnedFd::from(reader).into())?);
        }
        let mut leader = command.kill_on_drop(true).spawn()?;
        leader.stderr = merged.or(leader.stderr.take());
        let id = leader.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        Ok(Self { leader, id, reaped: false })
    }

    /// Asks the program itself to end; a client of BuildKit ends its build then, and what it has started.
    fn interrupt(&self) {
        if let (Some(id), false) = (self.id, self.reaped) {
            let _ = kill_process(id, Signal::INT);
        }
    }

    fn kill_all(&self) {
        if let Some(id) = self.id {
            let _ = kill_process_group(id, Signal::KILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if !self.reaped {
            self.kill_all();
        }
    }
}

/// The file of a program in the folders of PATH.
pub fn find(name: &str, path: Option<&std::ffi::OsStr>) -> Option<PathBuf> {
    std::env::split_paths(path?).map(|folder| folder.join(name)).find(|file| is_program(file))
}

/// Whether there is a file that can be run.
pub fn is_program(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;

    file.metadata().is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}
