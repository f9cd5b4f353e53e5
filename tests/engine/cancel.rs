//! Builds that end before their time: by request, because their client is killed, because lamina is, because the engine
//! is. Steps are processes of this machine when the engine is, so they can be looked for.

use std::time::{Duration, Instant};
use std::{env, fs, thread};

use lamina::engine::{self, ClientChoice, Solve};
use lamina::event::FailureKind;
use tokio_util::sync::CancellationToken;

use crate::lab::{Lab, build_with, folder, on_each, options, runs, unique, until};

/// How long a step may live on after its client.
const SOON: Duration = Duration::from_secs(1);

/// A build whose step sleeps, and the word by which its process is known.
fn sleeper(lab: &Lab, folder: &std::path::Path) -> (Solve, String) {
    let word = format!("sleeper-{}", unique());
    (lab.solve(folder, &format!("RUN sh -c 'sleep 60; true' {word}\n")), word)
}

/// Whether the step itself runs: the engine's helpers and the client have the word in their arguments, too.
fn step_runs(word: &str) -> bool {
    runs(&format!("sleep 60; true\0{word}"))
}

/// The process ids of clients that build in a folder.
fn clients(folder: &std::path::Path) -> Vec<i32> {
    let wanted = folder.display().to_string();
    let processes = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| {
        let id: i32 = entry.file_name().to_str()?.parse().ok()?;
        let args = fs::read(entry.path().join("cmdline")).ok()?;
        String::from_utf8_lossy(&args).contains(&wanted).then_some(id)
    });
    processes.collect()
}

fn kill(id: i32, signal: rustix::process::Signal) {
    rustix::process::kill_process(rustix::process::Pid::from_raw(id).unwrap(), signal).unwrap();
}

#[test]
fn a_build_is_cancelled() {
    on_each("cancel", |lab| {
        let folder = folder();
        let (solve, word) = sleeper(lab, folder.path());
        let cancel = CancellationToken::new();
        let (asked, waiting) = (cancel.clone(), word.clone());
        let canceller = thread::spawn(move || {
            until("the step runs", || step_runs(&waiting));
            asked.cancel();
            Instant::now()
        });
        let error = lab.build_until(&solve, &cancel).result.unwrap_err();
        let took = canceller.join().unwrap().elapsed();
        assert!(error.cancelled && !error.retryable, "{}: {error:?}", lab.name);
        assert!(took < Duration::from_secs(5), "{}: it ended by itself, not by force: {took:?}", lab.name);
        gone(lab, &word);
    });
}

/// The step ends soon, and the client with it.
fn gone(lab: &Lab, word: &str) {
    let since = Instant::now();
    until("the step ends", || !step_runs(word));
    assert!(since.elapsed() < SOON, "{}: {:?}", lab.name, since.elapsed());
    eprintln!("{}: the step was gone after {:?}", lab.name, since.elapsed());
}

#[test]
fn a_build_that_nobody_waits_for_any_more() {
    on_each("drop", |lab| {
        let folder = folder();
        let (solve, word) = sleeper(lab, folder.path());
        let (cancel, mut nothing) = (CancellationToken::new(), |_| {});
        lamina::registry::block_on(async {
            let build = lab.engine.solve(&solve, &mut nothing, &cancel);
            let waits = async {
                while !step_runs(&word) {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            };
            tokio::select! {
                ended = build => panic!("{ended:?}"),
                () = waits => {}
            }
        })
        .unwrap();
        gone(lab, &word);
        assert_eq!(clients(folder.path()), Vec::<i32>::new());
    });
}

#[test]
fn a_client_is_killed() {
    on_each("kill", |lab| {
        let folder = folder();
        let (solve, word) = sleeper(lab, folder.path());
        let (waiting, of) = (word.clone(), folder.path().to_owned());
        let killer = thread::spawn(move || {
            until("the step runs", || step_runs(&waiting));
            let clients = clients(&of);
            assert_eq!(clients.len(), 1, "the guard has become the client");
            kill(clients[0], rustix::process::Signal::KILL);
        });
        let error = lab.build(&solve).result.unwrap_err();
        killer.join().unwrap();
        assert!(!error.cancelled, "{error:?}");
        assert_eq!((error.kind, error.retryable), (FailureKind::Engine, true), "{}: {error:?}", lab.name);
        gone(lab, &word);
    });
}

/// The engine, built with by a process that is then killed: this test, started once more.
#[test]
fn lamina_is_killed() {
    const FOLDER: &str = "LAMINA_TEST_SLEEPER";
    const WORD: &str = "LAMINA_TEST_WORD";
    let inner = env::var_os(FOLDER);
    on_each("kill -9 of lamina", |lab| {
        if let Some(folder) = &inner {
            if env::var("LAMINA_TEST_CLIENT").as_deref() == Ok(lab.name) {
                let step = format!("RUN sh -c 'sleep 60; true' {}\n", env::var(WORD).unwrap());
                let _ = lab.build(&lab.solve(folder.as_ref(), &step));
            }
            return;
        }
        let folder = folder();
        let word = format!("sleeper-{}", unique());
        let mut process = std::process::Command::new(env::current_exe().unwrap());
        process.args(["--exact", "cancel::lamina_is_killed"]).env(FOLDER, folder.path()).env(WORD, &word);
        process.env("LAMINA_TEST_CLIENT", lab.name).stdout(std::process::Stdio::null());
        let mut process = process.stderr(std::process::Stdio::null()).spawn().unwrap();
        until("the step runs", || step_runs(&word));
        assert_eq!(clients(folder.path()).len(), 1);
        process.kill().unwrap();
        let since = Instant::now();
        until("the client ends", || clients(folder.path()).is_empty());
        eprintln!("{}: the client was gone after {:?}", lab.name, since.elapsed());
        gone(lab, &word);
        process.wait().unwrap();
    });
}

#[test]
fn an_engine_that_is_not_there() {
    let cancel = CancellationToken::new();
    on_each("unreachable", |lab| {
        let folder = folder();
        let nowhere = format!("unix://{}", folder.path().join("socket").display());
        let client = if lab.name == "buildx" { ClientChoice::Buildx } else { ClientChoice::Buildctl };
        let mut variables: Vec<_> = env::vars_os().collect();
        for name in ["DOCKER_HOST", "BUILDKIT_HOST"] {
            variables.push((name.into(), nowhere.clone().into()));
        }
        let opened = engine::Options { env: variables.into_iter().collect(), ..options(client) };
        let engine = engine::open(&opened).unwrap();
        assert_eq!(engine.about().endpoint, nowhere);
        let solve = lab.solve(folder.path(), "RUN true\n");
        let error = build_with(&*engine, &solve, &cancel).result.unwrap_err();
        assert_eq!((error.kind, error.retryable), (FailureKind::Engine, false), "{}: {error:?}", lab.name);
        assert!(error.message.contains(&nowhere) || error.message.contains("connection error"), "{error:?}");
        assert!(!error.hints.is_empty());
    });
}
