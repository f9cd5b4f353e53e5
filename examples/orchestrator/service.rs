//! The service: leases in memory, over engines that are there or over one of lamina's own providers. It can be made to
//! misbehave, which is what lamina's tests are for.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use jiff::{SignedDuration, Timestamp};
use lamina::model::{ProviderKind, Size};
use lamina::runner::{Endpoint, Owner, Provider, Record};
use lamina::size::p95;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// The largest question, in bytes.
const MAX_QUESTION: usize = 64 << 10;

/// Where runners come from.
pub enum Runners {
    /// Engines that are there: each is leased to one build at a time.
    Engines(Vec<Endpoint>),
    /// One of lamina's own providers, which makes them.
    Provider(Box<dyn Provider>),
}

/// How it misbehaves, for so many requests.
#[derive(Clone, Debug)]
pub struct Fault {
    /// The operation: `lease`, `release`, `evidence`, `p95` or `metrics`; any where it is absent.
    pub op: Option<String>,
    /// What goes wrong.
    pub what: Wrong,
    /// For how many requests.
    pub times: u32,
}

/// What goes wrong.
#[derive(Clone, Debug)]
pub enum Wrong {
    /// The answer comes late.
    Slow(Duration),
    /// It does nothing, and answers with this status.
    Status(u16),
    /// It does what it is asked, and the connection breaks before the answer.
    Lose,
    /// It does what it is asked, and answers this instead.
    Lie(String),
    /// It answers nothing any more, to nobody.
    Die,
}

/// A request with its answer, for those who compare them with the contract.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// The operation.
    pub op: String,
    /// What was sent; null for nothing.
    pub question: Value,
    /// The query's parameters.
    pub query: Value,
    /// The header `Idempotency-Key`.
    pub key: Option<String>,
    /// The status; none where the answer was lost.
    pub status: Option<u16>,
    /// What was answered; null for nothing.
    pub answer: Value,
}

/// An orchestrator.
pub struct Service {
    runners: Runners,
    token: Option<String>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    leases: BTreeMap<String, Lease>,
    /// The keys that were deleted, until when a question under them may still arrive.
    deleted: BTreeMap<String, Timestamp>,
    metrics: Vec<Value>,
    metrics_keys: BTreeSet<String>,
    faults: Vec<Fault>,
    exchanges: Vec<Exchange>,
    leased: u64,
    dead: bool,
}

struct Lease {
    id: String,
    question: Value,
    record: Record,
    made: Made,
    cancel: CancellationToken,
}

#[derive(Clone)]
enum Made {
    Pending,
    Ready(Endpoint),
    Failed(String),
}

type Reply = (StatusCode, Value);

fn refused(status: StatusCode, why: &str) -> Reply {
    (status, json!({ "error": why }))
}

impl Service {
    /// A service with nothing leased. Who asks has to have the token, where there is one.
    pub fn new(runners: Runners, token: Option<String>) -> Arc<Self> {
        Arc::new(Self { runners, token, state: Mutex::default() })
    }

