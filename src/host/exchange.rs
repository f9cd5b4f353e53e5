//! A conversation with a program: it reads a question on stdin, writes an answer on stdout, and ends. It runs in a
//! process group of its own, with an environment that was chosen, within limits; when who waits for it goes, it and all
//! that it has started are killed.

use std::io;
use std::process::{ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::Child;
use tokio::time::timeout;

use super::child::Program;
use super::process::{Limits, ProcessError, start_error};

/// What is kept of what a program writes on stderr, in bytes.
const MAX_STDERR: usize = 16 << 10;

/// What a program answered.
#[derive(Debug)]
pub struct Answer {
    /// Its exit status.
    pub status: ExitStatus,
    /// What it wrote on stdout.
    pub stdout: Vec<u8>,
    /// The beginning of what it wrote on stderr.
    pub stderr: Vec<u8>,
}

impl Program {
    /// Runs it with `input` as its stdin. It may end without having read that.
    ///
    /// # Errors
    /// When it can't be started or waited for, or exceeds a limit.
    pub async fn exchange(&self, input: &[u8], limits: Limits) -> Result<Answer, ProcessError> {
        let name = self.path.to_string_lossy().into_owned();
        let io_error = |source| ProcessError::Io { program: name.clone(), source };
        let mut command = tokio::process::Command::from(self.command());
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let leader = command.kill_on_drop(true).spawn().map_err(|source| start_error(&name, source))?;
        let mut group = Group { id: pid(&leader), leader };
        let pipes = (group.leader.stdin.take(), group.leader.stdout.take(), group.leader.stderr.take());
        let (Some(mut stdin), Some(stdout), Some(stderr)) = pipes else {
            return Err(io_error(io::Error::other("its pipes are missing")));
        };
        let write = async {
            // Who does not read its input may still give an answer.
            let _ = stdin.write_all(input).await;
            drop(stdin);
            Ok(())
        };
        let too_much = || ProcessError::TooMuch { program: name.clone(), limit: limits.output };
        let read = async {
            let answer = kept(stdout, limits.output + 1, true).await.map_err(io_error)?;
            if answer.len() > limits.output { Err(too_much()) } else { Ok(answer) }
        };
        let messages = async { kept(stderr, MAX_STDERR, false).await.map_err(io_error) };
        let all = async {
            let ((), stdout, stderr) = tokio::try_join!(write, read, messages)?;
            let status = group.leader.wait().await.map_err(io_error)?;
            Ok(Answer { status, stdout, stderr })
        };
        let answer = timeout(limits.deadline, all).await;
        answer.unwrap_or_else(|_| Err(ProcessError::TimedOut { program: name.clone(), deadline: limits.deadline }))
    }
}

/// The first `limit` bytes of a pipe, which is read to its end unless it is enough to know that there is more.
async fn kept(mut pipe: impl AsyncRead + Unpin, limit: usize, stops: bool) -> io::Result<Vec<u8>> {
    let mut kept = Vec::new();
    (&mut pipe).take(limit as u64).read_to_end(&mut kept).await?;
    if !stops {
        tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await?;
    }
    Ok(kept)
}

fn pid(child: &Child) -> Option<Pid> {
    child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw)
}

/// A program that is gone, with all that it has started, when this is.
struct Group {
    id: Option<Pid>,
    leader: Child,
}

impl Drop for Group {
    fn drop(&mut self) {
        // Once it was waited for, its id may be that of somebody else.
        if let (Some(id), Some(_)) = (self.id, self.leader.id()) {
            let _ = kill_process_group(id, Signal::KILL);
        }
    }
}
