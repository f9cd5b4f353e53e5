//! What an orchestrator is sent and answers (`schemas/openapi/orchestrator.json`). What it answers is not trusted.

use serde::{Deserialize, Serialize};

use crate::model::Size;
use crate::runner::{Endpoint, Evidence, ProviderError, Record, Usage};

use super::client::shown;

/// The longest name of a lease and the longest address, in bytes.
const MAX_NAME: usize = 256;

/// `POST /api/v1/vm-pool`.
#[derive(Debug, Serialize)]
pub(super) struct Question<'a> {
    pub lease: &'a str,
    pub run: &'a str,
    pub workspace: &'a str,
    pub layer: &'a str,
    pub size: Size,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tier: Option<&'a str>,
    pub platforms: &'a [String],
    pub ttl_minutes: u64,
}

/// What it answers.
#[derive(Debug, Deserialize)]
pub(super) struct Leased {
    pub lease_id: String,
    pub state: State,
    #[serde(default)]
    pub endpoint: Option<At>,
    /// Seconds until it is worth asking again.
    #[serde(default)]
    pub retry_after_s: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    Ready,
    Pending,
}

/// Where a runner builds.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum At {
    Buildkit(String),
    Docker(String),
}

/// `GET /api/v1/vm-pool/{lease_id}/evidence`.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Said {
    #[serde(default)]
    pub oom: Option<String>,
    #[serde(default)]
    pub alone: bool,
    #[serde(default)]
    pub usage: Option<Usage>,
}

/// `GET /api/v1/p95`.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
pub(super) struct P95 {
    #[serde(default)]
    pub cpu: Option<f64>,
    #[serde(default)]
    pub memory_mb: Option<f64>,
    #[serde(default)]
    pub builds: u64,
}

/// `POST /api/v1/metrics`: what a build has used.
#[derive(Clone, Debug, Serialize)]
pub struct Metrics {
    /// The lease's name.
    pub lease: String,
    /// The run.
    pub run: String,
    /// The catalog.
    pub workspace: String,
    /// The layer.
    pub layer: String,
    /// Whether its image came out good.
    pub succeeded: bool,
    /// How long it had its runner, in milliseconds.
    pub duration_ms: u64,
    /// The most memory at a time, in MiB, where it was measured.
    pub peak_memory_mb: Option<u64>,
    /// Processor time, in milliseconds, where it was measured.
    pub cpu_ms: Option<u64>,
}

impl<'a> Question<'a> {
    /// The same record gives the same question, so that it may be repeated.
    pub fn new(record: &'a Record, workspace: &'a str) -> Self {
        let lives = record.expires_at.duration_since(record.asked_at).as_secs();
        Self {
            lease: record.lease.as_str(),
            run: record.run.as_str(),
            workspace,
            layer: record.layer.as_str(),
            size: record.size,
            tier: record.tier.as_deref(),
            platforms: &record.platforms,
            ttl_minutes: u64::try_from(lives).unwrap_or_default().div_ceil(60).max(1),
        }
    }
}

impl Leased {
    /// The lease's name at the orchestrator.
    pub fn id(&self) -> Result<&str, ProviderError> {
        let id = &*self.lease_id;
        let is_name = !id.is_empty() && id.len() <= MAX_NAME && id.bytes().all(|byte| byte.is_ascii_graphic());
        if is_name { Ok(id) } else { Err(ProviderError::lasting("the orchestrator gives a lease_id that is no name")) }
    }
}

impl At {
    /// The endpoint, where an orchestrator may name it. It says where on the network builds run, and nothing about this
    /// machine: a socket only where it runs here itself.
    pub fn endpoint(&self, is_local: bool) -> Result<Endpoint, ProviderError> {
        let (At::Buildkit(address) | At::Docker(address)) = self;
        let is_right = match address.split_once("://") {
            Some(("tcp", rest)) => is_authority(rest),
            Some(("unix", path)) => is_local && is_path(path),
            _ => false,
        };
        if !is_right {
            let address = shown(&address.chars().take(100).collect::<String>());
            let error = format!("the orchestrator names an engine that is none: `{address}`");
            return Err(ProviderError::lasting(error).hint("it has to be tcp://HOST:PORT"));
        }
        Ok(match self {
            At::Buildkit(address) => Endpoint::Buildkit(address.clone()),
            At::Docker(address) => Endpoint::Docker(address.clone()),
        })
    }
}

/// Whether a text is `HOST:PORT`, without a login, and with nothing that another program could take for an option.
fn is_authority(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let is_v6 = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_host = match is_v6 {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            host.starts_with(|c: char| c.is_ascii_alphanumeric())
                && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte))
        }
    };
    text.len() <= MAX_NAME && is_host && port.parse::<u16>().is_ok_and(|port| port > 0)
}

fn is_path(path: &str) -> bool {
    path.starts_with('/') && path.len() <= MAX_NAME && !path.contains(char::is_control) && !path.contains("..")
}

impl Said {
    pub fn evidence(self) -> Evidence {
        let oom = self.oom.as_deref().map(shown).filter(|text| !text.is_empty());
        Evidence { oom, alone: self.alone, usage: self.usage }
    }
}