    /// Serves in a thread of its own, at a free port of this machine; its address.
    pub fn serve_beside(self: &Arc<Self>) -> SocketAddr {
        let (tell, told) = std::sync::mpsc::channel();
        let serves = Arc::clone(self);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                tell.send(serves.serve(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap()).unwrap();
                std::future::pending::<()>().await;
            });
        });
        told.recv().unwrap()
    }

    /// The names of what is leased.
    pub fn leased(&self) -> Vec<String> {
        self.state().leases.keys().cloned().collect()
    }

    /// How often anything was leased.
    pub fn times_leased(&self) -> u64 {
        self.state().leased
    }

    /// Has it misbehave; faults are used up in their order.
    pub fn misbehave(&self, fault: Fault) {
        self.state().faults.push(fault);
    }

    /// All requests with their answers.
    pub fn exchanges(&self) -> Vec<Exchange> {
        self.state().exchanges.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Serves until it is dropped; the address that it listens at.
    ///
    /// # Errors
    /// When it can't listen.
    pub async fn serve(self: Arc<Self>, at: SocketAddr) -> std::io::Result<SocketAddr> {
        let listener = TcpListener::bind(at).await?;
        let address = listener.local_addr()?;
        let swept = Arc::clone(&self);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_secs(1)).await;
                swept.sweep();
            }
        });
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let service = Arc::clone(&self);
                tokio::spawn(async move {
                    let answer = service_fn(|request| Arc::clone(&service).answer(request));
                    let connection = hyper::server::conn::http1::Builder::new();
                    // Who goes away, or is hung up on, is not waited for.
                    let _ = connection.serve_connection(TokioIo::new(stream), answer).await;
                });
            }
        });
        Ok(address)
    }

    /// Ends the leases whose time is over.
    fn sweep(self: &Arc<Self>) {
        let now = Timestamp::now();
        let mut state = self.state();
        state.deleted.retain(|_, until| *until > now);
        let over: Vec<String> =
            state.leases.iter().filter(|(_, l)| l.record.expires_at <= now).map(|(k, _)| k.clone()).collect();
        for key in over {
            if let Some(lease) = state.leases.remove(&key) {
                self.end(lease);
            }
        }
    }

    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, std::io::Error> {
        let (head, body) = request.into_parts();
        let body = Limited::new(body, MAX_QUESTION).collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        // What was asked is done, also when nobody waits for the answer any more.
        let replied = tokio::spawn(async move { self.reply(&head, &body).await }).await;
        replied.unwrap_or_else(|error| Err(std::io::Error::other(error)))
    }

    async fn reply(
        self: Arc<Self>,
        head: &hyper::http::request::Parts,
        body: &[u8],
    ) -> Result<Response<Full<Bytes>>, std::io::Error> {
        let path: Vec<String> = head.uri.path().split('/').skip(1).map(str::to_owned).collect();
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        let (op, name) = match (&head.method, &path[..]) {
            (&Method::POST, ["api", "v1", "vm-pool"]) => ("lease", ""),
            (&Method::DELETE, ["api", "v1", "vm-pool", name]) => ("release", *name),
            (&Method::GET, ["api", "v1", "vm-pool", name, "evidence"]) => ("evidence", *name),
            (&Method::GET, ["api", "v1", "p95"]) => ("p95", ""),
            (&Method::POST, ["api", "v1", "metrics"]) => ("metrics", ""),
            _ => ("", ""),
        };
        let lost = || std::io::Error::other("the answer is lost");
        let fault = self.fault(op);
        match &fault {
            Some(Wrong::Die) => self.state().dead = true,
            Some(Wrong::Slow(wait)) => tokio::time::sleep(*wait).await,
            _ => {}
        }
        if self.state().dead {
            return Err(lost());
        }
        let question: Value = serde_json::from_slice(body).unwrap_or_default();
        let query: Value = head
            .uri
            .query()
            .into_iter()
            .flat_map(|query| query.split('&'))
            .filter_map(|pair| pair.split_once('='))
            .collect();
        let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let key = header("idempotency-key");
        let allowed =
            self.token.as_ref().is_none_or(|token| header("authorization") == Some(format!("Bearer {token}")));
        let (mut status, answer) = match (fault.as_ref(), op) {
            (Some(Wrong::Status(code)), _) => {
                refused(StatusCode::from_u16(*code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), "it was told to fail")
            }
            _ if !allowed => refused(StatusCode::UNAUTHORIZED, "the token is not right"),
            (_, "lease") => self.lease(key.as_deref().unwrap_or_default(), &question),
            (_, "release") => self.release(name),
            (_, "evidence") => self.evidence(name).await,
            (_, "p95") => self.p95(&query),
            (_, "metrics") => self.metrics(key.as_deref().unwrap_or_default(), &question),
            _ => refused(StatusCode::NOT_FOUND, "there is no such path"),
        };
        let is_lost = matches!(fault, Some(Wrong::Lose));
        if !matches!(fault, Some(Wrong::Lie(_))) {
            let (op, answer) = (op.to_owned(), if is_lost { Value::Null } else { answer.clone() });
            let status = (!is_lost).then_some(status.as_u16());
            self.state().exchanges.push(Exchange { op, question, query, key, status, answer });
        }
        let text = match fault {
            Some(Wrong::Lose) => return Err(lost()),
            Some(Wrong::Lie(text)) => {
                status = StatusCode::OK;
                text
            }
            _ if answer.is_null() => String::new(),
            _ => answer.to_string(),
        };
        let response = Response::builder().status(status).header("content-type", "application/json");
        response.body(Full::new(Bytes::from(text))).map_err(std::io::Error::other)
    }

    /// The fault of this request.
    fn fault(&self, op: &str) -> Option<Wrong> {
        let mut state = self.state();
        let fault =
            state.faults.iter_mut().find(|fault| fault.times > 0 && fault.op.as_deref().is_none_or(|of| of == op))?;
        fault.times -= 1;
        Some(fault.what.clone())
    }

    fn lease(self: &Arc<Self>, key: &str, question: &Value) -> Reply {
        let Ok(record) = record(key, question) else {
            return refused(StatusCode::BAD_REQUEST, "the question is not what the contract says");
        };
        let mut state = self.state();
        if state.deleted.contains_key(key) {
            return refused(StatusCode::GONE, "this key was deleted");
        }
        if let Some(lease) = state.leases.get(key) {
            return match &lease.made {
                _ if lease.question != *question => {
                    refused(StatusCode::CONFLICT, "this key was used for something else")
                }
                made => told(&lease.id, made),
            };
        }
        let made = match &self.runners {
            Runners::Engines(engines) => {
                let is_taken = |engine: &&Endpoint| {
                    state.leases.values().any(|lease| matches!(&lease.made, Made::Ready(at) if at == *engine))
                };
                match engines.iter().find(|engine| !is_taken(engine)) {
                    Some(engine) => Made::Ready(engine.clone()),
                    None => return refused(StatusCode::TOO_MANY_REQUESTS, "all engines are taken"),
                }
            }
            Runners::Provider(_) => Made::Pending,
        };
        state.leased += 1;
        let id = format!("vm-{}", state.leased);
        let (cancel, pending) = (CancellationToken::new(), matches!(made, Made::Pending));
        let reply = told(&id, &made);
        let lease = Lease { id, question: question.clone(), record: record.clone(), made, cancel: cancel.clone() };
        state.leases.insert(key.to_owned(), lease);
        drop(state);
        if pending {
            tokio::spawn(Arc::clone(self).make(key.to_owned(), record, cancel));
        }
        reply
    }

    /// Has the provider make a runner. Who was deleted meanwhile is released at once.
    async fn make(self: Arc<Self>, key: String, record: Record, cancel: CancellationToken) {
        let Runners::Provider(provider) = &self.runners else { return };
        let note = |handle: &str| {
            if let Some(lease) = self.state().leases.get_mut(&key) {
                lease.record.handle = Some(handle.to_owned());
            }
            Ok(())
        };
        let made = match provider.acquire(&record, &note, &cancel).await {
            Ok(endpoint) => Made::Ready(endpoint),
            Err(error) => Made::Failed(error.to_string()),
        };
        let is_gone = match self.state().leases.get_mut(&key) {
            Some(lease) => {
                lease.made = made;
                false
            }
            None => true,
        };
        if is_gone {
            let _ = provider.release(&record).await;
        }
    }

    fn release(self: &Arc<Self>, name: &str) -> Reply {
        let mut state = self.state();
        let key = state.leases.iter().find(|(key, lease)| *key == name || lease.id == name).map(|(key, _)| key.clone());
        // A question that is still on its way finds its key deleted. A day is longer than any lives.
        let until = Timestamp::now().checked_add(SignedDuration::from_hours(24)).unwrap_or(Timestamp::MAX);
        state.deleted.insert(key.clone().unwrap_or_else(|| name.to_owned()), until);
        match key.and_then(|key| state.leases.remove(&key)) {
            Some(lease) => {
                self.end(lease);
                (StatusCode::NO_CONTENT, Value::Null)
            }
            None => refused(StatusCode::NOT_FOUND, "there is no such lease"),
        }
    }

    fn end(self: &Arc<Self>, lease: Lease) {
        lease.cancel.cancel();
        let service = Arc::clone(self);
        tokio::spawn(async move {
            if let Runners::Provider(provider) = &service.runners {
                let _ = provider.release(&lease.record).await;
            }
        });
    }

    async fn evidence(&self, name: &str) -> Reply {
        let record = {
            let state = self.state();
            state
                .leases
                .iter()
                .find(|(key, lease)| *key == name || lease.id == name)
                .map(|(_, lease)| lease.record.clone())
        };
        let Some(record) = record else { return refused(StatusCode::NOT_FOUND, "there is no such lease") };
        let Runners::Provider(provider) = &self.runners else {
            return refused(StatusCode::NOT_IMPLEMENTED, "engines that are there say nothing");
        };
        match provider.evidence(&record, record.asked_at).await {
            Ok(said) => (StatusCode::OK, json!({ "oom": said.oom, "alone": said.alone, "usage": said.usage })),
            Err(error) => refused(StatusCode::SERVICE_UNAVAILABLE, &error.to_string()),
        }
    }

    fn metrics(&self, key: &str, metrics: &Value) -> Reply {
        let mut state = self.state();
        if state.metrics_keys.insert(key.to_owned()) && metrics["succeeded"] == true {
            state.metrics.push(metrics.clone());
        }
        (StatusCode::NO_CONTENT, Value::Null)
    }

    fn p95(&self, wanted: &Value) -> Reply {
        let state = self.state();
        let of = |metrics: &&Value| ["workspace", "layer"].iter().all(|name| metrics[*name] == wanted[*name]);
        let builds: Vec<&Value> = state.metrics.iter().filter(of).collect();
        let memory = p95(builds.iter().filter_map(|build| build["peak_memory_mb"].as_u64()));
        let cpu = p95(builds.iter().filter_map(|build| {
            Some(build["cpu_ms"].as_u64()?.saturating_mul(1000) / build["duration_ms"].as_u64()?.max(1))
        }));
        if memory.is_none() && cpu.is_none() {
            return refused(StatusCode::NOT_FOUND, "nothing is known of it");
        }
        let cpu = cpu.map(|(milli, _)| milli as f64 / 1000.0);
        (StatusCode::OK, json!({ "cpu": cpu, "memory_mb": memory.map(|(mb, _)| mb), "builds": builds.len() }))
    }
}

