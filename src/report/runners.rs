//! Runners, as text: what is leased, and where runners come from.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{count, duration, table};
use crate::model::RunnerSource;
use crate::runner::{About, OwnerState, Record, Swept};

/// What is leased, and where runners come from.
#[derive(Clone, Copy, Debug)]
pub struct RunnersReport<'a> {
    /// The leases that are written down, by name.
    pub leases: &'a [Record],
    /// The catalog's table, with what each can do.
    pub sources: &'a [(RunnerSource, About)],
    /// This moment.
    pub now: Timestamp,
}

impl RunnersReport<'_> {
    /// A line a lease, and a line a source.
    pub fn text(&self) -> String {
        let lease = |record: &Record| {
            let state = match (record.is_stale(self.now), record.owner.state()) {
                (true, _) => "stale".to_owned(),
                (false, OwnerState::Elsewhere) => format!("of {}", record.owner.host),
                (false, _) => format!("process {}", record.owner.pid),
            };
            [
                record.lease.to_string(),
                record.source.clone(),
                record.layer.to_string(),
                sized(record),
                age(record.asked_at, self.now),
                expiry(record.expires_at, self.now),
                state,
            ]
        };
        let source = |(row, about): &(RunnerSource, About)| {
            let held = self.leases.iter().filter(|record| record.source == row.name).count();
            let leases = match room(row, about) {
                _ if !about.leases => "nothing to lease".to_owned(),
                Some(room) => format!("{held} of {room} leased"),
                None => format!("{held} leased"),
            };
            [row.name.clone(), row.provider.as_str().to_owned(), leases, about.detail.clone()]
        };
        let mut text = match self.leases {
            [] => "no runner is leased\n".to_owned(),
            leases => table(&leases.iter().map(lease).collect::<Vec<_>>()),
        };
        if !self.sources.is_empty() {
            text.push('\n');
            text.push_str(&table(&self.sources.iter().map(source).collect::<Vec<_>>()));
        }
        text
    }

    /// How many are leased: `3 leases, 1 of them stale`.
    pub fn remark(&self) -> String {
        let stale = self.leases.iter().filter(|record| record.is_stale(self.now)).count();
        let all = count(self.leases.len(), "lease");
        if stale == 0 { all } else { format!("{all}, {stale} of them stale: `lamina runners prune` releases those") }
    }
}

/// How many leases a source has room for.
pub fn room(row: &RunnerSource, about: &About) -> Option<u64> {
    [row.capacity, about.capacity].into_iter().flatten().min()
}

/// What was released, a line a lease, and what was struck out without that.
pub fn swept(swept: &[Swept], forgotten: &[Swept]) -> String {
    let row = |failed: &str, Swept { record, error }: &Swept| {
        let ended = error.as_ref().map_or_else(|| "released".to_owned(), |error| format!("{failed}: {error}"));
        [record.lease.to_string(), record.source.clone(), ended]
    };
    let swept = swept.iter().map(|swept| row("not released", swept));
    table(&swept.chain(forgotten.iter().map(|swept| row("forgotten", swept))).collect::<Vec<_>>())
}

fn sized(record: &Record) -> String {
    match &record.tier {
        Some(tier) => format!("{tier} ({})", record.size),
        None => record.size.to_string(),
    }
}

fn age(since: Timestamp, now: Timestamp) -> String {
    format!("for {}", span(now.duration_since(since)))
}

fn expiry(at: Timestamp, now: Timestamp) -> String {
    match at <= now {
        true => "expired".to_owned(),
        false => format!("{} left", span(at.duration_since(now))),
    }
}

fn span(span: SignedDuration) -> String {
    duration(Duration::try_from(span).unwrap_or_default())
}
