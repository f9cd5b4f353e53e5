//! Names of layers.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

/// The name of a layer: kebab-case, of at most 63 characters, so that it fits an image's name and a host's.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LayerName(Box<str>);

/// A text that is no layer's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no layer name: allowed are a-z, 0-9 and single dashes, at most 63 characters")]
pub struct NameError(pub String);

impl LayerName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for LayerName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let part = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        if text.len() <= 63 && text.split('-').all(part) {
            Ok(Self(text.into()))
        } else {
            Err(NameError(text.to_owned()))
        }
    }
}

impl fmt::Display for LayerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl Borrow<str> for LayerName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// The candidate that a mistyped name most likely means, if one is near enough. Numbers are near to no other.
pub fn nearest<'a>(typed: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let is_number = typed.bytes().all(|byte| byte.is_ascii_digit());
    candidates
        .filter(|_| !is_number)
        .map(|candidate| (strsim::damerau_levenshtein(typed, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len().min(typed.len()) / 4)
        .min()
        .map(|(_, candidate)| candidate)
}