/// What is said of a lease.
fn told(id: &str, made: &Made) -> Reply {
    match made {
        Made::Pending => (StatusCode::OK, json!({ "lease_id": id, "state": "pending", "retry_after_s": 1 })),
        Made::Failed(why) => refused(StatusCode::SERVICE_UNAVAILABLE, why),
        Made::Ready(Endpoint::Buildkit(address)) => {
            (StatusCode::OK, json!({ "lease_id": id, "state": "ready", "endpoint": { "buildkit": address } }))
        }
        Made::Ready(Endpoint::Docker(address)) => {
            (StatusCode::OK, json!({ "lease_id": id, "state": "ready", "endpoint": { "docker": address } }))
        }
        // A builder of buildx is known on this machine alone.
        Made::Ready(_) => refused(StatusCode::SERVICE_UNAVAILABLE, "the runner has no address"),
    }
}

/// The record that a provider of lamina's gets for a question.
fn record(key: &str, question: &Value) -> Result<Record, String> {
    let text = |name: &str| question[name].as_str().ok_or_else(|| format!("{name} is missing"));
    let number = |value: &Value| value.as_u64().filter(|number| *number > 0).ok_or("a number is missing");
    let parsed = |error: &dyn std::fmt::Display| error.to_string();
    if text("lease")? != key {
        return Err("the key is not the lease".to_owned());
    }
    let now = Timestamp::now();
    let minutes = i64::try_from(number(&question["ttl_minutes"])?).map_err(|error| parsed(&error))?;
    let platforms = question["platforms"].as_array().ok_or("platforms is missing")?;
    Ok(Record {
        version: 1,
        lease: key.parse().map_err(|error| parsed(&error))?,
        owner: Owner::this(),
        run: text("run")?.parse().map_err(|error| parsed(&error))?,
        source: "orchestrator".to_owned(),
        provider: ProviderKind::Engine,
        layer: text("layer")?.parse().map_err(|error| parsed(&error))?,
        size: Size { cpu: number(&question["size"]["cpu"])?, memory_mb: number(&question["size"]["memory_mb"])? },
        tier: question["tier"].as_str().map(str::to_owned),
        platforms: platforms.iter().filter_map(|platform| platform.as_str().map(str::to_owned)).collect(),
        asked_at: now,
        expires_at: now.checked_add(SignedDuration::from_mins(minutes)).unwrap_or(Timestamp::MAX),
        handle: None,
    })
}

