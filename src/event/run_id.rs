//! Names of runs.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;

/// The name of a run: when it began, in UTC, and four random characters: `20261121-180802-x3k9`. Names sort by time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(Box<str>);

/// A text that is no run's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no name of a run: they look like 20261121-180802-x3k9")]
pub struct RunIdError(pub String);

impl RunId {
    /// The name of a run that begins now. Two of the same second differ by `salt`.
    pub fn new(at: Timestamp, salt: u32) -> Self {
        const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
        let random: String = (0..4).map(|n| char::from(DIGITS[(salt >> (5 * n)) as usize % 32])).collect();
        Self(format!("{}-{random}", at.strftime("%Y%m%d-%H%M%S")).into())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RunId {
    type Err = RunIdError;

    fn from_str(text: &str) -> Result<Self, RunIdError> {
        let is = |part: &str, len, of: fn(u8) -> bool| part.len() == len && part.bytes().all(of);
        let mut parts = text.split('-');
        let valid = parts.next().is_some_and(|day| is(day, 8, |b| b.is_ascii_digit()))
            && parts.next().is_some_and(|time| is(time, 6, |b| b.is_ascii_digit()))
            && parts.next().is_some_and(|salt| is(salt, 4, |b| b.is_ascii_digit() || b.is_ascii_lowercase()))
            && parts.next().is_none();
        if valid { Ok(Self(text.into())) } else { Err(RunIdError(text.to_owned())) }
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl serde::Serialize for RunId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for RunId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
