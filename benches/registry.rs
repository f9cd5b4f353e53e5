//! How long `lamina lock` and `lamina outdated` take over 200 images: `cargo bench --bench registry`.
//!
//! A registry on this machine answers each request after a fixed delay, so that the time is that of waiting. No more
//! than 16 requests are under way at once: 200 of them take at least 13 delays. What lamina may add to that is half.
//! The program is measured as a whole, with a filled evaluation cache, and the median of several runs counts.

mod synthetic;

use std::env;
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

const LAMINA: &str = env!("CARGO_BIN_EXE_lamina");
/// The images, each of a layer of its own.
const IMAGES: usize = 200;
/// The repositories that they lie in. `outdated` asks each for its tags, once.
const REPOSITORIES: usize = 20;
/// How many requests may be under way at the same time: the program's default.
const BOUND: usize = 16;
/// How long the registry takes for an answer.
const DELAY: Duration = Duration::from_millis(50);
/// How long it takes for the slow one.
const SLOW: Duration = Duration::from_millis(500);
/// What the program may take, by what waiting alone takes.
const TARGET: f64 = 1.5;
const RUNS: usize = 5;

fn main() {
    // What `cargo test --benches` passes: there is nothing to test here.
    if !env::args().any(|arg| arg == "--test") {
        table().expect("sockets and temporary files can be had");
    }
}

/// What a run asked of the registry.
#[derive(Default)]
struct Asked {
    requests: usize,
    peak: usize,
}

#[derive(Default)]
struct Server {
    now: AtomicUsize,
    asked: Mutex<Asked>,
    /// The end of the path whose answer is slow.
    slow: Mutex<Option<String>>,
}

impl Server {
    /// Answers at a port of this machine for as long as the process lives; a thread for each connection.
    fn start() -> io::Result<(Arc<Self>, String)> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let host = listener.local_addr()?.to_string();
        let server = Arc::new(Self::default());
        let shared = Arc::clone(&server);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let server = Arc::clone(&shared);
                // A client that closes its connection is no failure.
                thread::spawn(move || server.talk(stream).ok());
            }
        });
        Ok((server, host))
    }

    fn talk(&self, stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut reader = BufReader::new(stream.try_clone()?);
        let mut writer = stream;
        loop {
            let mut request = String::new();
            if reader.read_line(&mut request)? == 0 {
                return Ok(());
            }
            let mut header = String::new();
            while reader.read_line(&mut header)? > 2 {
                header.clear();
            }
            let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
            {
                let mut asked = self.asked.lock().expect("no thread panics");
                asked.requests += 1;
                asked.peak = asked.peak.max(now);
            }
            let mut words = request.split(' ');
            let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            let is_slow = self.slow.lock().expect("no thread panics").as_ref().is_some_and(|end| path.ends_with(end));
            thread::sleep(if is_slow { SLOW } else { DELAY });
            self.now.fetch_sub(1, Ordering::SeqCst);
            writer.write_all(&answer(method, path))?;
        }
    }
}

