//! Running a plan: who may start when (`scheduler`), what a build is called with (`compose`) and sent (`staging`), and
//! what joins them with engine, registry and proof (`live` for the run, `layer` for one layer of it). Everything that
//! happens is an event; nothing here knows how it looks.

pub mod compose;
pub mod delivered;
pub mod donor;
pub mod hooks;
mod layer;
mod leased;
mod live;
pub mod mask;
mod promotion;
mod rollback;
pub mod sccache;
pub mod scheduler;
pub mod secrets;
pub mod staging;
mod steps;
mod teller;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::cache::Session;
use crate::event::RunId;
use crate::host::clock::Clock;
use crate::model::{Fingerprint, LayerName};
use crate::plan::Plan;
use crate::registry::Registry;
use crate::runner::Pool;
use crate::size::Sizing;
use crate::snapshot::Snapshot;

pub use live::{Ended, run};

/// A plan, and all that it takes to run it.
pub struct Work<'a, R: Registry> {
    /// The run's name.
    pub run: RunId,
    /// The catalog that the plan is of.
    pub snapshot: Arc<Snapshot>,
    /// What is done.
    pub plan: &'a Plan,
    /// Where builds run; a plan without steps needs none.
    pub pool: Option<&'a Pool>,
    /// Where images are.
    pub registry: &'a R,
    /// Who gives builds their files.
    pub stage: &'a dyn staging::Stage,
    /// The secrets of its builds.
    pub secrets: &'a secrets::Secrets,
    /// How it is done.
    pub settings: Settings<'a>,
    /// What time it is.
    pub clock: &'a dyn Clock,
}

/// How a plan is run.
pub struct Settings<'a> {
    /// How many layers at a time, and what a failure stops.
    pub schedule: scheduler::Options,
    /// What the builds of layers get; of one that is not among them, what it declares.
    pub sizes: BTreeMap<LayerName, Sizing>,
    /// Which tags for people are moved, and when.
    pub promote: Promote,
    /// What is written down of the images that were built.
    pub attest: Attest,
    /// Who reads and writes layer caches in the registry; nobody where it is absent.
    pub cache: Option<Session>,
    /// Seconds since 1970 that times in images are set to.
    pub source_date_epoch: Option<u64>,
    /// Whether builds are given the last good image of their layer as donor; then, of each layer that was built on this
    /// machine, the fingerprint that it was last built for.
    pub donors: Option<BTreeMap<LayerName, Fingerprint>>,
    /// How hooks are run.
    pub hooks: hooks::HookSettings,
    /// The commit of the catalog, where there is one and nothing has changed since.
    pub revision: Option<String>,
    /// The file that a layer's log is kept in, where one is.
    pub log: &'a dyn Fn(&LayerName) -> Option<PathBuf>,
}

/// What is written down of the images that were built, beside them in the registry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Attest {
    /// Nothing.
    None,
    /// What they were made from.
    #[default]
    Provenance,
    /// What they were made from, and what is in them.
    All,
}

/// Which tags for people are moved, and when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Promote {
    /// Those of each layer, as soon as it is proven.
    Each,
    /// Those of all selected layers, when every layer is good.
    #[default]
    All,
    /// None.
    None,
}
