//! The engine room, through its public surface, with real clients against real engines.
//!
//! Engines are named by the environment: DOCKER_HOST for buildx, BUILDKIT_HOST for buildctl, and LAMINA_LAB_REGISTRY
//! for the registry that both push to. What is not named is skipped, and that is said.

mod cancel;
mod child;
mod failures;
mod guard;
mod lab;
mod opening;
mod recordings;
mod success;
mod verdicts;
