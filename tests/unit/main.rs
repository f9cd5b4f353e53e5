//! Units against the real cargo: what lamina says is the same must be the same for cargo, unit by unit.

mod advice;
mod compare;
mod config;
mod elsewhere;
mod errors;
mod laboratory;
mod laws;
mod real;
mod shelf;
mod truth;
