//! The environment that clients get, and what is read from it.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

/// The variables that clients get. With a star at its end: all that begin so.
pub(super) const PASSED: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "TMPDIR",
    "XDG_*",
    "DOCKER_*",
    "BUILDX_*",
    "BUILDKIT_*",
    "SSH_AUTH_SOCK",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "all_proxy",
];

/// Variables, as a process has them.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<OsString, OsString>);

impl Environment {
    /// That of this process.
    pub fn of_process() -> Self {
        std::env::vars_os().collect()
    }

    /// A variable's value, where it is set and not empty.
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        self.0.get(OsStr::new(name)).map(OsString::as_os_str).filter(|value| !value.is_empty())
    }

    /// All variables, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.0.iter().map(|(name, value)| (name.as_os_str(), value.as_os_str()))
    }

    /// A variable's value as text, where it is one.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.to_str()
    }

    /// The same with a variable set.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.0.insert(name.into(), value.into());
        self
    }

    /// The same without a variable.
    pub fn without(mut self, name: &str) -> Self {
        self.0.remove(OsStr::new(name));
        self
    }

    /// The folder of Docker's configuration.
    pub(super) fn docker_config(&self) -> Option<PathBuf> {
        let own = self.get("DOCKER_CONFIG").map(PathBuf::from);
        own.or_else(|| Some(PathBuf::from(self.get("HOME")?).join(".docker")))
    }

    /// What a client, or a provider's program, gets of it: what it needs, and the named variables besides.
    pub fn passed<'a>(&self, named: impl Iterator<Item = &'a str>) -> BTreeMap<OsString, OsString> {
        let passes = |name: &str| {
            PASSED.iter().any(|passed| match passed.strip_suffix('*') {
                Some(start) => name.starts_with(start),
                None => name == *passed,
            })
        };
        let general = self.0.iter().filter(|(name, _)| name.to_str().is_some_and(passes));
        let named = named.filter_map(|name| self.0.get_key_value(OsStr::new(name)));
        general.chain(named).map(|(name, value)| (name.clone(), value.clone())).collect()
    }
}

impl<N: Into<OsString>, V: Into<OsString>> FromIterator<(N, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Self {
        Self(variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

impl std::fmt::Debug for Environment {
    /// The names alone: values may be secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
