//! Which runner a build gets: the first source of the table that can give one and has room.
//!
//! A source that fails is left alone for a while, which doubles; the others go on. Every lease is written down before it
//! is asked for, and its record goes only when its provider has said that it is released.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::watched::Watched;
use super::{Endpoint, Evidence, LeaseId, Ledger, LedgerError, Owner, Provider, ProviderError, Record, Request};
use crate::engine::{About, Engine, OpenError};
use crate::event::RunId;
use crate::host::clock::Clock;
use crate::model::RunnerSource;

/// How long a source is left alone after its first failure; twice as long after each further one.
const FIRST_REST: Duration = Duration::from_secs(1);
/// The longest that a source is left alone.
const LONGEST_REST: Duration = Duration::from_secs(60);
/// How long other sources are preferred to one whose runner was broken or gone.
const SHUN: Duration = Duration::from_secs(5 * 60);
/// How often a source may fail in a row before a lease is refused, where no other source can give it; half a minute.
const FAILURES: u32 = 6;
/// How long a runner has to say what it knows of a failed build.
const EVIDENCE: Duration = Duration::from_secs(20);
/// How often a release is tried.
const RELEASES: u32 = 3;
/// How long one try to release takes at most.
const RELEASE: Duration = Duration::from_secs(60);

/// Opens the engine at an endpoint.
pub type Opener = Box<dyn Fn(&Endpoint) -> Result<Arc<dyn Engine>, OpenError> + Send + Sync>;

/// A row of the table with who leases its runners.
pub struct Source {
    /// The row.
    pub row: RunnerSource,
    /// Who leases.
    pub provider: Arc<dyn Provider>,
}

/// The runners of a run.
pub struct Pool {
    sources: Vec<Source>,
    ledger: Box<dyn Ledger>,
    open: Opener,
    clock: Arc<dyn Clock>,
    owner: Owner,
    run: RunId,
    state: Mutex<State>,
    /// Rung when a lease has gone.
    freed: Notify,
}

#[derive(Default)]
struct State {
    sources: BTreeMap<usize, Health>,
    held: BTreeMap<LeaseId, (usize, Record)>,
}

#[derive(Default)]
struct Health {
    held: u64,
    failures: u32,
    rests_until: Option<Timestamp>,
    shunned_until: Option<Timestamp>,
    last: Option<ProviderError>,
}

/// A runner that was leased. Whoever has it gives it back by [`Pool::release`].
pub struct Lease {
    /// What was written down.
    pub record: Record,
    /// Where it builds.
    pub endpoint: Endpoint,
    /// What builds there.
    pub engine: Arc<dyn Engine>,
    source: usize,
}

/// Something about leases that should be known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note(pub String);

/// Why there is no runner.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// It was asked to end.
    #[error("cancelled")]
    Cancelled,
    /// No source leases such a runner.
    #[error("no runner builds for this: {}", list(.0))]
    Incapable(Vec<(String, String)>),
    /// All sources that could have failed.
    #[error("no runner can be had: {}", list(.0))]
    Failed(Vec<(String, ProviderError)>),
    /// The lease can't be written down, and a lease that nobody knows of would never end.
    #[error("the lease can't be written down: {0}")]
    Ledger(#[from] LedgerError),
}

fn list(reasons: &[(String, impl fmt::Display)]) -> String {
    let one = |(source, why): &(String, _)| format!("{source}: {why}");
    reasons.iter().map(one).collect::<Vec<_>>().join("; ")
}

/// What a sweep has done with a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Swept {
    /// The lease.
    pub record: Record,
    /// Why it is still there.
    pub error: Option<ProviderError>,
}

impl Pool {
    /// The runners of these sources, in order of preference.
    pub fn new(
        sources: Vec<Source>,
        ledger: Box<dyn Ledger>,
        open: Opener,
        clock: Arc<dyn Clock>,
        owner: Owner,
        run: RunId,
    ) -> Self {
        Self { sources, ledger, open, clock, owner, run, state: Mutex::default(), freed: Notify::new() }
    }

