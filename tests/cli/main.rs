//! Tests of the program as people run it: arguments in; stdout, stderr and an exit code out, compared exactly.
//! A file per subject, one binary for all, so that it is linked once.

mod adr;
mod benchmarks;
mod build_graph;
mod built;
mod cache;
mod callers;
mod cascade;
mod completions;
mod confinement;
mod cook;
mod crates;
mod docs;
mod engine;
mod floors;
mod fuzz;
mod github;
mod help;
mod history;
mod hostile;
mod layer_caches;
mod list_show_graph;
mod lock;
mod parsers;
mod pipelines;
mod pipelines_run;
mod plan;
mod plan_document;
mod plan_properties;
mod pre_commit;
mod progress;
mod properties;
mod real;
mod recording;
mod reference;
mod registry;
mod regressions;
mod runs;
mod sarif;
mod schemas;
mod scope;
#[allow(dead_code)]
#[path = "../registry/server.rs"]
mod server;
mod shared;
mod shells;
mod since;
mod size;
mod status;
mod suggest;
mod suggest_more;
mod units;
mod validate;
mod verify;
mod why;
mod workshop;
