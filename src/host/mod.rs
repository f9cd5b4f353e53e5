//! The machine: the one place that starts programs, that knows the time and that hears signals; and the type of what must
//! not be seen.

pub mod child;
pub mod clock;
pub mod guard;
pub mod lines;
pub mod machine;
pub mod process;
pub mod secret;
pub mod signal;
