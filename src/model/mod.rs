//! The domain: names, layers, edges, digests, reasons. No I/O, nothing of the crate above it.
//! Texts become types here, once, at the door. Start reading at [`Layer`].

mod actor;
mod adr;
mod catalog;
mod change;
mod cooked;
mod directives;
mod events;
mod image;
mod layer;
mod name;
mod path;
mod platform;
mod runner;
mod sccache;
mod text;
mod value;

pub use actor::{Actor, ActorError, ActorName, Owner, OwnerKind};
pub use adr::{
    Adr, AdrStatus, Axiom, Constraint, ConstraintCheck, ConstraintSeverity, FieldCheck, FieldRule, PatternCheck,
    Presence, When,
};
pub use catalog::{Catalog, Mirror};
pub use change::{Change, ContextChange, Via};
pub use cooked::{Ceilings, CookProfile, Cooked, ProfileError};
pub use directives::{DirectedLayers, Directives, Disposing, Promoting, Storing};
pub use events::{DEFAULT_PREFIX, Events, NatsServers, NatsServersError, is_subject, is_subject_token};
pub use image::{Digest, Fingerprint, ImageError, ImageRef, is_tag};
pub use layer::{
    Artifact, Base, Build, BuildSpec, Class, Donor, Edge, EdgeKind, Hook, Hooks, Layer, NativeDep, NativeSource,
    Needed, Network, Resources, Secret, Tool, secret_variable,
};
pub use name::{LayerName, NameError, nearest};
pub use path::{PathError, RelPath};
pub use platform::{Platform, PlatformError};
pub use runner::{ProviderKind, RunnerSource, Size, SshHost, Tier};
pub use sccache::Sccache;
pub use value::to_value;
