//! A program that runs beside lamina for as long as its lease does.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::host::child::Program;
use crate::host::lines::Lines;
use crate::host::machine;
use crate::host::process::ProcessError;
use crate::runner::{ProviderError, Record};

/// How many of its last lines are kept.
const LINES: usize = 60;

/// How long a process that was killed may take to be gone, and how often that is looked at.
const GONE: (Duration, Duration) = (Duration::from_secs(10), Duration::from_millis(20));

/// What is written down of such a program, so that another process can end it.
#[derive(Debug, Serialize, Deserialize)]
struct Handle {
    pid: u32,
    started: u64,
}

/// Kills the program that a lease's record names, and returns when it is gone. One that ran on another machine, or
/// before this one was started anew, has ended with the lamina that had started it.
pub async fn end(record: &Record) -> Result<(), ProviderError> {
    let owner = &record.owner;
    let handle = record.handle.as_deref().and_then(|handle| serde_json::from_str(handle).ok());
    let Some(Handle { pid, started }) = handle else { return Ok(()) };
    if owner.host != machine::name() || owner.boot != machine::boot() {
        return Ok(());
    }
    machine::kill(pid, started);
    let gone = async {
        while machine::started(pid) == Some(started) {
            sleep(GONE.1).await;
        }
    };
    timeout(GONE.0, gone).await.map_err(|_| ProviderError::passing(format!("process {pid} does not end")))
}

/// A program while it runs. It is killed with its process group when this goes.
#[derive(Debug)]
pub struct Beside {
    task: JoinHandle<()>,
    said: Arc<Mutex<Said>>,
    pid: u32,
}

/// What it says on its way.
#[derive(Debug, Default)]
struct Said {
    lines: VecDeque<String>,
    error: Option<String>,
}

impl Beside {
    /// Starts it.
    ///
    /// # Errors
    /// When it can't be started.
    pub async fn start(program: Program) -> Result<Self, ProcessError> {
        let said: Arc<Mutex<Said>> = Arc::default();
        let (tell_pid, pid) = oneshot::channel();
        let (tell_error, error) = oneshot::channel();
        let kept = Arc::clone(&said);
        let task = tokio::spawn(async move {
            let mut lines = Lines::default();
            let keep = |line: String| {
                let mut said = lock(&kept);
                if said.lines.len() == LINES {
                    said.lines.pop_front();
                }
                said.lines.push_back(line);
            };
            let started = |pid| {
                // It is gone where nobody waits any more.
                let _ = tell_pid.send(pid);
            };
            let ended = program.run_told(started, &CancellationToken::new(), |bytes| lines.feed(bytes, keep)).await;
            lines.finish(keep);
            match ended {
                Ok(ended) => lock(&kept).error = Some(format!("it has ended ({})", ended.status)),
                Err(error) => {
                    lock(&kept).error = Some(error.to_string());
                    drop(tell_error.send(error));
                }
            }
        });
        let mut beside = Self { task, said, pid: 0 };
        match pid.await {
            Ok(pid) => {
                beside.pid = pid;
                Ok(beside)
            }
            Err(_) => Err(error.await.unwrap_or_else(|_| ProcessError::NotFound("a program".to_owned()))),
        }
    }

    /// What [`end`] needs of it.
    pub fn handle(&self) -> String {
        let handle = Handle { pid: self.pid, started: machine::started(self.pid).unwrap_or_default() };
        serde_json::to_string(&handle).unwrap_or_default()
    }

    /// Whether it has ended by itself.
    pub fn is_over(&self) -> bool {
        self.task.is_finished()
    }

    /// Its last words, in a line: the last that begins in a certain way, where one does. Programs may write a trace of
    /// their calls behind what they have to say.
    pub fn last_words(&self, begin: &str) -> String {
        let said = lock(&self.said);
        let lines = || said.lines.iter().rev().filter(|line| !line.trim().is_empty());
        let line = lines().find(|line| line.starts_with(begin)).or_else(|| lines().next());
        line.map(|line| line.trim().to_owned()).or_else(|| said.error.clone()).unwrap_or_default()
    }

    /// Kills it, and returns when it is gone.
    pub async fn stop(mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock(said: &Mutex<Said>) -> std::sync::MutexGuard<'_, Said> {
    said.lock().unwrap_or_else(PoisonError::into_inner)
}
