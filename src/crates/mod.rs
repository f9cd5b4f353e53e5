//! Crates inside of cooked sets and projects: what a bump recompiles, what a lock change comes to, and how large a
//! set may grow.
//!
//! Everything here is computed from a [`crate::unit::UnitGraph`], which comes from cargo, from a unit manifest, from
//! a committed build-graph snapshot ([`BuildGraph`]), or, as an approximation, from a lock alone ([`of_lock`]). No
//! file is read here and no program started.

mod build_graph;
mod inputs;
mod locked;
mod normal;
mod text;

pub use build_graph::{BuildGraph, Counts, Duplicate, Measured, Section};
pub use inputs::{Inputs, InputsError};
pub use locked::{LockError, of_lock};
pub use normal::normalised;
pub use text::TextError;
