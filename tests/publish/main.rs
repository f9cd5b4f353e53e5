//! The publish room, through its public surface: real engines run the probes, and a real registry keeps what comes out.
//!
//! Engines are named by the environment: DOCKER_HOST for buildx, BUILDKIT_HOST for buildctl, and LAMINA_LAB_REGISTRY
//! for the registry that both push to. What is not named is skipped, and that is said.

mod lab;
mod promotion;
mod proofs;
mod provenance;
mod records;
