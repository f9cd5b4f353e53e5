//! What may be left of leases on this machine. All that a provider makes is named as the lease.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::shop::command_lines;

/// What is left of a lease: processes with its name in their arguments, mounts, folders, cgroups, and what Docker and
/// buildx know of it.
pub fn of(lease: &str, state: &Path) -> Vec<String> {
    let mut left = Vec::new();
    let holds = |line: &[u8]| String::from_utf8_lossy(line).contains(lease);
    left.extend(
        command_lines()
            .iter()
            .filter(|line| holds(line))
            .map(|line| format!("process {}", String::from_utf8_lossy(line).replace('\0', " "))),
    );
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    left.extend(mounts.lines().filter(|line| line.contains(lease)).map(|line| format!("mount {line}")));
    let folder = state.join("runners").join(lease);
    left.extend(folder.exists().then(|| format!("folder {}", folder.display())));
    let hierarchies = fs::read_dir("/sys/fs/cgroup").into_iter().flatten().map_while(Result::ok);
    let cgroups = hierarchies.map(|entry| entry.path().join(lease)).chain([Path::new("/sys/fs/cgroup").join(lease)]);
    left.extend(cgroups.filter(|cgroup| cgroup.exists()).map(|cgroup| format!("cgroup {}", cgroup.display())));
    if std::env::var_os("DOCKER_HOST").is_some() {
        for args in [
            &["ps", "--all", "--format", "container {{.Names}}"][..],
            &["volume", "ls", "--format", "volume {{.Name}}"],
            &["buildx", "ls"],
        ] {
            let said = Command::new("docker").args(args).output().unwrap();
            let said = String::from_utf8_lossy(&said.stdout).into_owned();
            left.extend(said.lines().filter(|line| line.contains(lease)).map(str::to_owned));
        }
    }
    left
}

/// Fails where something is left. A process that was killed takes a moment to go.
#[track_caller]
pub fn none(lease: &str, state: &Path) {
    let begun = Instant::now();
    loop {
        let left = of(lease, state);
        if left.is_empty() {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{lease} has left behind: {left:#?}");
        sleep(Duration::from_millis(50));
    }
}
