//! sccache below the cook, where Dockerfiles mount its settings: compiled crates from a server, and never a slower or a
//! failed build because of one that is dead.
//!
//! cargo calls this program in place of rustc, which calls sccache, which calls this program once more as its compiler: so
//! it knows whether sccache still looks for a crate or compiles it, and the processor time of what is compiled. Looking
//! has a limit; who runs into it turns sccache off for the rest of the step. The settings, with their credentials, go to
//! sccache's server alone and never to what builds crates.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

/// Where Dockerfiles mount the settings: an env-file.
const SECRET: &str = "/run/secrets/sccache_creds";
/// Another place for them.
const SETTINGS: &str = "LAMINA_COOK_SCCACHE_SETTINGS";
/// The folder of this step's sccache. Where it is set, calls of rustc go through sccache.
pub const FOLDER: &str = "LAMINA_COOK_SCCACHE";
/// The compiler that cargo named.
const RUSTC: &str = "LAMINA_COOK_RUSTC";
/// The file that says that sccache looks no more, and compiles.
const MARK: &str = "LAMINA_COOK_MARK";
/// The ending of the file that is there while sccache asks the compiler something.
const ASKING: &str = "asking";
/// The largest env-file.
const LARGEST: u64 = 64 << 10;

/// How long the server may take to start: it tries its storage before.
const START: Duration = Duration::from_secs(15);
/// How long sccache may look for one crate.
const LOOKUP: Duration = Duration::from_secs(20);
/// And as long as it has found or missed none: it reads the whole compiler first.
const FIRST: Duration = Duration::from_secs(60);
/// Looking longer than this is slow ...
const SLOW: Duration = Duration::from_secs(10);
/// ... and so often it may be: a machine may be busy.
const MOST_SLOW: usize = 5;
/// How long a server that is to be ended may take to say what it did.
const LAST: Duration = Duration::from_secs(2);
/// How long its server may take to answer a question, to write what it still has, and to end.
const ANSWER: Duration = Duration::from_secs(10);

/// The server of a step. It ends with this value.
pub struct Sccache {
    folder: PathBuf,
    server: Child,
    backend: &'static str,
    /// What nobody may read of the settings.
    secrets: Vec<String>,
    /// Whether it writes nothing, by its settings.
    only_reads: bool,
}

impl Sccache {
    /// Starts the server where settings are mounted. That it does not start is said, and is no failure.
    pub fn start() -> Option<Sccache> {
        let settings = read(&std::env::var_os(SETTINGS).map_or_else(|| PathBuf::from(SECRET), PathBuf::from))?;
        let backend = backend(&settings);
        match Self::try_start(settings, backend) {
            Ok(sccache) => Some(sccache),
            Err(why) => {
                say(backend, Counts::default(), Some(&why));
                None
            }
        }
    }

    fn try_start(settings: Vec<(String, String)>, backend: &'static str) -> Result<Sccache, String> {
        let failed = |what: &str, error: std::io::Error| format!("{what}: {error}");
        let folder = std::env::temp_dir().join(format!("lamina-cook-sccache-{}", std::process::id()));
        fs::create_dir(&folder).map_err(|error| failed("no folder", error))?;
        let this = std::env::current_exe().map_err(|error| failed("it can't find itself", error))?;
        symlink(this, folder.join("rustc")).map_err(|error| failed("no link", error))?;
        let secrets = secrets(&settings);
        let only_reads = settings.iter().any(|(name, mode)| name.ends_with("_RW_MODE") && mode == "READ_ONLY");
        let mut command = sccache(&folder);
        command.envs(settings).env("SCCACHE_START_SERVER", "1").env("SCCACHE_NO_DAEMON", "1");
        command.env("SCCACHE_IDLE_TIMEOUT", "0").current_dir("/").stdin(Stdio::null()).stdout(Stdio::null());
        let log = File::create(folder.join("log")).map_err(|error| failed("no log", error))?;
        let server = command.stderr(log).spawn().map_err(|error| failed("it can't be run", error))?;
        let mut sccache = Sccache { folder, server, backend, secrets, only_reads };
        let begun = Instant::now();
        while UnixStream::connect(socket(&sccache.folder)).is_err() {
            if let Ok(Some(_)) = sccache.server.try_wait() {
                return Err(format!("its server does not start: {}", sccache.last_words()));
            }
            if begun.elapsed() > START {
                return Err(format!("its server does not start in {} s: is the storage there?", START.as_secs()));
            }
            sleep(Duration::from_millis(20));
        }
        if backend == LOCAL {
            File::create(sccache.folder.join(LOCAL)).map_err(|error| failed("no mark", error))?;
        }
        fs::write(sccache.folder.join("pid"), sccache.server.id().to_string())
            .map_err(|error| failed("no pid", error))?;
        Ok(sccache)
    }

