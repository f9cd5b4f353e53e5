//! Why a registry gave no answer that can be used.

use std::time::Duration;

use crate::model::ImageRef;

/// Why a registry gave no answer that can be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {kind}", image.familiar())]
pub struct RegistryError {
    /// The image that was asked for.
    pub image: ImageRef,
    /// The host that was asked: the image's own registry, or its mirror.
    pub host: String,
    /// What went wrong.
    #[source]
    pub kind: RegistryErrorKind,
}

/// What went wrong, by what the caller can do about it. No text holds a secret.
#[derive(Debug, thiserror::Error)]
pub enum RegistryErrorKind {
    /// No answer: the name does not resolve, the connection was refused or broke, TLS failed, time ran out.
    #[error("{host} can't be reached: {why}")]
    Unreachable {
        /// The host.
        host: String,
        /// What happened.
        why: String,
    },
    /// The login is missing, wrong, or not good for this repository.
    #[error("{host} wants a login: {tried}")]
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
    #[error("{host} limits the rate of requests")]
    RateLimited {
        /// The host.
        host: String,
        /// How long it asked to wait.
        retry_after: Option<Duration>,
    },
    /// The server failed.
    #[error("{host} failed with status {status}")]
    Server {
        /// The host.
        host: String,
        /// The HTTP status.
        status: u16,
        /// How long it asked to wait.
        retry_after: Option<Duration>,
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
