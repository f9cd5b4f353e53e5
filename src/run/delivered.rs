//! Secrets that somebody has delivered, compared with what layers declare. Whether they are there is all that is looked
//! at: no value is read.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::secrets::MAX_SECRET;
use crate::model::{Layer, LayerName};

/// The version of [`SecretContext`].
pub const VERSION: u32 = 1;

/// The largest document, in bytes.
pub const MAX_DOCUMENT: u64 = 1 << 20;

/// What was delivered: the document that `lamina integrate` reads on stdin. It holds places, and no value of a secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SecretContext {
    /// The version of this document.
    #[schemars(extend("const" = 1))]
    pub version: u32,
    /// The workspace that it was delivered to.
    pub workspace: String,
    /// The secrets by the ids that Dockerfiles mount them by.
    pub secrets: BTreeMap<String, Delivered>,
}

/// A secret that was delivered: in a file or in a variable, one of both.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Delivered {
    /// The file that holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// The variable of lamina's environment that holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<String>,
    /// When it expires, as RFC 3339; never, where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub expires_at: Option<Timestamp>,
}

/// A text that is no [`SecretContext`]. It says where, and nothing of the text.
#[derive(Debug, thiserror::Error)]
pub enum ContextError {
    /// It can't be read as one.
    #[error("it can't be read at line {line}, column {column}: {what}")]
    Malformed {
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
        /// What is wrong.
        what: &'static str,
    },
    /// It is of another version.
    #[error("it is of version {0}, and this lamina reads version {VERSION}")]
    Version(u32),
}

/// What is wrong with a secret, or nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It is there.
    Ready,
    /// It was not delivered, or what was delivered has neither a file nor a variable.
    Missing,
    /// Both a file and a variable were delivered.
    Ambiguous,
    /// Its time is over.
    Expired,
    /// There is no such file, or no such variable.
    Absent,
    /// It is no regular file, or this user can't read it.
    Unreadable,
    /// Everybody on this machine can read the file.
    Exposed,
    /// It is empty.
    Empty,
    /// It is larger than BuildKit takes.
    TooLarge,
}

/// A secret that layers declare, and how it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// The id that Dockerfiles mount it by.
    pub id: String,
    /// Whether some layer can't be built without it.
    pub required: bool,
    /// The layers that mount it.
    pub layers: BTreeSet<LayerName>,
    /// How it stands.
    pub state: State,
}

impl Checked {
    /// Whether builds can't go on so: an optional secret may be missing, but not be wrong.
    pub fn is_wrong(&self) -> bool {
        match self.state {
            State::Ready => false,
            State::Missing => self.required,
            _ => true,
        }
    }
}

impl SecretContext {
    /// Reads a document.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: &[u8]) -> Result<Self, ContextError> {
        #[derive(Deserialize)]
        struct Head {
            version: u32,
        }
        // What serde says may repeat a value, and somebody may have put a secret there.
        let malformed = |error: serde_json::Error| ContextError::Malformed {
            line: error.line(),
            column: error.column(),
            what: match error.classify() {
                serde_json::error::Category::Data => "a field is missing, or is of another type",
                _ => "it is no JSON",
            },
        };
        let head: Head = serde_json::from_slice(text).map_err(malformed)?;
        if head.version != VERSION {
            return Err(ContextError::Version(head.version));
        }
        serde_json::from_slice(text).map_err(malformed)
    }

    /// How each secret stands that the layers declare, by id.
    pub fn check<'l>(
        &self,
        layers: impl IntoIterator<Item = &'l Layer>,
        now: Timestamp,
        folder: &Path,
        env: impl Fn(&str) -> Option<OsString>,
    ) -> Vec<Checked> {
        let mut all: BTreeMap<&str, Checked> = BTreeMap::new();
        for layer in layers {
            for secret in &layer.build.secrets {
                let (id, layers) = (secret.id.clone(), BTreeSet::new());
                let new = Checked { id, required: false, layers, state: State::Missing };
                let checked = all.entry(&secret.id).or_insert(new);
                checked.required |= secret.required;
                checked.layers.insert(layer.name.clone());
            }
        }
        for (id, checked) in &mut all {
            if let Some(delivered) = self.secrets.get(*id) {
                checked.state = delivered.state(now, folder, &env);
            }
        }
        all.into_values().collect()
    }

    /// The ids that were delivered and that no layer of these declares.
    pub fn unknown<'s>(&'s self, checked: &[Checked]) -> Vec<&'s str> {
        let is_known = |id: &&str| checked.iter().any(|checked| checked.id == **id);
        self.secrets.keys().map(String::as_str).filter(|id| !is_known(id)).collect()
    }
}

impl Delivered {
    fn state(&self, now: Timestamp, folder: &Path, env: impl Fn(&str) -> Option<OsString>) -> State {
        if self.expires_at.is_some_and(|end| end <= now) {
            return State::Expired;
        }
        match (&self.file, &self.env) {
            (Some(_), Some(_)) => State::Ambiguous,
            (None, None) => State::Missing,
            (Some(file), None) => of_file(&folder.join(file)),
            (None, Some(name)) => match env(name).map(|value| value.len() as u64) {
                None => State::Absent,
                Some(0) => State::Empty,
                Some(length) if length > MAX_SECRET => State::TooLarge,
                Some(_) => State::Ready,
            },
        }
    }
}

fn of_file(path: &Path) -> State {
    let Ok(data) = path.metadata() else {
        return if path.symlink_metadata().is_ok() { State::Unreadable } else { State::Absent };
    };
    let can_read = || rustix::fs::access(path, rustix::fs::Access::READ_OK).is_ok();
    match data.len() {
        _ if !data.is_file() || !can_read() => State::Unreadable,
        _ if data.permissions().mode() & 0o004 != 0 => State::Exposed,
        0 => State::Empty,
        length if length > MAX_SECRET => State::TooLarge,
        _ => State::Ready,
    }
}
