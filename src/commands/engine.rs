//! What builds, as the command line chooses it: what `build` and `verify` share.

use super::context::{Context, cache_folder};
use super::error::CommandError;
use super::exit::Exit;
use crate::engine::{self, ClientChoice, Engine, Environment, OpenError, Options};

/// What builds.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct EngineArgs {
    /// The client of BuildKit [default: buildctl where BUILDKIT_HOST is set, buildx elsewhere]
    #[arg(long, value_name = "CLIENT", value_enum, env = "LAMINA_CLIENT", hide_env_values = true)]
    client: Option<Client>,
}

/// A client of BuildKit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Client {
    /// `docker buildx`
    Buildx,
    /// `buildctl`, for an engine without Docker
    Buildctl,
}

impl EngineArgs {
    /// Finds what builds.
    ///
    /// # Errors
    /// When there is none that will do.
    pub fn open(&self, context: &Context<'_>) -> Result<Box<dyn Engine>, CommandError> {
        Ok(engine::open(&self.options(context))?)
    }

    /// What an engine is opened with.
    pub fn options(&self, context: &Context<'_>) -> Options {
        let client = self.client.map(|client| match client {
            Client::Buildx => ClientChoice::Buildx,
            Client::Buildctl => ClientChoice::Buildctl,
        });
        Options {
            client,
            builder: None,
            env: Environment::of_process(),
            lamina: Some(context.program().to_owned()),
            known: cache_folder().map(|folder| folder.join("clients.json")),
        }
    }
}

impl From<OpenError> for CommandError {
    fn from(error: OpenError) -> Self {
        let hints = error.hints();
        hints.into_iter().fold(Self::new(Exit::Engine, error.to_string()), Self::hint)
    }
}
