//! Tags for people: moved to an image that is proven, and only then.

use futures_util::future::try_join_all;

use super::record::is_proven;
use crate::model::{Digest, ImageError, ImageRef};
use crate::registry::{Registry, RegistryError, if_found};
use crate::snapshot::Probes;

/// A tag that stands for another image now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// The tag.
    pub tag: ImageRef,
    /// What it stood for before.
    pub before: Option<Digest>,
}

/// Why tags could not be moved.
#[derive(Debug, thiserror::Error)]
pub enum PromoteError {
    /// Nobody has proven the image.
    #[error("{image}@{} is not proven, so no tag moves to it: the registry has no tag {proof}", digest.short())]
    Unproven {
        /// The image.
        image: Box<ImageRef>,
        /// Its digest.
        digest: Digest,
        /// The tag that its proof would have.
        proof: String,
    },
    /// Somebody who is asked says no.
    #[error("the tags of {} stay where they are: {why}", image.familiar())]
    Refused {
        /// The image that they were to move to.
        image: Box<ImageRef>,
        /// Why.
        why: String,
    },
    /// A text is no tag.
    #[error(transparent)]
    Tag(#[from] ImageError),
    /// A registry can't be asked, or does not take a tag.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

/// Has tags stand for an image, for all its platforms at once: each is given the very manifest of the digest. A tag
/// that stands for it already is left alone. `moved` is told of each tag that was moved, also before an error.
///
/// An image without probes needs no proof. `allowed` is asked last, and only where a tag is to move.
///
/// # Errors
/// When the image is not proven, or it is not allowed: then nothing is moved; and when the registry fails.
pub async fn promote(
    registry: &impl Registry,
    image: &ImageRef,
    digest: &Digest,
    tags: &[String],
    probes: &Probes<'_>,
    allowed: impl AsyncFnOnce() -> Result<(), String>,
    moved: &mut (dyn FnMut(Moved) + Send),
) -> Result<(), PromoteError> {
    let tags = tags.iter().map(|tag| image.with_tag(tag)).collect::<Result<Vec<_>, _>>()?;
    let stands_for = async |tag: ImageRef| if_found(registry.digest(&tag).await).map(|now| (tag, now));
    let mut to_move = try_join_all(tags.into_iter().map(stands_for)).await?;
    to_move.retain(|(_, before)| before.as_ref() != Some(digest));
    if to_move.is_empty() {
        return Ok(());
    }
    if !probes.is_empty() && !is_proven(registry, image, digest).await? {
        let (image, digest) = (Box::new(image.clone()), digest.clone());
        return Err(PromoteError::Unproven { proof: Probes::tag(&digest), image, digest });
    }
    let refused = |why| PromoteError::Refused { image: Box::new(image.clone()), why };
    allowed().await.map_err(refused)?;
    let manifest = registry.raw(image, Some(digest)).await?;
    for (tag, before) in to_move {
        registry.push_manifest(&tag, &manifest.media_type, manifest.bytes.clone()).await?;
        moved(Moved { tag, before });
    }
    Ok(())
}