impl std::str::FromStr for Fault {
    type Err = String;

    /// `[OP:]slow=MS`, `[OP:]status=CODE`, `[OP:]lose`, `[OP:]lie=JSON`, `[OP:]die`; with `*N` behind it, for N requests.
    fn from_str(text: &str) -> Result<Self, String> {
        let (text, times) = match text.rsplit_once('*') {
            Some((text, times)) => (text, times.parse().map_err(|_| format!("`{times}` is no number"))?),
            None => (text, 1),
        };
        let ops = ["lease", "release", "evidence", "p95", "metrics"];
        let op = text.split_once(':').filter(|(op, _)| ops.contains(op));
        let (op, what) = op.map_or((None, text), |(op, what)| (Some(op.to_owned()), what));
        let what = match what.split_once('=').unwrap_or((what, "")) {
            ("slow", ms) => Wrong::Slow(Duration::from_millis(ms.parse().map_err(|_| format!("`{ms}` is no number"))?)),
            ("status", code) => Wrong::Status(code.parse().map_err(|_| format!("`{code}` is no status"))?),
            ("lose", _) => Wrong::Lose,
            ("lie", text) => Wrong::Lie(text.to_owned()),
            ("die", _) => Wrong::Die,
            (other, _) => return Err(format!("`{other}` is no fault: slow=MS, status=CODE, lose, lie=JSON or die")),
        };
        Ok(Self { op, what, times })
    }
}
