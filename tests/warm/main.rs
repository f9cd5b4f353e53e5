//! The warm room: archives that nobody vouches for, registries that fail, and real projects with real cargo.
//!
//! The registry is Debian's `docker-registry`, or the one that LAMINA_LAB_REGISTRY names (HOST:PORT, without TLS);
//! without either, what needs one is skipped, and says so.

mod archives;
mod choices;
mod faults;
mod laws;
mod place;
#[path = "../registry/server.rs"]
#[allow(dead_code)]
mod server;
mod shop;
mod story;
mod units;
