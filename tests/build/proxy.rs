//! A proxy in front of a registry that does what a test has it do.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Do {
    /// The registry answers.
    Pass,
    /// It is answered with status 500.
    Fail,
    /// It is answered with status 405.
    Refuse,
    /// It is never answered.
    Stall,
    /// The registry answers, but the digest in the answer's head is another one.
    Lie,
}

/// A proxy on a port of its own. It ends with this value.
pub struct Proxy {
    pub host: String,
    seen: Arc<Mutex<Vec<String>>>,
    ended: Arc<AtomicBool>,
}

impl Proxy {
    /// A proxy for a registry; `decide` gets the method and the path of each request.
    pub fn start(registry: &str, decide: impl Fn(&str, &str) -> Do + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let proxy = Self { host, seen: Arc::default(), ended: Arc::default() };
        let (seen, ended, decide) = (proxy.seen.clone(), proxy.ended.clone(), Arc::new(decide));
        let registry = registry.to_owned();
        thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                if ended.load(Ordering::SeqCst) {
                    break;
                }
                let (seen, decide, registry) = (seen.clone(), decide.clone(), registry.clone());
                // Who breaks off is the client's or the registry's own business.
                thread::spawn(move || serve(&connection, &registry, &seen, &*decide));
            }
        });
        proxy
    }

    /// The requests so far: `GET /v2/…`.
    pub fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(&self.host);
    }
}

fn serve(
    client: &TcpStream,
    registry: &str,
    seen: &Mutex<Vec<String>>,
    decide: &dyn Fn(&str, &str) -> Do,
) -> Option<()> {
    let mut from_client = BufReader::new(client);
    // Engines try TLS first, and go on without it when what answers is HTTP.
    if from_client.fill_buf().ok()?.first() == Some(&0x16) {
        let mut client = client;
        return client.write_all(b"HTTP/1.0 400 Bad Request\r\n\r\nthis is plain HTTP\n").ok();
    }
    let head = head(&mut from_client)?;
    let mut words = head.split(' ');
    let (method, path) = (words.next()?, words.next()?);
    seen.lock().unwrap().push(format!("{method} {path}"));
    let what = decide(method, path);
    match what {
        Do::Fail | Do::Refuse => {
            let _ = drain(&mut from_client, &head);
            let mut client = client;
            let status = if what == Do::Fail { 500 } else { 405 };
            let answer = format!("HTTP/1.1 {status} Said\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
            client.write_all(answer.as_bytes()).ok()?;
            return client.shutdown(Shutdown::Write).ok();
        }
        Do::Stall => {
            let _ = from_client.read_to_end(&mut Vec::new());
            return None;
        }
        Do::Pass | Do::Lie => {}
    }
    let server = TcpStream::connect(registry).ok()?;
    // One request a connection: so the end of a body is the end of the connection.
    (&server).write_all(with_close(&head).as_bytes()).ok()?;
    let upload = body_length(&head);
    thread::scope(|scope| {
        let to_server = server.try_clone().ok()?;
        scope.spawn(move || {
            let mut to_server = to_server;
            match upload {
                Some(length) => drop(std::io::copy(&mut from_client.take(length), &mut to_server)),
                None => drop(std::io::copy(&mut from_client, &mut to_server)),
            }
        });
        let mut from_server = BufReader::new(&server);
        let mut answer = self::head(&mut from_server)?;
        if what == Do::Lie {
            let lines = answer.split("\r\n").map(|line| match line.split_once(':') {
                Some((name, _)) if name.eq_ignore_ascii_case("docker-content-digest") => {
                    format!("{name}: sha256:{}", "7".repeat(64))
                }
                _ => line.to_owned(),
            });
            answer = lines.collect::<Vec<_>>().join("\r\n");
        }
        let mut to_client = client;
        to_client.write_all(with_close(&answer).as_bytes()).ok()?;
        let _ = std::io::copy(&mut from_server, &mut to_client);
        let _ = client.shutdown(Shutdown::Both);
        server.shutdown(Shutdown::Both).ok()
    })
}

/// The head of a message, with the empty line at its end.
fn head(from: &mut impl BufRead) -> Option<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if from.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    Some(head)
}

fn with_close(head: &str) -> String {
    let kept = head.split("\r\n").filter(|line| !line.to_ascii_lowercase().starts_with("connection:"));
    let mut lines: Vec<&str> = kept.collect();
    lines.insert(1, "Connection: close");
    lines.join("\r\n")
}

/// How long a request's body is; none where it says so itself, in chunks.
fn body_length(head: &str) -> Option<u64> {
    let lower = head.to_ascii_lowercase();
    if lower.contains("transfer-encoding: chunked") {
        return None;
    }
    let length = lower.split("content-length:").nth(1).and_then(|rest| rest.split("\r\n").next()?.trim().parse().ok());
    Some(length.unwrap_or(0))
}

fn drain(from: &mut impl Read, head: &str) -> std::io::Result<u64> {
    std::io::copy(&mut from.take(body_length(head).unwrap_or(0)), &mut std::io::sink())
}
