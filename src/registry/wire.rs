//! The bodies that registries send: manifests, indexes, configurations, lists of tags. Pure functions over bytes that
//! nobody vouches for.
//!
//! The forms are those of the OCI image specification and of Docker's image manifest, version 2, schema 2.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::marker::PhantomData;

use jiff::Timestamp;
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use sha2::{Digest as _, Sha256};

use super::Manifest;
use crate::model::{Digest, ImageRef, Platform, is_tag};

/// What a request for a manifest accepts.
pub(super) const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, \
    application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.docker.distribution.manifest.v2+json";

/// A body or a header that is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct WireError(pub(super) String);

/// A manifest or an index, by what it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A manifest.
    Manifest {
        /// Its configuration.
        config: Descriptor,
        /// Its layers, from the lowest.
        layers: Vec<Descriptor>,
    },
    /// An index.
    Index {
        /// Its manifests by platform.
        platforms: BTreeMap<Platform, Digest>,
    },
}

/// Content that a manifest names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// Its digest.
    pub digest: Digest,
    /// How many bytes it has, as the manifest says.
    pub size: u64,
}

/// An image's configuration, as much of it as matters here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// When the image was made, where it says so in a form that can be read.
    pub created: Option<Timestamp>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// What it runs on, where that can be named.
    pub platform: Option<Platform>,
}

/// A manifest or an index, as much of it as matters here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawManifest {
    schema_version: u64,
    media_type: Option<String>,
    config: Option<Object<RawDescriptor>>,
    layers: Option<Vec<Object<RawDescriptor>>>,
    manifests: Option<Vec<Object<RawEntry>>>,
}

#[derive(Deserialize)]
struct RawDescriptor {
    digest: String,
    size: u64,
}

#[derive(Deserialize)]
struct RawEntry {
    digest: String,
    platform: Option<Object<RawPlatform>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RawPlatform {
    os: String,
    architecture: String,
    variant: Option<String>,
}

#[derive(Deserialize)]
struct RawConfig {
    created: Option<String>,
    config: Option<Object<RawSettings>>,
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
    variant: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawSettings {
    labels: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct RawTags {
    /// Null in a repository that has lost its last tag; absent in what is no list of tags.
    #[serde(deserialize_with = "Option::deserialize")]
    tags: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct RawRepositories {
    #[serde(deserialize_with = "Option::deserialize")]
    repositories: Option<Vec<String>>,
}

/// A JSON object. By itself, serde takes a list of values for a struct, too.
pub(super) struct Object<T>(pub(super) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MapOnly<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for MapOnly<T> {
            type Value = T;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map))
            }
        }
        deserializer.deserialize_map(MapOnly(PhantomData)).map(Self)
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Manifest,
    Index,
}

/// Reads a manifest or an index. `content_type` is what the answer's header says; it may be absent or general, but it
/// must not contradict the body. The digest is that of `bytes`.
///
/// Of an index, manifests for a platform are listed. Left out are attestations (BuildKit files them under
/// `unknown/unknown`), entries without a platform, and platforms that [`Platform`] can't name. The first entry for a
/// platform counts, as the OCI specification has it; Windows images differ in `os.version` only.
///
/// # Errors
/// When it is no JSON, no manifest of schema 2, both manifest and index (an ambiguity that has been used for attacks,
/// CVE-2021-41190), or an entry has no SHA-256 digest.
pub fn parse_manifest(bytes: &[u8], content_type: Option<&str>) -> Result<Manifest, WireError> {
    let (_, raw) = read(bytes, content_type)?;
    Ok(Manifest { digest: digest(bytes), platforms: by_platform(raw.manifests.unwrap_or_default())? })
}

/// Reads what a manifest or an index holds; of an index, the same as [`parse_manifest`].
///
/// # Errors
/// As [`parse_manifest`]'s; and where a configuration or a layer has no SHA-256 digest.
pub fn parse_content(bytes: &[u8]) -> Result<Content, WireError> {
    let (kind, raw) = read(bytes, None)?;
    let descriptor = |Object(raw): Object<RawDescriptor>| match raw.digest.parse() {
        Ok(digest) => Ok(Descriptor { digest, size: raw.size }),
        Err(_) => Err(WireError(format!("a part of it has no SHA-256 digest, but `{}`", shortened(&raw.digest)))),
    };
    match (kind, raw.config) {
        (Kind::Manifest, Some(config)) => Ok(Content::Manifest {
            config: descriptor(config)?,
            layers: raw.layers.into_iter().flatten().map(descriptor).collect::<Result<_, _>>()?,
        }),
        _ => Ok(Content::Index { platforms: by_platform(raw.manifests.unwrap_or_default())? }),
    }
}

/// Reads an image's configuration. A moment or a platform in a form that can't be read is left out.
///
/// # Errors
/// When it is no JSON object, or something in it is of another type than an image's configuration has.
pub fn parse_config(bytes: &[u8]) -> Result<Config, WireError> {
    let raw: RawConfig = json(bytes, "image configuration")?;
    let RawConfig { os, architecture, variant, .. } = raw;
    Ok(Config {
        created: raw.created.and_then(|text| text.parse().ok()),
        labels: raw.config.and_then(|Object(settings)| settings.labels).unwrap_or_default(),
        platform: platform(&RawPlatform { os, architecture, variant }),
    })
}

/// The media type of a manifest or an index: its own word, or else the header's, or else OCI's.
pub(super) fn media_type(bytes: &[u8], content_type: Option<&str>) -> Result<String, WireError> {
    let (kind, raw) = read(bytes, content_type)?;
    let named = [raw.media_type.as_deref(), content_type.and_then(|text| text.split(';').next()).map(str::trim)];
    let named = named.into_iter().flatten().find(|text| named_kind(text).is_some());
    Ok(named
        .unwrap_or(match kind {
            Kind::Manifest => "application/vnd.oci.image.manifest.v1+json",
            Kind::Index => "application/vnd.oci.image.index.v1+json",
        })
        .to_owned())
}

fn read(bytes: &[u8], content_type: Option<&str>) -> Result<(Kind, RawManifest), WireError> {
    let raw: RawManifest = json(bytes, "manifest")?;
    if raw.schema_version != 2 {
        return Err(WireError(format!("it is a manifest of schema {}, and only schema 2 is read", raw.schema_version)));
    }
    let kind = match (&raw.manifests, &raw.config, &raw.layers) {
        (Some(_), None, None) => Kind::Index,
        (None, Some(_), Some(_)) => Kind::Manifest,
        (Some(_), ..) => return Err(WireError("it is a manifest and an index at the same time".to_owned())),
        (None, ..) => return Err(WireError("it is neither a manifest nor an index".to_owned())),
    };
    let named = [raw.media_type.as_deref(), content_type];
    if let Some(other) = named.into_iter().flatten().find(|text| named_kind(text).is_some_and(|named| named != kind)) {
        return Err(WireError(format!("its content is not what its type says, `{}`", shortened(other))));
    }
    Ok((kind, raw))
}

fn by_platform(entries: Vec<Object<RawEntry>>) -> Result<BTreeMap<Platform, Digest>, WireError> {
    let mut platforms = BTreeMap::new();
    for Object(entry) in entries {
        let Some(platform) = entry.platform.and_then(|Object(raw)| platform(&raw)) else { continue };
        let digest = entry.digest.parse::<Digest>().map_err(|_| {
            let (platform, digest) = (shortened(platform.as_str()), shortened(&entry.digest));
            WireError(format!("its entry for {platform} has no SHA-256 digest, but `{digest}`"))
        })?;
        if let Entry::Vacant(place) = platforms.entry(platform) {
            place.insert(digest);
        }
    }
    Ok(platforms)
}

/// Reads a page of a list of tags. Texts that don't follow the grammar of tags are left out: no reference can name
/// them, and one of them must not hide all others.
///
/// # Errors
/// When it is no list of tags.
pub fn parse_tags(bytes: &[u8]) -> Result<Vec<String>, WireError> {
    let raw: RawTags = json(bytes, "list of tags")?;
    let mut tags = raw.tags.unwrap_or_default();
    tags.retain(|tag| is_tag(tag));
    Ok(tags)
}

/// Reads a page of a list of repositories. Texts that can't be part of a reference are left out, as those of tags.
///
/// # Errors
/// When it is no list of repositories.
pub fn parse_repositories(bytes: &[u8]) -> Result<Vec<String>, WireError> {
    let raw: RawRepositories = json(bytes, "list of repositories")?;
    let mut repositories = raw.repositories.unwrap_or_default();
    repositories.retain(|name| format!("localhost/{name}:tag").parse::<ImageRef>().is_ok());
    Ok(repositories)
}

/// The SHA-256 digest of bytes.
pub(super) fn digest(bytes: &[u8]) -> Digest {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}").parse().expect("a SHA-256 has 64 digits")
}

