//! What registries say of images. All are asked at the same time; how many requests are under way is the registry's
//! to bound.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;

use crate::model::{Digest, ImageRef};
use crate::registry::{Manifest, Registry, RegistryError};

/// Asks about each image at the same time; the answers by image.
pub async fn each<'a, A, F: Future<Output = A>>(
    images: impl IntoIterator<Item = &'a ImageRef>,
    ask: impl Fn(&'a ImageRef) -> F,
) -> BTreeMap<&'a ImageRef, A> {
    let ask = &ask;
    join_all(images.into_iter().map(|image| async move { (image, ask(image).await) })).await.into_iter().collect()
}

/// The manifests of images.
pub async fn manifests<'a>(
    registry: &impl Registry,
    images: impl IntoIterator<Item = &'a ImageRef>,
) -> BTreeMap<&'a ImageRef, Result<Manifest, RegistryError>> {
    each(images, |image| registry.manifest(image)).await
}

/// The digests of images, without transferring their manifests: good for a comparison, not for a pin.
pub async fn digests<'a>(
    registry: &impl Registry,
    images: impl IntoIterator<Item = &'a ImageRef>,
) -> BTreeMap<&'a ImageRef, Result<Digest, RegistryError>> {
    each(images, |image| registry.digest(image)).await
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
    let first: Vec<_> = images.into_iter().filter(|image| seen.insert(repository(image))).collect();
    let answers = each(first, |image| registry.tags(image)).await;
    answers.into_iter().map(|(image, tags)| (repository(image), tags)).collect()
}
