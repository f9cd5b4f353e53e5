//! References to images, digests of outputs, fingerprints of inputs.

use std::fmt;
use std::str::FromStr;

/// A reference to an external image, in full: `docker.io/library/rust:1.97.1-slim-trixie`.
///
/// The grammar is that of the distribution project's `reference` package: a first part with a dot, a colon
/// or the name `localhost` is a registry; without one it is Docker Hub, where one-part names lie in `library/`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageRef {
    registry: Box<str>,
    repository: Box<str>,
    tag: Box<str>,
}

/// The SHA-256 digest of an output: a manifest or an index in a registry.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(Box<str>);

/// The SHA-256 over all inputs of a layer. Never a digest: it names what goes in, not what comes out.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint([u8; 32]);

/// A text that is no image reference or no digest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// The name does not follow the grammar.
    #[error("`{0}` is no image reference: write NAME:TAG, for example rust:1.97.1-slim-trixie")]
    Reference(String),
    /// There is no tag.
    #[error("`{0}` has no tag; a name alone would mean `latest`, which moves")]
    NoTag(String),
    /// The digest is malformed.
    #[error("`{0}` is no digest: write sha256: and 64 hexadecimal digits")]
    Digest(String),
    /// The fingerprint is malformed.
    #[error("`{0}` is no fingerprint: write 64 hexadecimal digits")]
    Fingerprint(String),
}

const DOCKER_HUB: &str = "docker.io";

impl ImageRef {
    /// The registry's host, with its port if it has one.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The repository in the registry: `library/rust`.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag.
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// The last part of the repository: `rust`.
    pub fn short_name(&self) -> &str {
        self.repository.rsplit('/').next().unwrap_or(&self.repository)
    }

    /// The same repository's image of another tag.
    ///
    /// # Errors
    /// When the text is no tag.
    pub fn with_tag(&self, tag: &str) -> Result<Self, ImageError> {
        if !is_tag(tag) {
            return Err(ImageError::Reference(format!("{}:{tag}", self.repository)));
        }
        Ok(Self { tag: tag.into(), ..self.clone() })
    }

    /// As people write it: without Docker Hub's host and `library/`, where that is still read as the same image.
    pub fn familiar(&self) -> String {
        let official = self.repository.strip_prefix("library/").filter(|name| !name.contains('/'));
        let name = official.unwrap_or(&self.repository);
        match name.split_once('/') {
            Some((first, _)) if is_host(first) => self.to_string(),
            _ if *self.registry != *DOCKER_HUB => self.to_string(),
            _ => format!("{name}:{}", self.tag),
        }
    }

    /// Reads `NAME:TAG@sha256:…`, where the digest may be absent.
    ///
    /// # Errors
    /// When either part does not follow its grammar.
    pub fn parse_pinned(text: &str) -> Result<(Self, Option<Digest>), ImageError> {
        match text.split_once('@') {
            Some((name, digest)) => Ok((name.parse()?, Some(digest.parse()?))),
            None => Ok((text.parse()?, None)),
        }
    }
}

impl FromStr for ImageRef {
    type Err = ImageError;

    fn from_str(text: &str) -> Result<Self, ImageError> {
        let malformed = || ImageError::Reference(text.to_owned());
        let (registry, rest) = match text.split_once('/') {
            Some((first, rest)) if is_host(first) => (first, rest),
            _ => (DOCKER_HUB, text),
        };
        let (repository, tag) = rest.rsplit_once(':').ok_or_else(|| match rest.is_empty() {
            true => malformed(),
            false => ImageError::NoTag(text.to_owned()),
        })?;
        let valid_registry =
            !registry.is_empty() && registry.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.:[]".contains(&b));
        let separators = |b: u8| b"._-".contains(&b);
        let valid_part = |part: &str| {
            let bytes = part.as_bytes();
            !part.is_empty()
                && bytes.iter().all(|&b| b.is_ascii_lowercase() || b.is_ascii_digit() || separators(b))
                && !separators(bytes[0])
                && !separators(bytes[bytes.len() - 1])
        };
        if !valid_registry || !repository.split('/').all(valid_part) || !is_tag(tag) {
            return Err(malformed());
        }
        let repository = match (registry, repository.contains('/')) {
            (DOCKER_HUB, false) => format!("library/{repository}").into(),
            _ => repository.into(),
        };
        Ok(Self { registry: registry.into(), repository, tag: tag.into() })
    }
}