    /// Has a command compile through sccache: cargo, with this program as the wrapper of rustc.
    pub fn pass_on(&self, command: &mut Command) {
        command.env(FOLDER, &self.folder);
    }

    /// Says what sccache did, and ends it.
    pub fn end(mut self) {
        let off = fs::read_to_string(self.folder.join(OFF)).ok();
        let off = off.map(|text| serde_json::from_str(&text).unwrap_or_else(|_| Off { why: text, ..Off::default() }));
        let is_there = matches!(self.server.try_wait(), Ok(None));
        let gone = || Off { why: format!("its server has ended: {}", self.last_words()), ..Off::default() };
        match off.or_else(|| (!is_there).then(gone)) {
            Some(Off { why, counts }) => say(self.backend, counts, Some(&why)),
            None => say(self.backend, self.counts().unwrap_or_default(), None),
        }
        if is_there {
            let stopping =
                sccache(&self.folder).arg("--stop-server").stdout(Stdio::null()).stderr(Stdio::null()).spawn();
            if let Ok(mut child) = stopping {
                let _ = wait(&mut child, ANSWER);
            }
        }
    }

    /// What it did. It writes in the background, and forgets what it has not written when it ends: that is waited for.
    fn counts(&self) -> Option<Counts> {
        let begun = Instant::now();
        loop {
            let counts = counts(&self.folder, ANSWER)?;
            let is_written = counts.writes + counts.unwritten >= counts.misses;
            if self.only_reads {
                // It counts each crate that it may not write.
                return Some(Counts { errors: counts.errors.saturating_sub(counts.unwritten), ..counts });
            }
            if is_written || begun.elapsed() > ANSWER {
                return Some(counts);
            }
            sleep(Duration::from_millis(100));
        }
    }

    /// The last line that the server has written, without credentials.
    fn last_words(&self) -> String {
        let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        let last = log.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it says nothing");
        self.secrets.iter().fold(last.to_owned(), |line, secret| line.replace(secret, "…")).chars().take(200).collect()
    }
}

impl Drop for Sccache {
    fn drop(&mut self) {
        drop(self.server.kill());
        drop(self.server.wait());
        drop(fs::remove_dir_all(&self.folder));
    }
}

/// The file that says that sccache is used no more, why, and what it did until then.
const OFF: &str = "off";

/// Storage that is a folder, which has no limits; and the file that says so.
const LOCAL: &str = "local";

/// The file that says that sccache has found or missed a crate.
const KNOWN: &str = "known";

/// The folder of this step's sccache, where it is on.
pub fn folder() -> Option<PathBuf> {
    let folder = PathBuf::from(std::env::var_os(FOLDER)?);
    (!folder.join(OFF).exists()).then_some(folder)
}

/// Compiles through sccache; nothing where that is not possible, or no more.
pub fn compile(folder: &Path, rustc: &OsStr, words: &[OsString]) -> Option<ExitStatus> {
    let mark = folder.join(format!("mark-{}", std::process::id()));
    let mut command = sccache(folder);
    command.arg(folder.join("rustc")).args(words).env(RUSTC, rustc).env(MARK, &mark);
    let mut child = command.spawn().ok()?;
    if !folder.join(LOCAL).exists() && !has_looked(folder, &mut child, &mark)? {
        drop(child.kill());
        drop(child.wait());
        return None;
    }
    child.wait().ok()
}

/// Waits until sccache compiles, or has ended; not where it looks for too long, which turns it off.
fn has_looked(folder: &Path, child: &mut Child, mark: &Path) -> Option<bool> {
    let (asking, known) = (mark.with_extension(ASKING), folder.join(KNOWN));
    let began_known = known.exists();
    let (mut looked, mut last) = (Duration::ZERO, Instant::now());
    while !mark.exists() && child.try_wait().ok()?.is_none() {
        let now = Instant::now();
        // What rustc takes for its answers, on a machine that may be busy, is not the storage's.
        if !asking.exists() {
            looked += now - last;
        }
        last = now;
        let limit = if known.exists() { LOOKUP } else { FIRST };
        if looked > limit {
            turn_off(folder, &format!("it looked for a crate for more than {} s", limit.as_secs()));
            return Some(false);
        }
        sleep(Duration::from_millis(5));
    }
    drop(File::create(&known));
    if began_known && looked > SLOW {
        drop(File::create(folder.join(format!("slow-{}", std::process::id()))));
        let slow = fs::read_dir(folder).into_iter().flatten().flatten();
        let slow = slow.filter(|entry| entry.file_name().as_encoded_bytes().starts_with(b"slow-")).count();
        if slow >= MOST_SLOW {
            turn_off(folder, &format!("it looked for {slow} crates for more than {} s each", SLOW.as_secs()));
        }
    }
    Some(true)
}

