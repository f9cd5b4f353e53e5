//! The machine: the one place that starts programs.

pub mod process;