/// The kind that a media type names, if it names one.
fn named_kind(media_type: &str) -> Option<Kind> {
    match media_type.split(';').next().unwrap_or_default().trim() {
        "application/vnd.oci.image.index.v1+json" => Some(Kind::Index),
        "application/vnd.docker.distribution.manifest.list.v2+json" => Some(Kind::Index),
        "application/vnd.oci.image.manifest.v1+json" => Some(Kind::Manifest),
        "application/vnd.docker.distribution.manifest.v2+json" => Some(Kind::Manifest),
        _ => None,
    }
}

/// A platform as catalogs write it. The variants that every machine of an architecture has are left out, as containerd
/// does (`platforms.Normalize`): an index says `arm64` with variant `v8`, a catalog `linux/arm64`.
fn platform(raw: &RawPlatform) -> Option<Platform> {
    if raw.os == "unknown" && raw.architecture == "unknown" {
        return None;
    }
    let variant = raw.variant.as_deref().unwrap_or_default();
    match (&*raw.architecture, variant) {
        (architecture, "") | (architecture @ "arm64", "v8") | (architecture @ "amd64", "v1") => {
            format!("{}/{architecture}", raw.os)
        }
        (architecture, variant) => format!("{}/{architecture}/{variant}", raw.os),
    }
    .parse()
    .ok()
}

/// JSON of a form. The error says where and not what: foreign text does not reach the terminal.
pub(super) fn json<'a, T: Deserialize<'a>>(bytes: &'a [u8], what: &str) -> Result<T, WireError> {
    let object = serde_json::from_slice(bytes).map(|Object(read)| read);
    object.map_err(|error| match bytes.trim_ascii_start().first() {
        Some(b'<') => WireError(format!("it is a web page and no {what}")),
        None => WireError(format!("it is empty and no {what}")),
        _ => WireError(format!("it is no {what} (line {}, column {})", error.line(), error.column())),
    })
}

/// The beginning of a foreign text, fit for a terminal.
pub(super) fn shortened(text: &str) -> String {
    text.chars().take(80).flat_map(char::escape_debug).collect()
}
