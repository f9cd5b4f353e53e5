//! Units in a registry: an OCI artifact whose configuration is the unit manifest, with a blob a unit. Equal units are
//! equal blobs, and all artifacts of a catalog lie in one repository: so each is there once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::{StreamExt, stream};
use serde::Deserialize;
use serde_json::json;

use super::files::UnitError;
use super::pack::{Packed, pack};
use super::place::Place;
use crate::model::{Digest, ImageRef};
use crate::registry::{Blob, Registry, RegistryError, RegistryErrorKind, if_found};
use crate::unit::{Environment, Manifest};

/// The type of the artifact.
pub const ARTIFACT_TYPE: &str = "application/vnd.lamina.unit-blobs.v1";
/// The type of a blob with a unit.
pub const BLOB_TYPE: &str = "application/vnd.lamina.unit.v1.tar+zstd";
const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// The largest blob.
const MAX_BLOB: u64 = 512 << 20;
/// How many units are packed and sent at a time, at most.
const SENT_AT_ONCE: usize = 4;
/// The unit's place in a target folder.
const UNIT: &str = "dev.lamina.unit";
/// The digest of what its dependents were made with.
const CONTENT: &str = "dev.lamina.content";
/// The bytes of its archive before it was compressed.
const BYTES: &str = "dev.lamina.bytes";
/// The variables that it depends on, as a JSON object: names with the beginning of the SHA-256 of their values.
const WATCHED: &str = "dev.lamina.watched";

/// Units that a registry has.
#[derive(Clone, Debug)]
pub struct Artifact {
    /// Where it is.
    pub at: ImageRef,
    /// What was compiled, and how.
    pub manifest: Arc<Manifest>,
    /// The units that can be had, by their places.
    pub entries: BTreeMap<Place, Entry>,
}

/// A unit that a registry has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its archive.
    pub digest: Digest,
    /// The bytes of the archive.
    pub size: u64,
    /// Those before it was compressed.
    pub bytes: u64,
    /// The digest of what its dependents were made with.
    pub content: Digest,
    /// The variables that it depends on, with what is told of their values ([`super::hidden`]).
    pub watched: BTreeMap<String, Option<String>>,
}

/// What was published.
#[derive(Clone, Debug)]
pub struct Published {
    /// The artifact's digest.
    pub digest: Digest,
    /// The units that can be had now.
    pub units: usize,
    /// Those that were not in the repository before.
    pub new: usize,
    /// The bytes of all blobs.
    pub bytes: u64,
    /// The bytes of those that are new.
    pub new_bytes: u64,
    /// What can't be handed on, and why, in order.
    pub left_out: Vec<(Place, String)>,
}