/// Runs what sccache only asks of the compiler. For so long, it does not look.
pub fn asked(mut command: Command) -> std::io::Result<ExitStatus> {
    let asking = std::env::var_os(MARK).map(|mark| PathBuf::from(mark).with_extension(ASKING));
    if let Some(asking) = &asking {
        drop(File::create(asking));
    }
    let status = command.status();
    if let Some(asking) = &asking {
        drop(fs::remove_file(asking));
    }
    status
}

/// Whether this program is called as sccache's compiler.
pub fn is_compiler(program: Option<&OsStr>) -> bool {
    program.is_some_and(|program| Path::new(program).file_name() == Some(OsStr::new("rustc")))
        && std::env::var_os(FOLDER).is_some()
}

/// The compiler that sccache's call is for; `None` for what only a proxy of rustup understands: this is none.
pub fn compiler(words: &[OsString]) -> Option<OsString> {
    if words.first().is_some_and(|word| word.as_encoded_bytes().starts_with(b"+")) {
        return None;
    }
    Some(std::env::var_os(RUSTC).unwrap_or_else(|| "rustc".into()))
}

/// Whether sccache only asks, for what a unit depends on and for its files' names, which is a part of looking.
pub fn asks(words: &[OsString]) -> bool {
    words.iter().any(|word| word == "dep-info" || word == "--print")
}

/// Says that sccache compiles the unit of these digits.
pub fn compiles(folder: &Path, digits: &str) -> Option<File> {
    if let Some(mark) = std::env::var_os(MARK) {
        drop(File::create(mark));
    }
    lock(folder, digits)
}

/// Until the answer goes, nobody else compiles the unit: a server that was ended may have a compiler that runs on.
pub fn lock(folder: &Path, digits: &str) -> Option<File> {
    let lock = File::create(folder.join(format!("lock-{digits}"))).ok()?;
    lock.lock().ok()?;
    Some(lock)
}

/// Ends the server, so that it compiles nothing that is compiled without it.
fn turn_off(folder: &Path, why: &str) {
    let off = |counts| serde_json::to_string(&Off { why: why.to_owned(), counts }).unwrap_or_default();
    // From here on nobody asks it any more.
    drop(fs::write(folder.join(OFF), off(Counts::default())));
    if let Some(counts) = counts(folder, LAST) {
        drop(fs::write(folder.join(OFF), off(counts)));
    }
    let id = fs::read_to_string(folder.join("pid")).ok().and_then(|text| text.parse().ok());
    if let Some(id) = id {
        // It may have ended by itself.
        let _ = kill(Pid::from_raw(id), Signal::SIGKILL);
    }
}

/// sccache as this step calls it: with a server of its own, without which it compiles by itself.
fn sccache(folder: &Path) -> Command {
    let mut command = Command::new("sccache");
    command.env("SCCACHE_SERVER_UDS", socket(folder)).env("SCCACHE_IGNORE_SERVER_IO_ERROR", "1");
    command
}

fn socket(folder: &Path) -> PathBuf {
    folder.join("socket")
}

fn wait(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let begun = Instant::now();
    while begun.elapsed() < limit {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) => sleep(Duration::from_millis(10)),
            Err(_) => break,
        }
    }
    drop(child.kill());
    drop(child.wait());
    None
}

/// That sccache is used no more.
#[derive(Default, Serialize, Deserialize)]
struct Off {
    why: String,
    counts: Counts,
}

#[derive(Clone, Copy, Default, Serialize, Deserialize)]
struct Counts {
    hits: u64,
    misses: u64,
    errors: u64,
    writes: u64,
    unwritten: u64,
}

/// What `sccache --show-stats --stats-format json` says, as far as it matters.
#[derive(Deserialize)]
struct Said {
    stats: Stats,
}

#[derive(Deserialize)]
struct Stats {
    cache_hits: PerLanguage,
    cache_misses: PerLanguage,
    #[serde(default)]
    cache_errors: PerLanguage,
    #[serde(default)]
    cache_timeouts: u64,
    #[serde(default)]
    cache_read_errors: u64,
    #[serde(default)]
    cache_writes: u64,
    #[serde(default)]
    cache_write_errors: u64,
}

#[derive(Default, Deserialize)]
struct PerLanguage {
    #[serde(default)]
    counts: std::collections::BTreeMap<String, u64>,
}

impl PerLanguage {
    fn sum(&self) -> u64 {
        self.counts.values().sum()
    }
}

