//! What the kernel has written down of processes that it killed because memory ran out.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;

use jiff::{SignedDuration, Timestamp};

/// The longest record, in bytes (kernel, `PRINTKRB_RECORD_MAX` and its prefix).
const RECORD: usize = 8 << 10;
/// The most records that are read.
const RECORDS: usize = 1 << 17;
/// How much the two clocks may differ.
const SLACK: SignedDuration = SignedDuration::from_secs(1);

/// The last kill, since a moment, of a process whose cgroup's path holds a word: in a text for people. None where there
/// is none, or where the log can't be read: it takes root, as a rule.
pub fn out_of_memory(word: &str, since: Timestamp) -> Option<String> {
    let uptime: f64 = std::fs::read_to_string("/proc/uptime").ok()?.split(' ').next()?.parse().ok()?;
    let started = Timestamp::now().checked_sub(SignedDuration::try_from_secs_f64(uptime).ok()?).ok()?;
    let since = since.checked_sub(SLACK).ok()?.duration_since(started).as_micros();
    let mut log = OpenOptions::new().read(true).custom_flags(NONBLOCK).open("/dev/kmsg").ok()?;
    let mut buffer = [0; RECORD];
    let mut found = None;
    for _ in 0..RECORDS {
        // One read gives one record.
        match log.read(&mut buffer) {
            Ok(length @ 1..) => {
                let text = String::from_utf8_lossy(&buffer[..length]);
                found = kill(&text, word, since).or(found);
            }
            // Records were overwritten before they were read; the next read goes on behind them.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
            _ => break,
        }
    }
    found
}

/// `O_NONBLOCK`: a read at the log's end returns, and does not wait for the next record.
const NONBLOCK: i32 = rustix::fs::OFlags::NONBLOCK.bits() as i32;

/// A record (kernel documentation, `ABI/testing/dev-kmsg`) `PRIORITY,NUMBER,MICROSECONDS,FLAGS;TEXT`, where it is about
/// such a kill: `oom-kill:constraint=…,oom_memcg=/a,task_memcg=/a/b,task=NAME,pid=1,uid=0`.
fn kill(record: &str, word: &str, since_us: i128) -> Option<String> {
    let (head, text) = record.split_once(';')?;
    let at: i128 = head.split(',').nth(2)?.parse().ok()?;
    let fields = text.lines().next()?.strip_prefix("oom-kill:")?;
    let field = |name: &str| fields.split(',').find_map(|field| field.strip_prefix(name)?.strip_prefix('='));
    let (cgroup, task) = (field("task_memcg")?, field("task")?);
    let is_it = at >= since_us && cgroup.contains(word);
    is_it.then(|| format!("the kernel killed `{task}` because memory ran out (task_memcg={cgroup})"))
}

#[cfg(test)]
mod tests {
    use super::kill;

    #[test]
    fn only_kills_of_the_cgroup_since_then_count() {
        let record = "6,2301,57772496300,-;oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=x,mems_allowed=0,\
                      oom_memcg=/lease,task_memcg=/lease/id,task=awk,pid=9,uid=0\n SUBSYSTEM=x\n";
        let said = "the kernel killed `awk` because memory ran out (task_memcg=/lease/id)";
        assert_eq!(kill(record, "/lease/", 57_772_496_300).as_deref(), Some(said));
        assert_eq!(kill(record, "/lease/", 57_772_496_301), None);
        assert_eq!(kill(record, "/other/", 0), None);
        assert_eq!(kill("6,1,2,-;Memory cgroup out of memory: Killed process 9 (awk)", "", 0), None);
        assert_eq!(kill("oom-kill:task_memcg=/lease/", "", 0), None);
    }
}
