//! What every provider holds to. A fixture says which one is meant, and how a build on it is tried.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use lamina::engine::{Options, Output, Progress, Solve, SolveError, Solved};
use lamina::event::RunId;
use lamina::model::{ProviderKind, Size};
use lamina::runner::providers::{self, Host};
use lamina::runner::{Endpoint, LeaseId, LedgerError, Owner, Provider, ProviderError, Record, Request};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::lab::{has, host, program, registry};
use crate::leftovers;
use crate::service::{Runners, Service};
use crate::sshd::Sshd;

/// What is left of a lease.
pub type Left = Box<dyn Fn(&LeaseId) -> Vec<String>>;

/// A provider under test.
pub struct Fixture {
    /// What it is called in messages.
    pub name: &'static str,
    /// Which provider, with its settings.
    pub kind: ProviderKind,
    /// What it gets of this machine; everything that it keeps is below `state`.
    pub host: Host,
    /// The image that builds start from, as the engine reaches it.
    pub base: String,
    /// What is left of a lease elsewhere than on this machine: at a service, in a program's own books.
    pub left: Left,
    /// Goes with the fixture.
    pub folder: TempDir,
}

/// What a build on a lease has come to.
pub struct Built {
    pub solved: Result<Solved, SolveError>,
    pub lines: Vec<String>,
}

/// A lease that is asked for: its record, as it is written down.
struct Asked {
    record: Mutex<Record>,
    cancel: CancellationToken,
    /// Whether it is cancelled as soon as something is noted.
    half_way: bool,
}

