//! `lamina cache`: what its three forms share.

mod explain;
mod list;
mod prune;

use clap::Subcommand;

use super::context::Context;
use super::error::CommandError;
use super::exit::Exit;
use crate::cache::{Namespace, Root, Session, Slot};
use crate::model::LayerName;
use crate::snapshot::Snapshot;

/// Look at the layer caches in the registry: which there are, who uses which, and which may go
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lamina cache list
  lamina cache explain rust --actor agent:fixer
  lamina cache prune --keep-days 14 --dry-run")]
pub struct Args {
    #[command(subcommand)]
    command: Cache,
}

#[derive(Debug, Subcommand)]
enum Cache {
    List(list::Args),
    Explain(explain::Args),
    Prune(prune::Args),
}

pub fn run(context: &Context<'_>, args: &Args) -> Result<Exit, CommandError> {
    match &args.command {
        Cache::List(args) => list::run(context, args),
        Cache::Explain(args) => explain::run(context, args),
        Cache::Prune(args) => prune::run(context, args),
    }
}

/// Where the catalog's caches lie.
fn root(snapshot: &Snapshot) -> Result<Root, CommandError> {
    let config = snapshot.catalog.config.as_ref();
    let config = config.ok_or_else(|| CommandError::new(Exit::Invalid, "the catalog names no registry"))?;
    Ok(Root::new(&config.registry, &config.namespace))
}

/// The caches of these layers that an actor reads or writes as usual.
fn usual(session: &Session, layers: impl Iterator<Item = LayerName>) -> Vec<Slot> {
    let mut namespaces: Vec<Namespace> = session.reads();
    namespaces.push(session.writes());
    let of = |layer: LayerName| {
        let slot = move |namespace: &Namespace| Slot { namespace: namespace.clone(), layer: layer.clone() };
        namespaces.iter().map(slot).collect::<Vec<_>>()
    };
    layers.flat_map(of).collect()
}
