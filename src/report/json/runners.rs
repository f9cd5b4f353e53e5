//! Runners: what is leased, and what was released.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::Answer;
use crate::model::{RunnerSource, Size};
use crate::report::runners::{RunnersReport, room};
use crate::runner::{About, LedgerError, OwnerState, Record, Swept};

/// Which runners are leased, and where runners come from.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Runners<'a> {
    /// The leases that are written down on this machine, by name.
    leases: Vec<Lease<'a>>,
    /// Where runners come from, in order of preference.
    sources: Vec<Source<'a>>,
    /// What is wrong with records that can't be read.
    unreadable: Vec<String>,
}

/// Which leases were released.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RunnersPrune<'a> {
    /// The leases that are gone, by name.
    released: Vec<Lease<'a>>,
    /// The leases that could not be released, by name.
    left: Vec<Left<'a>>,
    /// The leases that could not be released, and were struck out, by name.
    forgotten: Vec<Left<'a>>,
    /// What is wrong with records that can't be read.
    unreadable: Vec<String>,
}

/// A lease.
#[derive(Debug, Serialize, JsonSchema)]
struct Lease<'a> {
    /// Its name.
    lease: &'a str,
    /// The row of the catalog's table that it is of.
    source: &'a str,
    /// That row's provider.
    provider: &'a str,
    /// The run that it is for.
    run: &'a str,
    /// The layer that is built on it.
    layer: &'a str,
    /// How many processors it was asked for.
    cpu: u64,
    /// How much memory it was asked for, in MiB.
    memory_mb: u64,
    /// The tier that this is; null where it is none.
    tier: Option<&'a str>,
    /// When it was asked for, by RFC 3339.
    asked_at: String,
    /// When nobody needs it any more, by RFC 3339.
    expires_at: String,
    /// Whether nobody needs it any more: its time is over, or its owner has ended.
    stale: bool,
    /// Who has asked for it.
    owner: Owner<'a>,
}

/// Who has asked for a lease.
#[derive(Debug, Serialize, JsonSchema)]
struct Owner<'a> {
    /// The machine's name.
    host: &'a str,
    /// The process there.
    pid: u32,
    /// Whether it still runs.
    state: State,
}

/// Whether an owner still runs.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum State {
    /// It runs.
    Running,
    /// It has ended.
    Ended,
    /// It is on another machine, and nothing is known of it.
    Elsewhere,
}

/// Where runners come from.
#[derive(Debug, Serialize, JsonSchema)]
struct Source<'a> {
    /// Its name.
    name: &'a str,
    /// Its provider.
    provider: &'a str,
    /// Who that is, for people.
    detail: &'a str,
    /// Whether anything is leased there; the engine at hand is not.
    leases: bool,
    /// Whether its runners have the size that is asked for.
    sized: bool,
    /// How many leases it has room for; null where nothing limits it.
    capacity: Option<u64>,
    /// The platforms that it builds for; any where it is empty.
    platforms: Vec<&'a str>,
    /// The largest size that it leases; null where any.
    largest: Option<Largest>,
    /// How many of the leases are its.
    leased: usize,
}

/// The largest size that a source leases.
#[derive(Debug, Serialize, JsonSchema)]
struct Largest {
    /// Processors.
    cpu: u64,
    /// Memory, in MiB.
    memory_mb: u64,
}

/// A lease that could not be released.
#[derive(Debug, Serialize, JsonSchema)]
struct Left<'a> {
    /// The lease.
    lease: Lease<'a>,
    /// Why it is still there.
    error: String,
    /// What to do about it.
    hints: &'a [String],
}

impl Answer for Runners<'_> {
    const NAME: &'static str = "runners";
}

impl Answer for RunnersPrune<'_> {
    const NAME: &'static str = "runners-prune";
    const COMMAND: &'static str = "runners";
}

impl<'a> Runners<'a> {
    /// What a report has to say.
    pub fn new(report: &RunnersReport<'a>, unreadable: &[LedgerError]) -> Self {
        let source = |(row, about): &'a (RunnerSource, About)| Source {
            name: &row.name,
            provider: row.provider.as_str(),
            detail: &about.detail,
            leases: about.leases,
            sized: about.sized,
            capacity: room(row, about),
            platforms: row.platforms.iter().map(|platform| platform.as_str()).collect(),
            largest: row.largest.map(|Size { cpu, memory_mb }| Largest { cpu, memory_mb }),
            leased: report.leases.iter().filter(|record| record.source == row.name).count(),
        };
        Self {
            leases: report.leases.iter().map(|record| Lease::new(record, report.now)).collect(),
            sources: report.sources.iter().map(source).collect(),
            unreadable: unreadable.iter().map(LedgerError::to_string).collect(),
        }
    }
}

impl<'a> RunnersPrune<'a> {
    /// What was done.
    pub fn new(swept: &'a [Swept], forgotten: &'a [Swept], unreadable: &[LedgerError], now: Timestamp) -> Self {
        let left = |swept: &'a [Swept]| {
            let left = |Swept { record, error }: &'a Swept| {
                let error = error.as_ref()?;
                Some(Left { lease: Lease::new(record, now), error: error.to_string(), hints: &error.hints })
            };
            swept.iter().filter_map(left).collect()
        };
        let released = swept.iter().filter(|swept| swept.error.is_none());
        Self {
            released: released.map(|swept| Lease::new(&swept.record, now)).collect(),
            left: left(swept),
            forgotten: left(forgotten),
            unreadable: unreadable.iter().map(LedgerError::to_string).collect(),
        }
    }
}

impl<'a> Lease<'a> {
    fn new(record: &'a Record, now: Timestamp) -> Self {
        let state = match record.owner.state() {
            OwnerState::Running => State::Running,
            OwnerState::Ended => State::Ended,
            OwnerState::Elsewhere => State::Elsewhere,
        };
        Self {
            lease: record.lease.as_str(),
            source: &record.source,
            provider: record.provider.as_str(),
            run: record.run.as_str(),
            layer: record.layer.as_str(),
            cpu: record.size.cpu,
            memory_mb: record.size.memory_mb,
            tier: record.tier.as_deref(),
            asked_at: record.asked_at.to_string(),
            expires_at: record.expires_at.to_string(),
            stale: record.is_stale(now),
            owner: Owner { host: &record.owner.host, pid: record.owner.pid, state },
        }
    }
}
