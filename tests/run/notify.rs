//! Events on NATS, against real servers: that of the lab, and own ones that die, are silent, or want a login.

use std::fs;
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use async_nats::Subscriber;
use futures_util::StreamExt;
use lamina::event::{
    Action, Built, Event, Failure, FailureKind, Kind, Oom, OomVerdict, Origin, Outcome, PlannedLayer, Reader, RunId,
    RunOutcome, SkippedLayer,
};
use lamina::host::secret::Secret;
use lamina::notify::{self, Delivery, FLUSH, Login, Notifier, Settings};
use serde_json::Value;
use tempfile::TempDir;

/// Longer than anything takes that is not stuck.
const HANGS: Duration = Duration::from_secs(60);

fn unique() -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos();
    format!("test-{}-{now}", std::process::id())
}

fn settings(url: &str, login: Login) -> Settings {
    Settings { servers: url.parse().unwrap(), login, prefix: "lamina.test".to_owned(), workspace: unique() }
}

/// Events of a run that is invented: one layer is there, one is built at the second attempt, one fails.
fn kinds() -> Vec<Kind> {
    let digest = format!("sha256:{}", "ab".repeat(32));
    let layer = |name: &str| name.parse().unwrap();
    let planned = |name: &str| PlannedLayer {
        layer: layer(name),
        action: Action::Build,
        fingerprint: "01".repeat(32).parse().unwrap(),
        image: format!("localhost:5000/x/{name}:fp-01").parse().unwrap(),
        reason: "it is not there".to_owned(),
        needs: Vec::new(),
        expected_ms: None,
    };
    let skipped = SkippedLayer {
        layer: layer("there"),
        fingerprint: "02".repeat(32).parse().unwrap(),
        digest: Some(digest.parse().unwrap()),
        reason: "up to date".to_owned(),
    };
    let started = |name: &str, attempt| Kind::LayerStarted { layer: layer(name), attempt, parents: Default::default() };
    let built =
        Built { digest: digest.parse().unwrap(), origin: Origin::Built, size: None, steps_run: 1, steps_cached: 0 };
    let oom = Oom { verdict: OomVerdict::Certain, evidence: "the kernel says so".to_owned() };
    let failure = Failure {
        kind: FailureKind::Step,
        message: "exit code 1".to_owned(),
        hints: Vec::new(),
        step: None,
        oom: None,
        log: None,
    };
    vec![
        Kind::RunStarted {
            version: 1,
            lamina: "0".to_owned(),
            command: "build".to_owned(),
            catalog: "mini".to_owned(),
            registry: "localhost:5000".to_owned(),
            namespace: "x".to_owned(),
            jobs: 1,
            engine: String::new(),
            layers: vec![planned("good"), planned("bad")],
            skipped: vec![skipped],
        },
        started("good", 1),
        Kind::Retrying { layer: layer("good"), attempt: 1, reason: "killed".to_owned(), wait_ms: 0, oom: Some(oom) },
        started("good", 2),
        Kind::LayerFinished { layer: layer("good"), outcome: Outcome::Succeeded { built }, ms: 7 },
        started("bad", 1),
        Kind::LayerFinished { layer: layer("bad"), outcome: Outcome::Failed { failure: Box::new(failure) }, ms: 8 },
        Kind::Promoted {
            layer: layer("good"),
            tag: "localhost:5000/x/good:latest".parse().unwrap(),
            digest: digest.parse().unwrap(),
            before: None,
        },
        Kind::RunFinished { outcome: RunOutcome::Failed, ms: 9 },
    ]
}

fn event(seq: u64, kind: Kind) -> Event {
    let run: RunId = "20261122-041500-abcd".parse().unwrap();
    Event { run, seq, at: "2026-11-22T04:15:00Z".parse().unwrap(), kind }
}

fn tell(notifier: &mut Notifier, kinds: impl IntoIterator<Item = Kind>) {
    (0..).zip(kinds).for_each(|(seq, kind)| notifier.read(&event(seq, kind)));
}

/// What became of the events of a whole run, and how long its end took.
fn run(settings: Settings) -> (Option<String>, Duration) {
    let (mut notifier, delivery) = notify::open(settings).unwrap();
    tell(&mut notifier, kinds());
    drop(notifier);
    let begun = Instant::now();
    (delivery.finish(), begun.elapsed())
}

/// Listens to all that a workspace is told; the messages come as subject and content.
struct Listener {
    runtime: tokio::runtime::Runtime,
    subscriber: Subscriber,
}

