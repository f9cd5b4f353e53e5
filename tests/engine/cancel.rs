//! Builds that end before their time: by request, because their client is killed, because lamina is, because the engine
//! is. Steps are processes of this machine when the engine is, so they can be looked for.

use std::time::{Duration, Instant};
use std::{env, fs, thread};

use lamina::engine::{self, SecretSource, Solve};
use lamina::event::FailureKind;
use tokio_util::sync::CancellationToken;

use crate::lab::{Lab, build_with, folder, on_each, runs, unique, until};

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
    processes_with(&folder.display().to_string())
}

/// The ids of processes with a text in their arguments.
fn processes_with(wanted: &str) -> Vec<i32> {
    let processes = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| {
        let id: i32 = entry.file_name().to_str()?.parse().ok()?;
        let args = fs::read(entry.path().join("cmdline")).ok()?;
        String::from_utf8_lossy(&args).contains(wanted).then_some(id)
    });
    let mut ids: Vec<i32> = processes.collect();
    ids.sort_unstable();
    ids
}

/// How many processes a client is; the first is the one that lamina starts.
fn processes(lab: &Lab) -> usize {
    if lab.name == "docker" { 2 } else { 1 }
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
        });
        let error = lab.build_until(&solve, &cancel).result.unwrap_err();
        canceller.join().unwrap();
        assert!(error.cancelled && !error.retryable, "{}: {error:?}", lab.name);
        gone(lab, &word);
    });
}

/// The step ends soon, and the client with it.
fn gone(lab: &Lab, word: &str) {
    let since = Instant::now();
    until("the step ends", || !step_runs(word));
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
        let processes = processes(lab);
        let killer = thread::spawn(move || {
            until("the step runs", || step_runs(&waiting));
            let clients = clients(&of);
            assert_eq!(clients.len(), processes, "the guard has become the client");
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
        process
            .args(["--exact", "cancel::lamina_is_killed"])
            .env(FOLDER, folder.path())
            .env(WORD, &word)
            .env("TMPDIR", folder.path());
        process.env("LAMINA_TEST_CLIENT", lab.name).stdout(std::process::Stdio::null());
        let mut process = process.stderr(std::process::Stdio::null()).spawn().unwrap();
        until("the step runs", || step_runs(&word));
        assert_eq!(clients(folder.path()).len(), processes(lab));
        process.kill().unwrap();
        let since = Instant::now();
        until("the client ends", || clients(folder.path()).is_empty());
        eprintln!("{}: the client was gone after {:?}", lab.name, since.elapsed());
        gone(lab, &word);
        process.wait().unwrap();
    });
}

#[test]
fn a_secret_is_in_no_argument_and_the_environment_is_cleaned() {
    on_each("secret", |lab| {
        let value = format!("value-{}", unique());
        let strange = format!("strange-{}", unique());
        let variables =
            [("LAMINA_TEST_TOKEN".as_ref(), value.as_ref()), ("LAMINA_TEST_OTHER".as_ref(), strange.as_ref())];
        let env = lab.options.env.iter().chain(variables).collect();
        let engine = engine::open(&engine::Options { env, ..lab.options.clone() }).unwrap();
        let folder = folder();
        let word = format!("sleeper-{}", unique());
        let steps = format!(
            "RUN --mount=type=secret,id=tok test $(wc -c </run/secrets/tok) = {}\nRUN sh -c 'sleep 60; true' {word}\n",
            value.len()
        );
        let secrets = [("tok".to_owned(), SecretSource::Env("LAMINA_TEST_TOKEN".to_owned()))].into();
        let solve = Solve { secrets, ..lab.solve(folder.path(), &steps) };
        let cancel = CancellationToken::new();
        thread::scope(|scope| {
            scope.spawn(|| {
                until("the step with the secret is done", || {
                    assert!(!runs(&value), "the value is in an argument");
                    step_runs(&word)
                });
                for client in clients(folder.path()) {
                    let environment = fs::read(format!("/proc/{client}/environ")).unwrap();
                    let environment = String::from_utf8_lossy(&environment);
                    assert!(environment.contains("LAMINA_TEST_TOKEN=") && !environment.contains(&strange));
                }
                cancel.cancel();
            });
            let built = build_with(&*engine, &solve, &cancel);
            assert!(built.result.unwrap_err().cancelled);
            assert!(!format!("{:?} {:?}", built.progress, engine.command(&solve)).contains(&value));
        });
    });
}

