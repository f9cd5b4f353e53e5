//! What the layers of a catalog have cooked: the unit manifests of their images, as registries have them beside each
//! image, kept on this machine.
//!
//! [`manifests`] reads them for any number of layers at the same time, [`summaries`] only what a comparison of locks
//! needs, [`manifest_of`] that of one image, [`sizes`] what pulling the images takes. What is known already is taken from the [`Store`] and asked of nobody:
//! a tag `fp-…` names inputs, and a digest names the very bytes.

mod remote;
mod store;

use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream;
use rayon::prelude::*;

pub use remote::tag;
pub use store::{Among, Store, Summary};

use crate::model::{Digest, ImageRef, Layer, LayerName};
use crate::registry::{Registry, RegistryError, if_found};
use crate::snapshot::Snapshot;
use crate::unit::{Manifest, ManifestError};

/// How many layers are asked about at the same time; how many requests are under way, the registry's options say.
const AT_A_TIME: usize = 64;

/// An image of a layer that has a unit manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The layer.
    pub layer: LayerName,
    /// The image, by the tag that it was found under.
    pub image: ImageRef,
    /// The image.
    pub digest: Digest,
    /// Whether it was made from the layer's inputs as they are now. If not, it is the last one that was promoted.
    pub current: bool,
}

/// Why there is no unit manifest of a layer.
#[derive(Debug, thiserror::Error)]
pub enum Missing {
    /// The layer compiles nothing ahead.
    #[error("it cooks nothing")]
    NotCooked,
    /// The layer has no fingerprint, or its image no name.
    #[error("its image has no name: `lamina validate` says why")]
    Unnamed,
    /// The registry has no image of the layer: neither of its inputs as they are, nor a promoted one.
    #[error("the registry has no image of it")]
    NotBuilt,
    /// The image has no unit manifest beside it.
    #[error("{image}@{} has no unit manifest", digest.short())]
    NoManifest {
        /// The image.
        image: Box<ImageRef>,
        /// Its digest.
        digest: Digest,
    },
    /// What is there can't be used.
    #[error("the unit manifest of {image}@{} can't be used: {why}", digest.short())]
    Unusable {
        /// The image.
        image: Box<ImageRef>,
        /// Its digest.
        digest: Digest,
        /// What is wrong with it.
        why: ManifestError,
    },
    /// The registry can't be asked, and what it said earlier is not known here.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// Nothing is known here, and the registry was not to be asked.
    #[error("its unit manifest is not known on this machine")]
    Offline,
}

/// The unit manifest of an image, which is named by the tag that it was found under.
///
/// # Errors
/// When there is none that can be used, or the registry can't be asked. Without a registry, when it is not known here.
pub async fn manifest_of<R: Registry>(
    registry: Option<&R>,
    store: &mut Store,
    image: &ImageRef,
    digest: &Digest,
) -> Result<Arc<Manifest>, Missing> {
    if let Some(manifest) = store.manifest(digest) {
        return Ok(manifest);
    }
    let fetched = fetch(registry.ok_or(Missing::Offline)?, image, digest).await?;
    let manifest = store.insert(digest, fetched);
    store.remember(image, digest);
    store.save();
    Ok(manifest)
}

/// The unit manifests of layers, in the order of the layers: of the image that was made from a layer's inputs as they
/// are now, or else of its last promoted one.
pub async fn manifests<R: Registry>(
    registry: Option<&R>,
    store: &mut Store,
    snapshot: &Snapshot,
    layers: &[&LayerName],
) -> Vec<Result<(Found, Arc<Manifest>), Missing>> {
    let asked = Asked::new(snapshot, layers);
    let known = asked.par_iter().map(|asked| {
        let found = asked.as_ref().ok()?.known(store)?;
        Some((store.manifest(&found.digest)?, found))
    });
    let known: Vec<_> = known.collect();
    let (mut known, found): (Vec<_>, Vec<_>) = known.into_iter().map(Option::unzip).unzip();
    let answers = complete(registry, store, &asked, found).await;
    let with_manifest = |(place, answer): (usize, Result<Found, Missing>)| {
        let found = answer?;
        match known[place].take().or_else(|| store.manifest(&found.digest)) {
            Some(manifest) => Ok((found, manifest)),
            // It was there a moment ago, and what is torn now is read again the next time.
            None => Err(Missing::Offline),
        }
    };
    answers.into_iter().enumerate().map(with_manifest).collect()
}

/// Which images of layers have a unit manifest, in the order of the layers; [`Store::summary`] tells what is in them.
/// It is many times cheaper than [`manifests`], which it is otherwise like.
pub async fn summaries<R: Registry>(
    registry: Option<&R>,
    store: &mut Store,
    snapshot: &Snapshot,
    layers: &[&LayerName],
) -> Vec<Result<Found, Missing>> {
    let asked = Asked::new(snapshot, layers);
    let known = asked.iter().map(|asked| asked.as_ref().ok()?.known(store)).collect();
    complete(registry, store, &asked, known).await
}

/// Finds out what pulling these images takes, and keeps it: [`Store::pull_bytes`] tells. What registries don't say stays
/// unknown.
pub async fn sizes<R: Registry>(registry: &R, store: &mut Store, found: &[&Found]) {
    let open: Vec<&Found> = found.iter().copied().filter(|found| store.pull_bytes(&found.digest).is_none()).collect();
    let asking = open
        .into_iter()
        .map(|found| async move { (found, remote::pull_bytes(registry, &found.image, &found.digest).await) });
    let answers: Vec<_> = stream::iter(asking).buffer_unordered(AT_A_TIME).collect().await;
    for (found, bytes) in answers {
        bytes.into_iter().for_each(|bytes| store.remember_bytes(&found.digest, bytes));
    }
    store.save();
}

