//! Which client is used, where it is, and whether it will do.
//!
//! The engine behind it is not asked: that costs more than a small build, and the first build tells.

mod endpoint;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use semver::Version;

use self::endpoint::{docker_endpoint, rewrites_timestamps, without_password};
use super::buildctl::Buildctl;
use super::buildx::{self, Buildx};
use super::client::Client;
use super::{About, Engine, Environment, known};
use crate::host::child::{find, is_program};
use crate::host::process::{Limits, ProcessError, converse};

/// The first version of buildx that writes its progress as JSON.
pub const MIN_BUILDX: Version = Version::new(0, 13, 0);

/// The first version of buildctl that writes its progress as JSON.
pub const MIN_BUILDCTL: Version = Version::new(0, 13, 0);

/// How docker comes to a machine.
pub const INSTALL_DOCKER: &str = "install docker with its plugin buildx (https://docs.docker.com/go/buildx/; in Debian: \
                                  docker-cli and docker-buildx)";

/// Where buildctl asks without being told.
const BUILDKIT_SOCKET: &str = "unix:///run/buildkit/buildkitd.sock";

/// What asking for a version may take.
const LIMITS: Limits = Limits { deadline: Duration::from_secs(10), output: 64 << 10 };

/// The folders of the system with docker's plugins.
const PLUGINS: [&str; 4] = [
    "/usr/local/lib/docker/cli-plugins",
    "/usr/local/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins",
    "/usr/libexec/docker/cli-plugins",
];

/// A client of BuildKit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ClientChoice {
    /// `docker buildx`.
    Buildx,
    /// `buildctl`.
    Buildctl,
}

/// What an engine is opened with.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The client; chosen by the endpoint where it is absent.
    pub client: Option<ClientChoice>,
    /// The builder of buildx; BUILDX_BUILDER's, or the current one, where it is absent.
    pub builder: Option<String>,
    /// The environment that says where everything is, and that clients get a part of.
    pub env: Environment,
    /// lamina's own program (`std::env::current_exe`), which makes clients end with lamina however that ends. Who has
    /// none leaves clients running when it is killed.
    pub lamina: Option<PathBuf>,
    /// Where it is remembered what clients say of their version; where there is none, they are asked each time.
    pub known: Option<PathBuf>,
}

/// Why there is no engine.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is no docker with buildx.
    #[error("there is no docker buildx to build with")]
    NoBuildx,
    /// There is no buildctl.
    #[error("there is no buildctl to build with")]
    NoBuildctl {
        /// The engine that only buildctl reaches, where one is named.
        host: Option<String>,
    },
    /// What is there is no buildx: podman answers to `docker`, too.
    #[error("`{0}` is not buildx")]
    NotBuildx(String),
    /// It is too old.
    #[error("{client} {found} is too old: lamina needs {needed} or newer")]
    TooOld {
        /// The client.
        client: &'static str,
        /// Its version.
        found: Version,
        /// The oldest version that will do.
        needed: Version,
    },
    /// It can't be run.
    #[error(transparent)]
    Client(ProcessError),
}

impl OpenError {
    /// What to do about it.
    pub fn hints(&self) -> Vec<String> {
        const BUILDCTL: &str = "install buildctl (https://github.com/moby/buildkit/releases)";
        match self {
            OpenError::NoBuildx => vec![INSTALL_DOCKER.to_owned(), format!("or set BUILDKIT_HOST, and {BUILDCTL}")],
            OpenError::NoBuildctl { host: Some(host) } => vec![
                format!("BUILDKIT_HOST names {host}, and buildctl reaches it: {BUILDCTL}"),
                "or unset BUILDKIT_HOST, or give --client buildx, to build with docker".to_owned(),
            ],
            OpenError::NoBuildctl { host: None } => vec![BUILDCTL.to_owned()],
            OpenError::NotBuildx(_) => vec![INSTALL_DOCKER.to_owned()],
            OpenError::TooOld { client: "buildctl", .. } => vec![BUILDCTL.to_owned()],
            OpenError::TooOld { .. } => vec![INSTALL_DOCKER.to_owned()],
            OpenError::Client(_) => Vec::new(),
        }
    }
}

/// Finds the client, and asks it for its version; that takes some 10 ms for buildctl and 50 ms for buildx, so it is
/// remembered. With BUILDKIT_HOST set, buildctl is used, and otherwise buildx.
///
/// # Errors
/// When there is no client for the endpoint, or it is too old.
pub fn open(options: &Options) -> Result<Box<dyn Engine>, OpenError> {
    let host = options.env.text("BUILDKIT_HOST");
    let by_endpoint = if host.is_some() { ClientChoice::Buildctl } else { ClientChoice::Buildx };
    match options.client.unwrap_or(by_endpoint) {
        ClientChoice::Buildx => Ok(Box::new(open_buildx(options)?)),
        ClientChoice::Buildctl => Ok(Box::new(open_buildctl(options)?)),
    }
}

