//! Tests of the program as people run it: arguments in; stdout, stderr and an exit code out, compared exactly.
//! A file per subject, one binary for all, so that it is linked once.

mod adr;
mod cache;
mod cascade;
mod confinement;
mod docs;
mod engine;
mod floors;
mod fuzz;
mod hostile;
mod list_show_graph;
mod lock;
mod parsers;
mod properties;
mod real;
mod reference;
mod registry;
mod regressions;
mod schemas;
mod shared;
mod since;
mod validate;
mod why;
mod workshop;
