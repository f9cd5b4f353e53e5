//! A pool of hosts that are reached over SSH: a tunnel of lamina's own from a local socket to BuildKit's, or Docker's,
//! on the host. The build context goes through it, as everything that a client sends.
//!
//! A host's key has to be known; nobody is asked anything. The tunnel dies with lamina. What a build has left running
//! on the host ends there when its client's connection goes.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt, ready};
use jiff::Timestamp;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::beside::{self, Beside};
use super::{Host, folder};
use crate::host::child::{Program, find};
use crate::model::SshHost;
use crate::runner::{About, Endpoint, Evidence, LeaseId, NoteHandle, Provider, ProviderError, Record};

/// How often it is looked whether the tunnel stands.
const LOOK: Duration = Duration::from_millis(20);
/// How long the engine behind a tunnel has to answer.
const ANSWER: Duration = Duration::from_secs(10);
/// How long ssh has to say why nothing answers.
const LAST_WORDS: Duration = Duration::from_millis(300);
/// How long a host that failed comes last.
const REST: Duration = Duration::from_secs(60);

/// What every tunnel is opened with. Nobody is there to answer a question; a host whose key is not known is refused; a
/// connection that is dead is noticed within 45 s.
const OPTIONS: [&str; 11] = [
    "BatchMode=yes",
    "StrictHostKeyChecking=yes",
    "ExitOnForwardFailure=yes",
    "ConnectTimeout=15",
    "ServerAliveInterval=15",
    "ServerAliveCountMax=3",
    "ControlMaster=no",
    "ControlPath=none",
    "ForwardAgent=no",
    "ForwardX11=no",
    "PermitLocalCommand=no",
];

/// Leases places on hosts.
#[derive(Debug)]
pub struct Ssh {
    about: About,
    host: Host,
    hosts: Vec<SshHost>,
    known_hosts: Option<String>,
    identity: Option<String>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// By their places in the list: what rests, and until when.
    rests: BTreeMap<usize, Instant>,
    leases: BTreeMap<LeaseId, (usize, Option<Beside>)>,
}

/// What is behind a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Engine {
    Buildkit,
    Docker,
}

