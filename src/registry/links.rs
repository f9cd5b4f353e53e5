//! What a manifest or an index holds on to: what must stay in a registry for as long as it does. A pure function over
//! bytes that nobody vouches for.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;

use super::wire::{Object, WireError, json, shortened};
use crate::model::Digest;

/// Where BuildKit writes when a layer was made.
const CREATED: &str = "buildkit/createdat";

/// What a manifest or an index holds on to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Links {
    /// The manifests of an index. Those of BuildKit's older caches, which are indexes of plain content, name no manifest,
    /// and do no harm here.
    pub children: Vec<Digest>,
    /// The manifest that it is about, where it refers to one.
    pub subject: Option<Digest>,
    /// When the youngest of its layers was made, where BuildKit says so: in the annotation `buildkit/createdat` of the
    /// layers of a cache.
    pub created: Option<Timestamp>,
    /// The bytes of all that it names, without what those name in turn.
    pub bytes: u64,
}

#[derive(Deserialize)]
struct Raw {
    config: Option<Object<RawPart>>,
    #[serde(default)]
    layers: Vec<Object<RawPart>>,
    #[serde(default)]
    manifests: Vec<Object<RawPart>>,
    subject: Option<Object<RawPart>>,
}

#[derive(Deserialize)]
struct RawPart {
    digest: String,
    #[serde(default)]
    size: u64,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

/// Reads what a manifest or an index holds on to.
///
/// # Errors
/// When it is no JSON object of that form, or a part of it has no SHA-256 digest: then nobody knows what it holds on to.
pub fn parse_links(bytes: &[u8]) -> Result<Links, WireError> {
    let raw: Raw = json(bytes, "manifest")?;
    let digest = |Object(part): &Object<RawPart>| {
        let error = || WireError(format!("a part of it has no SHA-256 digest, but `{}`", shortened(&part.digest)));
        part.digest.parse::<Digest>().map_err(|_| error())
    };
    let parts = || raw.config.iter().chain(&raw.layers).chain(&raw.manifests);
    parts().try_for_each(|part| digest(part).map(drop))?;
    let created = |Object(part): &Object<RawPart>| part.annotations.get(CREATED)?.parse::<Timestamp>().ok();
    Ok(Links {
        children: raw.manifests.iter().map(digest).collect::<Result<_, _>>()?,
        subject: raw.subject.as_ref().map(digest).transpose()?,
        created: parts().filter_map(created).max(),
        bytes: parts().fold(0, |sum, Object(part)| sum.saturating_add(part.size)),
    })
}
