//! The secrets and SSH agents that builds mount: where each one comes from, and that none is missing.
//!
//! BuildKit passes an empty secret where a variable is not set, so all of them are looked for before anything starts.
//! Their values are read once, for one purpose: to mask them in what builds write. What the client gets is the file's
//! path or the variable's name.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::mask::Mask;
use crate::engine::SecretSource;
use crate::host::secret::Secret;
use crate::model::{Layer, LayerName, secret_variable};

/// The largest secret, in bytes; BuildKit's own bound.
pub const MAX_SECRET: u64 = 500 * 1024;

/// Where a secret is said to be: `id=ID,src=FILE` or `id=ID,env=NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenSecret {
    /// The id that Dockerfiles mount it by.
    pub id: String,
    /// Where it is.
    pub source: SecretSource,
}

/// Which SSH agent or key is said to be used: `ID` or `ID=PATH`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenSsh {
    /// The id that Dockerfiles mount it by.
    pub id: String,
    /// A key or a socket; the agent of SSH_AUTH_SOCK where it is absent.
    pub path: Option<PathBuf>,
}

/// A text that says no secret and no SSH agent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GivenError {
    /// It says no secret.
    #[error("write id=ID,src=FILE or id=ID,env=NAME")]
    Secret,
    /// It says no SSH agent.
    #[error("write ID or ID=PATH")]
    Ssh,
}

/// The secrets and SSH agents of a run.
#[derive(Clone, Debug, Default)]
pub struct Secrets {
    /// Where each secret that some layer mounts comes from, by id.
    pub sources: BTreeMap<String, SecretSource>,
    /// The SSH agents or keys by id.
    pub ssh: BTreeMap<String, Option<PathBuf>>,
    /// The optional secrets that are not there, with the layers that mount them.
    pub absent: BTreeMap<String, BTreeSet<LayerName>>,
    /// What hides their values.
    pub mask: Mask,
}

/// Why builds can't have their secrets.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// Required ones are not there.
    #[error("{}", missing(.0))]
    Missing(Vec<Missing>),
    /// One is there and can't be used.
    #[error("the secret `{id}` can't be read from {from}: {why}")]
    Unusable {
        /// Its id.
        id: String,
        /// The file or the variable.
        from: String,
        /// What is wrong; never its value.
        why: String,
    },
}

/// A required secret or SSH agent that is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Missing {
    /// A secret.
    Secret {
        /// Its id.
        id: String,
        /// The layers that mount it.
        layers: BTreeSet<LayerName>,
        /// What it is for.
        purpose: Option<String>,
        /// The variable that it could be in.
        variable: String,
    },
    /// An SSH agent.
    Ssh {
        /// Its id.
        id: String,
        /// The layers that mount it.
        layers: BTreeSet<LayerName>,
    },
}

impl Secrets {
    /// Finds what the layers mount: what is given, else in the variable of the id, else, for SSH, the agent of the
    /// environment. An empty value is none.
    ///
    /// # Errors
    /// All required ones that are missing; or one that can't be read.
    pub fn find<'a>(
        layers: impl Iterator<Item = &'a Layer> + Clone,
        given: &[GivenSecret],
        ssh: &[GivenSsh],
        env: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Self, SecretsError> {
        let mut found = Self::default();
        let mut missing = Vec::new();
        for (id, declared) in declared(layers.clone()) {
            let given = given.iter().rev().find(|given| given.id == id).map(|given| given.source.clone());
            let is_given = given.is_some();
            let source = given.unwrap_or_else(|| SecretSource::Env(secret_variable(id)));
            match read(id, &source, &env)? {
                Some(value) => {
                    found.mask.add(&value);
                    found.sources.insert(id.to_owned(), source);
                }
                None if is_given => {
                    let why = "there is no value".to_owned();
                    return Err(SecretsError::Unusable { id: id.to_owned(), from: place(&source), why });
                }
                None if declared.required => missing.push(Missing::Secret {
                    id: id.to_owned(),
                    layers: declared.layers,
                    purpose: declared.purpose.cloned(),
                    variable: secret_variable(id),
                }),
                None => drop(found.absent.insert(id.to_owned(), declared.layers)),
            }
        }
        let mut mounted: BTreeMap<&str, BTreeSet<LayerName>> = BTreeMap::new();
        for layer in layers {
            for id in &layer.build.ssh {
                mounted.entry(id).or_default().insert(layer.name.clone());
            }
        }
        let has_agent = env("SSH_AUTH_SOCK").is_some_and(|socket| !socket.is_empty());
        for (id, layers) in mounted {
            match ssh.iter().rev().find(|given| given.id == id).map(|given| given.path.clone()) {
                Some(Some(path)) => drop(found.ssh.insert(id.to_owned(), Some(path))),
                Some(None) | None if has_agent => drop(found.ssh.insert(id.to_owned(), None)),
                _ => missing.push(Missing::Ssh { id: id.to_owned(), layers }),
            }
        }
        if missing.is_empty() { Ok(found) } else { Err(SecretsError::Missing(missing)) }
    }
}

