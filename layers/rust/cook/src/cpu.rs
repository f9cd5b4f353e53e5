//! What units cost: processor time of each call of rustc, and of each run of a build script.
//!
//! Cargo calls this program in place of rustc (`build.rustc-wrapper`), which is no part of any fingerprint. Where another
//! wrapper was set, it is called in turn, and what its server spends for whom is unknown; not so sccache, which the cook
//! calls itself (`sccache`). No such place is left for build scripts: they are looked at while they run.

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

use crate::failure::{Failure, Result};
use crate::sccache;

/// The folder that calls of rustc leave what they used in. Where it is set, this program is a wrapper.
pub const RECORDS: &str = "LAMINA_COOK_RECORDS";
/// The wrapper that was set before.
pub const NEXT: &str = "LAMINA_COOK_NEXT_WRAPPER";

/// Milliseconds by the sixteen digits that name a unit.
pub type Costs = HashMap<String, u64>;

/// The run of a build script that a unit was compiled with, both by their digits.
pub type Runs = HashMap<String, String>;

/// The call of a wrapper: runs rustc, and leaves what it used.
pub fn wrapper(records: &Path, mut words: impl Iterator<Item = OsString>) -> ExitCode {
    let next = std::env::var_os(NEXT).filter(|next| !next.is_empty());
    let is_chained = next.is_some();
    let Some(program) = next.or_else(|| words.next()) else { return ExitCode::from(2) };
    let words: Vec<OsString> = words.collect();
    let mut command = Command::new(&program);
    command.args(&words);
    let compiled = extra_filename(&words);
    if let Some((digits, run)) = compiled.zip(std::env::var_os("OUT_DIR").as_deref().and_then(run_of)) {
        drop(fs::write(records.join(format!("{digits}{RUN}")), run));
    }
    let Some(digits) = compiled.filter(|_| !is_chained) else {
        // A question to rustc, or a compilation that a build script tries.
        let error = command.exec();
        eprintln!("lamina-cook: can't run {}: {error}", program.display());
        return ExitCode::FAILURE;
    };
    let shared = sccache::folder();
    if let Some(status) = shared.as_ref().and_then(|folder| sccache::compile(folder, &program, &words)) {
        return code(status);
    }
    // sccache may have been turned off while it compiled this.
    let _lock = shared.and_then(|folder| sccache::lock(&folder, digits));
    measured(command, records, digits)
}

/// The call of sccache's compiler: as a wrapper's, but for what only sccache asks.
pub fn compiler(words: Vec<OsString>) -> ExitCode {
    let Some(program) = sccache::compiler(&words) else { return ExitCode::FAILURE };
    let mut command = Command::new(&program);
    command.args(&words);
    let records = std::env::var_os(RECORDS).map(PathBuf::from);
    let asks = sccache::asks(&words);
    match (records, extra_filename(&words).filter(|_| !asks), sccache::folder()) {
        (Some(records), Some(digits), Some(folder)) => {
            let _lock = sccache::compiles(&folder, digits);
            measured(command, &records, digits)
        }
        _ => match sccache::asked(command) {
            Ok(status) => code(status),
            Err(error) => {
                eprintln!("lamina-cook: can't run {}: {error}", program.display());
                ExitCode::FAILURE
            }
        },
    }
}

/// Runs a compilation, and leaves what it used.
fn measured(mut command: Command, records: &Path, digits: &str) -> ExitCode {
    let status = match command.status() {
        Ok(status) => status,
        Err(error) => {
            eprintln!("lamina-cook: can't run {}: {error}", command.get_program().display());
            return ExitCode::FAILURE;
        }
    };
    if let Ok(usage) = getrusage(UsageWho::RUSAGE_CHILDREN) {
        let used = (usage.user_time() + usage.system_time()).num_microseconds();
        // What is not written is not known: no reason to fail a compilation.
        drop(fs::write(records.join(format!("{digits}-{}", std::process::id())), used.to_string()));
    }
    code(status)
}

fn code(status: ExitStatus) -> ExitCode {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}