/// Whether the engine that is there is reached by a socket of this machine, as far as the environment and Docker's
/// configuration say.
pub fn is_here(env: &Environment) -> bool {
    match env.text("BUILDKIT_HOST") {
        Some(host) => host.starts_with("unix://"),
        None => docker_endpoint(env).address.starts_with("unix://"),
    }
}

fn open_buildx(options: &Options) -> Result<Buildx, OpenError> {
    let env = &options.env;
    let (program, before) = match plugin(env) {
        Some(plugin) => (plugin, vec![]),
        None => (find("docker", env.get("PATH")).ok_or(OpenError::NoBuildx)?, vec!["buildx".to_owned()]),
    };
    let client = Client { program, before, env: env.clone(), set: buildx::SET, lamina: options.lamina.clone() };
    let said = said(&client, "version", options)?;
    if !said.contains("buildx") {
        // `docker` without the plugin says that it knows no such command.
        let without = client.before.is_empty() || said.trim().is_empty();
        let program = client.command(vec![]).join(" ");
        return Err(if without { OpenError::NoBuildx } else { OpenError::NotBuildx(program) });
    }
    let version = checked("docker buildx", &said, &MIN_BUILDX)?;
    let builder = options.builder.clone().or_else(|| env.text("BUILDX_BUILDER").map(str::to_owned));
    let endpoint = match &builder {
        Some(builder) => format!("builder {builder}"),
        None => without_password(&docker_endpoint(env).address),
    };
    let rewrites_timestamps = rewrites_timestamps(env, builder.as_deref());
    let about = About { client: "docker buildx".to_owned(), version, endpoint, rewrites_timestamps };
    Ok(Buildx { client, about, builder })
}

fn open_buildctl(options: &Options) -> Result<Buildctl, OpenError> {
    let env = &options.env;
    let host = env.text("BUILDKIT_HOST");
    let none = || OpenError::NoBuildctl { host: host.map(without_password) };
    let program = find("buildctl", env.get("PATH")).ok_or_else(none)?;
    let client = Client { program, before: vec![], env: env.clone(), set: &[], lamina: options.lamina.clone() };
    let version = checked("buildctl", &said(&client, "--version", options)?, &MIN_BUILDCTL)?;
    let endpoint = without_password(host.unwrap_or(BUILDKIT_SOCKET));
    let about = About { client: "buildctl".to_owned(), version, endpoint, rewrites_timestamps: true };
    Ok(Buildctl { client, about })
}

/// buildx' own program, where docker would look for it.
fn plugin(env: &Environment) -> Option<PathBuf> {
    let own = env.docker_config().map(|folder| folder.join("cli-plugins"));
    let folders = own.into_iter().chain(PLUGINS.iter().map(|folder| Path::new(folder).to_owned()));
    folders.map(|folder| folder.join("docker-buildx")).find(|file| is_program(file))
}

/// What a client says of its version; nothing where it fails.
fn said(client: &Client, asked: &str, options: &Options) -> Result<String, OpenError> {
    // Through `docker`, it is another program that answers.
    let known = options.known.as_deref().filter(|_| client.before.is_empty());
    known::or_ask(known, &client.program, asked, || {
        let mut command = Command::new(&client.program);
        command.args(&client.before).arg(asked).env_clear().envs(client.env.passed(std::iter::empty()));
        let ended = converse(command, Vec::new(), LIMITS).map_err(OpenError::Client)?;
        let said = if ended.status.success() { &*ended.stdout } else { &[] };
        Ok(String::from_utf8_lossy(said).into_owned())
    })
}

/// The version in what a client says, which is `NAME VERSION REVISION`; an error where it is too old. Distributions
/// build some as 0.0.0, of which nothing can be said.
fn checked(client: &'static str, said: &str, needed: &Version) -> Result<String, OpenError> {
    let word = said.split_whitespace().find_map(|word| {
        let word = word.strip_prefix('v').unwrap_or(word);
        word.starts_with(|c: char| c.is_ascii_digit()).then_some(word)
    });
    let Some(word) = word else { return Ok("unknown".to_owned()) };
    let core = word.split(['+', '-', '~']).next().unwrap_or(word);
    match Version::parse(core) {
        Ok(found) if found < *needed && found != Version::new(0, 0, 0) => {
            Err(OpenError::TooOld { client, found, needed: needed.clone() })
        }
        _ => Ok(word.to_owned()),
    }
}
