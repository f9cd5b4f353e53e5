//! Images in registries: what a tag stands for, which tags there are, and what is put there.
//!
//! [`Registry`] is all that the rest of lamina knows of it. Start reading there; `client` and `push` speak the OCI
//! distribution protocol, `transport` sends a single request, `auth` answers a registry that asks who we are, `retry` repeats what
//! may succeed a second time, `credentials` reads Docker's logins. What registries send is read in `wire` (bodies) and
//! `headers`, by pure functions.
//!
//! ```no_run
//! use lamina::registry::{self, Options, Registry};
//!
//! let registries = registry::open(&Options::default())?;
//! let image = "debian:trixie-slim".parse()?;
//! let manifest = registry::block_on(registries.manifest(&image))??;
//! println!("{}", manifest.digest);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod auth;
mod client;
mod crate_index;
mod credentials;
mod error;
mod headers;
mod image;
mod links;
mod options;
mod patience;
mod push;
mod retry;
mod transport;
mod wire;

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::OnceLock;

use tokio::runtime::{Builder, Runtime};

pub use client::Client;
pub use crate_index::{CRATES_IO, CrateIndex};
pub use credentials::{CredentialsError, Found, Login, LoginKind, Logins, parse_logins};
pub use error::{RegistryError, RegistryErrorKind, SetupError, if_found};
pub use headers::{Challenge, parse_challenges, parse_next_link, parse_retry_after};
pub use image::{compressed_size, config, platforms};
pub use links::{Links, parse_links};
pub use options::Options;
pub use retry::{Retry, RetryPolicy};
pub use wire::{
    Config, Content, Descriptor, WireError, parse_config, parse_content, parse_manifest, parse_repositories, parse_tags,
};

use crate::model::{Digest, ImageRef, Platform};

/// A registry, or all of them: each image's reference says which one is meant.
pub trait Registry: Sync {
    /// What a tag stands for at this moment, as the registry says it, without transferring the manifest. It is good
    /// for a comparison with a pin and never for a pin: nothing has been verified.
    ///
    /// # Errors
    /// When the registry can't be asked, or does not know the tag.
    fn digest(&self, image: &ImageRef) -> impl Future<Output = Result<Digest, RegistryError>> + Send;

    /// The manifest or index that a tag stands for. Its digest is that of the very bytes that were received.
    ///
    /// # Errors
    /// When the registry can't be asked, does not know the tag, or its answer is no manifest or contradicts itself.
    fn manifest(&self, image: &ImageRef) -> impl Future<Output = Result<Manifest, RegistryError>> + Send;

    /// All tags of the repository of an image, in no particular order.
    ///
    /// # Errors
    /// When the registry can't be asked, does not know the repository, or its answer is no list of tags.
    fn tags(&self, image: &ImageRef) -> impl Future<Output = Result<Vec<String>, RegistryError>> + Send;

    /// The very bytes of a manifest or an index: of `digest` in the image's repository, or else of what the tag stands
    /// for.
    ///
    /// # Errors
    /// When the registry can't be asked, does not have it, or the bytes are no manifest or not those of the digest.
    fn raw(
        &self,
        image: &ImageRef,
        digest: Option<&Digest>,
    ) -> impl Future<Output = Result<RawManifest, RegistryError>> + Send;

    /// Content by its digest, of at most `limit` bytes, from the image's repository. The bytes are those of the digest.
    ///
    /// # Errors
    /// When the registry can't be asked or does not have it, and where it is larger or has another digest.
    fn blob(
        &self,
        image: &ImageRef,
        digest: &Digest,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<u8>, RegistryError>> + Send;

    /// Puts content into the image's repository, where it is not there yet; never into a mirror.
    ///
    /// # Errors
    /// When the registry can't be asked, or does not take it.
    fn push_blob(&self, image: &ImageRef, bytes: Vec<u8>) -> impl Future<Output = Result<Blob, RegistryError>> + Send;

    /// Puts a manifest or an index under the image's tag, which stands for it from then on; never into a mirror.
    ///
    /// # Errors
    /// When the registry can't be asked, does not take it, or says that it took something else.
    fn push_manifest(
        &self,
        image: &ImageRef,
        media_type: &str,
        bytes: Vec<u8>,
    ) -> impl Future<Output = Result<Pushed, RegistryError>> + Send;

    /// Removes a manifest or an index from the image's repository, and with it all tags that stand for it; never from a
    /// mirror. A registry need not offer it, and says 405 then, as this does by itself.
    ///
    /// # Errors
    /// When the registry can't be asked, has no such manifest, or removes nothing.
    fn delete(&self, image: &ImageRef, digest: &Digest) -> impl Future<Output = Result<(), RegistryError>> + Send {
        let _ = digest;
        let error = not_offered(image);
        async { Err(error) }
    }

    /// The names of all repositories of the image's registry, in no particular order. A registry need not offer it, as
    /// [`Registry::delete`].
    ///
    /// # Errors
    /// When the registry can't be asked, does not say, or its answer is no list of repositories.
    fn repositories(&self, image: &ImageRef) -> impl Future<Output = Result<Vec<String>, RegistryError>> + Send {
        let error = not_offered(image);
        async { Err(error) }
    }
}

/// The error of a registry that does not know a question.
fn not_offered(image: &ImageRef) -> RegistryError {
    let host = image.registry().to_owned();
    let kind = RegistryErrorKind::Server { host: host.clone(), status: 405, retry_after: None };
    RegistryError { image: image.clone(), host: host.into(), kind }
}

/// The very bytes of a manifest or an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawManifest {
    /// Their digest.
    pub digest: Digest,
    /// Their media type: what they say themselves, or else what the registry says.
    pub media_type: String,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// Content that a registry has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blob {
    /// Its digest.
    pub digest: Digest,
    /// Whether it was sent, for it was not there before.
    pub is_new: bool,
}

/// A manifest that a registry has taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pushed {
    /// Its digest.
    pub digest: Digest,
    /// Whether the registry lists it among the referrers of its `subject` (OCI distribution 1.1); where it does not,
    /// its client has to keep that list.
    pub lists_subject: bool,
}

/// What a tag stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// The digest of the manifest or of the index.
    pub digest: Digest,
    /// The manifests of an index by platform; empty for a single manifest, which does not say its platform.
    pub platforms: BTreeMap<Platform, Digest>,
}

/// All registries, as the options say: with a bound on what is asked at the same time, and with repetition. Because of
/// the bound, any number of questions may be asked at once (`join_all`), and a slow host holds up nobody but itself for
/// as long as there are other turns.
///
/// # Errors
/// When an option is wrong, or the system has no TLS.
pub fn open(options: &Options) -> Result<Retry<Client>, SetupError> {
    Ok(Retry::new(Client::new(options)?, options.retry.clone()))
}

/// Waits for the answers of registries. All waiting is done by one thread, the caller's; the runtime lives as long as
/// the process, because connections that are kept open belong to it.
///
/// # Errors
/// When the system gives no event queue.
///
/// # Panics
/// When it is called from asynchronous code, which has a runtime already.
pub fn block_on<F: Future>(future: F) -> Result<F::Output, SetupError> {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    let runtime = match RUNTIME.get() {
        Some(runtime) => runtime,
        None => {
            let built = Builder::new_current_thread().enable_all().build();
            let built = built.map_err(|error| SetupError::System(error.to_string()))?;
            RUNTIME.get_or_init(|| built)
        }
    };
    Ok(runtime.block_on(future))
}
