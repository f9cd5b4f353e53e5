//! Who this machine is, and which processes it runs: by Linux' /proc.

use std::fs;
use std::str::SplitAsciiWhitespace;
use std::time::Duration;

/// The machine's name, as it says itself.
pub fn name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// What changes with each start of the machine (random(4), `boot_id`); empty where nothing says it.
pub fn boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").map(|id| id.trim().to_owned()).unwrap_or_default()
}

/// When a process was started, in the kernel's ticks since the machine's start (proc_pid_stat(5), field 22). None where
/// there is none, or it has ended and nobody has taken notice.
pub fn started(pid: u32) -> Option<u64> {
    stat(pid, |mut fields| match fields.next()? {
        "Z" | "X" => None,
        _ => fields.nth(18)?.parse().ok(),
    })
}

/// The processor time that a process has used (proc_pid_stat(5), fields 14 and 15). None where nothing tells.
pub fn cpu_time(pid: u32) -> Option<Duration> {
    let ticks: u64 = stat(pid, |mut fields| {
        let user: u64 = fields.nth(11)?.parse().ok()?;
        user.checked_add(fields.next()?.parse().ok()?)
    })?;
    Some(Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64))
}

/// Something of what the kernel tells of a process, from its third field on.
fn stat<T>(pid: u32, of: impl FnOnce(SplitAsciiWhitespace<'_>) -> Option<T>) -> Option<T> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in brackets, and may hold anything.
    of(stat.rsplit_once(')')?.1.split_ascii_whitespace())
}

/// Kills a process, where it is still the one that was started then: process ids are given again.
#[cfg(target_os = "linux")]
pub fn kill(pid: u32, started_then: u64) {
    use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

    let Some(id) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return };
    // Held first: from here on, the id is looked at while it belongs to nobody else.
    let Ok(held) = pidfd_open(id, PidfdFlags::empty()) else { return };
    if started(pid) == Some(started_then) {
        let _ = pidfd_send_signal(held, Signal::KILL);
    }
}

/// Kills a process, where it is still the one that was started then. Nothing tells elsewhere.
#[cfg(not(target_os = "linux"))]
pub fn kill(_pid: u32, _started_then: u64) {}
