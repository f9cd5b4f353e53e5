//! What a cache stood for before a build, and its return where the build was no good.

use super::place::Slot;
use crate::model::{Digest, ImageRef};
use crate::registry::{RawManifest, Registry, RegistryError, RegistryErrorKind, if_found};

/// What a cache stood for before a build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Before {
    /// The cache.
    pub slot: Slot,
    /// Where it is.
    pub reference: ImageRef,
    /// What was there.
    manifest: Option<RawManifest>,
}

/// What became of a cache that was to be put back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PutBack {
    /// It stands for what it stood for: nothing was written.
    Unchanged,
    /// It stands for this again.
    Restored(Digest),
    /// There was none before, and there is none now.
    Deleted,
    /// There was none before, and the registry does not delete: it stands for what the bad build has left.
    Undeletable,
}

/// Remembers what a cache stands for.
///
/// # Errors
/// When the registry can't be asked. Then nothing may be written there that is to be put back.
pub async fn remember(registry: &impl Registry, slot: Slot, reference: ImageRef) -> Result<Before, RegistryError> {
    let manifest = if_found(registry.raw(&reference, None).await)?;
    Ok(Before { slot, reference, manifest })
}

/// Has a cache stand for what it stood for before.
///
/// # Errors
/// When the registry can't be asked, or does not take back what it had.
pub async fn put_back(registry: &impl Registry, before: &Before) -> Result<PutBack, RegistryError> {
    let Before { reference, manifest, .. } = before;
    let now = if_found(registry.raw(reference, None).await)?.map(|raw| raw.digest);
    match (now, manifest) {
        (None, None) => Ok(PutBack::Unchanged),
        (Some(now), Some(before)) if now == before.digest => Ok(PutBack::Unchanged),
        (_, Some(RawManifest { digest, media_type, bytes })) => {
            registry.push_manifest(reference, media_type, bytes.clone()).await?;
            Ok(PutBack::Restored(digest.clone()))
        }
        (Some(now), None) => match registry.delete(reference, &now).await {
            Ok(()) => Ok(PutBack::Deleted),
            Err(RegistryError { kind: RegistryErrorKind::NotFound { .. }, .. }) => Ok(PutBack::Deleted),
            Err(RegistryError { kind: RegistryErrorKind::Server { status: 400..=499, .. }, .. }) => {
                Ok(PutBack::Undeletable)
            }
            Err(error) => Err(error),
        },
    }
}
