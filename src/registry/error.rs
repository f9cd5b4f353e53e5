//! Why a registry gave no answer that can be used.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::model::ImageRef;

/// Why a registry gave no answer that can be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {kind}", image.familiar())]
pub struct RegistryError {
    /// The image that was asked for.
    pub image: ImageRef,
    /// The host that was asked: the image's own registry, or its mirror.
    pub host: Box<str>,
    /// What went wrong.
    #[source]
    pub kind: RegistryErrorKind,
}

impl AsRef<RegistryErrorKind> for RegistryError {
    fn as_ref(&self) -> &RegistryErrorKind {
        &self.kind
    }
}

impl AsRef<RegistryErrorKind> for RegistryErrorKind {
    fn as_ref(&self) -> &RegistryErrorKind {
        self
    }
}

/// What went wrong, by what the caller can do about it. No text holds a secret.
#[derive(Debug, thiserror::Error)]
pub enum RegistryErrorKind {
    /// No answer: the name does not resolve, the connection was refused or broke, time ran out.
    #[error("{host} can't be reached: {why}")]
    Unreachable {
        /// The host.
        host: String,
        /// What happened.
        why: String,
    },
    /// There is no trust: the certificate is not valid, or the host does not speak TLS at all.
    #[error("{host} can't be trusted: {why}")]
    Tls {
        /// The host.
        host: String,
        /// What happened.
        why: String,
    },
    /// The login is missing, wrong, or not good for this repository. Registries say the same of repositories that
    /// don't exist.
    #[error("{host} wants a login, or has no such image: {tried}")]
    Unauthorized {
        /// The host.
        host: String,
        /// Which login was tried, and where it came from; never its value.
        tried: String,
    },
    /// There is no such repository or tag.
    #[error("{host} has no such image")]
    NotFound {
        /// The host.
        host: String,
    },
    /// Too many requests, also after waiting as long as was asked for.
    #[error("{host} limits the rate of requests{}", Wait(*retry_after))]
    RateLimited {
        /// The host.
        host: String,
        /// How long it asked to wait.
        retry_after: Option<Duration>,
    },
    /// The server failed, or refused for a reason that is no other kind.
    #[error("{host} failed with status {status}{}", Wait(*retry_after))]
    Server {
        /// The host.
        host: String,
        /// The HTTP status.
        status: u16,
        /// How long it asked to wait.
        retry_after: Option<Duration>,
    },
    /// The bytes are not those that the registry announced: broken on the way, or a registry that contradicts itself.
    #[error("{host} gave an answer that can't be trusted: {why}")]
    WrongDigest {
        /// The host.
        host: String,
        /// Both digests: what was announced, what was received.
        why: String,
    },
    /// An answer that is broken, too large, or contradicts itself: it is never used.
    #[error("{host} gave an answer that can't be trusted: {why}")]
    Malformed {
        /// The host.
        host: String,
        /// What is wrong with it.
        why: String,
    },
    /// The credentials can't be read: Docker's configuration is broken, or its helper failed.
    #[error("the login for {host} can't be read: {why}")]
    Credentials {
        /// The host.
        host: String,
        /// What went wrong.
        why: String,
    },
}

/// Why no registry can be asked at all: an option is wrong.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// A mirror is no host.
    #[error("the mirror `{mirror}` of {registry} is no host: write HOST[:PORT][/PREFIX], without https://")]
    Mirror {
        /// The registry that it stands in for.
        registry: String,
        /// As it was written.
        mirror: String,
    },
    /// An entry of `plain_http` is no host.
    #[error("`{0}` in plain_http is no host: write HOST[:PORT], without http://")]
    PlainHttp(String),
    /// A file of certificate authorities can't be used.
    #[error("the certificate authorities in {} can't be used: {why}", file.display())]
    Authorities {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The system gives no sockets, or no TLS.
    #[error("requests to registries can't be made: {0}")]
    System(String),
}

/// What a registry has; nothing where it says that there is no such thing. That it can't say stays an error.
///
/// # Errors
/// All but that it is not there.
pub fn if_found<T>(answer: Result<T, RegistryError>) -> Result<Option<T>, RegistryError> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(RegistryError { kind: RegistryErrorKind::NotFound { .. }, .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// How long a server asked to wait, at the end of a sentence.
struct Wait(Option<Duration>);

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |time| write!(f, "; it asks to wait {} s", time.as_secs()))
    }
}