impl Ssh {
    /// A provider of these hosts. Files of ssh are relative to the catalog's root.
    pub fn new(host: Host, hosts: Vec<SshHost>, known_hosts: Option<String>, identity: Option<String>) -> Self {
        let capacity = hosts.iter().map(|host| u64::from(capacity(host))).sum();
        let about = About { leases: true, sized: false, detail: "hosts over SSH".to_owned(), capacity: Some(capacity) };
        Self { about, host, hosts, known_hosts, identity, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place: of those that have room, the host that has not failed lately and has the fewest leases.
    fn take(&self, lease: &LeaseId, tried: &[usize]) -> Option<usize> {
        let now = Instant::now();
        let mut state = self.state();
        let held = |index: usize| state.leases.values().filter(|(of, _)| *of == index).count();
        let free = self
            .hosts
            .iter()
            .enumerate()
            .filter(|(index, host)| !tried.contains(index) && (held(*index) as u64) < u64::from(capacity(host)));
        let order = |index: &usize| (state.rests.get(index).is_some_and(|until| *until > now), held(*index), *index);
        let index = free.map(|(index, _)| index).min_by_key(order)?;
        state.leases.insert(lease.clone(), (index, None));
        Some(index)
    }

    async fn lease(&self, record: &Record, note: &NoteHandle<'_>) -> Result<Endpoint, ProviderError> {
        let mut errors: Vec<ProviderError> = Vec::new();
        let mut tried = Vec::new();
        while let Some(index) = self.take(&record.lease, &tried) {
            let Some(host) = self.hosts.get(index) else { break };
            match self.open(record, host, note).await {
                Ok(endpoint) => {
                    self.state().rests.remove(&index);
                    return Ok(endpoint);
                }
                Err(error) => {
                    let mut state = self.state();
                    state.leases.remove(&record.lease);
                    state.rests.insert(index, Instant::now() + REST);
                    errors.push(ProviderError { message: format!("{}: {}", host.host, error.message), ..error });
                    tried.push(index);
                }
            }
        }
        let message = errors.iter().map(|error| error.message.clone()).collect::<Vec<_>>().join("; ");
        if tried.len() < self.hosts.len() {
            let broken = if message.is_empty() { message } else { format!(" ({message})") };
            return Err(ProviderError::full(format!("all hosts are taken{broken}")));
        }
        let passing = errors.iter().any(|error| error.passing);
        let failed = if passing { ProviderError::passing(message) } else { ProviderError::lasting(message) };
        let mut hints: Vec<String> = errors.into_iter().flat_map(|error| error.hints).collect();
        hints.dedup();
        Err(hints.into_iter().fold(failed, ProviderError::hint))
    }

    /// Opens a tunnel, and returns when the engine behind it answers.
    async fn open(&self, record: &Record, to: &SshHost, note: &NoteHandle<'_>) -> Result<Endpoint, ProviderError> {
        let folder = folder::make(&self.host, &record.lease)?;
        let socket = folder::socket(&folder)?;
        // One of a host that failed before.
        let _ = std::fs::remove_file(&socket);
        let (engine, args) = self.arguments(to)?;
        let path = find("ssh", self.host.env.get("PATH"))
            .ok_or_else(|| ProviderError::lasting("there is no ssh on PATH").hint("install an OpenSSH client"))?;
        let program = Program {
            path,
            args: args.into_iter().map(Into::into).collect(),
            env: self.host.env.passed(std::iter::empty()),
            lamina: self.host.lamina.clone(),
            // The socket is named relative to it, so that ssh finds nothing to replace in its path.
            folder: Some(folder),
            reads_stdout: true,
        };
        let tunnel = Beside::start(program).await.map_err(|error| ProviderError::lasting(error.to_string()))?;
        let handle = tunnel.handle();
        if let Some((_, held)) = self.state().leases.get_mut(&record.lease) {
            *held = Some(tunnel);
        }
        note(&handle).map_err(|error| ProviderError::passing(error.to_string()))?;
        let look = || {
            let state = self.state();
            let tunnel = state.leases.get(&record.lease).and_then(|(_, tunnel)| tunnel.as_ref());
            tunnel.map(|tunnel| (tunnel.is_over(), tunnel.last_words("")))
        };
        while !socket.exists() {
            match look() {
                Some((false, _)) => sleep(LOOK).await,
                Some((true, words)) => return Err(explained(&words, to)),
                None => return Err(ProviderError::passing("it was released")),
            }
        }
        let asked = socket.clone();
        let answers = tokio::task::spawn_blocking(move || answers(&asked, engine)).await.unwrap_or_default();
        if !answers {
            // What ssh says of it may not be read yet.
            sleep(LAST_WORDS).await;
            let words = look().map(|(_, words)| words).unwrap_or_default();
            return Err(explained(&words, to));
        }
        let address = format!("unix://{}", socket.display());
        Ok(match engine {
            Engine::Buildkit => Endpoint::Buildkit(address),
            Engine::Docker => Endpoint::Docker(address),
        })
    }

    /// What is behind a tunnel, and the arguments of `ssh` that open it.
    fn arguments(&self, to: &SshHost) -> Result<(Engine, Vec<String>), ProviderError> {
        let (engine, remote) = match to.engine.split_once("://") {
            Some(("unix", path)) => (Engine::Buildkit, path),
            Some(("docker", path)) => (Engine::Docker, path),
            _ => return Err(unusable("engine", &to.engine, "unix:///PATH, or docker:///PATH")),
        };
        if !remote.starts_with('/') || remote.contains([':', '\\', '$', '"']) {
            return Err(unusable("engine", &to.engine, "a path from the root, without : \\ $ \""));
        }
        let (login, port) = destination(&to.host)
            .ok_or_else(|| unusable("host", &to.host, "[USER@]HOST[:PORT]; an IPv6 address in brackets"))?;
        let mut args: Vec<String> = vec!["-N".to_owned(), "-T".to_owned()];
        OPTIONS.iter().for_each(|option| args.extend(["-o".to_owned(), (*option).to_owned()]));
        if let Some(file) = &self.known_hosts {
            let file = self.file(file);
            if file.contains('"') {
                return Err(unusable("known_hosts", &file, "a path without \""));
            }
            args.extend(["-o".to_owned(), format!("UserKnownHostsFile=\"{file}\"")]);
            args.extend(["-o".to_owned(), "GlobalKnownHostsFile=/dev/null".to_owned()]);
        }
        if let Some(file) = &self.identity {
            args.extend(["-o".to_owned(), "IdentitiesOnly=yes".to_owned(), "-i".to_owned(), self.file(file)]);
        }
        if let Some(port) = port {
            args.extend(["-p".to_owned(), port.to_owned()]);
        }
        // ssh replaces %x in both paths.
        args.extend(["-L".to_owned(), format!("./engine.sock:{}", remote.replace('%', "%%"))]);
        args.extend(["--".to_owned(), login]);
        Ok((engine, args))
    }

    /// A file as ssh takes it: relative to the catalog's root, or to the home folder.
    fn file(&self, path: &str) -> String {
        let path = if path.starts_with("~/") { path.into() } else { self.host.root.join(path) };
        path.to_string_lossy().replace('%', "%%")
    }

    async fn free(&self, record: &Record) -> Result<(), ProviderError> {
        let held = self.state().leases.remove(&record.lease);
        if let Some((index, Some(tunnel))) = held {
            if tunnel.is_over() {
                // It broke while somebody built.
                self.state().rests.insert(index, Instant::now() + REST);
            }
            tunnel.stop().await;
        }
        beside::end(record).await?;
        folder::clear(&self.host, &record.lease).await
    }
}

fn capacity(host: &SshHost) -> u32 {
    host.capacity.unwrap_or(1)
}

/// `[USER@]HOST[:PORT]` as ssh takes it: the login, and the port.
fn destination(text: &str) -> Option<(String, Option<&str>)> {
    let (user, host) = text.rsplit_once('@').map_or((None, text), |(user, host)| (Some(user), host));
    let (host, port) = match host.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            (host, if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) })
        }
        None => host.split_once(':').map_or((host, None), |(host, port)| (host, Some(port))),
    };
    let is_word = |word: &str| !word.is_empty() && !word.starts_with('-') && !word.contains(char::is_whitespace);
    let is_port = |port: &str| port.parse::<u16>().is_ok_and(|port| port > 0);
    if !is_word(host) || !user.is_none_or(is_word) || !port.is_none_or(is_port) {
        return None;
    }
    Some((user.map_or(host.to_owned(), |user| format!("{user}@{host}")), port))
}

