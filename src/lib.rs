//! lamina: the tool that runs a catalog of container build layers.

pub mod catalog;
pub mod diag;
pub mod model;