impl Fixture {
    /// All of the contract.
    pub fn holds(&self) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            self.a_build_works_and_release_may_be_repeated().await;
            self.what_never_was_is_released().await;
            self.a_record_is_enough().await;
            self.what_is_cancelled_leaves_nothing().await;
            self.what_is_dropped_leaves_nothing().await;
            self.two_at_a_time().await;
        });
    }

    /// A provider as another process would open it.
    fn open(&self) -> Box<dyn Provider> {
        providers::open(&self.kind, &self.host).unwrap()
    }

    fn asked(&self) -> Asked {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let now = Timestamp::now();
        let salt = u64::from(std::process::id()) << 20 | NUMBER.fetch_add(1, Ordering::Relaxed);
        let request = Request {
            layer: "layer".parse().unwrap(),
            size: Size { cpu: 1, memory_mb: 512 },
            tier: None,
            platforms: Vec::new(),
            minutes: 5,
        };
        let lease = LeaseId::new(now, salt);
        let record = Record::new(lease, Owner::this(), RunId::new(now, 1), (self.name, &self.kind), &request, now);
        Asked { record: Mutex::new(record), cancel: CancellationToken::new(), half_way: false }
    }

    #[track_caller]
    fn nothing_is_left(&self, record: &Record) {
        leftovers::none(record.lease.as_str(), &self.host.state);
        assert_eq!((self.left)(&record.lease), Vec::<String>::new(), "{}", self.name);
    }

    /// Builds where a lease builds, and finds what its step has said.
    async fn build(&self, endpoint: &Endpoint, word: &str) {
        let Built { solved, lines } = self.solve(endpoint, word, "RUN cat /stamp && echo").await;
        assert!(solved.is_ok(), "{}: {solved:#?}", self.name);
        assert!(lines.iter().any(|line| line == word), "{}: {lines:#?}", self.name);
    }

    /// Builds where a lease builds.
    async fn solve(&self, endpoint: &Endpoint, word: &str, step: &str) -> Built {
        let context = self.folder.path().join(format!("context-{word}"));
        fs::create_dir_all(&context).unwrap();
        fs::write(context.join("stamp"), word).unwrap();
        let text = format!("FROM {}\nCOPY stamp /stamp\n{step}\n", self.base);
        fs::write(context.join("Dockerfile"), text).unwrap();
        let options = Options { env: self.host.env.clone(), lamina: self.host.lamina.clone(), ..Options::default() };
        let engine = endpoint.open(&options).unwrap();
        let dockerfile: PathBuf = context.join("Dockerfile");
        let solve = Solve { dockerfile, context, output: Output::None, ..Solve::default() };
        let mut lines = Vec::new();
        let mut hear = |progress| {
            if let Progress::Output { line, .. } = progress {
                lines.push(line);
            }
        };
        let solved = engine.solve(&solve, &mut hear, &CancellationToken::new()).await;
        Built { solved, lines }
    }

    /// A step needs more memory than its runner has: who leases it knows that it was killed for that.
    pub fn says_that_memory_ran_out(&self) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (provider, asked) = (self.open(), self.asked());
            assert!(provider.about().sized, "{}", self.name);
            let endpoint = asked.acquire(&*provider).await.unwrap();
            let record = asked.record();
            // It doubles a text that is to be of 512 MiB; the runner has as much for everything.
            let step = "RUN awk 'BEGIN{s=\"x\"; while(length(s)<536870912) s=s s; print length(s)}'";
            let built = self.solve(&endpoint, record.lease.as_str(), step).await;
            let evidence = provider.evidence(&record, record.asked_at).await.unwrap();
            provider.release(&record).await.unwrap();
            self.nothing_is_left(&record);
            let error = built.solved.unwrap_err();
            assert!(error.out_of_memory || error.exit_code == Some(137), "{}: {error:#?}", self.name);
            assert!(evidence.alone && evidence.oom.is_some(), "{}: {evidence:#?}", self.name);
            let usage = evidence.usage.unwrap();
            let (memory, cpu) = (usage.peak_memory_mb.unwrap(), usage.cpu_ms.unwrap());
            assert!((100..=512).contains(&memory) && cpu > 0, "{}: {usage:?}", self.name);
        });
    }

    async fn a_build_works_and_release_may_be_repeated(&self) {
        let (provider, asked) = (self.open(), self.asked());
        let endpoint = asked.acquire(&*provider).await.unwrap_or_else(|error| panic!("{}: {error:#?}", self.name));
        let record = asked.record();
        self.build(&endpoint, record.lease.as_str()).await;
        let evidence = provider.evidence(&record, record.asked_at).await;
        assert_eq!(evidence.unwrap().oom, None, "{}", self.name);
        provider.release(&record).await.unwrap();
        if provider.about().leases {
            self.nothing_is_left(&record);
        }
        provider.release(&record).await.unwrap();
    }

    async fn what_never_was_is_released(&self) {
        let record = self.asked().record();
        self.open().release(&record).await.unwrap();
        self.nothing_is_left(&record);
    }

    /// The record alone, as another lamina reads it.
    async fn a_record_is_enough(&self) {
        let (provider, asked) = (self.open(), self.asked());
        asked.acquire(&*provider).await.unwrap();
        let text = serde_json::to_string(&asked.record()).unwrap();
        let read: Record = serde_json::from_str(&text).unwrap();
        self.open().release(&read).await.unwrap();
        self.nothing_is_left(&read);
        // Who had made it may still try.
        provider.release(&read).await.unwrap();
    }

    async fn what_is_cancelled_leaves_nothing(&self) {
        for half_way in [false, true] {
            let (provider, asked) = (self.open(), Asked { half_way, ..self.asked() });
            if !half_way {
                asked.cancel.cancel();
            }
            // It may have been faster than that.
            let _ = asked.acquire(&*provider).await;
            provider.release(&asked.record()).await.unwrap();
            self.nothing_is_left(&asked.record());
        }
    }

    /// Nobody waits for an answer any more, as when it takes too long.
    async fn what_is_dropped_leaves_nothing(&self) {
        let (provider, asked) = (self.open(), Asked { half_way: true, ..self.asked() });
        let cancelled = asked.cancel.clone();
        let given_up = Asked { cancel: CancellationToken::new(), record: Mutex::new(asked.record()), half_way: false };
        let note = |text: &str| {
            cancelled.cancel();
            given_up.note(text)
        };
        let (record, never) = (given_up.record(), CancellationToken::new());
        let _ = cancelled.run_until_cancelled(provider.acquire(&record, &note, &never)).await;
        provider.release(&given_up.record()).await.unwrap();
        self.nothing_is_left(&record);
    }

    async fn two_at_a_time(&self) {
        let provider = self.open();
        let (one, other) = (self.asked(), self.asked());
        let (first, second) = futures_util::future::join(one.acquire(&*provider), other.acquire(&*provider)).await;
        let (first, second) = (first.unwrap(), second.unwrap());
        let leases = provider.about().leases;
        assert_eq!(first != second, leases, "{}: {first} {second}", self.name);
        let (one, other) = (one.record(), other.record());
        provider.release(&one).await.unwrap();
        // What belongs to the other is still there.
        self.build(&second, other.lease.as_str()).await;
        provider.release(&other).await.unwrap();
        if leases {
            self.nothing_is_left(&one);
            self.nothing_is_left(&other);
        }
    }
}

impl Asked {
    fn record(&self) -> Record {
        self.record.lock().unwrap().clone()
    }

    fn note(&self, text: &str) -> Result<(), LedgerError> {
        self.record.lock().unwrap().handle = Some(text.to_owned());
        if self.half_way {
            self.cancel.cancel();
        }
        Ok(())
    }

    async fn acquire(&self, provider: &dyn Provider) -> Result<Endpoint, ProviderError> {
        let (record, note) = (self.record(), |text: &str| self.note(text));
        provider.acquire(&record, &note, &self.cancel).await
    }
}

/// A fixture of a provider that leaves nothing elsewhere.
pub fn fixture(name: &'static str, kind: ProviderKind, registry: &str) -> Fixture {
    let folder = TempDir::new().unwrap();
    let base = format!("{registry}/library/busybox:stable");
    Fixture { name, kind, host: host(&folder, registry), base, left: Box::new(|_| Vec::new()), folder }
}

