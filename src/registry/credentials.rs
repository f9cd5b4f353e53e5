//! Logins, as Docker keeps them: `config.json`, credential stores, credential helpers. What Docker has nothing for is
//! looked up in podman's `auth.json`.
//!
//! The rules are those of Docker's command line (`cli/config`): a helper for a host comes before the general store, and
//! either stands in for `auths`. A login is for a host with its port; podman's logins for a part of a registry
//! (`quay.io/team`) are not used.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::host::process::{self, Limits};
use crate::host::secret::Secret;

/// Docker Hub, as Docker's files name it.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";
/// Docker Hub's other names.
const DOCKER_HUB_HOSTS: [&str; 3] = ["docker.io", "index.docker.io", "registry-1.docker.io"];
/// The largest file of logins.
const MAX_FILE: u64 = 4 << 20;
/// The longest answer of a helper.
const MAX_ANSWER: usize = 1 << 20;
/// The time that a helper has. It may ask a person to unlock a key ring.
const HELPER_DEADLINE: Duration = Duration::from_secs(60);

/// Where logins are found.
#[derive(Clone, Debug)]
pub struct Logins {
    /// Docker's `config.json`.
    pub docker: Option<PathBuf>,
    /// Podman's `auth.json`.
    pub podman: Option<PathBuf>,
    /// The folders that helpers are looked for in, as in `PATH`; without it, those of `PATH` itself.
    pub helpers: Option<OsString>,
    /// The time that a helper has.
    pub deadline: Duration,
}

/// A login, and where it comes from.
#[derive(Clone, Debug)]
pub struct Login {
    /// What is sent.
    pub kind: LoginKind,
    /// The file or helper, for messages.
    pub source: String,
}

/// What is sent.
#[derive(Clone, Debug)]
pub enum LoginKind {
    /// A name and its password. Some registries keep secrets in the name, too.
    Password {
        /// The name.
        user: Secret,
        /// The password.
        password: Secret,
    },
    /// A token that a token service gives other tokens for (OAuth 2 calls it a refresh token).
    Identity(Secret),
}