fn unusable(field: &str, value: &str, wanted: &str) -> ProviderError {
    ProviderError::lasting(format!("`{field}` is `{value}`, and not {wanted}"))
        .hint("`runners` in catalog/catalog.ncl says it")
}

/// Whether an engine answers behind a socket. A tunnel takes connections before the host has agreed to them.
fn answers(socket: &Path, engine: Engine) -> bool {
    // Docker speaks HTTP/1, BuildKit gRPC, which is HTTP/2: its preface, and empty settings (RFC 9113, 3.4).
    let hello: &[u8] = match engine {
        Engine::Docker => b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n",
        Engine::Buildkit => b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
    };
    let ask = || -> std::io::Result<usize> {
        let mut stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(ANSWER))?;
        stream.set_write_timeout(Some(ANSWER))?;
        stream.write_all(hello)?;
        stream.read(&mut [0; 16])
    };
    ask().is_ok_and(|length| length > 0)
}

/// Why there is no tunnel, from what ssh said last.
fn explained(words: &str, to: &SshHost) -> ProviderError {
    let host = to.host.rsplit_once('@').map_or(&*to.host, |(_, host)| host);
    let words = if words.is_empty() { "nothing answers behind the tunnel" } else { words };
    let has = |sign: &str| words.contains(sign);
    if has("Host key verification failed") || has("host key is known") || has("IDENTIFICATION HAS CHANGED") {
        return ProviderError::lasting(format!("its key is not the one that is known: {words}"))
            .hint(format!("if {host} is to be trusted, get its key (`ssh-keyscan`), compare the fingerprint with one from the host itself, and put it into known_hosts"));
    }
    if has("Permission denied") {
        return ProviderError::lasting(words)
            .hint("put the public key into authorized_keys there, and name the private one as `identity`");
    }
    let error = ProviderError::passing(words);
    match has("open failed") || has("nothing answers") {
        true => error
            .hint(format!("{} has to be a socket there that this user may open", to.engine))
            .hint("and sshd there has to allow it, in sshd_config: `AllowStreamLocalForwarding local`, and no `AllowTcpForwarding no`"),
        false => error,
    }
}

impl Provider for Ssh {
    fn about(&self) -> &About {
        &self.about
    }

    fn acquire<'a>(
        &'a self,
        record: &'a Record,
        note: &'a NoteHandle<'a>,
        cancel: &'a CancellationToken,
    ) -> BoxFuture<'a, Result<Endpoint, ProviderError>> {
        let leased = cancel.run_until_cancelled(self.lease(record, note));
        leased.map(|leased| leased.unwrap_or_else(|| Err(ProviderError::passing("cancelled")))).boxed()
    }

    fn evidence<'a>(
        &'a self,
        _record: &'a Record,
        _since: Timestamp,
    ) -> BoxFuture<'a, Result<Evidence, ProviderError>> {
        // The host says nothing of its kernel; what BuildKit itself says counts.
        ready(Ok(Evidence::default())).boxed()
    }

    fn release<'a>(&'a self, record: &'a Record) -> BoxFuture<'a, Result<(), ProviderError>> {
        self.free(record).boxed()
    }
}