/// `process`, where it can run.
pub fn process(test: &str) -> Option<Fixture> {
    let is_root = rustix::process::geteuid().is_root();
    let programs = ["buildkitd", "buildctl", "unshare"].iter().all(|name| program(name).is_some());
    let registry = registry(test)?;
    has(test, "it takes root, buildkitd, buildctl and unshare", is_root && programs)
        .then(|| fixture("process", ProviderKind::Process { rootless: false }, &registry))
}

/// `container`, where it can run.
pub fn container(test: &str) -> Option<Fixture> {
    let registry = registry(test)?;
    let image = std::env::var("LAMINA_TEST_BUILDKIT_IMAGE").ok();
    let is_there = image.is_some() && std::env::var_os("DOCKER_HOST").is_some();
    if !has(test, "it takes DOCKER_HOST, and LAMINA_TEST_BUILDKIT_IMAGE with BuildKit", is_there) {
        return None;
    }
    // The registry may listen on loopback.
    let kind = ProviderKind::Container { image, network: Some("host".to_owned()) };
    Some(fixture("container", kind, &registry))
}

#[test]
fn engine_holds() {
    let test = "the contract of engine";
    let Some(registry) = registry(test) else { return };
    if has(test, "DOCKER_HOST names no engine", std::env::var_os("DOCKER_HOST").is_some()) {
        fixture("engine", ProviderKind::Engine, &registry).holds();
    }
}

#[test]
fn process_holds() {
    if let Some(fixture) = process("the contract of process") {
        fixture.holds();
    }
}

#[test]
fn container_holds() {
    if let Some(fixture) = container("the contract of container") {
        fixture.holds();
    }
}

#[test]
fn memory_that_runs_out_on_a_process_is_known() {
    let kernel_log = fs::File::open("/dev/kmsg").is_ok();
    let test = "memory that runs out on a process";
    if let Some(fixture) = process(test).filter(|_| has(test, "the kernel's log can't be read", kernel_log)) {
        fixture.says_that_memory_ran_out();
    }
}

#[test]
fn memory_that_runs_out_in_a_container_is_known() {
    if let Some(fixture) = container("memory that runs out in a container") {
        fixture.says_that_memory_ran_out();
    }
}

/// A fixture, and two addresses of the engine that DOCKER_HOST names, which services and programs may lease. None, and a
/// word about it, where there is no engine on this machine.
fn two_engines(test: &str, name: &'static str) -> Option<(Fixture, [String; 2])> {
    let registry = registry(test)?;
    let engine = std::env::var("DOCKER_HOST").ok();
    let socket = engine.as_deref().and_then(|engine| engine.strip_prefix("unix://"));
    has(test, "DOCKER_HOST names no socket", socket.is_some());
    let (fixture, socket) = (fixture(name, ProviderKind::Engine, &registry), socket?);
    let engines = ["first", "second"].map(|name| {
        let address = fixture.folder.path().join(name);
        std::os::unix::fs::symlink(socket, &address).unwrap();
        format!("unix://{}", address.display())
    });
    Some((fixture, engines))
}

#[test]
fn command_holds() {
    let test = "the contract of command";
    if !has(test, "it takes jq", program("jq").is_some()) {
        return;
    }
    let Some((mut fixture, engines)) = two_engines(test, "command") else { return };
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/command-runner.sh");
    let mut command = vec![example.to_str().unwrap().to_owned()];
    command.extend(engines.map(|engine| format!("docker:{engine}")));
    fixture.kind = ProviderKind::Command { command };
    let books = fixture.folder.path().join("books");
    fixture.host.env = fixture.host.env.with("HOME", books.to_str().unwrap()).without("XDG_STATE_HOME");
    fixture.left = Box::new(move |lease| {
        let engines = fs::read_dir(books.join(".local/state/command-runner")).into_iter().flatten();
        let leases = engines.filter_map(|engine| fs::read_to_string(engine.unwrap().path().join("lease")).ok());
        leases.filter(|held| held == lease.as_str()).collect()
    });
    fixture.holds();
}

#[test]
fn orchestrator_holds() {
    let test = "the contract of orchestrator";
    let Some((mut fixture, engines)) = two_engines(test, "orchestrator") else { return };
    let engines = engines.map(Endpoint::Docker).into();
    let service = Service::new(Runners::Engines(engines), Some("a-token".to_owned()));
    let url = format!("http://{}", service.serve_beside());
    fixture.kind = ProviderKind::Orchestrator { url, token_env: Some("LAB_TOKEN".to_owned()) };
    fixture.host.env = fixture.host.env.with("LAB_TOKEN", "a-token");
    fixture.left = Box::new(move |lease| service.leased().into_iter().filter(|held| held == lease.as_str()).collect());
    fixture.holds();
}

#[test]
fn ssh_holds() {
    let test = "the contract of ssh";
    let Some(registry) = registry(test) else { return };
    let Some(sshd) = Sshd::start(test) else { return };
    fixture("ssh", sshd.kind(2), &registry).holds();
}
