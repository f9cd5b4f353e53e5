//! Cargo's unit graph of a project: what a build would compile.

use std::process::Command;

use super::{Project, ProjectError, call};
use crate::unit::{Package, UnitGraph};

/// What is built: as the arguments of `cargo build`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildOptions {
    /// The profile: `release`, `dev`, or one of the project's own.
    pub profile: String,
    /// Features to turn on.
    pub features: Vec<String>,
    /// Whether all are.
    pub all_features: bool,
    /// Whether the default ones are not.
    pub no_default_features: bool,
    /// The target triple, where one is given.
    pub target: Option<String>,
    /// The packages of the workspace; where there are none, those that cargo builds by default.
    pub packages: Vec<String>,
    /// Whether tests are built, as `cargo test` does, too.
    pub tests: bool,
    /// Whether the network is left alone, even where crates are missing.
    pub offline: bool,
    /// Whether cargo may bring Cargo.lock up to date; else a lock that does not fit is an error.
    pub unlocked: bool,
}

impl Default for BuildOptions {
    fn default() -> Self {
        Self {
            profile: "release".to_owned(),
            features: Vec::new(),
            all_features: false,
            no_default_features: false,
            target: None,
            packages: Vec::new(),
            tests: false,
            offline: false,
            unlocked: false,
        }
    }
}

impl BuildOptions {
    /// The arguments for cargo, with the command.
    pub fn arguments(&self) -> Vec<String> {
        let mut arguments = match self.tests {
            true => vec!["test".to_owned(), "--no-run".to_owned()],
            false => vec!["build".to_owned()],
        };
        // One word each: whatever a name begins with, it can't be taken for another option.
        arguments.push(format!("--profile={}", self.profile));
        arguments.extend(self.features.iter().map(|feature| format!("--features={feature}")));
        arguments.extend(self.all_features.then(|| "--all-features".to_owned()));
        arguments.extend(self.no_default_features.then(|| "--no-default-features".to_owned()));
        arguments.extend(self.target.iter().map(|target| format!("--target={target}")));
        arguments.extend(self.packages.iter().map(|package| format!("--package={package}")));
        arguments.extend((!self.unlocked).then(|| "--locked".to_owned()));
        arguments
    }
}

impl Project {
    /// What cargo would compile, as it says itself. The network is used only where crates are missing.
    ///
    /// `RUSTC_BOOTSTRAP=1` opens the unstable `--unit-graph` for this one call; build scripts, which may watch that
    /// variable, don't run in it.
    ///
    /// # Errors
    /// When there is no cargo, the lock is out of date, crates can't be had, or the answer is none.
    pub fn unit_graph(&self, options: &BuildOptions) -> Result<UnitGraph, ProjectError> {
        let target = tempfile::Builder::new().prefix("lamina-graph-").tempdir().map_err(ProjectError::Folder)?;
        let ask = |network: bool| {
            let mut command: Command = self.cargo(target.path());
            command.args(options.arguments()).args(["--unit-graph", "-Zunstable-options"]);
            // What would be compiled does not depend on whether this compiler is new enough for it.
            command.arg("--ignore-rust-version");
            command.env("RUSTC_BOOTSTRAP", "1");
            if !network {
                command.arg("--offline");
            }
            call::answer("cargo", command)
        };
        let answer = match ask(false) {
            Err(ProjectError::Unfetched(_) | ProjectError::Failed { .. }) if !options.offline => ask(true),
            answer => answer,
        }?;
        self.understood(&answer)
    }

    /// A unit graph of the project as cargo wrote it.
    pub(super) fn understood(&self, answer: &[u8]) -> Result<UnitGraph, ProjectError> {
        let mut graph = UnitGraph::parse(answer)?;
        graph.pin(|package| self.locked_source(package));
        Ok(graph)
    }

    /// The source of a git package as the lock has it, with its commit.
    fn locked_source(&self, package: &Package) -> Option<String> {
        let named = self
            .lock
            .packages
            .iter()
            .filter(|locked| locked.name.as_str() == package.name && locked.version.to_string() == package.version);
        let sources: Vec<String> = named.filter_map(|locked| Some(locked.source.as_ref()?.to_string())).collect();
        let same = |source: &&String| source.split('#').next() == package.source.as_deref();
        sources.iter().find(same).cloned()
    }
}
