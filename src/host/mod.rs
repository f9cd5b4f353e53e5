//! The machine: the one place that starts programs, and the type of what must not be seen.

pub mod child;
pub mod guard;
pub mod process;
pub mod secret;
