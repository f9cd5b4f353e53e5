//! Runners that come and go: who leases them (`providers`), which one a build gets (`pool`), and what is written down so
//! that none is left behind (`ledger`).
//!
//! A lease is written down before it is asked for, and is released whatever happens: when the build has ended, when
//! lamina is asked to end, and by the next lamina where this one was killed. Nothing here knows what a build is: a lease
//! gives an engine, and [`Provider`] is all that the pool knows of who leases.

mod endpoint;
mod lease;
mod ledger;
pub mod oom;
mod pool;
pub mod providers;
mod watched;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, pending};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

pub use endpoint::Endpoint;
pub use lease::{LeaseId, LeaseIdError, Owner, OwnerState, Record};
pub use ledger::{Folder, Ledger, LedgerError};
pub use pool::{Lease, LeaseError, Note, Opener, Pool, Source, Swept};

use crate::model::{LayerName, Platform, Size};

/// Writes down what is needed to release a lease.
pub type NoteHandle<'n> = dyn Fn(&str) -> Result<(), LedgerError> + Send + Sync + 'n;

/// Who leases runners. An implementation is a file in `providers/`; all pass the same tests (`tests/runner/contract.rs`).
pub trait Provider: Send + Sync {
    /// What it can do; found out once, when it was opened.
    fn about(&self) -> &About;

    /// Leases a runner. The record, which has the lease's name, was written down before; what is needed to release the
    /// lease and does not follow from the record is told to `note` as soon as it is known, which writes it down.
    ///
    /// When `cancel` is cancelled, it ends with an error soon. After an error [`Provider::release`] is called with the
    /// record: the answer may have been lost after a runner was made.
    fn acquire<'a>(
        &'a self,
        record: &'a Record,
        note: &'a NoteHandle<'a>,
        cancel: &'a CancellationToken,
    ) -> BoxFuture<'a, Result<Endpoint, ProviderError>>;

    /// What the runner says of a build that failed on it since a moment: asked before it is released.
    fn evidence<'a>(&'a self, record: &'a Record, since: Timestamp) -> BoxFuture<'a, Result<Evidence, ProviderError>>;

    /// Ends when the runner is gone, with why. Never, where the engine's client notices that by itself.
    fn lost<'a>(&'a self, _record: &'a Record) -> BoxFuture<'a, String> {
        pending().boxed()
    }

    /// Releases a lease, by its record alone: maybe another process has made it, and maybe nobody has. A lease that is
    /// gone, or never was, is released.
    fn release<'a>(&'a self, record: &'a Record) -> BoxFuture<'a, Result<(), ProviderError>>;
}

/// What a provider can do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// Whether it leases anything: where not, no lease is written down, and none is told.
    pub leases: bool,
    /// Whether its runners have the size that was asked for, so that a larger one helps a build that ran out of memory.
    pub sized: bool,
    /// Who it is, for people: `buildkitd 0.13 (runc)`. Without a login.
    pub detail: String,
    /// How many leases it has room for at a time, as far as it knows itself.
    pub capacity: Option<u64>,
}

/// What a lease is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The layer that is built.
    pub layer: LayerName,
    /// What the build needs.
    pub size: Size,
    /// The name of the tier that the size is, where it is one.
    pub tier: Option<String>,
    /// What it builds for.
    pub platforms: Vec<Platform>,
    /// Minutes that the build may take; the lease lives somewhat longer.
    pub minutes: u64,
}

/// What a runner says of a build that failed on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// That the kernel, or who runs the runner, has killed something because memory ran out: the text that says so.
    pub oom: Option<String>,
    /// Whether nothing else was built there meanwhile, so that the kill is this build's.
    pub alone: bool,
    /// What was used.
    pub usage: Option<Usage>,
}

/// What a build has used, as measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Usage {
    /// The most memory at a time, in MiB.
    pub peak_memory_mb: Option<u64>,
    /// Processor time, in milliseconds.
    pub cpu_ms: Option<u64>,
}

/// Why a provider can't do what it is asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ProviderError {
    /// What failed and why, in a line, without secrets.
    pub message: String,
    /// What to do about it.
    pub hints: Vec<String>,
    /// Whether it may work later: it is full, slow or not reached. What is missing on this machine is not.
    pub passing: bool,
    /// Whether it works, and only has no room now. That is no failure.
    pub full: bool,
}

impl ProviderError {
    /// Something that may pass.
    pub fn passing(message: impl Into<String>) -> Self {
        Self { message: message.into(), hints: Vec::new(), passing: true, full: false }
    }

    /// Something that stays as it is until somebody acts.
    pub fn lasting(message: impl Into<String>) -> Self {
        Self { message: message.into(), hints: Vec::new(), passing: false, full: false }
    }

    /// That there is no room now.
    pub fn full(message: impl Into<String>) -> Self {
        Self { full: true, ..Self::passing(message) }
    }

    /// With what to do about it.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}
