//! Whether a build failed because memory ran out. No one sign is enough: a cancelled step says 137, too, and a full disk
//! is an exhausted resource as well.

use super::Evidence;
use crate::engine::SolveError;
use crate::event::{Oom, OomVerdict};

/// How many of a step's last lines are looked at.
pub const LINES: usize = 200;

/// The verdict about a build that failed: nothing where there is no sign of it. `step` is what BuildKit calls the step
/// that failed, `output` its last [`LINES`] lines.
pub fn verdict(error: &SolveError, step: Option<&str>, output: &[String], evidence: &Evidence) -> Option<Oom> {
    if error.cancelled {
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
        (Some(killed), None) if evidence.alone => {
            Some(Oom { verdict: OomVerdict::Certain, evidence: format!("{killed}{at}") })
        }
        (_, sign) => sign.map(|evidence| Oom { verdict: OomVerdict::Probable, evidence }),
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
    output.iter().rev().find(is_sign).map(|line| format!("exit code {code} after `{}`", line.trim()))
}
