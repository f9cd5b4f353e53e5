//! The only room that knows Nickel.

pub mod eval;
pub mod raw;