impl Listener {
    fn new(options: async_nats::ConnectOptions, url: &str, settings: &Settings) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let subject = format!("{}.{}.>", settings.prefix, settings.workspace);
        let subscriber = runtime.block_on(async {
            let client = options.connect(url).await.unwrap();
            let subscriber = client.subscribe(subject).await.unwrap();
            client.flush().await.unwrap();
            // The server answers in order: what is asked after the subscription is answered after it.
            client.request("nobody.listens.here", "".into()).await.unwrap_err();
            subscriber
        });
        Self { runtime, subscriber }
    }

    fn take(&mut self, count: usize) -> Vec<(String, Value)> {
        self.runtime.block_on(async {
            let mut all = Vec::new();
            while all.len() < count {
                let message = tokio::time::timeout(HANGS, self.subscriber.next()).await.expect("a message").unwrap();
                all.push((message.subject.to_string(), serde_json::from_slice(&message.payload).unwrap()));
            }
            all
        })
    }
}

/// An own server; killed with this value.
struct Server {
    child: Child,
    port: u16,
    _folder: TempDir,
}

impl Server {
    /// A server with these lines in its configuration, at this port or at a free one; none, and a word about it, where
    /// nats-server is missing.
    fn start(test: &str, lines: &str, port: Option<u16>) -> Option<Self> {
        let folder = TempDir::new().unwrap();
        let port = port.unwrap_or_else(|| TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port());
        let config = folder.path().join("nats.conf");
        fs::write(&config, format!("listen: \"127.0.0.1:{port}\"\n{lines}\n")).unwrap();
        // Debian's is not on the PATH of users.
        let program = ["/usr/sbin/nats-server", "nats-server"].into_iter().find(|program| {
            Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
        });
        let Some(program) = program else {
            eprintln!("{test} is skipped: there is no nats-server");
            return None;
        };
        let mut command = Command::new(program);
        command.arg("-c").arg(&config).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().unwrap();
        let server = Self { child, port, _folder: folder };
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begun.elapsed() < HANGS, "nats-server does not listen");
            thread::sleep(Duration::from_millis(20));
        }
        Some(server)
    }

    fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const NAMES: [&str; 9] =
    ["started", "skipped", "started", "retried", "completed", "started", "failed", "promoted", "failed"];

#[track_caller]
fn check(messages: &[(String, Value)], settings: &Settings) {
    for (seq, ((subject, message), name)) in messages.iter().zip(NAMES).enumerate() {
        assert_eq!(*subject, format!("lamina.test.{}.build.{name}", settings.workspace));
        assert_eq!((&message["seq"], &message["event"]), (&seq.into(), &name.into()), "{message:#}");
        assert_eq!(message["workspace"], settings.workspace.as_str());
    }
}

#[test]
fn a_subscriber_gets_what_happens_in_order() {
    let Ok(url) = std::env::var("LAMINA_LAB_NATS") else {
        return eprintln!("a_subscriber_gets_what_happens_in_order is skipped: LAMINA_LAB_NATS names no server");
    };
    let settings = settings(&url, Login::None);
    let mut listener = Listener::new(async_nats::ConnectOptions::new(), &url, &settings);
    assert_eq!(run(settings.clone()).0, None);
    let messages = listener.take(NAMES.len());
    check(&messages, &settings);
    let message = |at: usize| &messages[at].1;
    assert_eq!((message(0)["layer"].as_str(), message(1)["reason"].as_str()), (None, Some("up to date")));
    assert_eq!((&message(3)["oom"]["verdict"], &message(3)["attempt"]), (&"certain".into(), &1.into()));
    assert_eq!((&message(4)["attempt"], &message(4)["ms"]), (&2.into(), &7.into()));
    assert_eq!((&message(6)["failure"], &message(6)["reason"]), (&"step".into(), &"exit code 1".into()));
    assert_eq!(message(7)["image"], "localhost:5000/x/good:latest");
    // The published schema is kept.
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/json/v1/event.json");
    let schema: Value = serde_json::from_str(&fs::read_to_string(schema).unwrap()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    messages.iter().for_each(|(_, message)| assert!(validator.is_valid(message), "{message:#}"));
    // One message of its own, as `integrate` sends it.
    assert_eq!(notify::send(settings.clone(), "integrate.completed", b"{}".to_vec()).unwrap(), None);
    assert!(listener.take(1)[0].0.ends_with(".integrate.completed"));
}

#[test]
fn a_server_that_is_not_there_is_told_once_and_not_waited_for() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (trouble, _) = run(settings(&format!("nats://127.0.0.1:{free}"), Login::None));
    let trouble = trouble.unwrap();
    assert!(trouble.starts_with("9 of 9 events did not reach nats://127.0.0.1:"), "{trouble}");
}