    /// The sources, in order of preference.
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// The engine at hand, where it is all that there is.
    pub fn at_hand(&self) -> Option<About> {
        let [source] = &self.sources[..] else { return None };
        let engine = (self.open)(&Endpoint::Current).ok().filter(|_| !source.provider.about().leases)?;
        Some(engine.about().clone())
    }

    /// Leases a runner; waits for one while those that can be had are all taken or resting. `tell` gets what should be
    /// known meanwhile.
    ///
    /// # Errors
    /// When no source has such runners, all that have fail, or `cancel` was cancelled.
    pub async fn lease(
        &self,
        request: &Request,
        tell: &(dyn Fn(Note) + Sync),
        cancel: &CancellationToken,
    ) -> Result<Lease, LeaseError> {
        let capable = self.capable(request)?;
        let mut told = None;
        loop {
            if cancel.is_cancelled() {
                return Err(LeaseError::Cancelled);
            }
            // Made before the look, so that what is freed in between is heard.
            let freed = self.freed.notified();
            if let Some(index) = self.take(&capable)? {
                match self.acquire(index, request, cancel).await {
                    Ok(lease) => return Ok(lease),
                    Err(Refused::Ledger(error)) => return Err(error.into()),
                    Err(Refused::Provider(_)) if cancel.is_cancelled() => return Err(LeaseError::Cancelled),
                    Err(Refused::Provider(error)) => {
                        let note = Note(format!("no runner of {}: {error}", self.name(index)));
                        // While there is no room, it is asked again and again.
                        if !error.full || told.as_ref() != Some(&note) {
                            tell(note.clone());
                        }
                        told = Some(note);
                    }
                }
                continue;
            }
            let wait = self.next_try(&capable).unwrap_or(LONGEST_REST);
            tokio::select! {
                biased;
                () = freed => {}
                () = sleep(wait) => {}
                () = cancel.cancelled() => return Err(LeaseError::Cancelled),
            }
        }
    }

    /// What a runner says of the build that failed on it. A runner that says nothing is no error.
    pub async fn evidence(&self, lease: &Lease, since: Timestamp) -> Result<Evidence, ProviderError> {
        let asked = self.provider(lease.source).evidence(&lease.record, since);
        let late = |_| ProviderError::passing(format!("nothing was said in {} s", EVIDENCE.as_secs()));
        timeout(EVIDENCE, asked).await.map_err(late)?
    }

    /// Gives a runner back. What can't be released stays written down, and the next sweep tries again.
    ///
    /// # Errors
    /// When its provider did not release it.
    pub async fn release(&self, lease: Lease) -> Result<(), ProviderError> {
        self.release_record(lease.source, &lease.record).await
    }

    /// Whether a lease is one that somebody has to release: the engine at hand is not.
    pub fn is_told(&self, lease: &Lease) -> bool {
        self.provider(lease.source).about().leases
    }

    /// A build failed in a way that says that its runner is broken or gone.
    pub fn blame(&self, lease: &Lease, why: &str) {
        self.failed(lease.source, ProviderError::passing(why));
        let shun = SignedDuration::try_from(SHUN).unwrap_or(SignedDuration::ZERO);
        let until = self.clock.now().checked_add(shun).ok();
        self.state().sources.entry(lease.source).or_default().shunned_until = until;
    }

    /// Releases all that is still held: the run has ended, or was given up.
    pub async fn close(&self) -> Vec<Swept> {
        let held: Vec<_> = self.state().held.values().cloned().collect();
        let all = held.into_iter().map(async |(index, record)| {
            let error = self.release_record(index, &record).await.err();
            Swept { record, error }
        });
        futures_util::future::join_all(all).await
    }

