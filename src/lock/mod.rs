//! `lamina.lock`: the digests of external images, each next to its tag.
//!
//! The format is TOML, so that people and update bots can edit it:
//! ```toml
//! version = 1
//!
//! [[image]]
//! reference = "docker.io/library/debian:trixie-slim@sha256:…"
//!
//! [image.platforms]                  # where an index has them
//! "linux/amd64" = "sha256:…"
//! ```
//! [`Lock`] is what it says, [`LockText`] is the file itself; [`resolve`] asks registries, and [`tag`] finds newer
//! tags by a tag's own pattern.

mod document;
pub mod resolve;
pub mod tag;

mod moves;

use std::collections::BTreeMap;
use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;

pub use document::LockText;
pub use moves::Move;

use crate::diag::{Code, Diagnostic};
use crate::model::{Digest, ImageRef, Platform};
use crate::registry::Manifest;

/// The name of the file at the catalog's root.
pub const FILE: &str = "lamina.lock";

/// The locked digests by image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lock {
    images: BTreeMap<ImageRef, Locked>,
}

/// What the lock says of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Locked {
    /// The digest of the manifest or of the index.
    pub digest: Digest,
    /// The manifests of an index by platform.
    pub platforms: BTreeMap<Platform, Digest>,
    /// Where the entry's reference stands in the file, in bytes.
    pub span: Range<usize>,
}

impl From<Manifest> for Locked {
    fn from(manifest: Manifest) -> Self {
        Self { digest: manifest.digest, platforms: manifest.platforms, span: 0..0 }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLock {
    version: Spanned<i64>,
    #[serde(default)]
    image: Vec<RawImage>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawImage {
    reference: Spanned<String>,
    #[serde(default)]
    platforms: BTreeMap<String, Spanned<String>>,
}

impl Lock {
    /// Reads a lock; `file` is its name for findings. What can be read is kept beside the findings.
    pub fn parse(file: &str, text: &str) -> (Self, Vec<Diagnostic>) {
        let raw: RawLock = match toml::from_str(text) {
            Ok(raw) => raw,
            Err(error) => {
                let message = error.message().trim().to_owned();
                let finding = Diagnostic::new(Code::LockSyntax, message);
                let span = error.span().unwrap_or(0..0);
                return (Self::default(), vec![finding.label(file, span, "")]);
            }
        };
        let mut lock = Self::default();
        let mut findings = Vec::new();
        let mut report = |span: Range<usize>, message: String, help: &str| {
            findings.push(Diagnostic::new(Code::LockSyntax, message).label(file, span, "").help(help));
        };
        if *raw.version.get_ref() != 1 {
            let message = format!("version {} is not known", raw.version.get_ref());
            report(raw.version.span(), message, "this lamina reads version 1");
        }
        for image in raw.image {
            let span = image.reference.span();
            let (reference, digest) = match ImageRef::parse_pinned(image.reference.get_ref()) {
                Ok((reference, Some(digest))) => (reference, digest),
                Ok((reference, None)) => {
                    let message = format!("{} has no digest", reference.familiar());
                    report(span, message, "write NAME:TAG@sha256:…");
                    continue;
                }
                Err(error) => {
                    report(span, error.to_string(), "write NAME:TAG@sha256:…");
                    continue;
                }
            };
            let mut platforms = BTreeMap::new();
            for (platform, digest) in image.platforms {
                match (platform.parse::<Platform>(), digest.get_ref().parse::<Digest>()) {
                    (Ok(platform), Ok(digest)) => drop(platforms.insert(platform, digest)),
                    (Err(error), _) => report(digest.span(), error.to_string(), "for example linux/amd64"),
                    (_, Err(error)) => report(digest.span(), error.to_string(), "copy it from the registry"),
                }
            }
            let name = reference.familiar();
            let locked = Locked { digest, platforms, span: span.clone() };
            if lock.images.insert(reference, locked).is_some() {
                report(span, format!("{name} is locked twice"), "keep one of the entries");
            }
        }
        (lock, findings)
    }

    /// What is locked for an image.
    pub fn get(&self, image: &ImageRef) -> Option<&Locked> {
        self.images.get(image)
    }

    /// All entries by image.
    pub fn iter(&self) -> impl Iterator<Item = (&ImageRef, &Locked)> {
        self.images.iter()
    }
}
