//! The registry room, through its public surface, against real registries and against servers that misbehave.
//!
//! Nothing here stands in for the client: it speaks HTTP over loopback in every test. A server that misbehaves is a
//! real server, too, and says things that a good registry would not say.

mod bounds;
mod common;
mod environment;
mod faults;
mod lab;
mod login;
mod options;
mod parsers;
mod push;
mod real;
mod server;
mod tags;
mod tls;
mod tokens;
mod waits;