#[test]
fn a_server_that_never_answers_costs_a_bounded_time() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("nats://{}", listener.local_addr().unwrap());
    // It takes connections and says nothing.
    thread::spawn(move || listener.incoming().filter_map(Result::ok).collect::<Vec<TcpStream>>());
    let (mut notifier, delivery) = notify::open(settings(&url, Login::None)).unwrap();
    let begun = Instant::now();
    // More than the queue takes.
    for _ in 0..2000 {
        tell(&mut notifier, kinds());
    }
    let told = begun.elapsed();
    drop(notifier);
    let begun = Instant::now();
    let trouble = delivery.finish().unwrap();
    assert!(trouble.starts_with("18000 of 18000 events did not reach"), "{trouble}");
    // Not how fast it is, but that nothing waits for the server.
    assert!(told < HANGS && begun.elapsed() < FLUSH * 5, "{told:?}, {:?}", begun.elapsed());
}

#[test]
fn a_server_that_stops_reading_costs_a_bounded_time() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("nats://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        use std::io::Write;
        let (mut stream, _) = listener.accept().unwrap();
        let info = "INFO {\"server_id\":\"x\",\"version\":\"2.9.10\",\"proto\":1,\"go\":\"\",\"host\":\"\",\"port\":1,\
                    \"max_payload\":1048576,\"client_id\":1,\"nonce\":\"\",\"headers\":true}\r\n";
        stream.write_all(info.as_bytes()).unwrap();
        let mut read = Vec::new();
        while !read.ends_with(b"PING\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            read.push(byte[0]);
        }
        stream.write_all(b"PONG\r\n").unwrap();
        thread::sleep(HANGS);
    });
    let (trouble, took) = run(settings(&url, Login::None));
    let trouble = trouble.unwrap();
    assert!(trouble.contains("is not known: it did not answer in 2 s"), "{trouble}");
    assert!(took < FLUSH * 5, "{took:?}");
}

/// Waits until messages that are sent now arrive or not.
fn until(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < HANGS, "{what}");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_server_that_dies_in_between_loses_events_and_no_build() {
    let test = "a_server_that_dies_in_between_loses_events_and_no_build";
    let Some(server) = Server::start(test, "", None) else { return };
    let settings = settings(&server.url(), Login::None);
    let mut listener = Listener::new(async_nats::ConnectOptions::new(), &server.url(), &settings);
    let (mut notifier, delivery): (Notifier, Delivery) = notify::open(settings.clone()).unwrap();
    let mut all = kinds().into_iter();
    tell(&mut notifier, all.by_ref().take(2));
    assert_eq!(listener.take(3).len(), 3);
    drop(server);
    tell(&mut notifier, all);
    drop(notifier);
    let trouble = delivery.finish().unwrap();
    assert!(trouble.contains("did not reach") && trouble.contains("nats://127.0.0.1:"), "{trouble}");
}

#[test]
fn a_server_that_comes_back_gets_what_has_waited_for_it() {
    let test = "a_server_that_comes_back_gets_what_has_waited_for_it";
    let Some(server) = Server::start(test, "", None) else { return };
    let (url, port) = (server.url(), server.port);
    drop(server);
    let settings = settings(&url, Login::None);
    let (mut notifier, delivery) = notify::open(settings.clone()).unwrap();
    tell(&mut notifier, kinds());
    let server = Server::start(test, "", Some(port)).unwrap();
    let mut listener = Listener::new(async_nats::ConnectOptions::new(), &url, &settings);
    until("the notifier connects", || delivery.is_connected());
    // What was told before may have been sent before anybody listened; what is told now is not.
    tell(&mut notifier, kinds());
    drop(notifier);
    assert_eq!(delivery.finish(), None);
    let messages = listener.take(NAMES.len());
    let last = messages.len() - NAMES.len();
    check(&messages[last..], &settings);
    drop(server);
}

/// A pair of keys from NATS' own documentation.
const SEED: &str = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY";
const KEY: &str = "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4";

#[test]
fn an_nkey_opens_a_server_that_wants_one() {
    let users = format!("authorization {{ users = [{{ nkey: {KEY} }}] }}");
    let Some(server) = Server::start("an_nkey_opens_a_server_that_wants_one", &users, None) else { return };
    let good = settings(&server.url(), Login::Nkey(Secret::new(SEED)));
    let mut listener = Listener::new(async_nats::ConnectOptions::with_nkey(SEED.to_owned()), &server.url(), &good);
    assert_eq!(run(good.clone()).0, None);
    check(&listener.take(NAMES.len()), &good);
    for login in [Login::None, Login::Nkey(Secret::new("SUAnoseed"))] {
        let trouble = run(settings(&server.url(), login)).0.unwrap();
        assert!(trouble.starts_with("9 of 9 events did not reach") && !trouble.contains("SUA"), "{trouble}");
    }
    assert!(!format!("{good:?}").contains(SEED));
}
