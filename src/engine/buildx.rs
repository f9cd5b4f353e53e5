//! `docker buildx`: what users have. Its plugin is called directly where it is found: `docker` looks for all of its
//! plugins first, which costs twice as much as the plugin itself.

use std::future::Future;
use std::path::Path;
use std::pin::Pin;

use tokio_util::sync::CancellationToken;

use super::client::{self, Client};
use super::{About, Engine, Output, Progress, Solve, SolveError, Solved};
use crate::model::Network;

/// What is set for it. The provenance would be asked of the engine for the metadata file alone, and takes a turn.
pub(super) const SET: &[(&str, &str)] = &[("BUILDX_METADATA_PROVENANCE", "disabled"), ("DOCKER_CLI_HINTS", "false")];

/// BuildKit through buildx.
#[derive(Debug)]
pub(super) struct Buildx {
    pub client: Client,
    pub about: About,
    /// The builder, where one was named.
    pub builder: Option<String>,
}

impl Engine for Buildx {
    fn about(&self) -> &About {
        &self.about
    }

    fn solve<'a>(
        &'a self,
        solve: &'a Solve,
        progress: &'a mut (dyn FnMut(Progress) + Send),
        cancel: &'a CancellationToken,
    ) -> Pin<Box<dyn Future<Output = Result<Solved, SolveError>> + Send + 'a>> {
        Box::pin(self.client.solve(solve, |metadata| self.args(solve, Some(metadata)), progress, cancel))
    }

    fn command(&self, solve: &Solve) -> Vec<String> {
        self.client.command(self.args(solve, None))
    }
}

impl Buildx {
    fn args(&self, solve: &Solve, metadata: Option<&Path>) -> Vec<String> {
        let mut args = vec!["build".to_owned(), "--progress=rawjson".to_owned()];
        let mut add = |name: &str, value: String| args.extend([name.to_owned(), value]);
        if let Some(builder) = &self.builder {
            add("--builder", builder.clone());
        }
        // With an attestation, a build that is wholly cached would have a new digest each time.
        add("--provenance", "false".to_owned());
        add("--file", solve.dockerfile.to_string_lossy().into_owned());
        for (name, source) in &solve.contexts {
            add("--build-context", format!("{name}={source}"));
        }
        for (name, value) in client::build_args(solve) {
            add("--build-arg", format!("{name}={value}"));
        }
        if let Some(target) = &solve.target {
            add("--target", target.clone());
        }
        if let Some(platforms) = client::platforms(solve) {
            add("--platform", platforms);
        }
        client::secrets(solve).for_each(|secret| add("--secret", secret));
        client::ssh(solve).for_each(|ssh| add("--ssh", ssh));
        match solve.network {
            Network::Default => {}
            Network::None => add("--network", "none".to_owned()),
            Network::Host => {
                add("--network", "host".to_owned());
                add("--allow", "network.host".to_owned());
            }
        }
        for (key, value) in &solve.labels {
            add("--label", format!("{key}={value}"));
        }
        client::cache_from(solve).for_each(|cache| add("--cache-from", cache));
        if let Some(cache) = client::cache_to(solve) {
            add("--cache-to", cache);
        }
        match (&solve.output, client::exporter(solve, self.about.rewrites_timestamps)) {
            (_, Some(exporter)) => add("--output", exporter),
            // Without an output, dockerd would keep an image.
            (Output::None, None) => add("--output", "type=cacheonly".to_owned()),
            (_, None) => {}
        }
        if let Some(metadata) = metadata {
            add("--metadata-file", metadata.to_string_lossy().into_owned());
        }
        if solve.no_cache {
            args.push("--no-cache".to_owned());
        }
        args.push(solve.context.to_string_lossy().into_owned());
        args
    }
}