/// Reads what a tag stands for; nothing where there is no such artifact. Its manifest is not fetched where it is known.
///
/// # Errors
/// When the registry can't be asked, or what is there is no such artifact.
pub async fn read(
    registry: &impl Registry,
    at: &ImageRef,
    known: Option<Arc<Manifest>>,
) -> Result<Option<Artifact>, RegistryError> {
    #[derive(Deserialize)]
    struct Raw {
        config: Descriptor,
        layers: Vec<Descriptor>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Descriptor {
        media_type: String,
        digest: String,
        size: u64,
        #[serde(default)]
        annotations: BTreeMap<String, String>,
    }
    let Some(raw) = if_found(registry.raw(at, None).await)? else { return Ok(None) };
    let malformed = |why: &str| malformed(at, format!("its units can't be read: {why}"));
    let raw: Raw = serde_json::from_slice(&raw.bytes).map_err(|_| malformed("it is no artifact of units"))?;
    if raw.config.media_type != Manifest::MEDIA_TYPE {
        return Err(malformed("its configuration is no unit manifest"));
    }
    let manifest = match known {
        Some(manifest) => manifest,
        None => {
            let digest = raw.config.digest.parse().map_err(|_| malformed("its configuration has no digest"))?;
            let text = registry.blob(at, &digest, Manifest::MAX_BYTES).await?;
            Arc::new(Manifest::parse(&text).map_err(|error| malformed(&error.to_string()))?)
        }
    };
    let entry = |descriptor: Descriptor| {
        let Descriptor { digest, size, annotations, .. } = descriptor;
        let place = annotations.get(UNIT)?.parse().ok()?;
        let watched = annotations.get(WATCHED).map_or(Ok(BTreeMap::new()), |text| serde_json::from_str(text)).ok()?;
        let bytes = annotations.get(BYTES)?.parse().ok()?;
        let content = annotations.get(CONTENT)?.parse().ok()?;
        let entry = Entry { digest: digest.parse().ok()?, size, bytes, content, watched };
        (size <= MAX_BLOB).then_some((place, entry))
    };
    let units = raw.layers.into_iter().filter(|layer| layer.media_type == BLOB_TYPE);
    let entries = units.map(|layer| entry(layer).ok_or_else(|| malformed("a unit of it has no good description")));
    Ok(Some(Artifact { at: at.clone(), manifest, entries: entries.collect::<Result<_, _>>()? }))
}

/// The archive of a unit. Its bytes are those of the digest.
///
/// # Errors
/// When the registry can't be asked, or has other bytes or none.
pub async fn blob(registry: &impl Registry, at: &ImageRef, entry: &Entry) -> Result<Vec<u8>, RegistryError> {
    registry.blob(at, &entry.digest, usize::try_from(entry.size.min(MAX_BLOB)).unwrap_or(usize::MAX)).await
}

/// Publishes the units of a manifest that others can use, from a target folder of each call of cargo: `folders` are
/// those of `manifest.cooks`.
///
/// # Errors
/// When the registry can't be asked, or does not take it; also where there are more units than a manifest can name.
pub async fn publish(
    registry: &impl Registry,
    at: &ImageRef,
    manifest: &Manifest,
    folders: &[PathBuf],
    annotations: &BTreeMap<&str, String>,
) -> Result<Published, RegistryError> {
    let config = serde_json::to_vec(manifest).unwrap_or_default();
    let config_size = config.len();
    let config = registry.push_blob(at, config).await?;
    let sent = stream::iter(places(manifest, folders)).map(async |(place, folder)| {
        let packed = pack_aside(folder.to_owned(), place.clone(), &manifest.environment).await;
        let packed = match packed {
            Ok(packed) => packed,
            Err(error) => return Ok((place, Err(error.to_string()))),
        };
        let Packed { blob, bytes, content, watched } = packed;
        let size = blob.len() as u64;
        if size > MAX_BLOB {
            return Ok((place, Err(UnitError::TooLarge.to_string())));
        }
        let Blob { digest, is_new } = registry.push_blob(at, blob).await?;
        Ok((place, Ok((Entry { digest, size, bytes, content, watched }, is_new))))
    });
    let mut sent = sent.buffered(SENT_AT_ONCE);
    let (mut layers, mut left_out) = (Vec::new(), Vec::new());
    let (mut new, mut bytes, mut new_bytes) = (0, 0, 0);
    while let Some(unit) = sent.next().await {
        let (place, unit) = unit?;
        match unit {
            Ok((entry, is_new)) => {
                bytes += entry.size;
                new += usize::from(is_new);
                new_bytes += if is_new { entry.size } else { 0 };
                layers.push(descriptor(&place, &entry));
            }
            Err(why) => left_out.push((place, why)),
        }
    }
    let units = layers.len();
    let document = json!({
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": ARTIFACT_TYPE,
        "config": { "mediaType": Manifest::MEDIA_TYPE, "digest": config.digest, "size": config_size },
        "layers": layers,
        "annotations": annotations,
    });
    let document = document.to_string().into_bytes();
    let digest = registry.push_manifest(at, OCI_MANIFEST, document).await?.digest;
    Ok(Published { digest, units, new, bytes, new_bytes, left_out })
}

/// The units of a manifest that others can use, each once, with the target folder that it lies in.
fn places<'f>(manifest: &Manifest, folders: &'f [PathBuf]) -> BTreeMap<Place, &'f Path> {
    let mut places = BTreeMap::new();
    for (cook, folder) in manifest.cooks.iter().zip(folders) {
        for (unit, shareable) in cook.graph.units.iter().zip(cook.graph.shareable()) {
            // Of these, cargo gives some files names without digits.
            let has_digits =
                unit.crate_types.iter().all(|kind| ["lib", "rlib", "proc-macro", "bin"].contains(&&**kind));
            if let (true, true, Some(place)) = (shareable, has_digits, Place::of(&cook.graph, unit)) {
                places.entry(place).or_insert(folder.as_path());
            }
        }
    }
    places
}

/// Packs a unit while others are sent.
async fn pack_aside(folder: PathBuf, place: Place, environment: &Environment) -> Result<Packed, UnitError> {
    let home = PathBuf::from(&environment.cargo_home);
    let packing = tokio::task::spawn_blocking(move || pack(&folder, &place, &home));
    packing.await.unwrap_or(Err(UnitError::Missing))
}

fn descriptor(place: &Place, entry: &Entry) -> serde_json::Value {
    let mut annotations = BTreeMap::from([
        (UNIT, place.to_string()),
        (CONTENT, entry.content.to_string()),
        (BYTES, entry.bytes.to_string()),
    ]);
    if !entry.watched.is_empty() {
        annotations.insert(WATCHED, serde_json::to_string(&entry.watched).unwrap_or_default());
    }
    json!({ "mediaType": BLOB_TYPE, "digest": entry.digest, "size": entry.size, "annotations": annotations })
}

fn malformed(at: &ImageRef, why: String) -> RegistryError {
    let kind = RegistryErrorKind::Malformed { host: at.registry().to_owned(), why };
    RegistryError { image: at.clone(), host: at.registry().into(), kind }
}
