//! External images in registries: what a tag stands for, and which tags there are.
//!
//! [`Registry`] is all that the rest of lamina knows of it. Start reading there; `client` speaks the OCI distribution
//! protocol, `retry` repeats what may succeed a second time, `credentials` reads Docker's logins.

mod error;

use std::collections::BTreeMap;
use std::future::Future;

pub use error::{RegistryError, RegistryErrorKind};

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
}

/// What a tag stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// The digest of the manifest or of the index.
    pub digest: Digest,
    /// The manifests of an index by platform; empty for a single manifest, which does not say its platform.
    pub platforms: BTreeMap<Platform, Digest>,
}
