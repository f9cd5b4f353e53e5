//! A server that says what a test has it say: HTTP/1.1 over loopback, one request a connection.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A server on a port of its own. It ends with this value.
pub struct Server {
    /// Its host with the port.
    pub host: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    ended: Arc<AtomicBool>,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: String,
    /// The path with its query.
    pub target: String,
    /// The headers, by their names in small letters.
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

/// What is said to a request.
#[derive(Clone, Debug)]
pub struct Reply {
    head: String,
    body: Vec<u8>,
    length: Length,
    end: End,
}

#[derive(Clone, Copy, Debug)]
enum Length {
    Announced(usize),
    Chunked,
}

#[derive(Clone, Copy, Debug)]
enum End {
    Whole,
    /// The connection closes after so many bytes of the body.
    Cut(usize),
    /// Nothing more comes after so many bytes of the body.
    Stall(usize),
    /// So many bytes of the body come at a time, with a pause between them.
    Drip(usize, Duration),
    /// Nothing comes at all.
    Silence,
}

impl Reply {
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        let length = Length::Announced(body.len());
        Self { head: format!("HTTP/1.1 {status} Said\r\nConnection: close\r\n"), body, length, end: End::Whole }
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.head.push_str(&format!("{name}: {value}\r\n"));
        self
    }

    /// Announces another length than the body has.
    pub fn announcing(self, length: usize) -> Self {
        Self { length: Length::Announced(length), ..self }
    }

    pub fn chunked(self) -> Self {
        Self { length: Length::Chunked, ..self }
    }

    pub fn cut(self, after: usize) -> Self {
        Self { end: End::Cut(after), ..self }
    }

    pub fn stall(self, after: usize) -> Self {
        Self { end: End::Stall(after), ..self }
    }

    pub fn drip(self, bytes: usize, pause: Duration) -> Self {
        Self { end: End::Drip(bytes, pause), ..self }
    }

    pub fn silence() -> Self {
        Self { end: End::Silence, ..Self::new(200, "") }
    }

    /// Says it. That the other side has gone is its own business.
    fn say(&self, connection: &mut (impl Read + Write), is_head: bool) {
        let sent = match self.end {
            End::Whole => self.body.len(),
            End::Cut(sent) | End::Stall(sent) => sent.min(self.body.len()),
            End::Drip(..) => 0,
            End::Silence => return wait_for_end(connection),
        };
        let mut bytes = self.head.clone().into_bytes();
        match self.length {
            Length::Announced(length) => bytes.extend(format!("Content-Length: {length}\r\n\r\n").bytes()),
            Length::Chunked => bytes.extend(b"Transfer-Encoding: chunked\r\n\r\n"),
        }
        if !is_head {
            if matches!(self.length, Length::Chunked) {
                bytes.extend(format!("{:x}\r\n", self.body.len().max(1)).bytes());
            }
            bytes.extend(&self.body[..sent]);
            if matches!((self.length, self.end), (Length::Chunked, End::Whole)) {
                bytes.extend(b"\r\n0\r\n\r\n");
            }
        }
        let _ = connection.write_all(&bytes).and_then(|()| connection.flush());
        match self.end {
            End::Stall(_) => wait_for_end(connection),
            End::Drip(size, pause) if !is_head => {
                for drop in self.body.chunks(size) {
                    if connection.write_all(drop).and_then(|()| connection.flush()).is_err() {
                        break;
                    }
                    thread::sleep(pause);
                }
            }
            _ => {}
        }
    }
}

fn wait_for_end(connection: &mut impl Read) {
    let _ = connection.read_to_end(&mut Vec::new());
}

impl Seen {
    /// Reads a request, with a pause before each MiB of its body; nothing, where none comes.
    fn read(connection: &mut impl Read, pause: Duration) -> Option<Self> {
        let mut reader = BufReader::new(connection);
        let mut line = || {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            Some(line.trim_end().to_owned())
        };
        let first = line()?;
        let [method, target, _] = first.split(' ').collect::<Vec<_>>()[..] else { return None };
        let mut headers = BTreeMap::new();
        loop {
            let line = line()?;
            let Some((name, value)) = line.split_once(':') else { break };
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        for piece in body.chunks_mut(1 << 20) {
            thread::sleep(pause);
            reader.read_exact(piece).ok()?;
        }
        let body = String::from_utf8(body).unwrap();
        Some(Self { method: method.to_owned(), target: target.to_owned(), headers, body })
    }

    pub fn authorization(&self) -> Option<&str> {
        self.headers.get("authorization").map(String::as_str)
    }
}

impl Server {
    /// A server for plain HTTP. `reply` gets each request with its number, from 0.
    pub fn start(reply: impl Fn(&Seen, usize) -> Reply + Send + Sync + 'static) -> Self {
        Self::listen(None, Duration::ZERO, reply)
    }

    /// A server for plain HTTP that waits before it reads the next MiB of a request.
    pub fn start_slow(pause: Duration, reply: impl Fn(&Seen, usize) -> Reply + Send + Sync + 'static) -> Self {
        Self::listen(None, pause, reply)
    }

    /// A server for TLS.
    pub fn start_tls(config: Arc<ServerConfig>, reply: impl Fn(&Seen, usize) -> Reply + Send + Sync + 'static) -> Self {
        Self::listen(Some(config), Duration::ZERO, reply)
    }

    fn listen(
        tls: Option<Arc<ServerConfig>>,
        pause: Duration,
        reply: impl Fn(&Seen, usize) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let server = Self { host, seen: Arc::default(), ended: Arc::default() };
        let (seen, ended, reply) = (server.seen.clone(), server.ended.clone(), Arc::new(reply));
        thread::spawn(move || {
            for connection in listener.incoming() {
                if ended.load(Ordering::SeqCst) {
                    break;
                }
                let (seen, reply, tls) = (seen.clone(), reply.clone(), tls.clone());
                let Ok(mut connection) = connection else { continue };
                thread::spawn(move || match tls {
                    None => serve(&mut connection, pause, &seen, &*reply),
                    Some(tls) => {
                        let session = ServerConnection::new(tls).unwrap();
                        let mut connection = StreamOwned::new(session, connection);
                        serve(&mut connection, pause, &seen, &*reply);
                        connection.conn.send_close_notify();
                        let _ = connection.flush();
                    }
                });
            }
        });
        server
    }

    /// All requests so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// The methods and targets of all requests so far.
    pub fn asked(&self) -> Vec<String> {
        self.seen().iter().map(|seen| format!("{} {}", seen.method, seen.target)).collect()
    }
}

fn serve(
    connection: &mut (impl Read + Write),
    pause: Duration,
    seen: &Mutex<Vec<Seen>>,
    reply: &(impl Fn(&Seen, usize) -> Reply + ?Sized),
) {
    let Some(request) = Seen::read(connection, pause) else { return };
    let number = {
        let mut seen = seen.lock().unwrap();
        seen.push(request.clone());
        seen.len() - 1
    };
    reply(&request, number).say(connection, request.method == "HEAD");
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        // The listener looks up once more.
        let _ = TcpStream::connect(&self.host);
    }
}
