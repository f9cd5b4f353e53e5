//! Machines that an HTTP service leases: the contract is `schemas/openapi/orchestrator.json`, docs/orchestrator.md tells
//! it.
//!
//! The lease's own name is the idempotency key of the question and a name of the lease besides the orchestrator's. So
//! an answer that is lost leaks nothing: the question is repeated under the same key, and a lease is released by it
//! whether its answer came or not.

mod client;
mod metrics;
mod wire;

use futures_util::future::{BoxFuture, FutureExt};
use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Map, Value};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

pub use client::Patience;
pub use metrics::Reporter;
pub use wire::Metrics;

use self::client::{Answer, Client};
use self::wire::{Leased, P95, Question, Said, State};
use super::Host;
use crate::model::LayerName;
use crate::runner::{About, Endpoint, Evidence, NoteHandle, Provider, ProviderError, Record};

/// Seconds between two questions for a runner that is not ready, where the orchestrator asks for nothing else.
const POLL_S: u64 = 2;
/// The most seconds between them.
const LONGEST_POLL_S: u64 = 30;

/// No body.
const NOTHING: Option<&()> = None;

/// An HTTP service that leases machines.
pub struct Orchestrator {
    about: About,
    /// What it lacks on this machine is said when it is asked.
    client: Result<Client, ProviderError>,
    workspace: String,
}

/// What builds of a layer have used, as the orchestrator has measured it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usual {
    /// Processors on average, in thousandths: P95.
    pub cpu_milli: Option<u64>,
    /// The most memory at a time, in MiB: P95.
    pub memory_mb: Option<u64>,
    /// Over how many builds.
    pub builds: u64,
}

impl Orchestrator {
    /// The service at an address; nothing is asked yet.
    pub fn new(url: &str, token_env: Option<&str>, host: &Host) -> Self {
        let client = Client::new(url, token_env, &host.env, &host.plain_http);
        let detail = match &client {
            Ok(client) => format!("orchestrator at {}", client.host()),
            Err(_) => "orchestrator".to_owned(),
        };
        Self {
            about: About { leases: true, sized: true, detail, ..About::default() },
            client,
            workspace: host.workspace.clone(),
        }
    }

    /// The same with other limits of time.
    pub fn with_patience(mut self, patience: Patience) -> Self {
        if let Ok(client) = &mut self.client {
            client.patience = patience;
        }
        self
    }

    fn client(&self) -> Result<&Client, ProviderError> {
        self.client.as_ref().map_err(Clone::clone)
    }

    /// Asks for the lease; the same question as often as it takes.
    async fn lease(&self, record: &Record, note: &NoteHandle<'_>) -> Result<Endpoint, ProviderError> {
        let client = self.client()?;
        let question = Question::new(record, &self.workspace);
        let key = record.lease.as_str();
        let mut known: Option<String> = None;
        loop {
            let answer =
                client.ask(Method::POST, &client.at(&["vm-pool"], &[]), Some(key), Some(&question), &[]).await?;
            let leased: Leased = read(client, &answer)?;
            let id = leased.id()?;
            match &known {
                None => {
                    note(id).map_err(|error| ProviderError::lasting(error.to_string()))?;
                    known = Some(id.to_owned());
                }
                Some(known) if known != id => {
                    return Err(ProviderError::lasting("the orchestrator gives two leases for one key"));
                }
                Some(_) => {}
            }
            match (leased.state, &leased.endpoint) {
                (State::Ready, Some(at)) => return at.endpoint(client.is_local()),
                (State::Ready, None) => {
                    return Err(ProviderError::lasting("the orchestrator says that a runner is ready, and not where"));
                }
                (State::Pending, _) => {
                    let asked = leased.retry_after_s.or(answer.retry_after.map(|wait| wait.as_secs()));
                    let seconds = asked.unwrap_or(POLL_S).clamp(1, LONGEST_POLL_S);
                    sleep(std::time::Duration::from_secs(seconds)).await;
                }
            }
        }
    }

    /// Takes back what has this name; whether it was there.
    async fn delete(&self, name: &str) -> Result<bool, ProviderError> {
        let client = self.client()?;
        let answer =
            client.ask(Method::DELETE, &client.at(&["vm-pool", name], &[]), None, NOTHING, &[404, 410]).await?;
        Ok(answer.status.is_success())
    }

