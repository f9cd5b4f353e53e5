//! Tests of the rooms that run a plan, without engine and registry: order, staging, secrets.

mod common;
mod notify;
mod scheduler;
mod secrets;
mod staging;
