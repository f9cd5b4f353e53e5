//! Whether a build failed because memory ran out. No one sign is enough: a cancelled step says 137, too, and a full disk
//! is an exhausted resource as well.
//!
//! The rules, of which the first that applies holds:
//! 0. who was cancelled did not run out of memory;
//! 1. certain: BuildKit says so itself ([`SolveError::out_of_memory`]);
//! 2. certain: the runner says that something was killed, and the failure looks like it, or nothing else was built there;
//! 3. probable: exit code 137;
//! 4. probable: another exit code, and the step's last lines tell of a kill or of an allocation that failed;
//! 5. else it is a failure like any other.

use super::Evidence;
use crate::engine::SolveError;
use crate::event::{FailureKind, Oom, OomVerdict};

/// How many of a step's last lines are looked at.
pub const LINES: usize = 200;

/// The verdict about a build that failed: nothing where there is no sign of it. `step` is what BuildKit calls the step
/// that failed, `output` its last [`LINES`] lines.
pub fn verdict(error: &SolveError, step: Option<&str>, output: &[String], evidence: &Evidence) -> Option<Oom> {
    if error.cancelled || error.message.trim_end().ends_with("context canceled") {
        return None;
    }
    let at = step.map(|step| format!(" at {step}")).unwrap_or_default();
    if error.out_of_memory {
        let evidence = format!("BuildKit says: cannot allocate memory{at}");
        return Some(Oom { verdict: OomVerdict::Certain, evidence });
    }
    let sign = sign(error, output).map(|sign| format!("{sign}{at}"));
    match (&evidence.oom, sign) {
        (Some(killed), Some(sign)) => Some(Oom { verdict: OomVerdict::Certain, evidence: format!("{killed}; {sign}") }),
        (Some(killed), None) if evidence.alone && may_be_memory(error) => {
            Some(Oom { verdict: OomVerdict::Certain, evidence: format!("{killed}{at}") })
        }
        (_, sign) => sign.map(|evidence| Oom { verdict: OomVerdict::Probable, evidence }),
    }
}

/// Whether a failure can be the end of something that was killed. The others were found before any step ran, or were
/// said by a registry; and a full disk is no memory.
fn may_be_memory(error: &SolveError) -> bool {
    match error.kind {
        FailureKind::Step | FailureKind::Engine | FailureKind::Other => true,
        FailureKind::Resources => !error.message.contains("no space left on device"),
        _ => false,
    }
}

/// What looks like it in the failure itself.
fn sign(error: &SolveError, output: &[String]) -> Option<String> {
    const SIGNS: &[&str] = &[
        "(signal: 9, SIGKILL: kill)",
        "ld terminated with signal 9",
        "Killed signal terminated program",
        "LLVM ERROR: out of memory",
        "Cannot allocate memory",
    ];
    let code = error.exit_code?;
    if code == 137 {
        return Some("exit code 137".to_owned());
    }
    let is_sign = |line: &&String| {
        let failed_allocation = line.contains("memory allocation of ") && line.contains(" bytes failed");
        SIGNS.iter().any(|sign| line.contains(sign)) || line.trim() == "Killed" || failed_allocation
    };
    output.iter().rev().take(LINES).find(is_sign).map(|line| format!("exit code {code} after `{}`", line.trim()))
}
