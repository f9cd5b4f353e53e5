//! A program that leases runners: one that keeps to the protocol, and many that don't.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command as Process;
use std::time::Duration;

use lamina::runner::providers::{Command, Host};
use lamina::runner::{Endpoint, Evidence, Provider, ProviderError};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;

use crate::{acquire, host, record, told};

struct Shop {
    runtime: Runtime,
    root: TempDir,
}

impl Shop {
    fn new() -> Self {
        Self { runtime: Builder::new_current_thread().enable_all().build().unwrap(), root: TempDir::new().unwrap() }
    }

    /// A program in the catalog's root.
    fn program(&self, script: &str) -> Command {
        let path = self.root.path().join("runner");
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        self.named(&["./runner"])
    }

    fn named(&self, command: &[&str]) -> Command {
        let command: Vec<String> = command.iter().map(|word| (*word).to_owned()).collect();
        let quick = Duration::from_secs(2);
        Command::new(&command, &self.host()).with_deadlines(quick, quick)
    }

    fn host(&self) -> Host {
        let host = host(self.root.path());
        let home = self.root.path().to_string_lossy().into_owned();
        Host { env: host.env.with("HOME", &home).without("XDG_STATE_HOME"), ..host }
    }

    fn fails(&self, script: &str) -> ProviderError {
        let error = self.runtime.block_on(acquire(&self.program(script), &mut record())).unwrap_err();
        told(&error);
        error
    }
}

/// An answer, whatever is asked.
fn says(answer: &str) -> String {
    format!("cat >/dev/null; cat <<'EOF'\n{answer}\nEOF")
}

#[test]
fn a_program_is_asked_in_json_and_answers_in_json() {
    let shop = Shop::new();
    let keeps = shop.program(
        r#"read -r question; echo "$question" >>asked; env >env
           case $question in
           *'"op":"acquire"'*) echo '{"endpoint": {"builder": "mine"}, "handle": "vm 7", "more": 1}' ;;
           *'"op":"evidence"'*) echo '{"oom": "Memory cgroup out of memory", "alone": true, "usage": {"cpu_ms": 5}}' ;;
           *) echo '{}' ;;
           esac"#,
    );
    let mut record = record();
    let endpoint = shop.runtime.block_on(acquire(&keeps, &mut record)).unwrap();
    assert_eq!((endpoint, record.handle.as_deref()), (Endpoint::Builder("mine".to_owned()), Some("vm 7")));
    let said = shop.runtime.block_on(keeps.evidence(&record, record.asked_at)).unwrap();
    assert_eq!((said.oom.as_deref(), said.alone), (Some("Memory cgroup out of memory"), true));
    assert_eq!(said.usage.unwrap().cpu_ms, Some(5));
    shop.runtime.block_on(keeps.release(&record)).unwrap();
    let asked = fs::read_to_string(shop.root.path().join("asked")).unwrap();
    let asked: Vec<serde_json::Value> = asked.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(
        asked.iter().map(|asked| asked["op"].as_str().unwrap()).collect::<Vec<_>>(),
        ["acquire", "evidence", "release"]
    );
    assert!(asked.iter().all(|asked| asked["version"] == 1 && asked["lease"]["lease"] == record.lease.as_str()));
    assert_eq!(asked[2]["lease"]["handle"], "vm 7");
    // It gets what clients of engines get, and none of lamina's tokens.
    let env = fs::read_to_string(shop.root.path().join("env")).unwrap();
    assert!(env.contains("PATH=") && env.contains("HOME=") && !env.contains("LAB_TOKEN"), "{env}");
}