    /// Releases the leases that are written down and that nobody needs: `is_wanted` says of each whether it is to go.
    /// `provider` gives who can release one whose row is not in the table.
    ///
    /// # Errors
    /// When the records can't be read.
    pub async fn sweep(
        &self,
        is_wanted: impl Fn(&Record) -> bool,
        provider: impl Fn(&Record) -> Option<Box<dyn Provider>>,
    ) -> Result<(Vec<Swept>, Vec<LedgerError>), LedgerError> {
        let (records, unreadable) = self.ledger.all()?;
        let stale = records.into_iter().filter(|record| is_wanted(record));
        let sweep = stale.map(async |record| {
            let row = |source: &&Source| source.row.name == record.source && source.row.provider == record.provider;
            let released = match (self.sources.iter().find(row), provider(&record)) {
                (Some(source), _) => self.give_back(&*source.provider, &record).await,
                (None, Some(provider)) => self.give_back(&*provider, &record).await,
                (None, None) => Err(ProviderError::lasting(format!("nobody here can release {}", record.source))),
            };
            Swept { error: released.err(), record }
        });
        Ok((futures_util::future::join_all(sweep).await, unreadable))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn provider(&self, index: usize) -> &dyn Provider {
        &*self.sources[index].provider
    }

    fn name(&self, index: usize) -> &str {
        &self.sources[index].row.name
    }

    /// The sources that have such runners, by their places in the table.
    fn capable(&self, request: &Request) -> Result<Vec<usize>, LeaseError> {
        let mut reasons = Vec::new();
        let mut capable = Vec::new();
        for (index, Source { row, .. }) in self.sources.iter().enumerate() {
            let foreign = request.platforms.iter().find(|p| !row.platforms.is_empty() && !row.platforms.contains(p));
            match (foreign, row.largest.filter(|largest| !request.size.fits(*largest))) {
                (Some(platform), _) => reasons.push((row.name.clone(), format!("it does not build for {platform}"))),
                (None, Some(largest)) => {
                    reasons.push((row.name.clone(), format!("it leases up to {largest}, not {}", request.size)));
                }
                (None, None) => capable.push(index),
            }
        }
        if capable.is_empty() { Err(LeaseError::Incapable(reasons)) } else { Ok(capable) }
    }

    /// Takes a place of the first source that has one; none where all are taken or resting.
    fn take(&self, capable: &[usize]) -> Result<Option<usize>, LeaseError> {
        let now = self.clock.now();
        let mut state = self.state();
        let mut broken = Vec::new();
        // Who gave a broken runner comes last for a while.
        let mut capable = capable.to_vec();
        let is_shunned = |state: &State, index: &usize| {
            state.sources.get(index).and_then(|health| health.shunned_until).is_some_and(|until| until > now)
        };
        capable.sort_by_key(|index| is_shunned(&state, index));
        for index in &capable {
            let health = state.sources.entry(*index).or_default();
            let rests = health.rests_until.is_some_and(|until| until > now);
            let is_broken = |error: &&ProviderError| !error.passing || (rests && health.failures >= FAILURES);
            if let Some(error) = health.last.as_ref().filter(is_broken) {
                broken.push((self.name(*index).to_owned(), error.clone()));
                continue;
            }
            let Source { row, provider } = &self.sources[*index];
            let has_room = [row.capacity, provider.about().capacity].iter().flatten().all(|room| health.held < *room);
            if has_room && !rests {
                health.held += 1;
                return Ok(Some(*index));
            }
        }
        if broken.len() == capable.len() { Err(LeaseError::Failed(broken)) } else { Ok(None) }
    }

    /// How long until the first of the resting sources may be asked again.
    fn next_try(&self, capable: &[usize]) -> Option<Duration> {
        let now = self.clock.now();
        let state = self.state();
        let untils = capable.iter().filter_map(|index| state.sources.get(index)?.rests_until);
        let wait = untils.filter(|until| *until > now).min()?.duration_since(now);
        Duration::try_from(wait).ok().map(|wait| wait.max(Duration::from_millis(1)))
    }

    async fn acquire(&self, index: usize, request: &Request, cancel: &CancellationToken) -> Result<Lease, Refused> {
        let Source { row, provider } = &self.sources[index];
        let now = self.clock.now();
        let id = LeaseId::new(now, fastrand::u64(..));
        let source = (row.name.as_str(), &row.provider);
        let mut record = Record::new(id, self.owner.clone(), self.run.clone(), source, request, now);
        let leases = provider.about().leases;
        if leases && let Err(error) = self.ledger.write(&record) {
            self.state().sources.entry(index).or_default().held -= 1;
            return Err(Refused::Ledger(error));
        }
        self.state().held.insert(record.lease.clone(), (index, record.clone()));
        let handle: Mutex<Option<String>> = Mutex::default();
        let note = |text: &str| {
            *handle.lock().unwrap_or_else(PoisonError::into_inner) = Some(text.to_owned());
            let noted = Record { handle: Some(text.to_owned()), ..record.clone() };
            self.state().held.insert(noted.lease.clone(), (index, noted.clone()));
            if leases { self.ledger.write(&noted) } else { Ok(()) }
        };
        let asked = provider.acquire(&record, &note, cancel);
        let late = |_| ProviderError::passing(format!("there was no answer in {} s", row.timeout_s));
        let answer = timeout(Duration::from_secs(row.timeout_s), asked).await.map_err(late).and_then(|answer| answer);
        record.handle = handle.into_inner().unwrap_or_else(PoisonError::into_inner);
        let opened = answer.and_then(|endpoint| match (self.open)(&endpoint) {
            Ok(engine) => Ok((endpoint, engine)),
            Err(error) => {
                let failed = ProviderError::lasting(error.to_string());
                Err(error.hints().into_iter().fold(failed, ProviderError::hint))
            }
        });
        match opened {
            Ok((endpoint, engine)) => {
                let mut state = self.state();
                let health = state.sources.entry(index).or_default();
                (health.failures, health.rests_until, health.last) = (0, None, None);
                let watched = Watched { engine, provider: Arc::clone(provider), record: record.clone() };
                Ok(Lease { record, endpoint, engine: Arc::new(watched), source: index })
            }
            Err(error) => {
                match error.full {
                    _ if cancel.is_cancelled() => {}
                    true => self.rest(index, FIRST_REST),
                    false => self.failed(index, error.clone()),
                }
                // A runner may have been made although there was no answer. What fails now, the next sweep does.
                let _ = self.release_record(index, &record).await;
                Err(Refused::Provider(error))
            }
        }
    }

    /// A source is left alone for a while.
    fn failed(&self, index: usize, error: ProviderError) {
        let mut state = self.state();
        let health = state.sources.entry(index).or_default();
        health.failures += 1;
        let rest = FIRST_REST.saturating_mul(1 << (health.failures - 1).min(10)).min(LONGEST_REST);
        health.last = Some(error);
        drop(state);
        self.rest(index, rest);
    }

    fn rest(&self, index: usize, rest: Duration) {
        let rest = SignedDuration::try_from(rest).unwrap_or(SignedDuration::ZERO);
        self.state().sources.entry(index).or_default().rests_until = self.clock.now().checked_add(rest).ok();
    }

    async fn release_record(&self, index: usize, record: &Record) -> Result<(), ProviderError> {
        let released = self.give_back(self.provider(index), record).await;
        let mut state = self.state();
        if state.held.remove(&record.lease).is_some() {
            let health = state.sources.entry(index).or_default();
            health.held = health.held.saturating_sub(1);
        }
        drop(state);
        self.freed.notify_waiters();
        released
    }

    /// Has a lease released, and its record taken away.
    async fn give_back(&self, provider: &dyn Provider, record: &Record) -> Result<(), ProviderError> {
        if !provider.about().leases {
            return Ok(());
        }
        let mut tried = 1;
        loop {
            let late = |_| ProviderError::passing(format!("it was not released in {} s", RELEASE.as_secs()));
            let released = timeout(RELEASE, provider.release(record)).await.map_err(late).and_then(|released| released);
            match released {
                Ok(()) => break,
                Err(error) if tried == RELEASES || !error.passing => return Err(error),
                Err(_) => sleep(FIRST_REST.saturating_mul(tried)).await,
            }
            tried += 1;
        }
        self.ledger.remove(&record.lease).map_err(|error| ProviderError::passing(error.to_string()))
    }
}

enum Refused {
    Provider(ProviderError),
    Ledger(LedgerError),
}
