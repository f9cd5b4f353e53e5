//! Tests of the program as people run it: arguments in; stdout, stderr and an exit code out, compared exactly.
//! A file per subject, one binary for all, so that it is linked once.

mod adr;
mod cache;
mod cascade;
mod completions;
mod confinement;
mod docs;
mod engine;
mod floors;
mod fuzz;
mod github;
mod help;
mod hostile;
mod list_show_graph;
mod lock;
mod parsers;
mod pipelines;
mod pipelines_run;
mod plan_properties;
mod pre_commit;
mod properties;
mod real;
mod reference;
mod registry;
mod regressions;
mod sarif;
mod schemas;
mod scope;
mod shared;
mod shells;
mod since;
mod validate;
mod why;
mod workshop;
