//! A Cargo project on disk, and cargo itself, asked what it would do.
//!
//! [`Project::open`] reads what stands in files: manifests, Cargo.lock, the toolchain file and cargo's configuration.
//! [`Project::unit_graph`] and [`Project::environment`] ask cargo and rustc, and [`oracle`] has cargo judge a target
//! folder unit by unit. Nothing is compiled, and nothing is written into the project: cargo gets a target folder of its
//! own in the folder for temporary files. [`Elsewhere`] is cargo asked in a container. This room knows no catalog.

mod call;
mod config;
mod elsewhere;
mod environment;
mod error;
mod features;
mod graph;
mod inside;
mod oracle;
mod profile;
mod project;
mod set;
mod skeleton;
mod toolchain;
mod update;
mod workspace;

pub use config::Config;
pub use elsewhere::Elsewhere;
pub use environment::recorded;
pub use error::ProjectError;
pub use features::Features;
pub use graph::BuildOptions;
pub use inside::Targets;
pub use oracle::{Oracle, Verdict, oracle};
pub use profile::ProfileKey;
pub use project::Project;
pub use toolchain::Toolchain;
pub use workspace::Member;