fn counts(folder: &Path, limit: Duration) -> Option<Counts> {
    let answer = folder.join(format!("stats-{}", std::process::id()));
    let mut command = sccache(folder);
    command.args(["--show-stats", "--stats-format", "json"]).stdin(Stdio::null()).stderr(Stdio::null());
    let mut child = command.stdout(File::create(&answer).ok()?).spawn().ok()?;
    wait(&mut child, limit)?;
    parse(&fs::read_to_string(answer).ok()?)
}

fn parse(text: &str) -> Option<Counts> {
    let Said { stats } = serde_json::from_str(text).ok()?;
    let errors = [stats.cache_errors.sum(), stats.cache_timeouts, stats.cache_read_errors, stats.cache_write_errors];
    Some(Counts {
        hits: stats.cache_hits.sum(),
        misses: stats.cache_misses.sum(),
        errors: errors.iter().sum(),
        writes: stats.cache_writes,
        unwritten: stats.cache_write_errors,
    })
}

/// The line that lamina reads.
fn say(backend: &str, counts: Counts, off: Option<&str>) {
    let Counts { hits, misses, errors, .. } = counts;
    let said = serde_json::json!({"backend": backend, "hits": hits, "misses": misses, "errors": errors, "off": off});
    eprintln!("lamina-cook: sccache {said}");
}

/// The settings: lines NAME=VALUE, as a shell would take plain ones. None where no file is mounted.
fn read(path: &Path) -> Option<Vec<(String, String)>> {
    if fs::metadata(path).ok()?.len() > LARGEST {
        return None;
    }
    let text = fs::read_to_string(path).ok()?;
    let settings: Vec<_> = text.lines().filter_map(setting).collect();
    (!settings.is_empty()).then_some(settings)
}

fn setting(line: &str) -> Option<(String, String)> {
    let line = line.trim();
    let line = line.strip_prefix("export ").unwrap_or(line);
    let (name, value) = line.split_once('=').filter(|(name, _)| !name.is_empty() && !name.starts_with('#'))?;
    let quoted = |quote: char| value.strip_prefix(quote)?.strip_suffix(quote);
    let value = quoted('\'').or_else(|| quoted('"')).unwrap_or(value);
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_').then(|| (name.to_owned(), value.to_owned()))
}

/// The values that are credentials: by their names, and addresses with a user in them.
fn secrets(settings: &[(String, String)]) -> Vec<String> {
    let is_secret = |(name, value): &&(String, String)| {
        let named = ["SECRET", "PASSWORD", "TOKEN", "ACCESS_KEY", "CREDENTIAL"].iter().any(|part| name.contains(part));
        !value.is_empty() && (named || value.contains('@'))
    };
    settings.iter().filter(is_secret).map(|(_, value)| value.clone()).collect()
}

/// What the settings are for, in a word.
fn backend(settings: &[(String, String)]) -> &'static str {
    let begins = |with: &str| settings.iter().any(|(name, _)| name.starts_with(with));
    match () {
        () if begins("SCCACHE_BUCKET") => "s3",
        () if begins("SCCACHE_REDIS") => "redis",
        () if begins("SCCACHE_WEBDAV") => "webdav",
        () if begins("SCCACHE_DIR") => LOCAL,
        () => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_as_a_shell_would() {
        let set = |line| setting(line).map(|(name, value)| format!("{name}|{value}"));
        assert_eq!(set("SCCACHE_BUCKET='a b'").as_deref(), Some("SCCACHE_BUCKET|a b"));
        assert_eq!(set(" export AWS_SECRET_ACCESS_KEY=a=b ").as_deref(), Some("AWS_SECRET_ACCESS_KEY|a=b"));
        assert_eq!(set("A=\"x\"").as_deref(), Some("A|x"));
        for none in ["", "# A=b", "A", "=b", "A-B=c"] {
            assert_eq!(set(none), None, "{none}");
        }
    }

    #[test]
    fn credentials_are_known_by_their_names_and_addresses() {
        let all =
            [("SCCACHE_BUCKET", "crates"), ("AWS_SECRET_ACCESS_KEY", "a"), ("SCCACHE_REDIS_ENDPOINT", "redis://u:p@h")];
        let all = all.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(secrets(&all), ["a", "redis://u:p@h"]);
    }

    #[test]
    fn statistics_are_read_and_what_is_none_is_not() {
        let text = r#"{"stats": {"compile_requests": 9, "cache_hits": {"counts": {"Rust": 3, "C/C++": 1}, "adv_counts": {}},
            "cache_misses": {"counts": {"Rust": 2}}, "cache_timeouts": 1, "cache_write_errors": 2}, "cache_location": "S3"}"#;
        let counts = parse(text).expect("statistics");
        assert_eq!((counts.hits, counts.misses, counts.errors), (4, 2, 3));
        assert!(parse("{}").is_none() && parse("").is_none());
    }
}
