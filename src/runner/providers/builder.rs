//! Builders of buildx, named as their leases: what the drivers docker-container and kubernetes have in common.

use tokio_util::sync::CancellationToken;

use super::buildkitd::configuration;
use super::tool::Tool;
use super::{Host, folder};
use crate::engine::INSTALL_DOCKER;
use crate::runner::{LeaseId, NoteHandle, ProviderError, Record};

/// Noted before a builder is asked for: without it, there is nothing to release but a folder.
pub const ASKED: &str = "asked";
/// Noted when a builder is there.
pub const MADE: &str = "made";

/// The name that buildx gives to a builder's only node: of the container and, without the prefix, of the deployment.
pub fn node(lease: &LeaseId) -> String {
    format!("buildx_buildkit_{lease}0")
}

/// The arguments of `docker` that make a builder and start it.
pub fn create(lease: &LeaseId, driver: &str, options: &[(String, String)], configuration: &str) -> Vec<String> {
    let words = ["buildx", "create", "--name", lease.as_str(), "--driver", driver, "--bootstrap"];
    let mut args: Vec<String> = words.map(str::to_owned).into();
    args.extend(["--buildkitd-config".to_owned(), configuration.to_owned()]);
    for (name, value) in options {
        // buildx reads a line of CSV.
        let option = format!("{name}={value}");
        let option = match option.contains([',', '"']) {
            true => format!("\"{}\"", option.replace('"', "\"\"")),
            false => option,
        };
        args.extend(["--driver-opt".to_owned(), option]);
    }
    args
}

/// A driver of buildx, with what a lease gives it.
#[derive(Clone, Copy, Debug)]
pub struct Driver<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its options, in order.
    pub options: &'a [(String, String)],
    /// Variables that are set for buildx besides.
    pub environment: &'a [(&'a str, String)],
}

/// Makes the builder of a lease, and notes that.
pub async fn make(
    host: &Host,
    record: &Record,
    driver: Driver<'_>,
    note: &NoteHandle<'_>,
    cancel: &CancellationToken,
) -> Result<(), ProviderError> {
    let docker = Tool::find(host, "docker", INSTALL_DOCKER)?;
    let noted = |text: &str| note(text).map_err(|error| ProviderError::passing(error.to_string()));
    let file = folder::make(host, &record.lease)?.join("buildkitd.toml");
    folder::write(&file, &configuration(host, None))?;
    noted(ASKED)?;
    let args = create(&record.lease, driver.name, driver.options, &file.to_string_lossy());
    let said = docker.work(args, driver.environment, cancel).await?;
    if !said.is_good {
        let complaint = said.complaint();
        let error = format!("docker buildx create: {complaint}");
        // `docker` without the plugin does not know the command, or an option of it.
        let lasts = ["is not a docker command", "unknown flag", "unknown command", "invalid driver option"];
        return Err(match lasts.iter().any(|sign| said.err.contains(sign)) {
            true => ProviderError::lasting(error).hint(INSTALL_DOCKER),
            false => ProviderError::passing(error),
        });
    }
    noted(MADE)
}

/// Has buildx forget a builder, with what it has made for it. That there is none is no error.
pub async fn forget(docker: &Tool<'_>, lease: &LeaseId) -> Result<(), ProviderError> {
    let said = docker.ask(["buildx", "rm", "--force", lease.as_str()].map(str::to_owned).into()).await?;
    if said.is_good || said.err.contains("no builder") {
        return Ok(());
    }
    Err(ProviderError::passing(format!("docker buildx rm: {}", said.complaint())))
}
