//! Where docker's engine is, as docker itself finds that out: variables, then the context, then the usual socket. The
//! client decides; this is only for saying it.

use std::path::Path;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::engine::Environment;

/// Where docker asks without being told.
const DOCKER_SOCKET: &str = "unix:///var/run/docker.sock";

/// The largest file of Docker's configuration that is read, in bytes.
const MAX_CONFIG: u64 = 1 << 20;

/// Where docker's engine is.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct DockerEndpoint {
    /// Its address, or what is known of it.
    pub address: String,
    /// What buildx remembers a chosen builder by: the context's name, or the address where there is none.
    key: String,
}

/// Where docker's engine is.
pub(super) fn docker_endpoint(env: &Environment) -> DockerEndpoint {
    let plain = |address: &str| DockerEndpoint { address: address.to_owned(), key: address.to_owned() };
    if let Some(host) = env.text("DOCKER_HOST") {
        return plain(host);
    }
    let folder = env.docker_config();
    let context = env.text("DOCKER_CONTEXT").map(str::to_owned).or_else(|| {
        let config = json(&folder.as_ref()?.join("config.json"))?;
        Some(config.get("currentContext")?.as_str()?.to_owned())
    });
    let Some(context) = context.filter(|context| !context.is_empty() && context != "default") else {
        return plain(DOCKER_SOCKET);
    };
    // Docker keeps a context in a folder that is named by the hash of its name.
    let id: String = Sha256::digest(&context).iter().map(|byte| format!("{byte:02x}")).collect();
    let meta = folder.and_then(|folder| json(&folder.join("contexts/meta").join(id).join("meta.json")));
    let host = meta.as_ref().and_then(|meta| meta.pointer("/Endpoints/docker/Host")?.as_str());
    DockerEndpoint { address: host.map_or_else(|| format!("context {context}"), str::to_owned), key: context }
}

/// Whether the builder can rewrite times in an image: every driver's but that of dockerd's own BuildKit.
pub(super) fn rewrites_timestamps(env: &Environment, builder: Option<&str>) -> bool {
    let Some(folder) = env.get("BUILDX_CONFIG").map(Into::into).or_else(|| Some(env.docker_config()?.join("buildx")))
    else {
        return false;
    };
    let folder: &Path = &folder;
    // What `docker buildx use` has chosen; it holds for one endpoint, or for all.
    let current = || {
        let current = json(&folder.join("current"))?;
        let holds = current.get("Global")?.as_bool()? || current.get("Key")?.as_str()? == docker_endpoint(env).key;
        Some(current.get("Name")?.as_str()?.to_owned()).filter(|_| holds)
    };
    let builder = builder.map(str::to_owned).or_else(current).unwrap_or_default();
    if builder.is_empty() || builder.contains(['/', '\\']) {
        return false;
    }
    let driver = json(&folder.join("instances").join(builder));
    driver.and_then(|instance| Some(instance.get("Driver")?.as_str()? != "docker")).unwrap_or(false)
}

fn json(file: &Path) -> Option<Value> {
    if file.metadata().ok()?.len() > MAX_CONFIG {
        return None;
    }
    serde_json::from_slice(&std::fs::read(file).ok()?).ok()
}

/// An address without the password in it.
pub(super) fn without_password(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("://") else { return address.to_owned() };
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    match host.rsplit_once('@') {
        Some((login, host)) => {
            let user = login.split(':').next().unwrap_or_default();
            format!("{scheme}://{user}@{host}{path}")
        }
        None => address.to_owned(),
    }
}
