//! The machine: the one place that starts programs, the one that knows the time, and the type of what must not be seen.

pub mod clock;
pub mod process;
pub mod secret;
