//! Who this machine is, and which processes it runs: by Linux' /proc.

use std::fs;

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
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in brackets, and may hold anything.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    match fields.next()? {
        "Z" | "X" => None,
        _ => fields.nth(18)?.parse().ok(),
    }
}
