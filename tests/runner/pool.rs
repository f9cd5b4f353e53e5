//! A source that has no room now is waited for, and has not failed.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::future::{BoxFuture, FutureExt, ready};
use jiff::Timestamp;
use lamina::engine::OpenError;
use lamina::event::RunId;
use lamina::host::clock::Clock;
use lamina::model::{ProviderKind, RunnerSource, Size};
use lamina::runner::{
    About, Endpoint, Evidence, Folder, LedgerError, Note, Owner, Pool, Provider, ProviderError, Record, Request, Source,
};
use tempfile::TempDir;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Time that is waited for in no time.
struct Virtual(Instant);

impl Clock for Virtual {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH.checked_add(self.0.elapsed()).unwrap()
    }
}

/// Full for a while, then of another mind.
struct Busy {
    about: About,
    asked: Arc<AtomicU32>,
}

impl Provider for Busy {
    fn about(&self) -> &About {
        &self.about
    }

    fn acquire<'a>(
        &'a self,
        _record: &'a Record,
        _note: &'a (dyn Fn(&str) -> Result<(), LedgerError> + Send + Sync),
        _cancel: &'a CancellationToken,
    ) -> BoxFuture<'a, Result<Endpoint, ProviderError>> {
        let answer = match self.asked.fetch_add(1, Ordering::Relaxed) {
            0..20 => ProviderError::full("all are taken"),
            _ => ProviderError::lasting("the end"),
        };
        ready(Err(answer)).boxed()
    }

    fn evidence<'a>(&'a self, _: &'a Record, _: Timestamp) -> BoxFuture<'a, Result<Evidence, ProviderError>> {
        ready(Ok(Evidence::default())).boxed()
    }

    fn release<'a>(&'a self, _: &'a Record) -> BoxFuture<'a, Result<(), ProviderError>> {
        ready(Ok(())).boxed()
    }
}

#[test]
fn a_full_source_is_waited_for_and_told_once() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let folder = TempDir::new().unwrap();
        let asked: Arc<AtomicU32> = Arc::default();
        let about = About { leases: true, ..About::default() };
        let (capacity, platforms, largest) = (None, Vec::new(), None);
        let (name, provider) = ("busy".to_owned(), ProviderKind::Process { rootless: false });
        let row = RunnerSource { name, provider, capacity, platforms, largest, timeout_s: 1 };
        let source = Source { row, provider: Arc::new(Busy { about, asked: Arc::clone(&asked) }) };
        let ledger = Box::new(Folder::new(folder.path().to_owned()));
        let clock = Arc::new(Virtual(Instant::now()));
        let run = RunId::new(Timestamp::UNIX_EPOCH, 1);
        let open = Box::new(|_: &Endpoint| Err(OpenError::NoBuildx));
        let pool = Pool::new(vec![source], ledger, open, clock, Owner::this(), run);
        let request = Request {
            layer: "layer".parse().unwrap(),
            size: Size { cpu: 1, memory_mb: 1 },
            tier: None,
            platforms: Vec::new(),
            minutes: 1,
        };
        let told = Mutex::new(Vec::new());
        let tell = |Note(note): Note| told.lock().unwrap().push(note);
        let refused = pool.lease(&request, &tell, &CancellationToken::new()).await.err().unwrap();
        assert_eq!(refused.to_string(), "no runner can be had: busy: the end");
        assert_eq!(asked.load(Ordering::Relaxed), 21);
        let notes = ["no runner of busy: all are taken", "no runner of busy: the end"];
        assert_eq!(*told.lock().unwrap(), notes);
    });
}
