//! Cgroups of version 2, as files: what is written into them and read from them is the kernel's format, but no kernel
//! is behind them. Version 1 or 2, whichever this machine has, is met by the contract of `process`.

use std::fs;

use lamina::model::Size;
use lamina::runner::providers::cgroup::Cgroups;
use tempfile::TempDir;

fn version_2(handed_down: &str) -> TempDir {
    let mount = TempDir::new().unwrap();
    fs::write(mount.path().join("cgroup.controllers"), "cpuset cpu io memory pids\n").unwrap();
    fs::write(mount.path().join("cgroup.subtree_control"), handed_down).unwrap();
    mount
}

#[test]
fn version_2_gets_the_limits_of_a_size_and_says_what_was_used() {
    let mount = version_2("cpu memory\n");
    let cgroups = Cgroups::at(mount.path());
    assert!(cgroups.can_limit());
    let cgroup = cgroups.make("lease", Size { cpu: 2, memory_mb: 512 }).unwrap();
    let file = |name: &str| mount.path().join("lease").join(name);
    let read = |name: &str| fs::read_to_string(file(name)).unwrap();
    let limits = (read("memory.max"), read("memory.swap.max"), read("cpu.max"));
    assert_eq!(limits, ("536870912".to_owned(), "0".to_owned(), "200000 100000".to_owned()));
    assert_eq!((cgroup.memory(), cgroup.cpu_ms(), cgroup.kills()), (None, None, None));
    fs::write(file("memory.stat"), "anon 1048576\nfile 99999999\nkernel 7\nshmem 4096\nanon_thp 5\n").unwrap();
    fs::write(file("cpu.stat"), "usage_usec 1234567\nuser_usec 1000000\nsystem_usec 234567\n").unwrap();
    fs::write(file("memory.events"), "low 0\nhigh 0\nmax 12\noom 3\noom_kill 2\noom_group_kill 0\n").unwrap();
    assert_eq!((cgroup.memory(), cgroup.cpu_ms(), cgroup.kills()), (Some(1_052_672), Some(1234), Some(2)));
}

#[test]
fn without_the_controllers_nothing_can_be_limited() {
    for handed_down in ["", "cpu pids\n", "memory\n", "cpuset memory\n"] {
        assert!(!Cgroups::at(version_2(handed_down).path()).can_limit(), "{handed_down:?}");
    }
    assert!(!Cgroups::at(TempDir::new().unwrap().path()).can_limit());
}

#[test]
fn a_cgroup_goes_with_all_that_is_below_it_and_links_lead_nowhere() {
    // Version 1: a hierarchy a controller, `cpu` and `cpuacct` by two names of one.
    let mount = TempDir::new().unwrap();
    for below in ["memory/lease/step/deep", "memory/other", "cpu/lease/step", "pids/lease/last"] {
        fs::create_dir_all(mount.path().join(below)).unwrap();
    }
    std::os::unix::fs::symlink("cpu", mount.path().join("cpuacct")).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let remove = || runtime.block_on(Cgroups::at(mount.path()).remove("lease")).unwrap();
    assert_eq!(remove(), ["last", "step"]);
    assert!(["memory", "cpu", "pids"].iter().all(|name| !mount.path().join(name).join("lease").exists()));
    assert!(mount.path().join("memory/other").exists());
    assert_eq!(remove(), Vec::<String>::new());
}
