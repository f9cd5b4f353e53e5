//! Who leases runners: a file each. What a provider needs of this machine is given by [`Host`]; none reads the
//! environment by itself.

mod beside;
mod builder;
mod buildkitd;
pub mod cgroup;
mod command;
mod container;
mod engine;
mod folder;
mod kernel_log;
mod kubernetes;
pub mod orchestrator;
mod process;
mod ssh;
mod tool;
mod watch;

use std::path::PathBuf;

pub use command::Command;
pub use container::Container;
pub use engine::AtHand;
pub use kubernetes::{Kubernetes, Pods, Settings as KubernetesSettings, out_of_memory as pods_out_of_memory};
pub use orchestrator::Orchestrator;
pub use process::Process;
pub use ssh::Ssh;

use super::{Provider, ProviderError};
use crate::engine::Environment;
use crate::model::ProviderKind;

/// What providers need of this machine.
#[derive(Clone, Debug, Default)]
pub struct Host {
    /// The environment, which says where programs, configurations and tokens are.
    pub env: Environment,
    /// lamina's own program, which makes others end with lamina.
    pub lamina: Option<PathBuf>,
    /// The catalog's root.
    pub root: PathBuf,
    /// The workspace that orchestrators are told of.
    pub workspace: String,
    /// A folder of this user alone, for what a provider has to keep while it leases.
    pub state: PathBuf,
    /// The registries that are spoken to without TLS.
    pub plain_http: Vec<String>,
    /// Registries, and the hosts that stand in for them.
    pub mirrors: Vec<crate::model::Mirror>,
}

/// Opens a provider. What it lacks on this machine is said when a runner is asked for, so that one row of the table
/// hides no other.
pub fn open(kind: &ProviderKind, host: &Host) -> Result<Box<dyn Provider>, ProviderError> {
    let host = host.clone();
    match kind.clone() {
        ProviderKind::Engine => Ok(Box::new(AtHand::new(&host))),
        ProviderKind::Process { rootless } => Ok(Box::new(Process::new(host, rootless))),
        ProviderKind::Container { image, network } => Ok(Box::new(Container::new(host, image, network))),
        ProviderKind::Kubernetes { context, namespace, replicas, node_selector, image } => {
            let settings = KubernetesSettings { context, namespace, replicas, node_selector, image };
            Ok(Box::new(Kubernetes::new(host, settings)))
        }
        ProviderKind::Ssh { hosts, known_hosts, identity } => {
            Ok(Box::new(Ssh::new(host, hosts, known_hosts, identity)))
        }
        ProviderKind::Orchestrator { url, token_env } => {
            Ok(Box::new(Orchestrator::new(&url, token_env.as_deref(), &host)))
        }
        ProviderKind::Command { command } => Ok(Box::new(Command::new(&command, &host))),
    }
}