#[test]
fn programs_that_do_not_keep_to_the_protocol() {
    let shop = Shop::new();
    for (script, passing, why) in [
        (says("no JSON"), false, "can't be understood"),
        (says("[]"), false, "can't be understood"),
        (says("{}"), false, "names no endpoint"),
        (says(r#"{"endpoint": {"pigeon": "x"}}"#), false, "can't be understood"),
        (says(r#"{"endpoint": {"buildkit": "--help"}}"#), false, "is no address"),
        (says(r#"{"endpoint": {"builder": "-x"}}"#), false, "is no address"),
        (says(r#"{"endpoint": {"buildkit": "tcp://a:1"}} trailing"#), false, "can't be understood"),
        (says(&format!(r#"{{"endpoint": {{"builder": "a"}}, "handle": "{}"}}"#, "h".repeat(5000))), false, "too long"),
        (says(r#"{"error": {"message": "all are taken", "full": true}}"#), true, "runner: acquire: all are taken"),
        (says(r#"{"error": {"message": "no\u001b[2J quota", "hints": ["ask"]}}"#), false, "no[2J quota"),
        ("cat >/dev/null; head -c 200000 /dev/zero | tr '\\0' x".to_owned(), false, "wrote more than 65536 bytes"),
        ("yes".to_owned(), false, "wrote more than 65536 bytes"),
        ("echo first >&2; echo 'no route' >&2; echo >&2; exit 3".to_owned(), true, "exit status: 3: no route"),
        (format!("{}\nexit 1", says(r#"{"endpoint": {"builder": "a"}}"#)), true, "exit status: 1"),
        ("kill -9 $$".to_owned(), true, "signal: 9"),
    ] {
        let error = shop.fails(&script);
        let shown = told(&error);
        assert!(error.passing == passing && shown.contains(why) && shown.len() < 2000, "{script:.60}: {error:?}");
    }
    let text = fs::write(shop.root.path().join("text"), "no program");
    text.unwrap();
    for name in ["./nothing", "./text", "no-such-program-at-all", ""] {
        let error = shop.runtime.block_on(acquire(&shop.named(&[name]), &mut record())).unwrap_err();
        assert!(!error.passing && told(&error).contains("there is no program"), "{name}: {error:?}");
    }
    // What it does not say is nothing, and not an error.
    let silent = shop.program(&says("{}"));
    let record = record();
    let said = shop.runtime.block_on(silent.evidence(&record, record.asked_at)).unwrap();
    assert_eq!(said, Evidence::default());
}

#[test]
fn a_program_that_hangs_is_killed_with_all_that_it_has_started() {
    let shop = Shop::new();
    let is_there = |file: &str| {
        let pid = fs::read_to_string(shop.root.path().join(file)).unwrap();
        let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
        stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.trim().starts_with('Z'))
    };
    let gone = |file: &str| {
        (0..100).any(|_| {
            std::thread::sleep(Duration::from_millis(20));
            !is_there(file)
        })
    };
    let hangs = shop.program("sleep 600 & echo $! >child; echo $$ >own; wait");
    let error = shop.runtime.block_on(acquire(&hangs, &mut record())).unwrap_err();
    assert!(error.passing && told(&error).contains("was not done after 2 s"), "{error:?}");
    assert!(gone("child") && gone("own"));
    // The same when nobody waits any more.
    let cancel = CancellationToken::new();
    let asked = record();
    let cancelled = shop.runtime.block_on(async {
        let soon = cancel.clone();
        let root = shop.root.path().to_owned();
        fs::remove_file(root.join("child")).unwrap();
        tokio::spawn(async move {
            while fs::read_to_string(root.join("own")).is_err() || fs::read_to_string(root.join("child")).is_err() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            soon.cancel();
        });
        hangs.acquire(&asked, &|_| Ok(()), &cancel).await.unwrap_err()
    });
    assert!(cancelled.passing, "{cancelled:?}");
    assert!(gone("child") && gone("own"));
}

#[test]
fn the_example_in_shell_leases_each_engine_once() {
    if Process::new("jq").arg("--version").output().is_err() {
        return eprintln!("skipped: jq is not installed");
    }
    let shop = Shop::new();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/command-runner.sh");
    let runner = shop.named(&[script.to_str().unwrap(), "tcp://10.0.0.1:1234", "tcp://10.0.0.2:1234"]);
    let lease = |record: &mut _| shop.runtime.block_on(acquire(&runner, record));
    let (mut first, mut second) = (record(), record());
    let one = lease(&mut first).unwrap();
    assert_eq!(lease(&mut first).unwrap(), one, "asked once more");
    assert_ne!(lease(&mut second).unwrap(), one);
    let full = lease(&mut record()).unwrap_err();
    assert!(full.full && full.passing && told(&full).contains("all engines are taken"), "{full:?}");
    for record in [&first, &first, &record()] {
        shop.runtime.block_on(runner.release(record)).unwrap();
    }
    assert_eq!(lease(&mut record()).unwrap(), one);
    let evidence = shop.runtime.block_on(runner.evidence(&second, second.asked_at)).unwrap();
    assert_eq!(evidence, Evidence::default());
}
