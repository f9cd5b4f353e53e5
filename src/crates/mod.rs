//! Crates inside of cooked sets and projects: what a bump recompiles, what a lock change comes to, and how large a
//! set may grow.
//!
//! Everything here is computed from a [`crate::unit::UnitGraph`], which comes from cargo, from a unit manifest, from
//! a committed build-graph snapshot ([`BuildGraph`]), or, as an approximation, from a lock alone ([`of_lock`]). No
//! file is read here and no program started.

mod build_graph;
mod bump;
mod ceilings;
mod difference;
mod inputs;
mod locked;
mod normal;
mod release;
mod second;
mod text;

pub use build_graph::{BuildGraph, Counts, Duplicate, Measured, Section, measured};
pub use bump::{Bump, Reached, Wanted, Work, bump, ranked, whole};
pub use ceilings::{Breach, arrows, breaches};
pub use difference::{Change, Moved, Step, difference};
pub use inputs::{Inputs, InputsError};
pub use locked::{LockError, of_lock};
pub use normal::{joined, normalised, sole};
pub use release::{Newer, Release, newer, releases, requirements, rust};
pub use second::{Difference, Second, is_compatible, second_time};
pub use text::TextError;
