//! A registry that forgets nothing, and often fails: before it acts, or after.

use std::collections::BTreeMap;
use std::sync::Arc;

use lamina::model::{Digest, ImageRef};
use lamina::registry::{Blob, Manifest, Pushed, RawManifest, Registry, RegistryError, RegistryErrorKind};

use crate::world::{World, digest_of};

/// The registry of a world.
pub struct Simulated(pub Arc<World>);

impl Simulated {
    /// Takes a while, and maybe fails.
    async fn trouble(&self, image: &ImageRef) -> Result<(), RegistryError> {
        self.0.wait_up_to(2_000).await;
        if !self.0.fails(0.04) {
            return Ok(());
        }
        self.0.count(|totals| totals.registry_failures += 1);
        let host = image.registry().to_owned();
        let kind = match self.0.chance(0.5) {
            true => RegistryErrorKind::Server { host, status: 503, retry_after: None },
            false => RegistryErrorKind::Unreachable { host, why: "the connection broke".to_owned() },
        };
        Err(RegistryError { image: image.clone(), host: image.registry().into(), kind })
    }

    fn missing(image: &ImageRef) -> RegistryError {
        let kind = RegistryErrorKind::NotFound { host: image.registry().to_owned() };
        RegistryError { image: image.clone(), host: image.registry().into(), kind }
    }
}

impl Registry for Simulated {
    async fn digest(&self, image: &ImageRef) -> Result<Digest, RegistryError> {
        self.trouble(image).await?;
        self.0.tag(image).ok_or_else(|| Self::missing(image))
    }

    async fn manifest(&self, image: &ImageRef) -> Result<Manifest, RegistryError> {
        let digest = self.digest(image).await?;
        Ok(Manifest { digest, platforms: BTreeMap::new() })
    }

    async fn tags(&self, image: &ImageRef) -> Result<Vec<String>, RegistryError> {
        self.trouble(image).await?;
        Ok(self.0.tags(image))
    }

    async fn raw(&self, image: &ImageRef, digest: Option<&Digest>) -> Result<RawManifest, RegistryError> {
        self.trouble(image).await?;
        let digest = match digest {
            Some(digest) => digest.clone(),
            None => self.0.tag(image).ok_or_else(|| Self::missing(image))?,
        };
        let (media_type, bytes) = self.0.manifest(&digest).ok_or_else(|| Self::missing(image))?;
        Ok(RawManifest { digest, media_type, bytes })
    }

    async fn blob(&self, image: &ImageRef, digest: &Digest, _: usize) -> Result<Vec<u8>, RegistryError> {
        self.trouble(image).await?;
        self.0.blob(digest).ok_or_else(|| Self::missing(image))
    }

    async fn push_blob(&self, image: &ImageRef, bytes: Vec<u8>) -> Result<Blob, RegistryError> {
        self.trouble(image).await?;
        let digest = digest_of(&bytes);
        let is_new = self.0.keep_blob(&digest, bytes);
        // The answer may be lost although the work was done.
        self.trouble(image).await?;
        Ok(Blob { digest, is_new })
    }

    async fn push_manifest(&self, image: &ImageRef, media_type: &str, bytes: Vec<u8>) -> Result<Pushed, RegistryError> {
        self.trouble(image).await?;
        let digest = digest_of(&bytes);
        self.0.put(image, &digest, media_type, bytes);
        self.trouble(image).await?;
        Ok(Pushed { digest, lists_subject: true })
    }
}
