//! Where a leased runner builds, and how a client reaches it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::engine::{ClientChoice, Engine, OpenError, Options, open};

/// Where a runner builds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Endpoint {
    /// The engine that is there.
    Current,
    /// BuildKit, by buildctl: `unix://…`, `tcp://…`, `docker-container://…`, `kube-pod://…`.
    Buildkit(String),
    /// A Docker engine, by buildx: what DOCKER_HOST may be.
    Docker(String),
    /// A builder of buildx.
    Builder(String),
}

impl Endpoint {
    /// Opens the engine there. `options` are those of the engine at hand.
    ///
    /// # Errors
    /// When there is no client for it.
    pub fn open(&self, options: &Options) -> Result<Box<dyn Engine>, OpenError> {
        let mut options = options.clone();
        match self {
            Endpoint::Current => {}
            Endpoint::Buildkit(address) => {
                options.env = options.env.clone().with("BUILDKIT_HOST", address);
                options.client = Some(ClientChoice::Buildctl);
            }
            Endpoint::Docker(host) => {
                options.env =
                    options.env.clone().without("DOCKER_CONTEXT").without("BUILDX_BUILDER").with("DOCKER_HOST", host);
                options.client = Some(ClientChoice::Buildx);
                options.builder = None;
            }
            Endpoint::Builder(name) => {
                options.client = Some(ClientChoice::Buildx);
                options.builder = Some(name.clone());
            }
        }
        open(&options)
    }
}

impl fmt::Display for Endpoint {
    /// For people, without a login.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Endpoint::Current => f.write_str("the engine at hand"),
            Endpoint::Buildkit(address) | Endpoint::Docker(address) => {
                match address.split_once("://").and_then(|(scheme, rest)| Some((scheme, rest.rsplit_once('@')?.1))) {
                    Some((scheme, host)) => write!(f, "{scheme}://{host}"),
                    None => f.write_str(address),
                }
            }
            Endpoint::Builder(name) => write!(f, "builder {name}"),
        }
    }
}