/// Asks for what is not known, and keeps it.
async fn complete<R: Registry>(
    registry: Option<&R>,
    store: &mut Store,
    asked: &[Question<'_>],
    known: Vec<Option<Found>>,
) -> Vec<Result<Found, Missing>> {
    let mut answers: Vec<Option<Result<Found, Missing>>> = Vec::new();
    let mut open = Vec::new();
    for (place, (asked, known)) in asked.iter().zip(known).enumerate() {
        answers.push(match (asked, known) {
            (Err(missing), _) => Some(Err(missing())),
            (Ok(_), Some(found)) => Some(Ok(found)),
            (Ok(asked), None) => {
                open.push((place, asked));
                None
            }
        });
    }
    let Some(registry) = registry else {
        for (place, asked) in open {
            answers[place] = Some(asked.last_known(store).ok_or(Missing::Offline));
        }
        return answers.into_iter().map(|answer| answer.unwrap_or(Err(Missing::Offline))).collect();
    };
    let asking = open.iter().map(|(place, asked)| async move { (*place, *asked, asked.ask(registry).await) });
    let asking: Vec<_> = stream::iter(asking).buffer_unordered(AT_A_TIME).collect().await;
    let mut to_fetch = Vec::new();
    for (place, asked, answer) in asking {
        answers[place] = match answer {
            Ok(found) if store.manifest(&found.digest).is_none() => {
                to_fetch.push((place, found));
                None
            }
            Ok(found) => {
                store.remember(&found.image, &found.digest);
                Some(Ok(found))
            }
            // What it said earlier is better than nothing.
            Err(Missing::Registry(error)) => Some(asked.last_known(store).ok_or(Missing::Registry(error))),
            Err(missing) => Some(Err(missing)),
        };
    }
    let fetching = to_fetch.into_iter().map(|(place, found)| async move {
        let fetched = fetch(registry, &found.image, &found.digest).await;
        (place, found, fetched)
    });
    let mut fetching = stream::iter(fetching).buffer_unordered(AT_A_TIME);
    while let Some((place, found, fetched)) = fetching.next().await {
        answers[place] = Some(fetched.map(|fetched| {
            store.insert(&found.digest, fetched);
            store.remember(&found.image, &found.digest);
            found
        }));
    }
    store.save();
    answers.into_iter().map(|answer| answer.unwrap_or(Err(Missing::Offline))).collect()
}

/// What is asked about a layer, or why nothing can be.
type Question<'a> = Result<Asked<'a>, fn() -> Missing>;

/// What is asked about a layer.
struct Asked<'a> {
    layer: &'a Layer,
    image: ImageRef,
}

impl<'a> Asked<'a> {
    fn new(snapshot: &'a Snapshot, layers: &[&LayerName]) -> Vec<Question<'a>> {
        let asked = |name: &&LayerName| {
            let layer = snapshot.layer(name).ok_or((|| Missing::Unnamed) as fn() -> Missing)?;
            layer.cooked.as_ref().ok_or((|| Missing::NotCooked) as fn() -> Missing)?;
            let image = snapshot.image(name).and_then(Result::ok).ok_or((|| Missing::Unnamed) as fn() -> Missing)?;
            Ok(Self { layer, image })
        };
        layers.iter().map(asked).collect()
    }

    fn found(&self, image: ImageRef, digest: Digest) -> Found {
        let current = image == self.image;
        Found { layer: self.layer.name.clone(), image, digest, current }
    }

    /// The image of the inputs, as it was found before.
    fn known(&self, store: &Store) -> Option<Found> {
        let digest = store.remembered(&self.image)?;
        store.has(digest).then(|| self.found(self.image.clone(), digest.clone()))
    }

    /// What was found last of all.
    fn last_known(&self, store: &Store) -> Option<Found> {
        self.known(store).or_else(|| {
            let promoted = self.promoted();
            let mut known = promoted.filter_map(|image| Some((store.remembered(&image)?.clone(), image)));
            known.find(|(digest, _)| store.has(digest)).map(|(digest, image)| self.found(image, digest))
        })
    }

    fn promoted(&self) -> impl Iterator<Item = ImageRef> {
        self.layer.tags.iter().filter_map(|tag| self.image.with_tag(tag).ok())
    }

    /// The image that the registry has.
    async fn ask<R: Registry>(&self, registry: &R) -> Result<Found, Missing> {
        for image in std::iter::once(self.image.clone()).chain(self.promoted()) {
            if let Some(raw) = if_found(registry.raw(&image, None).await)? {
                return Ok(self.found(image, raw.digest));
            }
        }
        Err(Missing::NotBuilt)
    }
}

async fn fetch<R: Registry>(registry: &R, image: &ImageRef, digest: &Digest) -> Result<remote::Fetched, Missing> {
    let at = || (Box::new(image.clone()), digest.clone());
    match remote::fetch(registry, image, digest).await? {
        Some(Ok(fetched)) => Ok(fetched),
        None => {
            let (image, digest) = at();
            Err(Missing::NoManifest { image, digest })
        }
        Some(Err(why)) => {
            let (image, digest) = at();
            Err(Missing::Unusable { image, digest, why })
        }
    }
}