/// The digits in `-C extra-filename=-04c2e949dadc8657`, which cargo gives to each unit.
fn extra_filename(words: &[OsString]) -> Option<&str> {
    let digits = words.iter().find_map(|word| word.to_str()?.strip_prefix("extra-filename=-"))?;
    (digits.len() == 16 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(digits)
}

/// The digits of a run, by its OUT_DIR: `target/release/build/serde-04c2e949dadc8657/out`.
fn run_of(out_dir: &OsStr) -> Option<String> {
    digits(Path::new(out_dir).parent()?.file_name()?).map(str::to_owned)
}

/// The end of the names of files that say which run of a build script a unit was compiled with.
const RUN: &str = ".run";

/// A folder for the records of one call of cargo, deleted with this value.
pub struct Records(PathBuf);

impl Records {
    pub fn new() -> Result<Records> {
        let folder = std::env::temp_dir().join(format!("lamina-cook-{}", std::process::id()));
        fs::create_dir(&folder).map_err(Failure::file("make", &folder))?;
        Ok(Records(folder))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// What calls of rustc have left since it was read last.
    pub fn take(&self) -> (Costs, Runs) {
        let mut micros: HashMap<String, u64> = HashMap::new();
        let mut runs = Runs::new();
        for entry in fs::read_dir(&self.0).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let text = fs::read_to_string(entry.path()).unwrap_or_default();
            if let Some(digits) = name.strip_suffix(RUN) {
                runs.insert(digits.to_owned(), text);
            } else if let Some((digits, _)) = name.split_once('-') {
                *micros.entry(digits.to_owned()).or_default() += text.parse::<u64>().unwrap_or_default();
            }
            drop(fs::remove_file(entry.path()));
        }
        (micros.into_iter().map(|(digits, micros)| (digits, micros.div_ceil(1000))).collect(), runs)
    }
}

impl Drop for Records {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

/// How often running build scripts are looked at: a script's last look misses at most this much of it.
const INTERVAL: Duration = Duration::from_millis(20);
/// The unit of times in `/proc/PID/stat`: the kernel gives USER_HZ of them a second, 100 on every architecture that
/// Rust compiles on.
const TICK_MS: u64 = 10;

/// Looks at the build scripts of a target folder until it is told to end; their costs.
pub fn watch(target_dir: &Path, is_over: &AtomicBool) -> Costs {
    let mut scripts: HashMap<(u32, u64), Option<String>> = HashMap::new();
    let mut costs = Costs::new();
    // Whoever is there before cargo starts anything is nothing of its.
    let others: HashSet<u32> = process_ids().collect();
    while !is_over.load(Ordering::Relaxed) {
        let read = |id: u32| parse_stat(id, &fs::read_to_string(format!("/proc/{id}/stat")).ok()?);
        let processes: Vec<Process> = process_ids().filter(|id| !others.contains(id)).filter_map(read).collect();
        for process in &processes {
            let digits = scripts.entry((process.id, process.start)).or_insert_with(|| script(target_dir, process.id));
            if let Some(digits) = digits {
                let used = tree(process, &processes) * TICK_MS;
                let cost = costs.entry(digits.clone()).or_default();
                *cost = used.max(*cost);
            }
        }
        scripts.retain(|&(id, start), _| processes.iter().any(|process| process.id == id && process.start == start));
        std::thread::sleep(INTERVAL);
    }
    costs
}

struct Process {
    id: u32,
    parent: u32,
    /// When it was started: with its number it is one process and no later one.
    start: u64,
    /// Its time, and that of its children that have ended, in ticks.
    ticks: u64,
}

/// The numbers of all processes that can be seen.
fn process_ids() -> impl Iterator<Item = u32> {
    let numbered = |entry: fs::DirEntry| entry.file_name().to_str()?.parse::<u32>().ok();
    fs::read_dir("/proc").into_iter().flatten().flatten().filter_map(numbered)
}

/// A process by its `/proc/PID/stat`, see proc_pid_stat(5).
fn parse_stat(id: u32, stat: &str) -> Option<Process> {
    // The second field is the program's name, which may hold anything.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    let ticks = [14, 15, 16, 17].into_iter().map(field).sum::<Option<u64>>()?;
    Some(Process { id, parent: u32::try_from(field(4)?).ok()?, start: field(22)?, ticks })
}

/// The ticks of a process and of all that descend from it.
fn tree(root: &Process, processes: &[Process]) -> u64 {
    let children = processes.iter().filter(|process| process.parent == root.id && process.id != root.id);
    root.ticks + children.map(|child| tree(child, processes)).sum::<u64>()
}

/// The digits of the run, where a process is a build script of a target folder.
fn script(target_dir: &Path, id: u32) -> Option<String> {
    let program = fs::read_link(format!("/proc/{id}/exe")).ok()?;
    let name = program.file_name()?.to_str()?;
    let is_script = program.starts_with(target_dir) && name.starts_with("build-script-");
    if !is_script {
        return None;
    }
    let environment = fs::read(format!("/proc/{id}/environ")).ok()?;
    let out = environment.split(|&byte| byte == 0).find_map(|variable| variable.strip_prefix(b"OUT_DIR="))?;
    run_of(OsStr::new(std::str::from_utf8(out).ok()?))
}

/// The digits at the end of a unit's folder.
pub fn digits(folder: &(impl AsRef<OsStr> + ?Sized)) -> Option<&str> {
    let (_, digits) = folder.as_ref().to_str()?.rsplit_once('-')?;
    (digits.len() == 16 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_programs_name_does_not_move_the_fields() {
        let stat = "77 (a) b) S 12 77 77 0 -1 4 90 0 0 0 5 6 7 8 20 0 1 0 4242 0 0";
        let process = parse_stat(77, stat).expect("a process");
        assert_eq!((process.parent, process.ticks, process.start), (12, 26, 4242));
    }

    #[test]
    fn compilations_of_build_scripts_have_no_digits() {
        let words = |text: &str| text.split(' ').map(OsString::from).collect::<Vec<_>>();
        let unit = words("--crate-name serde -C metadata=1 -C extra-filename=-04c2e949dadc8657 --out-dir d");
        assert_eq!(extra_filename(&unit), Some("04c2e949dadc8657"));
        assert_eq!(extra_filename(&words("--crate-name probe0 --out-dir d")), None);
        assert_eq!(extra_filename(&words("-C extra-filename=-../../etc/passwd")), None);
    }
}
