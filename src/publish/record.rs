//! Proofs, kept in the registry beside the image: who finds the tag [`Probes::tag`] knows that every probe was right.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::artifact::{self, Document};
use crate::event::ProbeResult;
use crate::model::{Digest, Fingerprint, ImageRef, LayerName};
use crate::registry::{Content, Registry, RegistryError, RegistryErrorKind, if_found, parse_content};
use crate::snapshot::Probes;

/// The type of a proof, as an artifact and as a document.
pub const MEDIA_TYPE: &str = "application/vnd.lamina.proof.v1+json";
/// The version of the document. It changes when a field changes its meaning or goes.
const VERSION: u32 = 1;
/// The most bytes that a proof may have.
const MAX_PROOF: usize = 4 << 20;

/// That every probe of an image was right.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// The version of the document.
    pub version: u32,
    /// The layer.
    pub layer: LayerName,
    /// The layer's fingerprint, which covers what had to be proven.
    pub fingerprint: Fingerprint,
    /// The image.
    pub image: Digest,
    /// When it was proven.
    pub created: Timestamp,
    /// The version of the lamina that did.
    pub lamina: String,
    /// What came out of each probe.
    pub probes: Vec<ProbeResult>,
}

impl Proof {
    /// A proof by this lamina.
    pub fn new(
        layer: LayerName,
        fingerprint: Fingerprint,
        image: Digest,
        created: Timestamp,
        probes: Vec<ProbeResult>,
    ) -> Self {
        let lamina = env!("CARGO_PKG_VERSION").to_owned();
        Self { version: VERSION, layer, fingerprint, image, created, lamina, probes }
    }
}

/// Keeps a proof of an image in the image's repository; one that is there is replaced.
///
/// # Errors
/// When the registry can't be asked, does not have the image, or does not take the proof.
pub async fn record(registry: &impl Registry, image: &ImageRef, proof: &Proof) -> Result<Digest, RegistryError> {
    let manifest = registry.raw(image, Some(&proof.image)).await?;
    let document = Document {
        artifact_type: MEDIA_TYPE,
        media_type: MEDIA_TYPE,
        content: serde_json::to_vec(proof).unwrap_or_default(),
        annotations: [
            ("org.opencontainers.image.created", proof.created.to_string()),
            ("dev.lamina.layer", proof.layer.to_string()),
            ("dev.lamina.fingerprint", proof.fingerprint.to_string()),
        ]
        .into(),
        replaces: true,
    };
    artifact::push(registry, &manifest, &place(image, &proof.image), document).await
}

/// Whether there is a proof of an image.
///
/// # Errors
/// When the registry can't be asked: that is never a proof, and never a missing one.
pub async fn is_proven(registry: &impl Registry, image: &ImageRef, digest: &Digest) -> Result<bool, RegistryError> {
    Ok(if_found(registry.digest(&place(image, digest)).await)?.is_some())
}

/// The proof of an image, where there is one.
///
/// # Errors
/// When the registry can't be asked, or what has the name of the proof is none of this image.
pub async fn recorded(
    registry: &impl Registry,
    image: &ImageRef,
    digest: &Digest,
) -> Result<Option<Proof>, RegistryError> {
    let place = place(image, digest);
    let Some(manifest) = if_found(registry.raw(&place, None).await)? else { return Ok(None) };
    let malformed = |why: String| RegistryError {
        image: place.clone(),
        host: place.registry().into(),
        kind: RegistryErrorKind::Malformed { host: place.registry().to_owned(), why },
    };
    let layer = match parse_content(&manifest.bytes).map_err(|why| malformed(why.to_string()))? {
        Content::Manifest { layers, .. } => layers.into_iter().next(),
        Content::Index { .. } => None,
    };
    let layer = layer.ok_or_else(|| malformed("it is no proof".to_owned()))?;
    let text = registry.blob(&place, &layer.digest, MAX_PROOF).await?;
    // What it says is not quoted: it may be anything.
    let proof: Proof = serde_json::from_slice(&text).map_err(|error| {
        malformed(format!("it is no proof that can be read (line {}, column {})", error.line(), error.column()))
    })?;
    match proof.image == *digest {
        true => Ok(Some(proof)),
        false => Err(malformed(format!("it proves {}, and not {digest}", proof.image))),
    }
}

/// Where an image's proof is kept.
fn place(image: &ImageRef, digest: &Digest) -> ImageRef {
    image.with_tag(&Probes::tag(digest)).expect("`proof-` and digits are a tag")
}
