//! Cgroups of leases: what the steps of a build may use, and what they have used (kernel documentation,
//! `admin-guide/cgroup-v2.rst` and `cgroup-v1/memory.rst`).
//!
//! One is named as its lease, at the root of the hierarchy; buildkitd puts each step into one below it. Version 1 has a
//! hierarchy for each controller, version 2 one for all.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{Access, access};

use crate::model::Size;

/// Where the hierarchies are mounted.
const MOUNT: &str = "/sys/fs/cgroup";
/// The time that processors are given out in, in microseconds.
const PERIOD_US: u64 = 100_000;
/// How deep steps nest what is theirs.
const DEEPEST: usize = 8;
/// How long a cgroup may take to be empty after its processes were killed, and how often that is looked at.
const EMPTY: (u32, Duration) = (500, Duration::from_millis(20));

/// The cgroups of a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cgroups {
    mount: PathBuf,
    /// Whether there is one hierarchy for all controllers.
    unified: bool,
}

/// A cgroup, by the folders of the controllers that are looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cgroup {
    memory: PathBuf,
    cpu: PathBuf,
    /// Where version 1 counts processor time: a hierarchy of its own, or the one of `cpu` under a second name.
    cpuacct: PathBuf,
    unified: bool,
}

impl Cgroups {
    /// Those of this machine.
    pub fn of_machine() -> Self {
        Self::at(Path::new(MOUNT))
    }

    /// Those that are mounted in a folder.
    pub fn at(mount: &Path) -> Self {
        Self { mount: mount.to_owned(), unified: mount.join("cgroup.controllers").is_file() }
    }

    /// Whether limits of memory and processors can be set: the controllers are there, and are this user's to use.
    pub fn can_limit(&self) -> bool {
        let is_ours = |folder: &Path| access(folder, Access::WRITE_OK | Access::EXEC_OK).is_ok();
        if self.unified {
            // Controllers that the root does not hand down are not taken from whoever has decided that.
            let handed = fs::read_to_string(self.mount.join("cgroup.subtree_control")).unwrap_or_default();
            let has = |name| handed.split_ascii_whitespace().any(|controller| controller == name);
            return has("memory") && has("cpu") && is_ours(&self.mount);
        }
        ["memory", "cpu"].iter().all(|controller| is_ours(&self.mount.join(controller)))
    }

    /// Makes a cgroup with the limits of a size; none of its memory is swapped.
    ///
    /// # Errors
    /// When it can't be made, or the kernel takes no such limit.
    pub fn make(&self, name: &str, size: Size) -> io::Result<Cgroup> {
        let cgroup = self.named(name);
        let memory = size.memory_mb.saturating_mul(1 << 20).to_string();
        let quota = size.cpu.saturating_mul(PERIOD_US).to_string();
        fs::create_dir_all(&cgroup.memory)?;
        fs::create_dir_all(&cgroup.cpu)?;
        if self.unified {
            fs::write(cgroup.memory.join("memory.max"), memory)?;
            // Without swap in the kernel there is no such file.
            let _ = fs::write(cgroup.memory.join("memory.swap.max"), "0");
            fs::write(cgroup.cpu.join("cpu.max"), format!("{quota} {PERIOD_US}"))?;
        } else {
            // Kernels before 5.11 ask whether a limit holds for what is below.
            let _ = fs::write(cgroup.memory.join("memory.use_hierarchy"), "1");
            fs::write(cgroup.memory.join("memory.limit_in_bytes"), &memory)?;
            let _ = fs::write(cgroup.memory.join("memory.memsw.limit_in_bytes"), &memory);
            fs::write(cgroup.cpu.join("cpu.cfs_period_us"), PERIOD_US.to_string())?;
            fs::write(cgroup.cpu.join("cpu.cfs_quota_us"), quota)?;
        }
        Ok(cgroup)
    }

