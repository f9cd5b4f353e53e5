//! `buildctl`: BuildKit's own client, for a buildkitd without Docker. Several times cheaper than buildx.

use std::future::Future;
use std::path::Path;
use std::pin::Pin;

use tokio_util::sync::CancellationToken;

use super::client::{self, Client};
use super::{About, Engine, Progress, Solve, SolveError, Solved};
use crate::model::Network;

/// BuildKit through buildctl.
#[derive(Debug)]
pub(super) struct Buildctl {
    pub client: Client,
    pub about: About,
}

impl Engine for Buildctl {
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

impl Buildctl {
    fn args(&self, solve: &Solve, metadata: Option<&Path>) -> Vec<String> {
        let mut args: Vec<String> =
            ["build", "--progress=rawjson", "--frontend", "dockerfile.v0"].map(str::to_owned).into();
        let mut add = |name: &str, value: String| args.extend([name.to_owned(), value]);
        let folder = solve.dockerfile.parent().unwrap_or(Path::new(""));
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        let file = solve.dockerfile.file_name().unwrap_or_default();
        add("--local", format!("context={}", solve.context.display()));
        add("--local", format!("dockerfile={}", folder.display()));
        add("--opt", format!("filename={}", file.to_string_lossy()));
        for (name, source) in &solve.contexts {
            match source.contains("://") {
                true => add("--opt", format!("context:{name}={source}")),
                // A prefix, because a context may be called as one of the two above.
                false => {
                    add("--local", format!("named-{name}={source}"));
                    add("--opt", format!("context:{name}=local:named-{name}"));
                }
            }
        }
        for (name, value) in client::build_args(solve) {
            add("--opt", format!("build-arg:{name}={value}"));
        }
        if let Some(target) = &solve.target {
            add("--opt", format!("target={target}"));
        }
        if let Some(platforms) = client::platforms(solve) {
            add("--opt", format!("platform={platforms}"));
        }
        client::secrets(solve).for_each(|secret| add("--secret", secret));
        client::ssh(solve).for_each(|ssh| add("--ssh", ssh));
        match solve.network {
            Network::Default => {}
            Network::None => add("--opt", "force-network-mode=none".to_owned()),
            Network::Host => {
                add("--opt", "force-network-mode=host".to_owned());
                add("--allow", "network.host".to_owned());
            }
        }
        for (key, value) in &solve.labels {
            add("--opt", format!("label:{key}={value}"));
        }
        client::cache_from(solve).for_each(|cache| add("--import-cache", cache));
        if let Some(cache) = client::cache_to(solve) {
            add("--export-cache", cache);
        }
        if let Some(exporter) = client::exporter(solve, self.about.rewrites_timestamps) {
            add("--output", exporter);
        }
        if let Some(metadata) = metadata {
            add("--metadata-file", metadata.to_string_lossy().into_owned());
        }
        if solve.no_cache {
            args.push("--no-cache".to_owned());
        }
        args
    }
}