/// Whether the first part of a name is a registry, and no part of the repository.
fn is_host(first: &str) -> bool {
    first == "localhost" || first.contains(['.', ':'])
}

/// Whether a text is a tag, by the grammar of the distribution project.
pub fn is_tag(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        && !text.starts_with(['.', '-'])
}

impl fmt::Display for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}:{}", self.registry, self.repository, self.tag)
    }
}

impl Digest {
    /// `sha256:` and 64 hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first twelve hexadecimal digits, for people.
    pub fn short(&self) -> &str {
        &self.0["sha256:".len()..][..12]
    }
}

impl FromStr for Digest {
    type Err = ImageError;

    fn from_str(text: &str) -> Result<Self, ImageError> {
        let hex = |hex: &str| hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        match text.strip_prefix("sha256:") {
            Some(digits) if hex(digits) => Ok(Self(text.into())),
            _ => Err(ImageError::Digest(text.to_owned())),
        }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Fingerprint {
    /// Wraps a SHA-256.
    pub fn new(hash: [u8; 32]) -> Self {
        Self(hash)
    }

    /// The bytes of the hash.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The tag that an image of this fingerprint has in a registry: `fp-` and 20 hexadecimal digits.
    pub fn tag(&self) -> String {
        format!("fp-{}", &self.to_string()[..20])
    }

    /// Whether a tag is that of a fingerprint.
    pub fn is_tag(tag: &str) -> bool {
        tag.strip_prefix("fp-").is_some_and(|digits| {
            digits.len() == 20 && digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        })
    }
}

impl FromStr for Fingerprint {
    type Err = ImageError;

    /// Reads 64 hexadecimal digits, as they are shown.
    fn from_str(text: &str) -> Result<Self, ImageError> {
        let error = || ImageError::Fingerprint(text.to_owned());
        let digits = text.as_bytes();
        if digits.len() != 64 || !digits.iter().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(b)) {
            return Err(error());
        }
        let mut hash = [0; 32];
        for (byte, pair) in hash.iter_mut().zip(text.as_bytes().chunks(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| error())?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| error())?;
        }
        Ok(Self(hash))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_mean_docker_hub() {
        let image: ImageRef = "rust:1.97.1-slim-trixie".parse().unwrap();
        assert_eq!(image.to_string(), "docker.io/library/rust:1.97.1-slim-trixie");
        assert_eq!(image.familiar(), "rust:1.97.1-slim-trixie");
        let image: ImageRef = "acme/base:3".parse().unwrap();
        assert_eq!(image.to_string(), "docker.io/acme/base:3");
        let image: ImageRef = "localhost:5000/a/b:c".parse().unwrap();
        assert_eq!((image.registry(), image.repository(), image.tag()), ("localhost:5000", "a/b", "c"));
    }

    #[test]
    fn a_familiar_name_means_the_same_image() {
        for text in ["a.b:1", "a.b/c:1", "localhost/c:1", "library/a/b:1", "library/a.b:1", "library/localhost/a:1"] {
            let image: ImageRef = format!("docker.io/{text}").parse().unwrap();
            assert_eq!(image.familiar().parse::<ImageRef>().unwrap(), image, "{}", image.familiar());
        }
    }

    #[test]
    fn what_is_no_reference_is_refused() {
        for text in ["", ":", "a:", "A:1", "a b:1", "a:1:2", "/a:1", "a//b:1", "a:-x", "-a:1", "host:5000/a"] {
            assert!(text.parse::<ImageRef>().is_err(), "{text}");
        }
        assert_eq!("rust".parse::<ImageRef>(), Err(ImageError::NoTag("rust".to_owned())));
    }
}
