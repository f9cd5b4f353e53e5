//! Where a catalog's builds tell other programs what happens.

use std::fmt;
use std::str::FromStr;

/// What subjects begin with where nothing else is said.
pub const DEFAULT_PREFIX: &str = "lamina";

/// `events` of the catalog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Events {
    /// The servers; none where nothing is told.
    pub servers: NatsServers,
    /// What subjects begin with.
    pub prefix: String,
    /// The subjects' second part; the catalog's name where it is absent.
    pub workspace: Option<String>,
}

impl Default for Events {
    fn default() -> Self {
        Self { servers: NatsServers::default(), prefix: DEFAULT_PREFIX.to_owned(), workspace: None }
    }
}

/// Servers of one NATS: `nats://HOST[:PORT]` or `tls://HOST[:PORT]`, separated by commas. An empty text is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NatsServers(Vec<String>);

/// A text that names no servers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NatsServersError {
    /// It is no address.
    #[error("`{0}` is no address of a NATS server: write nats://HOST:PORT or tls://HOST:PORT")]
    Address(String),
    /// It has a login in it, which is not repeated here.
    #[error("an address holds no login: give it in a file (--events-creds, --events-nkey)")]
    Login,
}

impl NatsServers {
    /// The addresses, with their scheme.
    pub fn addresses(&self) -> &[String] {
        &self.0
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromStr for NatsServers {
    type Err = NatsServersError;

    fn from_str(text: &str) -> Result<Self, NatsServersError> {
        let address = |address: &str| {
            let (scheme, host) = address.split_once("://").unwrap_or(("nats", address));
            if host.contains('@') {
                return Err(NatsServersError::Login);
            }
            let is_host = !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_:[]".contains(&b));
            match is_host && ["nats", "tls"].contains(&scheme) {
                true => Ok(format!("{scheme}://{host}")),
                false => Err(NatsServersError::Address(address.chars().take(200).collect())),
            }
        };
        let parts = text.split(',').map(|part| part.trim().trim_end_matches('/')).filter(|part| !part.is_empty());
        parts.map(address).collect::<Result<_, _>>().map(Self)
    }
}

impl fmt::Display for NatsServers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(", "))
    }
}

/// Whether a text can be one part of a subject.
pub fn is_subject_token(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 128
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
}

/// Whether a text can be the beginning of a subject: parts with dots between them.
pub fn is_subject(text: &str) -> bool {
    text.len() <= 256 && text.split('.').all(is_subject_token)
}
