//! The machine: the one place that starts programs, reads the clock and hears signals; and the type of what must not be
//! seen.

pub mod child;
pub mod clock;
pub mod guard;
pub mod process;
pub mod secret;
pub mod signal;
