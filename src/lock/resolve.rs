//! What registries say of images. All are asked at the same time; how many requests are under way is the registry's
//! to bound.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;

use crate::model::{Digest, ImageRef};
use crate::registry::{Manifest, Registry, RegistryError};

/// The manifests of images.
pub async fn manifests<'a>(
    registry: &impl Registry,
    images: impl IntoIterator<Item = &'a ImageRef>,
) -> BTreeMap<&'a ImageRef, Result<Manifest, RegistryError>> {
    let ask = |image: &'a ImageRef| async move { (image, registry.manifest(image).await) };
    join_all(images.into_iter().map(ask)).await.into_iter().collect()
}

/// The digests of images, without transferring their manifests: good for a comparison, not for a pin.
pub async fn digests<'a>(
    registry: &impl Registry,
    images: impl IntoIterator<Item = &'a ImageRef>,
) -> BTreeMap<&'a ImageRef, Result<Digest, RegistryError>> {
    let ask = |image: &'a ImageRef| async move { (image, registry.digest(image).await) };
    join_all(images.into_iter().map(ask)).await.into_iter().collect()
}

/// A repository: the registry's host, and the name in it.
pub type Repository<'a> = (&'a str, &'a str);

/// The repository of an image.
pub fn repository(image: &ImageRef) -> Repository<'_> {
    (image.registry(), image.repository())
}

/// The tags beside images; each repository is asked once.
pub async fn tags<'a>(
    registry: &impl Registry,
    images: impl IntoIterator<Item = &'a ImageRef>,
) -> BTreeMap<Repository<'a>, Result<Vec<String>, RegistryError>> {
    let mut seen = BTreeSet::new();
    let first = images.into_iter().filter(|image| seen.insert(repository(image))).collect::<Vec<_>>();
    let ask = |image: &'a ImageRef| async move { (repository(image), registry.tags(image).await) };
    join_all(first.into_iter().map(ask)).await.into_iter().collect()
}
