//! Unit manifests as registries have them: an OCI manifest whose `subject` is the image, under a tag that follows from
//! the image's digest.

use serde::Deserialize;

use crate::model::{Digest, ImageRef};
use crate::registry::{Content, Registry, RegistryError, if_found, parse_content};
use crate::unit::{Manifest, ManifestError};

/// A unit manifest with the bytes that it was read from.
pub struct Fetched {
    pub bytes: Vec<u8>,
    pub manifest: Manifest,
}

/// The tag that an image's unit manifest has: `units-` and 20 digits of the image's digest.
pub fn tag(digest: &Digest) -> String {
    let digits = digest.as_str().trim_start_matches("sha256:");
    format!("units-{}", &digits[..20])
}

/// The image that an OCI manifest is about.
#[derive(Deserialize)]
struct About {
    subject: Option<Subject>,
}

#[derive(Deserialize)]
struct Subject {
    digest: String,
}

/// The unit manifest of an image; `None` where the registry has none.
pub async fn fetch(
    registry: &impl Registry,
    image: &ImageRef,
    digest: &Digest,
) -> Result<Option<Result<Fetched, ManifestError>>, RegistryError> {
    let place = image.with_tag(&tag(digest)).expect("`units-` and digits are a tag");
    let Some(raw) = if_found(registry.raw(&place, None).await)? else { return Ok(None) };
    let malformed = |why: &str| Ok(Some(Err(ManifestError::Malformed(why.to_owned()))));
    let about = serde_json::from_slice::<About>(&raw.bytes).ok().and_then(|about| about.subject);
    if about.is_none_or(|subject| subject.digest != digest.as_str()) {
        return malformed("what has its tag is about another image");
    }
    let layer = match parse_content(&raw.bytes) {
        Ok(Content::Manifest { layers, .. }) => layers.into_iter().next(),
        _ => None,
    };
    let Some(layer) = layer else { return malformed("what has its tag holds nothing") };
    if layer.size > Manifest::MAX_BYTES as u64 {
        return malformed("it is larger than a manifest may be");
    }
    let bytes = registry.blob(&place, &layer.digest, Manifest::MAX_BYTES).await?;
    Ok(Some(Manifest::parse(&bytes).map(|manifest| Fetched { bytes, manifest })))
}

/// The bytes of the compressed layers of an image, if the registry says it.
pub async fn pull_bytes(registry: &impl Registry, image: &ImageRef, digest: &Digest) -> Option<u64> {
    let mut raw = registry.raw(image, Some(digest)).await.ok()?;
    if let Ok(Content::Index { platforms }) = parse_content(&raw.bytes) {
        // Of the platforms, that of this machine, or else any: they hold the same.
        let arch = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        let here = platforms.iter().find(|(platform, _)| platform.to_string().contains(arch));
        let (_, digest) = here.or_else(|| platforms.first_key_value())?;
        raw = registry.raw(image, Some(digest)).await.ok()?;
    }
    match parse_content(&raw.bytes) {
        Ok(Content::Manifest { layers, .. }) => {
            Some(layers.iter().fold(0, |sum: u64, layer| sum.saturating_add(layer.size)))
        }
        _ => None,
    }
}
