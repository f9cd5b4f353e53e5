//! lamina runs a catalog of container build layers: it evaluates every `workflow.ncl` into a graph, says which
//! layers a change makes stale, and checks the catalog.
//!
//! The folders are the architecture; imports point downwards only (see ARCHITECTURE.md).
//! A first path for a reader: [`model`], [`graph`], [`snapshot`], [`cascade`], [`commands`].

pub mod cache;
pub mod cargo;
pub mod cascade;
pub mod catalog;
pub mod checks;
pub mod commands;
pub mod cooked;
pub mod crates;
pub mod diag;
pub mod dockerfile;
pub mod engine;
pub mod event;
pub mod fingerprint;
pub mod graph;
pub mod history;
pub mod host;
pub mod lock;
pub mod model;
pub mod notify;
pub mod plan;
pub mod publish;
pub mod registry;
pub mod report;
pub mod run;
pub mod runner;
pub mod size;
pub mod snapshot;
pub mod suggest;
pub mod tree;
pub mod unit;
pub mod warm;
