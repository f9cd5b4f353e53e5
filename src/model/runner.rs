//! Runners: what builds run on, as the catalog's table declares it. Layers say what they need and name none (ADR 003).

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::Platform;

/// What a build gets of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Size {
    /// Processors.
    pub cpu: u64,
    /// Memory, in MiB.
    pub memory_mb: u64,
}

impl Size {
    /// Whether what needs this size may run where there is `room`.
    pub fn fits(self, room: Size) -> bool {
        self.cpu <= room.cpu && self.memory_mb <= room.memory_mb
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cpu, {} MiB", self.cpu, self.memory_mb)
    }
}

/// A size that runners are leased in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tier {
    /// Its name: `cx32`.
    pub name: String,
    /// What its machines run.
    pub platform: Platform,
    /// What a build gets of one.
    pub size: Size,
}

/// A source of runners: a row of the catalog's table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunnerSource {
    /// Its name, which `--runner` takes.
    pub name: String,
    /// What leases them, with its own settings.
    pub provider: ProviderKind,
    /// How many leases it has room for at a time; none where nothing limits it.
    pub capacity: Option<u64>,
    /// The platforms that its runners build for; any where it is empty.
    pub platforms: Vec<Platform>,
    /// The largest size that it leases; any where it is absent.
    pub largest: Option<Size>,
    /// Seconds until a request to it is given up.
    pub timeout_s: u64,
}

/// Who leases runners.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProviderKind {
    /// The engine that is there: the Docker context, or BUILDKIT_HOST. Nothing is leased.
    Engine,
    /// A buildkitd of lamina's own, with an empty state folder.
    Process {
        /// Whether it runs without root (`rootlesskit`).
        rootless: bool,
    },
    /// An ephemeral BuildKit container, by buildx' driver docker-container.
    Container {
        /// The image of BuildKit; buildx' own where it is absent.
        image: Option<String>,
        /// The container's network; Docker's own where it is absent.
        network: Option<String>,
    },
    /// Ephemeral BuildKit pods, by buildx' driver kubernetes.
    Kubernetes {
        /// The context of the kubeconfig; the current one where it is absent.
        context: Option<String>,
        /// The namespace; the context's where it is absent.
        namespace: Option<String>,
        /// How many pods a lease has.
        replicas: Option<u32>,
        /// What the nodes have to be labelled with.
        node_selector: BTreeMap<String, String>,
        /// The image of BuildKit; buildx' own where it is absent.
        image: Option<String>,
    },
    /// A pool of hosts, reached over SSH.
    Ssh {
        /// The hosts.
        hosts: Vec<SshHost>,
        /// The file with the hosts' keys; the user's own where it is absent. A host whose key is not in it is refused.
        known_hosts: Option<String>,
        /// The private key's file; what ssh finds where it is absent.
        identity: Option<String>,
    },
    /// An HTTP service that leases machines (`schemas/openapi/orchestrator.json`).
    Orchestrator {
        /// Its address: `https://runners.example.com`.
        url: String,
        /// The variable with its token.
        token_env: Option<String>,
    },
    /// A program that speaks JSON on stdin and stdout.
    Command {
        /// The program and its arguments, run in the catalog's root.
        command: Vec<String>,
    },
}

/// A host that builds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SshHost {
    /// `[USER@]HOST[:PORT]`.
    pub host: String,
    /// Where BuildKit listens there: `unix:///run/buildkit/buildkitd.sock`, or Docker's
    /// `docker:///var/run/docker.sock`.
    pub engine: String,
    /// How many builds at a time.
    pub capacity: Option<u32>,
}

impl ProviderKind {
    /// As the catalog writes it.
    pub fn as_str(&self) -> &'static str {
        match self {
            ProviderKind::Engine => "engine",
            ProviderKind::Process { .. } => "process",
            ProviderKind::Container { .. } => "container",
            ProviderKind::Kubernetes { .. } => "kubernetes",
            ProviderKind::Ssh { .. } => "ssh",
            ProviderKind::Orchestrator { .. } => "orchestrator",
            ProviderKind::Command { .. } => "command",
        }
    }
}
