//! What is asked about images in more than one step: their platforms and their sizes.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::try_join_all;

use super::error::{RegistryError, RegistryErrorKind};
use super::wire::{self, Config, Content, WireError};
use super::{RawManifest, Registry};
use crate::model::{Digest, ImageRef, Platform};

/// The most bytes that an image's configuration may have: its history and labels are in it.
const MAX_CONFIG: usize = 8 << 20;
/// The most manifests of an index that are looked at.
const MAX_MANIFESTS: usize = 64;

/// The platforms of an image: those of an index, or the one that a single manifest's configuration says. It is empty
/// where that one can't be named.
///
/// # Errors
/// When the registry can't be asked, does not have it, or its answer can't be trusted.
pub async fn platforms(
    registry: &impl Registry,
    image: &ImageRef,
    digest: Option<&Digest>,
) -> Result<BTreeSet<Platform>, RegistryError> {
    let raw = registry.raw(image, digest).await?;
    match parse(image, &raw)? {
        Content::Index { platforms } => Ok(platforms.into_keys().collect()),
        Content::Manifest { config, .. } => {
            Ok(self::config(registry, image, &config.digest).await?.platform.into_iter().collect())
        }
    }
}

/// The bytes of all compressed layers of an image, on all its platforms; a layer that several of these have is counted
/// once.
///
/// # Errors
/// When the registry can't be asked, does not have it, or its answer can't be trusted.
pub async fn compressed_size(
    registry: &impl Registry,
    image: &ImageRef,
    digest: Option<&Digest>,
) -> Result<u64, RegistryError> {
    let raw = registry.raw(image, digest).await?;
    let contents = match parse(image, &raw)? {
        content @ Content::Manifest { .. } => vec![content],
        Content::Index { platforms } => {
            let member = async |digest: Digest| parse(image, &registry.raw(image, Some(&digest)).await?);
            try_join_all(platforms.into_values().take(MAX_MANIFESTS).map(member)).await?
        }
    };
    let mut layers = BTreeMap::new();
    for content in contents {
        if let Content::Manifest { layers: found, .. } = content {
            layers.extend(found.into_iter().map(|layer| (layer.digest, layer.size)));
        }
    }
    Ok(layers.into_values().fold(0, u64::saturating_add))
}

/// An image's configuration.
///
/// # Errors
/// When the registry can't be asked, does not have it, or it is none.
pub async fn config(registry: &impl Registry, image: &ImageRef, digest: &Digest) -> Result<Config, RegistryError> {
    let bytes = registry.blob(image, digest, MAX_CONFIG).await?;
    wire::parse_config(&bytes).map_err(|why| malformed(image, &why))
}

fn parse(image: &ImageRef, raw: &RawManifest) -> Result<Content, RegistryError> {
    wire::parse_content(&raw.bytes).map_err(|why| malformed(image, &why))
}

fn malformed(image: &ImageRef, why: &WireError) -> RegistryError {
    let host = image.registry().to_owned();
    let kind = RegistryErrorKind::Malformed { host: host.clone(), why: why.to_string() };
    RegistryError { image: image.clone(), host: host.into(), kind }
}