    /// The cgroup of a name, be it there or not.
    pub fn named(&self, name: &str) -> Cgroup {
        let at = |controller: &str| match self.unified {
            true => self.mount.join(name),
            false => self.mount.join(controller).join(name),
        };
        Cgroup { memory: at("memory"), cpu: at("cpu"), cpuacct: at("cpuacct"), unified: self.unified }
    }

    /// The cgroup of a container, by one of its processes and the container's id, which is in the path. None where it
    /// is not: the process may be another machine's.
    pub fn of_container(&self, pid: u32, id: &str) -> Option<Cgroup> {
        let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
        let controller = if self.unified { "" } else { "memory" };
        let path = text.lines().find_map(|line| {
            let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
            controllers.split(',').any(|one| one == controller).then_some(path)
        })?;
        // A buildkitd puts itself into a cgroup below the container's.
        let at = path.find(id).filter(|_| !id.is_empty())?;
        let end = path.get(at..)?.find('/').map_or(path.len(), |length| at + length);
        let cgroup = self.named(path.get(..end)?.trim_start_matches('/'));
        cgroup.memory.is_dir().then_some(cgroup)
    }

    /// Takes a cgroup away, with all below it, once its processes have ended. Returns the names of what was right
    /// below it: the containers of its steps.
    ///
    /// # Errors
    /// When it is not empty after some seconds.
    pub async fn remove(&self, name: &str) -> io::Result<Vec<String>> {
        let mut below = Vec::new();
        for folder in self.all(name)? {
            below.extend(folders(&folder)?.iter().filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())));
            let mut tried = 0;
            while let Err(error) = remove(&folder, 0) {
                tried += 1;
                if tried == EMPTY.0 {
                    return Err(error);
                }
                tokio::time::sleep(EMPTY.1).await;
            }
        }
        below.sort();
        below.dedup();
        Ok(below)
    }

    /// The folders of a name, in all hierarchies.
    fn all(&self, name: &str) -> io::Result<Vec<PathBuf>> {
        let hierarchies = if self.unified { vec![self.mount.clone()] } else { folders(&self.mount)? };
        Ok(hierarchies.iter().map(|hierarchy| hierarchy.join(name)).filter(|folder| folder.is_dir()).collect())
    }
}

impl Cgroup {
    /// The memory that is used now and that can't be dropped, in bytes: without the files that the kernel remembers.
    pub fn memory(&self) -> Option<u64> {
        let text = fs::read_to_string(self.memory.join("memory.stat")).ok()?;
        let names = if self.unified { ["anon", "shmem"] } else { ["total_rss", "total_shmem"] };
        Some(names.iter().filter_map(|name| value(&text, name)).sum())
    }

    /// The processor time that was used, in milliseconds.
    pub fn cpu_ms(&self) -> Option<u64> {
        if self.unified {
            let text = fs::read_to_string(self.cpu.join("cpu.stat")).ok()?;
            return Some(value(&text, "usage_usec")? / 1000);
        }
        let nanoseconds: u64 = fs::read_to_string(self.cpuacct.join("cpuacct.usage")).ok()?.trim().parse().ok()?;
        Some(nanoseconds / 1_000_000)
    }

    /// How many processes of it, and of those below, the kernel has killed because memory ran out. Version 1 counts no
    /// such thing for what is below: the kernel's log has it.
    pub fn kills(&self) -> Option<u64> {
        value(&fs::read_to_string(self.memory.join("memory.events")).ok()?, "oom_kill")
    }
}

/// A value of a file with a name and a number a line.
fn value(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

/// The folders in a folder; links are none.
fn folders(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

/// Removes a cgroup from below; the files in it are the kernel's and go with it.
fn remove(folder: &Path, depth: usize) -> io::Result<()> {
    if depth > DEEPEST {
        return Err(io::Error::other(format!("{} is nested too deeply", folder.display())));
    }
    match folders(folder).and_then(|below| below.iter().try_for_each(|folder| remove(folder, depth + 1))) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    match fs::remove_dir(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
