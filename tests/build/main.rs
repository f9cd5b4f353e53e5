//! `lamina build` end to end: catalogs of tiny layers, a real engine, a real registry.
//!
//! The engine is the one that DOCKER_HOST names, or BUILDKIT_HOST where that is set, too; the registry the one of
//! LAMINA_LAB_REGISTRY (HOST:PORT, without TLS), which has `library/busybox:stable`. Where these are not set the tests
//! are skipped, and say so. Each test has a namespace of its own in the registry.

mod attest;
mod caches;
mod callers;
mod donor;
mod endings;
mod engines;
mod failures;
mod farm;
mod orchestrated;
mod pair;
mod proxy;
mod registries;
mod runners;
mod secrets;
#[path = "../../examples/orchestrator/service.rs"]
#[allow(dead_code, reason = "the example uses the rest")]
mod service;
mod shop;
mod story;