    /// What builds of a layer have used; nothing where the orchestrator doesn't know.
    ///
    /// # Errors
    /// When it can't be asked.
    pub async fn usual(&self, layer: &LayerName) -> Result<Usual, ProviderError> {
        let client = self.client()?;
        let query = [("workspace", &*self.workspace), ("layer", layer.as_str())];
        let answer = client.ask(Method::GET, &client.at(&["p95"], &query), None, NOTHING, &[404, 501]).await?;
        if !answer.status.is_success() || answer.body.is_empty() {
            return Ok(Usual::default());
        }
        let P95 { cpu, memory_mb, builds } = read(client, &answer)?;
        let cpu_milli = cpu.and_then(|cpu| whole(cpu * 1000.0));
        Ok(Usual { cpu_milli, memory_mb: memory_mb.and_then(whole), builds })
    }

    /// Tells what a build has used.
    ///
    /// # Errors
    /// When the orchestrator can't be told.
    pub async fn tell(&self, metrics: &Metrics) -> Result<(), ProviderError> {
        let client = self.client()?;
        let key = format!("{}-metrics", metrics.lease);
        let url = client.at(&["metrics"], &[]);
        client.ask(Method::POST, &url, Some(&key), Some(metrics), &[404, 501]).await.map(drop)
    }
}

/// A figure that was measured, rounded up; none where it is no figure that a machine may have.
fn whole(figure: f64) -> Option<u64> {
    /// 2^40: a million processors in thousandths, or an exbibyte.
    const MOST: f64 = 1_099_511_627_776.0;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in range")]
    (0.0..=MOST).contains(&figure).then(|| figure.ceil() as u64)
}

fn read<T: serde::de::DeserializeOwned>(client: &Client, answer: &Answer) -> Result<T, ProviderError> {
    // An object: where a struct is read, an array would do.
    let object = serde_json::from_slice::<Map<String, Value>>(&answer.body);
    object.and_then(|object| T::deserialize(Value::Object(object))).map_err(|error| {
        let error = client.masked(&client::shown(&error.to_string()));
        ProviderError::lasting(format!("the orchestrator at {} can't be understood: {error}", client.host()))
    })
}

impl Provider for Orchestrator {
    fn about(&self) -> &About {
        &self.about
    }

    fn acquire<'a>(
        &'a self,
        record: &'a Record,
        note: &'a NoteHandle<'a>,
        cancel: &'a CancellationToken,
    ) -> BoxFuture<'a, Result<Endpoint, ProviderError>> {
        async move {
            let leased = cancel.run_until_cancelled(self.lease(record, note)).await;
            leased.unwrap_or_else(|| Err(ProviderError::passing("cancelled")))
        }
        .boxed()
    }

    fn evidence<'a>(&'a self, record: &'a Record, since: Timestamp) -> BoxFuture<'a, Result<Evidence, ProviderError>> {
        async move {
            let client = self.client()?;
            let name = record.handle.as_deref().unwrap_or(record.lease.as_str());
            let since = since.to_string();
            let url = client.at(&["vm-pool", name, "evidence"], &[("since", &since)]);
            let answer = client.ask(Method::GET, &url, None, NOTHING, &[404, 410, 501]).await?;
            if !answer.status.is_success() || answer.body.is_empty() {
                return Ok(Evidence::default());
            }
            let evidence = read::<Said>(client, &answer)?.evidence();
            Ok(Evidence { oom: evidence.oom.map(|text| client.masked(&text)), ..evidence })
        }
        .boxed()
    }

    fn release<'a>(&'a self, record: &'a Record) -> BoxFuture<'a, Result<(), ProviderError>> {
        async move {
            // By the key, which is known from the start; by the other name as well where that says nothing.
            let was_there = self.delete(record.lease.as_str()).await?;
            match record.handle.as_deref().filter(|_| !was_there) {
                Some(id) if id != record.lease.as_str() => self.delete(id).await.map(drop),
                _ => Ok(()),
            }
        }
        .boxed()
    }
}
