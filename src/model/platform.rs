//! Platforms, as OCI writes them.

use std::fmt;
use std::str::FromStr;

/// `OS/ARCHITECTURE[/VARIANT]`, for example `linux/amd64`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Platform(Box<str>);

/// A text that is no platform.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no platform: write OS/ARCHITECTURE[/VARIANT], for example linux/amd64")]
pub struct PlatformError(pub String);

impl Platform {
    /// The platform as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Platform {
    type Err = PlatformError;

    fn from_str(text: &str) -> Result<Self, PlatformError> {
        let part = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        if matches!(text.split('/').count(), 2 | 3) && text.split('/').all(part) {
            Ok(Self(text.into()))
        } else {
            Err(PlatformError(text.to_owned()))
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
