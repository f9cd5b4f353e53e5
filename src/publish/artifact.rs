//! Documents about an image, kept beside it in the registry: OCI manifests with a `subject` (image specification 1.1),
//! each under a tag of its own.
//!
//! A registry that lists referrers finds them by the image's digest. For one that does not, the list is kept under the
//! tag `sha256-HEX`, as the distribution specification 1.1 asks of clients ("Referrers Tag Schema").

use std::collections::BTreeMap;

use futures_util::future::try_join;
use serde_json::{Value, json};

use crate::model::{Digest, ImageRef};
use crate::registry::{RawManifest, Registry, RegistryError, RegistryErrorKind, if_found};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// A configuration that says nothing: `{}`.
const EMPTY: &str = "application/vnd.oci.empty.v1+json";
/// How often the list of referrers is written, where others write it at the same time.
const ATTEMPTS: u32 = 4;

/// A document about an image.
pub(super) struct Document<'a> {
    /// What it is, as the list of referrers says it.
    pub artifact_type: &'a str,
    /// Its media type.
    pub media_type: &'a str,
    /// The document.
    pub content: Vec<u8>,
    /// What the list of referrers says besides.
    pub annotations: BTreeMap<&'a str, String>,
    /// Whether it stands in the place of an older one of its type.
    pub replaces: bool,
}

/// Puts a document about an image under a tag, and into the list of the image's referrers.
pub(super) async fn push(
    registry: &impl Registry,
    image: &RawManifest,
    at: &ImageRef,
    document: Document<'_>,
) -> Result<Digest, RegistryError> {
    let Document { artifact_type, media_type, content, annotations, replaces } = document;
    let size = content.len();
    let (config, layer) = try_join(registry.push_blob(at, b"{}".to_vec()), registry.push_blob(at, content)).await?;
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": artifact_type,
        "config": { "mediaType": EMPTY, "digest": config.digest, "size": 2, "data": "e30=" },
        "layers": [{ "mediaType": media_type, "digest": layer.digest, "size": size }],
        "subject": { "mediaType": image.media_type, "digest": image.digest, "size": image.bytes.len() },
        "annotations": annotations,
    });
    let bytes = manifest.to_string().into_bytes();
    let size = bytes.len();
    let pushed = registry.push_manifest(at, MANIFEST, bytes).await?;
    if !pushed.lists_subject {
        let entry = json!({
            "mediaType": MANIFEST,
            "digest": pushed.digest,
            "size": size,
            "artifactType": artifact_type,
            "annotations": annotations,
        });
        list(registry, &image.digest, at, entry, replaces).await?;
    }
    Ok(pushed.digest)
}

/// Adds an entry to the list of an image's referrers. Two who add at the same time may lose one: so it is looked at
/// again, and added again. Of two who replace the same one, either may stay.
async fn list(
    registry: &impl Registry,
    image: &Digest,
    at: &ImageRef,
    entry: Value,
    replaces: bool,
) -> Result<(), RegistryError> {
    // `sha256-` and 64 digits are a tag.
    let Ok(at) = at.with_tag(&image.as_str().replace(':', "-")) else { return Ok(()) };
    for attempt in 0..ATTEMPTS {
        let mut entries = entries(registry, &at).await?;
        let is_of_type = |known: &Value| known["artifactType"] == entry["artifactType"];
        let is_listed = |known: &Value| known["digest"] == entry["digest"];
        let is_rivals = |known: &Value| attempt > 0 && replaces && is_of_type(known);
        if entries.iter().any(|known| is_listed(known) || is_rivals(known)) {
            return Ok(());
        }
        entries.retain(|known| !(replaces && is_of_type(known)));
        entries.push(entry.clone());
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": entries });
        registry.push_manifest(&at, INDEX, index.to_string().into_bytes()).await?;
    }
    let why = format!("its list of referrers lost an entry {ATTEMPTS} times");
    let kind = RegistryErrorKind::Malformed { host: at.registry().to_owned(), why };
    Err(RegistryError { host: at.registry().into(), image: at, kind })
}

/// The list as it is; empty where there is none.
async fn entries(registry: &impl Registry, at: &ImageRef) -> Result<Vec<Value>, RegistryError> {
    let Some(raw) = if_found(registry.raw(at, None).await)? else { return Ok(Vec::new()) };
    let mut index: Value = serde_json::from_slice(&raw.bytes).unwrap_or_default();
    match index["manifests"].take() {
        Value::Array(entries) => Ok(entries),
        _ => {
            let why = "it is a list of referrers by its name, and no index".to_owned();
            let kind = RegistryErrorKind::Malformed { host: at.registry().to_owned(), why };
            Err(RegistryError { host: at.registry().into(), image: at.clone(), kind })
        }
    }
}