/// Why logins can't be read. No text holds a secret.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {why}")]
pub struct CredentialsError {
    /// The file or the helper.
    pub place: String,
    /// What is wrong.
    pub why: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Config {
    auths: Option<BTreeMap<String, Entry>>,
    cred_helpers: Option<BTreeMap<String, String>>,
    creds_store: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    auth: String,
    username: String,
    password: String,
    identitytoken: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HelperAnswer {
    username: String,
    secret: String,
}

/// What a file of logins has for a host.
#[derive(Clone, Debug)]
pub enum Found {
    /// A login.
    Login(Login),
    /// The name of the helper that is to be asked for it.
    Helper(String),
    /// Nothing.
    Nothing,
}

/// Reads a file of logins, `config.json` or `auth.json`, and says what it has for a host with its port. Nothing is run;
/// `file` is its name, for messages.
///
/// # Errors
/// When it is no such file, or its login for the host can't be read.
pub fn parse_logins(bytes: &[u8], file: &Path, host: &str) -> Result<Found, CredentialsError> {
    if bytes.trim_ascii().is_empty() {
        return Ok(Found::Nothing);
    }
    // What serde would say of a wrong value holds the value.
    let config: Config = serde_json::from_slice(bytes).map_err(|broken| CredentialsError {
        place: file.display().to_string(),
        why: format!("it is no configuration of logins (line {}, column {})", broken.line(), broken.column()),
    })?;
    let is_meant = |key: &str| {
        let key = hostname(key);
        key == host || is_hub(host) && is_hub(key)
    };
    // An empty name for a host takes it out of the general store.
    let helper = config.cred_helpers.as_ref().and_then(|helpers| entry(helpers, server(host), is_meant));
    let helper = helper.map(|(_, name)| name).or(config.creds_store.as_ref());
    if let Some(helper) = helper.filter(|name| !name.is_empty()) {
        return Ok(Found::Helper(helper.clone()));
    }
    let login = match config.auths.as_ref().and_then(|auths| entry(auths, server(host), is_meant)) {
        Some((key, entry)) => entry.login(key, file)?,
        None => None,
    };
    Ok(login.map_or(Found::Nothing, Found::Login))
}

/// Whether a host is Docker Hub.
fn is_hub(host: &str) -> bool {
    DOCKER_HUB_HOSTS.contains(&host)
}

/// The name of a host for helpers.
fn server(host: &str) -> &str {
    if is_hub(host) { DOCKER_HUB } else { host }
}

impl Logins {
    /// No logins at all.
    pub fn none() -> Self {
        Self { docker: None, podman: None, helpers: None, deadline: HELPER_DEADLINE }
    }

    /// The places that the environment names: `DOCKER_CONFIG` or `HOME/.docker`, and `REGISTRY_AUTH_FILE` or
    /// `XDG_RUNTIME_DIR/containers`.
    pub fn from_env(env: impl Fn(&str) -> Option<OsString>) -> Self {
        let path = |name: &str| env(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let docker = path("DOCKER_CONFIG").or_else(|| Some(path("HOME")?.join(".docker")));
        let podman = || Some(path("XDG_RUNTIME_DIR")?.join("containers/auth.json"));
        Self {
            docker: docker.map(|folder| folder.join("config.json")),
            podman: path("REGISTRY_AUTH_FILE").or_else(podman),
            ..Self::none()
        }
    }

    /// The login for a host with its port, if there is one. Reads files and may run a helper: it blocks.
    ///
    /// # Errors
    /// When a file is broken, or a helper fails. A file that does not exist is no error.
    pub fn find(&self, host: &str) -> Result<Option<Login>, CredentialsError> {
        for file in [&self.docker, &self.podman].into_iter().flatten() {
            let Some(bytes) = read(file)? else { continue };
            let login = match parse_logins(&bytes, file, host)? {
                Found::Login(login) => Some(login),
                Found::Helper(helper) => self.ask(&helper, server(host), file)?,
                Found::Nothing => None,
            };
            if login.is_some() {
                return Ok(login);
            }
        }
        Ok(None)
    }

    /// The places, for messages.
    pub(super) fn places(&self) -> String {
        let places = [&self.docker, &self.podman].into_iter().flatten().map(|file| file.display().to_string());
        places.collect::<Vec<_>>().join(" or ")
    }

    /// Asks `docker-credential-NAME get`: the server is its stdin, and its stdout never part of a message.
    fn ask(&self, name: &str, server: &str, file: &Path) -> Result<Option<Login>, CredentialsError> {
        let program = format!("docker-credential-{name}");
        let error = |why: String| CredentialsError { place: file.display().to_string(), why };
        if name.contains(['/', '\0']) {
            return Err(error(format!("`{}` is no name of a credential helper", name.escape_debug())));
        }
        let mut command = Command::new(&program);
        command.arg("get");
        if let Some(helpers) = &self.helpers {
            command.env("PATH", helpers);
        }
        let limits = Limits { deadline: self.deadline, output: MAX_ANSWER };
        let ended = process::converse(command, server.as_bytes().to_vec(), limits);
        let ended = ended.map_err(|failure| error(format!("its credential helper {failure}")))?;
        if !ended.status.success() {
            // The one failure that Docker tells from all others, by these words.
            return match String::from_utf8_lossy(&ended.stdout).contains("credentials not found") {
                true => Ok(None),
                false => Err(error(format!(
                    "its credential helper `{program}` failed ({}); `echo {server} | {program} get` says why",
                    ended.status
                ))),
            };
        }
        let answer: HelperAnswer = serde_json::from_slice(&ended.stdout)
            .map_err(|_| error(format!("its credential helper `{program}` gave an answer that is no login")))?;
        let secret = Secret::new(answer.secret);
        let kind = match &*answer.username {
            "<token>" => LoginKind::Identity(secret),
            _ => LoginKind::Password { user: Secret::new(answer.username), password: secret },
        };
        Ok(Some(Login { kind, source: format!("`{program}`, which {} names", file.display()) }))
    }
}

impl Entry {
    fn login(&self, key: &str, file: &Path) -> Result<Option<Login>, CredentialsError> {
        let source = file.display().to_string();
        if !self.identitytoken.is_empty() {
            return Ok(Some(Login { kind: LoginKind::Identity(Secret::new(&*self.identitytoken)), source }));
        }
        let (user, password) = if self.auth.is_empty() {
            (self.username.clone(), self.password.clone())
        } else {
            let decoded = STANDARD.decode(self.auth.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            let pair = decoded.as_deref().and_then(|text| text.split_once(':'));
            let (user, password) = pair.ok_or_else(|| CredentialsError {
                place: source.clone(),
                why: format!("`auth` of `{}` is not USER:PASSWORD in base64", key.escape_debug()),
            })?;
            // Old versions of Docker padded it.
            (user.to_owned(), password.trim_end_matches('\0').to_owned())
        };
        let kind = LoginKind::Password { user: Secret::new(&*user), password: Secret::new(password) };
        Ok((!user.is_empty()).then_some(Login { kind, source }))
    }
}

/// The entry of a server, or else the first one that is meant.
fn entry<'a, T>(
    all: &'a BTreeMap<String, T>,
    server: &str,
    is_meant: impl Fn(&str) -> bool,
) -> Option<(&'a String, &'a T)> {
    all.get_key_value(server).or_else(|| all.iter().find(|(key, _)| is_meant(key)))
}

/// The host of a key, which may be an address.
fn hostname(key: &str) -> &str {
    let key = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    // Podman's keys for a part of a registry are not for all of it; addresses in Docker's files end in /v1/ or /v2/.
    match key.split_once('/') {
        Some((host, "" | "v1" | "v1/" | "v2" | "v2/")) => host,
        _ => key,
    }
}

fn read(file: &Path) -> Result<Option<Vec<u8>>, CredentialsError> {
    let error = |why: String| CredentialsError { place: file.display().to_string(), why };
    let mut bytes = Vec::new();
    match File::open(file).and_then(|opened| opened.take(MAX_FILE + 1).read_to_end(&mut bytes)) {
        Ok(_) if bytes.len() as u64 > MAX_FILE => Err(error(format!("it is larger than {MAX_FILE} bytes"))),
        Ok(_) => Ok(Some(bytes)),
        Err(failure) if failure.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(failure) => Err(error(failure.to_string())),
    }
}
