//! Who leases runners: a file each. What a provider needs of this machine is given by [`Host`]; none reads the
//! environment by itself.

mod command;
mod engine;
pub mod orchestrator;

use std::path::PathBuf;

pub use command::Command;
pub use engine::AtHand;
pub use orchestrator::Orchestrator;

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
    /// The catalog's name.
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
    match kind {
        ProviderKind::Engine => Ok(Box::new(AtHand::default())),
        ProviderKind::Orchestrator { url, token_env } => {
            Ok(Box::new(Orchestrator::new(url, token_env.as_deref(), host)))
        }
        ProviderKind::Command { command } => Ok(Box::new(Command::new(command, host))),
        other => Err(ProviderError::lasting(format!("the provider {} is not built yet", other.as_str()))),
    }
}
