//! The machine: the one place that starts programs, the one that knows the time, and the type of what must not be seen.

pub mod child;
pub mod clock;
pub mod guard;
pub mod process;
pub mod secret;