fn answer(method: &str, path: &str) -> Vec<u8> {
    let (body, more) = if path.contains("/tags/list") {
        (r#"{"name":"n","tags":["1.0.0","1.0.9","latest"]}"#.to_owned(), "Content-Type: application/json".to_owned())
    } else {
        let entry = |platform: &str| {
            let digest = sha256(format!("{path} {platform}").as_bytes());
            format!(r#"{{"digest":"{digest}","size":1,"platform":{{"os":"linux","architecture":"{platform}"}}}}"#)
        };
        let body = format!(r#"{{"schemaVersion":2,"manifests":[{},{}]}}"#, entry("amd64"), entry("arm64"));
        let digest = sha256(body.as_bytes());
        let media_type = "application/vnd.oci.image.index.v1+json";
        (body, format!("Content-Type: {media_type}\r\nDocker-Content-Digest: {digest}"))
    };
    let head = format!("HTTP/1.1 200 OK\r\n{more}\r\nContent-Length: {}\r\n\r\n", body.len());
    if method == "HEAD" { head.into_bytes() } else { (head + &body).into_bytes() }
}

fn sha256(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// Where an image lies in the registry, and its tag.
fn image(number: usize) -> (String, String) {
    let in_each = IMAGES / REPOSITORIES;
    (format!("team/image-{:02}", number / in_each), format!("1.0.{}", number % in_each))
}

/// A catalog in which each layer stands on an image of its own.
fn write_catalog(folder: &Path, host: &str) -> io::Result<()> {
    synthetic::write(folder, 1)?;
    fs::remove_dir_all(folder.join("layers"))?;
    for number in 0..IMAGES {
        let name = synthetic::name(number);
        let layer = folder.join("layers").join(&name);
        fs::create_dir_all(&layer)?;
        let (repository, tag) = image(number);
        let workflow = format!(
            "let {{ Workflow, .. }} = import \"../../schemas/workflow.ncl\" in
let base = {{ image = \"{host}/{repository}:{tag}\" }} in
{{
  layer = \"{name}\",
  class = 'toolchain,
  summary = \"Layer {number}, on an image of its own\",
  build_base = base,
  runtime_base = base,
  tools_provided = [{{ name = \"tool\", probe = [\"tool\"] }}],
}} | Workflow
"
        );
        fs::write(layer.join("workflow.ncl"), workflow)?;
    }
    fs::write(folder.join("plain.ncl"), format!("{{ plain_http = [\"{host}\"] }}\n"))
}

/// A catalog with its registry.
struct Bench {
    catalog: PathBuf,
    cache: PathBuf,
    server: Arc<Server>,
}

/// What is measured.
struct Case {
    command: &'static str,
    requests: usize,
    slow: Option<usize>,
    what: &'static str,
}

impl Bench {
    /// Runs a command on a lock that is empty (`lock`) or full (all others), and says how long it took.
    fn run(&self, command: &str) -> f64 {
        let lock = self.catalog.join("lamina.lock");
        if command == "lock" {
            fs::write(&lock, "version = 1\n").expect("temporary files can be written");
        }
        let mut lamina = Command::new(LAMINA);
        lamina.arg("--catalog").arg(&self.catalog).arg("--overlay").arg(self.catalog.join("plain.ncl"));
        lamina.arg(command).env("XDG_CACHE_HOME", &self.cache);
        for proxy in ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
            lamina.env_remove(proxy);
        }
        let start = Instant::now();
        let output = lamina.stdout(Stdio::null()).output().expect("lamina can be run");
        let seconds = start.elapsed().as_secs_f64();
        assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
        seconds
    }

    fn measure(&self, case: &Case) {
        let end = case.slow.map(|number| {
            let (repository, tag) = image(number);
            format!("/{repository}/manifests/{tag}")
        });
        *self.server.slow.lock().expect("no thread panics") = end;
        let mut seconds: Vec<f64> = Vec::new();
        for _ in 0..RUNS {
            *self.server.asked.lock().expect("no thread panics") = Asked::default();
            seconds.push(self.run(case.command));
            let asked = self.server.asked.lock().expect("no thread panics");
            assert_eq!(asked.requests, case.requests, "{} asks once for each", case.command);
            assert!(asked.peak <= BOUND, "{} requests at the same time", asked.peak);
        }
        seconds.sort_by(f64::total_cmp);
        let rounds = case.requests.div_ceil(BOUND);
        // The slow one may be asked for in the last round; the others don't wait for it.
        let extra = if case.slow.is_some() { SLOW - DELAY } else { Duration::ZERO };
        let waiting = (DELAY * u32::try_from(rounds).expect("a few")).as_secs_f64() + extra.as_secs_f64();
        let time = seconds[RUNS / 2];
        let verdict = if time <= TARGET * waiting { "met" } else { "MISSED" };
        println!(
            "| `{}`, {} | {} | {rounds} | {:.2} s | {:.2} s | {time:.2} s | {:.2} | {verdict} |",
            case.command,
            case.what,
            case.requests,
            waiting,
            TARGET * waiting,
            time / waiting,
        );
    }
}

fn table() -> io::Result<()> {
    let work = tempfile::tempdir()?;
    let (server, host) = Server::start()?;
    let bench = Bench { catalog: work.path().join("catalog"), cache: work.path().join("cache"), server };
    write_catalog(&bench.catalog, &host)?;
    println!("| what | requests | rounds | waiting alone | target | measured | ratio | |\n|--|--|--|--|--|--|--|--|");
    // Fills the evaluation cache, and the lock.
    bench.run("lock");
    let all = IMAGES + REPOSITORIES;
    let equal = "all answers in 50 ms";
    let (first, last) = ("the first one in 500 ms", "the last one in 500 ms");
    for case in [
        Case { command: "lock", requests: IMAGES, slow: None, what: equal },
        Case { command: "lock", requests: IMAGES, slow: Some(0), what: first },
        Case { command: "lock", requests: IMAGES, slow: Some(IMAGES - 1), what: last },
        Case { command: "outdated", requests: all, slow: None, what: equal },
        Case { command: "outdated", requests: all, slow: Some(0), what: first },
        Case { command: "outdated", requests: all, slow: Some(IMAGES - 1), what: last },
    ] {
        bench.measure(&case);
    }
    Ok(())
}
