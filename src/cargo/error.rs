//! What can go wrong with a project.

use std::io;
use std::path::PathBuf;

use crate::host::process::ProcessError;
use crate::unit::GraphError;

/// Why a project can't be read, or cargo gives no answer about it.
#[derive(Debug, thiserror::Error)]
pub enum ProjectError {
    /// There is no Cargo.toml in the folder or above it.
    #[error("there is no Cargo.toml in {} or above it", .0.display())]
    NoManifest(PathBuf),
    /// There is no Cargo.lock beside the workspace's Cargo.toml.
    #[error("there is no Cargo.lock in {}; `cargo generate-lockfile` writes one", .0.display())]
    NoLock(PathBuf),
    /// A file can't be read.
    #[error("{} can't be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file does not have the form that it should have.
    #[error("{} can't be understood: {message}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// There is no cargo.
    #[error("cargo is not installed or not on PATH")]
    NoCargo,
    /// Cargo.lock does not fit the manifests.
    #[error("Cargo.lock does not fit the manifests; `cargo update --workspace` brings it up to date")]
    LockOutdated,
    /// The toolchain that the project asks for is not there; none is installed behind anybody's back.
    #[error("the project's toolchain is not installed; `rustup toolchain install` in its folder does that: {0}")]
    NoToolchain(String),
    /// Crates are needed that are not there, and can't be fetched.
    #[error("crates of the project are missing, and can't be fetched; `cargo fetch --locked` gets them: {0}")]
    Unfetched(String),
    /// A package that it depends on lies elsewhere, so that the project can't be copied.
    #[error(
        "{} lies outside of its workspace, and a copy of it would lack that package; move it below {}",
        folder.display(), root.display()
    )]
    Outside {
        /// Where it lies.
        folder: PathBuf,
        /// The workspace's root.
        root: PathBuf,
    },
    /// cargo said something else.
    #[error("{program} failed: {message}")]
    Failed {
        /// The program.
        program: &'static str,
        /// What it said.
        message: String,
    },
    /// cargo or rustc could not be run.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// Its unit graph is not what is known here.
    #[error("cargo's unit graph can't be used: {0}")]
    Graph(#[from] GraphError),
    /// A temporary folder can't be made, or a target folder can't be changed.
    #[error("the folder for cargo's answers can't be used: {0}")]
    Folder(io::Error),
}
