//! Where caches lie: `REGISTRY/NAMESPACE/cache/ci/WORKSPACE/LAYER:latest` and
//! `REGISTRY/NAMESPACE/cache/dev/OWNER-WORKSPACE/LAYER:latest`.
//!
//! Each layer has a reference of its own, because of two that write to the same one the last one wins.

use std::fmt;
use std::str::FromStr;

use crate::model::{ImageError, ImageRef, LayerName, Owner};

/// The folder of all caches below a registry's namespace.
const FOLDER: &str = "cache";
/// The tag of a cache.
const TAG: &str = "latest";

/// What caches are shared within: the catalog's name, where nothing else was named. Kebab-case, as a layer's name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Workspace(LayerName);

/// Whose caches: the canonical ones of a workspace, or somebody's own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Namespace {
    /// `ci/WORKSPACE`: canonical.
    Ci(Workspace),
    /// `dev/OWNER-WORKSPACE`: an actor's own. An owner has no dash, so the first one ends it.
    Dev(Owner, Workspace),
}

/// The cache of a layer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot {
    /// Whose it is.
    pub namespace: Namespace,
    /// The layer.
    pub layer: LayerName,
}

/// A text that names no workspace, no namespace or no cache.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlaceError {
    /// A workspace.
    #[error("`{}` is no workspace: allowed are a-z, 0-9 and single dashes, at most 63 characters", .0.escape_debug())]
    Workspace(String),
    /// A namespace.
    #[error("`{}` is no namespace of caches: write ci/WORKSPACE, dev/human.NAME-WORKSPACE or dev/agent.NAME-WORKSPACE", .0.escape_debug())]
    Namespace(String),
    /// A layer's cache.
    #[error("`{}` is no cache of a layer: write NAMESPACE/LAYER", .0.escape_debug())]
    Slot(String),
}

/// The registry and the path in it that caches lie below.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    registry: String,
    /// Empty, or with a slash at its end.
    path: String,
}

impl Root {
    /// Below `REGISTRY/NAMESPACE`.
    pub fn new(registry: &str, namespace: &str) -> Self {
        let path = if namespace.is_empty() { String::new() } else { format!("{namespace}/") };
        Self { registry: registry.to_owned(), path }
    }

    /// Beside a layer's image.
    pub fn beside(image: &ImageRef) -> Self {
        let namespace = image.repository().rsplit_once('/').map(|(namespace, _)| namespace);
        Self::new(image.registry(), namespace.unwrap_or_default())
    }

    /// Where a cache lies.
    ///
    /// # Errors
    /// When the catalog's registry or namespace can't be part of a reference.
    pub fn reference(&self, slot: &Slot) -> Result<ImageRef, ImageError> {
        format!("{}/{}{FOLDER}/{slot}:{TAG}", self.registry, self.path).parse()
    }

    /// The cache that a repository of this registry is for; nothing where it is for something else.
    pub fn slot(&self, repository: &str) -> Option<Slot> {
        repository.strip_prefix(&*self.path)?.strip_prefix(FOLDER)?.strip_prefix('/')?.parse().ok()
    }

    /// The same place under the name that caches had before they had owners: `REGISTRY/NAMESPACE/cache/LAYER`.
    pub fn is_ownerless(&self, repository: &str) -> bool {
        let rest = repository.strip_prefix(&*self.path).and_then(|rest| rest.strip_prefix(FOLDER)?.strip_prefix('/'));
        rest.is_some_and(|rest| rest.parse::<LayerName>().is_ok())
    }
}

impl Namespace {
    /// What its caches are shared within.
    pub fn workspace(&self) -> &Workspace {
        match self {
            Namespace::Ci(workspace) | Namespace::Dev(_, workspace) => workspace,
        }
    }
}

impl FromStr for Workspace {
    type Err = PlaceError;

    fn from_str(text: &str) -> Result<Self, PlaceError> {
        text.parse().map(Self).map_err(|_| PlaceError::Workspace(shortened(text)))
    }
}

impl FromStr for Namespace {
    type Err = PlaceError;

    fn from_str(text: &str) -> Result<Self, PlaceError> {
        let error = || PlaceError::Namespace(shortened(text));
        match text.split_once('/').ok_or_else(error)? {
            ("ci", workspace) => Ok(Namespace::Ci(workspace.parse().map_err(|_| error())?)),
            ("dev", rest) => {
                let (owner, workspace) = rest.split_once('-').ok_or_else(error)?;
                Ok(Namespace::Dev(owner.parse().map_err(|_| error())?, workspace.parse().map_err(|_| error())?))
            }
            _ => Err(error()),
        }
    }
}

impl FromStr for Slot {
    type Err = PlaceError;

    fn from_str(text: &str) -> Result<Self, PlaceError> {
        let error = || PlaceError::Slot(shortened(text));
        let (namespace, layer) = text.rsplit_once('/').ok_or_else(error)?;
        Ok(Slot { namespace: namespace.parse()?, layer: layer.parse().map_err(|_| error())? })
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(120).collect()
}

impl fmt::Display for Workspace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Namespace::Ci(workspace) => write!(f, "ci/{workspace}"),
            Namespace::Dev(owner, workspace) => write!(f, "dev/{owner}-{workspace}"),
        }
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.layer)
    }
}
