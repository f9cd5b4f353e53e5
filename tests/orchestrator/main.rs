//! Runners that come from elsewhere: an orchestrator over HTTP, which is the reference one of `examples/`, and a program
//! on stdin and stdout. Each of them misbehaves, and nothing is left leased.

#[path = "../../examples/orchestrator/service.rs"]
#[allow(dead_code, reason = "the example uses the rest")]
mod service;

mod command;
mod contract;
mod faults;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use lamina::engine::Environment;
use lamina::event::RunId;
use lamina::model::{ProviderKind, Size};
use lamina::runner::providers::orchestrator::Patience;
use lamina::runner::providers::{Host, Orchestrator};
use lamina::runner::{Endpoint, LeaseId, Owner, Provider, ProviderError, Record, Request};
use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;

use service::{Runners, Service};

/// The token of all tests; no text may hold it.
const TOKEN: &str = "tok-2f8a-very-secret";

/// A service on a port of its own, with a runtime that it lives in.
struct Lab {
    runtime: Runtime,
    service: Arc<Service>,
    url: String,
}

impl Lab {
    /// With so many engines to lease.
    fn new(engines: u16) -> Self {
        let engines = (1..=engines).map(|n| Endpoint::Buildkit(format!("tcp://10.0.0.{n}:1234"))).collect();
        Self::of(Runners::Engines(engines))
    }

    fn of(runners: Runners) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let service = Service::new(runners, Some(TOKEN.to_owned()));
        let serve = Arc::clone(&service).serve(SocketAddr::from(([127, 0, 0, 1], 0)));
        let address = runtime.block_on(serve).unwrap();
        Self { runtime, service, url: format!("http://{address}") }
    }

    /// lamina's side of it.
    fn client(&self) -> Orchestrator {
        client(&self.url)
    }

    fn misbehave(&self, fault: &str) -> &Self {
        self.service.misbehave(fault.parse().unwrap());
        self
    }

    fn acquire(&self, provider: &dyn Provider, record: &mut Record) -> Result<Endpoint, ProviderError> {
        self.runtime.block_on(acquire(provider, record))
    }

    fn release(&self, provider: &dyn Provider, record: &Record) -> Result<(), ProviderError> {
        self.runtime.block_on(provider.release(record))
    }
}

/// A client that does not wait long, at an address.
fn client(url: &str) -> Orchestrator {
    let patience = Patience {
        request: Duration::from_millis(400),
        attempts: 3,
        first_wait: Duration::from_millis(10),
        longest_wait: Duration::from_millis(50),
    };
    Orchestrator::new(url, Some("LAB_TOKEN"), &host(Path::new("/"))).with_patience(patience)
}

fn host(root: &Path) -> Host {
    let env = Environment::of_process().with("LAB_TOKEN", TOKEN);
    Host { env, root: root.to_owned(), workspace: "mini".to_owned(), ..Host::default() }
}

/// Leases, as the pool does: what is noted goes into the record.
async fn acquire(provider: &dyn Provider, record: &mut Record) -> Result<Endpoint, ProviderError> {
    let handle = Mutex::new(None);
    let note = |text: &str| {
        *handle.lock().unwrap() = Some(text.to_owned());
        Ok(())
    };
    let cancel = CancellationToken::new();
    let asked = record.clone();
    let acquired = provider.acquire(&asked, &note, &cancel).await;
    record.handle = handle.into_inner().unwrap();
    acquired
}

/// What is written down before a lease is asked for.
fn record() -> Record {
    let now = Timestamp::now();
    let request = Request {
        layer: "app".parse().unwrap(),
        size: Size { cpu: 4, memory_mb: 8192 },
        tier: Some("cx32".to_owned()),
        platforms: vec!["linux/amd64".parse().unwrap()],
        minutes: 30,
    };
    let run = RunId::new(now, fastrand::u32(..));
    let kind = ProviderKind::Orchestrator { url: "https://runners.test".to_owned(), token_env: None };
    let lease = LeaseId::new(now, fastrand::u64(..));
    Record::new(lease, Owner::this(), run, ("lab", &kind), &request, now)
}

/// All that an error tells.
fn told(error: &ProviderError) -> String {
    let text = format!("{error} {error:?} {}", error.hints.join(" "));
    assert!(!text.contains(TOKEN), "{text}");
    text
}