#[test]
fn an_engine_that_is_not_there() {
    let cancel = CancellationToken::new();
    on_each("unreachable", |lab| {
        let folder = folder();
        let nowhere = format!("unix://{}", folder.path().join("socket").display());
        let variables: Vec<_> = lab
            .options
            .env
            .iter()
            .chain([("DOCKER_HOST".as_ref(), nowhere.as_ref()), ("BUILDKIT_HOST".as_ref(), nowhere.as_ref())])
            .collect();
        let opened = engine::Options { env: variables.into_iter().collect(), ..lab.options.clone() };
        let engine = engine::open(&opened).unwrap();
        assert_eq!(engine.about().endpoint, nowhere);
        let solve = lab.solve(folder.path(), "RUN true\n");
        let error = build_with(&*engine, &solve, &cancel).result.unwrap_err();
        assert_eq!((error.kind, error.retryable), (FailureKind::Engine, false), "{}: {error:?}", lab.name);
        assert!(error.message.contains(&nowhere) || error.message.contains("connection error"), "{error:?}");
        assert!(!error.hints.is_empty());
    });
}

/// A buildkitd of this test's own, ended with it.
struct Daemon {
    process: std::process::Child,
    folder: tempfile::TempDir,
}

impl Daemon {
    /// `None` where this machine can't have one.
    fn start(lab: &Lab) -> Option<Self> {
        let folder = folder();
        let config = folder.path().join("buildkitd.toml");
        fs::write(&config, format!("[registry.\"{}\"]\n  http = true\n", lab.registry)).unwrap();
        // What it mounts is gone with its processes, and not left on this machine.
        let mut command = std::process::Command::new("unshare");
        command.args(["--mount", "buildkitd", "--config"]).arg(&config).arg("--root").arg(folder.path().join("root"));
        command.args(["--containerd-worker=false", "--addr"]).arg(format!("unix://{}/socket", folder.path().display()));
        command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        let mut daemon = Self { process: command.spawn().ok()?, folder };
        let mut ended = false;
        until("buildkitd listens", || {
            ended = daemon.process.try_wait().unwrap().is_some();
            ended || daemon.folder.path().join("socket").exists()
        });
        (!ended).then_some(daemon)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn the_engine_is_killed() {
    on_each("engine killed", |lab| {
        if lab.name != "buildctl" {
            return;
        }
        let Some(mut daemon) = Daemon::start(lab) else {
            eprintln!("the engine is not killed: buildkitd can't be started");
            return;
        };
        let host = format!("unix://{}/socket", daemon.folder.path().display());
        let env = lab.options.env.iter().chain([("BUILDKIT_HOST".as_ref(), host.as_ref())]).collect();
        let engine = engine::open(&engine::Options { env, ..lab.options.clone() }).unwrap();
        let folder = folder();
        let (solve, word) = sleeper(lab, folder.path());
        let error = thread::scope(|scope| {
            let killer = scope.spawn(|| {
                until("the step runs", || step_runs(&word));
                daemon.process.kill().unwrap();
            });
            let error = build_with(&*engine, &solve, &CancellationToken::new()).result.unwrap_err();
            killer.join().unwrap();
            error
        });
        assert_eq!((error.kind, error.retryable, error.cancelled), (FailureKind::Engine, true, false), "{error:?}");
        // A step lives on without its engine.
        let steps = processes_with(&format!("sleep 60; true\0{word}"));
        steps.into_iter().for_each(|step| kill(step, rustix::process::Signal::KILL));
    });
}
