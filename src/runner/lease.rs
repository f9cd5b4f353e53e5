//! What is written down of a lease.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Request;
use crate::event::RunId;
use crate::model::{LayerName, Platform, ProviderKind, Size};

/// The version of records. A lamina leaves those of a newer one alone.
pub const VERSION: u32 = 1;

/// The name of a lease: `lamina-20261122-040502-3k9w2m7q`. It is unique, and a key for who must not lease twice; it is a
/// name that Docker, buildx and Kubernetes take.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseId(Box<str>);

/// A text that is no lease's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no name of a lease: they look like lamina-20261122-040502-3k9w2m7q")]
pub struct LeaseIdError(pub String);

impl LeaseId {
    /// The name of a lease that is asked for now; `salt` tells those of one second apart.
    pub fn new(at: Timestamp, salt: u64) -> Self {
        const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
        let random: String = (0..8).map(|n| char::from(DIGITS[(salt >> (5 * n)) as usize % 32])).collect();
        Self(format!("lamina-{}-{random}", at.strftime("%Y%m%d-%H%M%S")).into())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for LeaseId {
    type Err = LeaseIdError;

    fn from_str(text: &str) -> Result<Self, LeaseIdError> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let is_name = text.starts_with("lamina-") && text.len() <= 60 && text.bytes().all(allowed);
        if is_name { Ok(Self(text.into())) } else { Err(LeaseIdError(text.to_owned())) }
    }
}

impl fmt::Display for LeaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl Serialize for LeaseId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for LeaseId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str> as Deserialize>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A lease, as it is written down before it is asked for. It holds all that its release takes, also when the catalog has
/// changed since; no secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The version of records, now 1.
    pub version: u32,
    /// The lease's name.
    pub lease: LeaseId,
    /// Who has asked for it.
    pub owner: Owner,
    /// The run that it is for.
    pub run: RunId,
    /// The row of the catalog's table that leases it.
    pub source: String,
    /// That row's provider.
    pub provider: ProviderKind,
    /// The layer that is built on it.
    pub layer: LayerName,
    /// What was asked for.
    pub size: Size,
    /// The tier that it is, where it is one.
    pub tier: Option<String>,
    /// What it builds for.
    pub platforms: Vec<String>,
    /// When it was asked for.
    pub asked_at: Timestamp,
    /// When nobody needs it any more, whatever has become of its owner.
    pub expires_at: Timestamp,
    /// What its provider needs besides to release it.
    pub handle: Option<String>,
}

impl Record {
    /// How long a lease lives beyond the minutes of its build, in seconds: for push and proof.
    const GRACE_S: i64 = 30 * 60;

    /// The record of a lease that is about to be asked for.
    pub fn new(
        lease: LeaseId,
        owner: Owner,
        run: RunId,
        (source, provider): (&str, &ProviderKind),
        request: &Request,
        now: Timestamp,
    ) -> Self {
        let seconds = i64::try_from(request.minutes).unwrap_or(i64::MAX).saturating_mul(60);
        let lives = jiff::SignedDuration::from_secs(seconds.saturating_add(Self::GRACE_S));
        Self {
            version: VERSION,
            lease,
            owner,
            run,
            source: source.to_owned(),
            provider: provider.clone(),
            layer: request.layer.clone(),
            size: request.size,
            tier: request.tier.clone(),
            platforms: request.platforms.iter().map(Platform::to_string).collect(),
            asked_at: now,
            expires_at: now.checked_add(lives).unwrap_or(Timestamp::MAX),
            handle: None,
        }
    }

    /// Whether nobody needs it any more: its time is over, or its owner has ended.
    pub fn is_stale(&self, now: Timestamp) -> bool {
        self.expires_at <= now || self.owner.has_ended()
    }
}

/// A process that leases.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The machine's name.
    pub host: String,
    /// What changes with each start of the machine; empty where nothing says it.
    pub boot: String,
    /// The process.
    pub pid: u32,
    /// When it was started, in the kernel's ticks since the machine's start: process ids are given again.
    pub started: u64,
}

impl Owner {
    /// This process.
    pub fn this() -> Self {
        let pid = std::process::id();
        Self { host: crate::host::machine::name(), boot: crate::host::machine::boot(), pid, started: started(pid) }
    }

    /// Whether it has ended for certain. Nothing is known of a process of another machine.
    pub fn has_ended(&self) -> bool {
        self.state() == OwnerState::Ended
    }

    /// Whether it still runs.
    pub fn state(&self) -> OwnerState {
        let this = Self::this();
        match self.host == this.host {
            false => OwnerState::Elsewhere,
            true if self.boot == this.boot && started(self.pid) == self.started => OwnerState::Running,
            true => OwnerState::Ended,
        }
    }
}

/// Whether who has leased still runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnerState {
    /// It runs on this machine.
    Running,
    /// It ran on this machine, and has ended.
    Ended,
    /// It is on another machine, and nothing is known of it.
    Elsewhere,
}

/// When a process was started; 0 where there is none.
fn started(pid: u32) -> u64 {
    crate::host::machine::started(pid).unwrap_or_default()
}
