//! Layers that compile crates, on a real engine: what a new image takes over from the last one, and what it compiles.
//!
//! The engine is the one that DOCKER_HOST names, the registry the one of LAMINA_LAB_REGISTRY (HOST:PORT, without TLS),
//! which has `library/rust:1.97.1-slim-trixie`; RUN steps reach crates.io. Where these are not set the tests are skipped,
//! and say so.

#[path = "../build/shop.rs"]
#[allow(dead_code, reason = "it is the shop of another test binary, too")]
mod shop;

mod confirm;
mod dockerfile;
mod donors;
mod kitchen;
mod recook;
mod sccache;
