//! A message, as BuildKit writes it: `SolveStatus` in its package `client`. Every key may be absent.

use jiff::Timestamp;
use serde::Deserialize;

#[derive(Debug, Default, Deserialize)]
pub(super) struct Message {
    pub vertexes: Option<Vec<Vertex>>,
    pub statuses: Option<Vec<Status>>,
    pub logs: Option<Vec<Log>>,
    pub warnings: Option<Vec<Warning>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Vertex {
    pub digest: String,
    #[serde(default)]
    pub name: String,
    pub started: Option<String>,
    pub completed: Option<String>,
    pub cached: Option<bool>,
    pub error: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Status {
    #[serde(default)]
    pub id: String,
    #[serde(default)]
    pub vertex: String,
    pub current: Option<i64>,
    pub total: Option<i64>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Log {
    #[serde(default)]
    pub vertex: String,
    pub stream: Option<i64>,
    /// In base64.
    pub data: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Warning {
    /// In base64.
    pub short: Option<String>,
    range: Option<Vec<Range>>,
}

#[derive(Debug, Deserialize)]
struct Range {
    start: Option<Position>,
}

#[derive(Debug, Deserialize)]
struct Position {
    line: Option<u32>,
}

impl Message {
    /// Whether it is one: an object that says something else is a text that looks like a message.
    pub fn is_known(&self) -> bool {
        self.vertexes.is_some() || self.statuses.is_some() || self.logs.is_some() || self.warnings.is_some()
    }
}

impl Vertex {
    pub fn started(&self) -> Option<Timestamp> {
        self.started.as_deref()?.parse().ok()
    }

    pub fn completed(&self) -> Option<Timestamp> {
        self.completed.as_deref()?.parse().ok()
    }
}

impl Warning {
    /// The first line of the Dockerfile that it is about.
    pub fn line(&self) -> Option<u32> {
        self.range.as_ref()?.first()?.start.as_ref()?.line
    }
}