/// What layers say of one secret.
struct Declared<'a> {
    required: bool,
    layers: BTreeSet<LayerName>,
    purpose: Option<&'a String>,
}

fn declared<'a>(layers: impl Iterator<Item = &'a Layer>) -> BTreeMap<&'a str, Declared<'a>> {
    let mut all: BTreeMap<&str, Declared<'_>> = BTreeMap::new();
    for layer in layers {
        for secret in &layer.build.secrets {
            let none = Declared { required: false, layers: BTreeSet::new(), purpose: None };
            let declared = all.entry(&secret.id).or_insert(none);
            declared.required |= secret.required;
            declared.layers.insert(layer.name.clone());
            declared.purpose = declared.purpose.or(secret.purpose.as_ref());
        }
    }
    all
}

/// The value of a secret, as [`Secrets::find`] has found it; empty where it is not among these.
///
/// # Errors
/// When it can't be read any more.
pub(super) fn value(
    secrets: &Secrets,
    id: &str,
    env: impl Fn(&str) -> Option<OsString>,
) -> Result<Secret, SecretsError> {
    let found = secrets.sources.get(id).map(|source| read(id, source, env)).transpose()?.flatten();
    Ok(found.unwrap_or_else(|| Secret::new(String::new())))
}

/// The value of a secret; nothing where there is none, or it is empty.
fn read(
    id: &str,
    source: &SecretSource,
    env: impl Fn(&str) -> Option<OsString>,
) -> Result<Option<Secret>, SecretsError> {
    let unusable = |why: String| SecretsError::Unusable { id: id.to_owned(), from: place(source), why };
    let value = match source {
        SecretSource::Env(name) => match env(name) {
            Some(value) => value.into_encoded_bytes(),
            None => return Ok(None),
        },
        SecretSource::File(path) => read_file(path).map_err(|error| unusable(error.to_string()))?,
    };
    if value.len() as u64 > MAX_SECRET {
        return Err(unusable(format!("it has more than {MAX_SECRET} bytes")));
    }
    // What is no text can't be found in a text either, but for the parts that are one.
    let value = String::from_utf8_lossy(&value).replace('\u{fffd}', "\n");
    Ok((!value.is_empty()).then(|| Secret::new(value)))
}

fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let mut bytes = Vec::new();
    file.take(MAX_SECRET + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The source, for people.
fn place(source: &SecretSource) -> String {
    match source {
        SecretSource::File(path) => path.display().to_string(),
        SecretSource::Env(name) => format!("the variable {name}"),
    }
}

fn missing(all: &[Missing]) -> String {
    let names = |layers: &BTreeSet<LayerName>| layers.iter().map(LayerName::as_str).collect::<Vec<_>>().join(", ");
    let line = |missing: &Missing| match missing {
        Missing::Secret { id, layers, purpose, .. } => {
            let purpose = purpose.as_ref().map(|purpose| format!(": {purpose}")).unwrap_or_default();
            format!("the secret `{id}`, which {} can't be built without{purpose}", names(layers))
        }
        Missing::Ssh { id, layers } => format!("the SSH agent `{id}`, which {} can't be built without", names(layers)),
    };
    format!("missing: {}", all.iter().map(line).collect::<Vec<_>>().join("; "))
}

impl GivenSecret {
    /// With the path of a file from this folder on.
    #[must_use]
    pub fn below(self, folder: &Path) -> Self {
        let source = match self.source {
            SecretSource::File(path) => SecretSource::File(folder.join(path)),
            source => source,
        };
        Self { source, ..self }
    }
}

impl GivenSsh {
    /// With its path from this folder on.
    #[must_use]
    pub fn below(self, folder: &Path) -> Self {
        Self { path: self.path.map(|path| folder.join(path)), ..self }
    }
}

impl FromStr for GivenSecret {
    type Err = GivenError;

    fn from_str(text: &str) -> Result<Self, GivenError> {
        let (mut id, mut source) = (None, None);
        // A comma in a path would be read as the client reads it: as the end of the path.
        for part in text.split(',') {
            match part.split_once('=').ok_or(GivenError::Secret)? {
                ("id", value) if !value.is_empty() && id.is_none() => id = Some(value.to_owned()),
                ("src" | "source", value) if !value.is_empty() && source.is_none() => {
                    source = Some(SecretSource::File(value.into()));
                }
                ("env", value) if !value.is_empty() && source.is_none() => {
                    source = Some(SecretSource::Env(value.to_owned()));
                }
                _ => return Err(GivenError::Secret),
            }
        }
        match (id, source) {
            (Some(id), Some(source)) => Ok(Self { id, source }),
            _ => Err(GivenError::Secret),
        }
    }
}

impl FromStr for GivenSsh {
    type Err = GivenError;

    fn from_str(text: &str) -> Result<Self, GivenError> {
        let (id, path) = match text.split_once('=') {
            Some((id, path)) if !path.is_empty() => (id, Some(path.into())),
            Some(_) => return Err(GivenError::Ssh),
            None => (text, None),
        };
        if id.is_empty() || id.contains(',') { Err(GivenError::Ssh) } else { Ok(Self { id: id.to_owned(), path }) }
    }
}
