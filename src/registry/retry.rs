//! Asking again, where that may help: a decorator over any registry.
//!
//! A whole question is repeated, a list of tags from its first page on. What is asked again and what is not, says
//! [`RetryPolicy`]. What is written may be repeated, too: content is named by its digest, and a tag that is put a second
//! time stands for the same.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use fastrand::Rng;

use super::error::{RegistryError, RegistryErrorKind};
use super::{Blob, Manifest, Pushed, RawManifest, Registry};
use crate::model::{Digest, ImageRef};

/// When and how often a question is repeated.
///
/// A host that can't be reached, a connection that breaks, a status of 429, 500, 502, 503 or 504 are asked again until
/// the attempts are used up; a wrong digest is asked again once, and so is a write that is refused with 400. A refused login, an image that does not exist, a
/// certificate that is not valid and an answer of the wrong form stay what they are.
#[derive(Clone, Debug)]
pub struct RetryPolicy {
    /// How often a question is asked in all; at least once.
    pub attempts: u32,
    /// The wait before the second attempt; it doubles from there on. Of each wait, a random part of up to a half is
    /// left out, so that many clients don't come back together.
    pub first_wait: Duration,
    /// The longest wait. A server that asks for more is not asked again, and the error says how long it wants.
    pub longest_wait: Duration,
    /// Where the random part comes from; without it, each one is another.
    pub seed: Option<u64>,
}

impl Default for RetryPolicy {
    /// Four attempts, after half a second, one and two; a server may ask for up to a minute.
    fn default() -> Self {
        Self { attempts: 4, first_wait: Duration::from_millis(500), longest_wait: Duration::from_secs(60), seed: None }
    }
}

/// A registry whose questions are repeated.
pub struct Retry<R> {
    inner: R,
    policy: RetryPolicy,
    random: Mutex<Rng>,
}

/// Whether an error may go away by itself.
enum Again {
    Never,
    Once,
    /// With the wait that the server asks for.
    After(Option<Duration>),
}

impl<R> Retry<R> {
    /// Asks `inner`, again where that may help.
    pub fn new(inner: R, policy: RetryPolicy) -> Self {
        let random = policy.seed.map_or_else(Rng::new, Rng::with_seed);
        Self { inner, policy, random: Mutex::new(random) }
    }

    /// Who is asked.
    pub(super) fn inner(&self) -> &R {
        &self.inner
    }

    /// Asks a question, again where that may help.
    pub(super) async fn repeat<T, E, F>(&self, ask: impl Fn() -> F) -> Result<T, E>
    where
        E: AsRef<RegistryErrorKind>,
        F: Future<Output = Result<T, E>>,
    {
        self.repeat_as(again, ask).await
    }

    /// Asks what [`RetryPolicy`] says, by another rule of what is asked again.
    async fn repeat_as<T, E, F>(&self, again: fn(&RegistryErrorKind) -> Again, ask: impl Fn() -> F) -> Result<T, E>
    where
        E: AsRef<RegistryErrorKind>,
        F: Future<Output = Result<T, E>>,
    {
        let mut contradictions = 0;
        let mut attempt = 1;
        loop {
            let error = match ask().await {
                Ok(answer) => return Ok(answer),
                Err(error) if attempt >= self.policy.attempts => return Err(error),
                Err(error) => error,
            };
            let asked = match again(error.as_ref()) {
                Again::Never => return Err(error),
                Again::Once if contradictions > 0 => return Err(error),
                Again::Once => {
                    contradictions += 1;
                    None
                }
                Again::After(asked) => asked,
            };
            if asked.is_some_and(|asked| asked > self.policy.longest_wait) {
                return Err(error);
            }
            tokio::time::sleep(self.wait(attempt).max(asked.unwrap_or_default())).await;
            attempt += 1;
        }
    }

    /// The wait after an attempt.
    fn wait(&self, attempt: u32) -> Duration {
        let doubled = 2u32.saturating_pow(attempt - 1);
        let full = self.policy.first_wait.saturating_mul(doubled).min(self.policy.longest_wait);
        full - full.mul_f64(self.random.lock().unwrap_or_else(PoisonError::into_inner).f64() / 2.0)
    }
}

fn again(kind: &RegistryErrorKind) -> Again {
    match kind {
        RegistryErrorKind::Unreachable { .. } => Again::After(None),
        RegistryErrorKind::RateLimited { retry_after, .. } => Again::After(*retry_after),
        RegistryErrorKind::Server { status: 500 | 502..=504, retry_after, .. } => Again::After(*retry_after),
        RegistryErrorKind::WrongDigest { .. } => Again::Once,
        RegistryErrorKind::Server { .. }
        | RegistryErrorKind::Tls { .. }
        | RegistryErrorKind::Unauthorized { .. }
        | RegistryErrorKind::NotFound { .. }
        | RegistryErrorKind::Malformed { .. }
        | RegistryErrorKind::Credentials { .. } => Again::Never,
    }
}

/// As [`again`], for what is written. A registry that takes the same content from two at once may refuse it to one of
/// them as not what its digest says, or a manifest as one whose content is not there; a moment later it is.
fn write_again(kind: &RegistryErrorKind) -> Again {
    match kind {
        RegistryErrorKind::Server { status: 400, .. } => Again::Once,
        other => again(other),
    }
}

impl<R: Registry> Registry for Retry<R> {
    async fn digest(&self, image: &ImageRef) -> Result<Digest, RegistryError> {
        self.repeat(|| self.inner.digest(image)).await
    }

    async fn manifest(&self, image: &ImageRef) -> Result<Manifest, RegistryError> {
        self.repeat(|| self.inner.manifest(image)).await
    }

    async fn tags(&self, image: &ImageRef) -> Result<Vec<String>, RegistryError> {
        self.repeat(|| self.inner.tags(image)).await
    }

    async fn raw(&self, image: &ImageRef, digest: Option<&Digest>) -> Result<RawManifest, RegistryError> {
        self.repeat(|| self.inner.raw(image, digest)).await
    }

    async fn blob(&self, image: &ImageRef, digest: &Digest, limit: usize) -> Result<Vec<u8>, RegistryError> {
        self.repeat(|| self.inner.blob(image, digest, limit)).await
    }

    async fn push_blob(&self, image: &ImageRef, bytes: Vec<u8>) -> Result<Blob, RegistryError> {
        self.repeat_as(write_again, || self.inner.push_blob(image, bytes.clone())).await
    }

    async fn push_manifest(&self, image: &ImageRef, media_type: &str, bytes: Vec<u8>) -> Result<Pushed, RegistryError> {
        self.repeat_as(write_again, || self.inner.push_manifest(image, media_type, bytes.clone())).await
    }

    async fn delete(&self, image: &ImageRef, digest: &Digest) -> Result<(), RegistryError> {
        self.repeat(|| self.inner.delete(image, digest)).await
    }

    async fn repositories(&self, image: &ImageRef) -> Result<Vec<String>, RegistryError> {
        self.repeat(|| self.inner.repositories(image)).await
    }
}
