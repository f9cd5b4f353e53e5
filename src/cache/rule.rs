//! Who may read and write which cache: the one rule.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::place::{Namespace, Slot, Workspace};
use crate::model::{Actor, ActorName, LayerName};

/// What is done with a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Access {
    /// A build takes steps from it.
    Read,
    /// A build puts its steps there; also removing it.
    Write,
}

/// The layers whose canonical caches pipelines beside CI may write, in one workspace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    /// The workspace that they hold in; without one, nothing is granted.
    pub workspace: Option<Workspace>,
    /// The layers, by the pipeline's name.
    pub layers: BTreeMap<ActorName, BTreeSet<LayerName>>,
}

/// What the rule forbids.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{actor} may not {access} {slot}: {why}")]
pub struct Refused {
    /// Who.
    pub actor: Actor,
    /// What was to be done.
    pub access: Access,
    /// With which cache.
    pub slot: Slot,
    /// Why not.
    pub why: Why,
}

/// Why something is forbidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Why {
    /// CI, which has no part in anybody's own caches.
    CiTakesNothing,
    /// A canonical cache, which CI alone writes.
    Canonical,
    /// A canonical cache that this pipeline was not granted.
    NotGranted,
    /// Somebody else's own cache.
    Foreign,
}

impl Grants {
    fn has(&self, name: &ActorName, workspace: &Workspace, layer: &LayerName) -> bool {
        self.workspace.as_ref() == Some(workspace) && self.layers.get(name).is_some_and(|layers| layers.contains(layer))
    }
}

impl Why {
    /// Its stable name.
    pub fn code(self) -> &'static str {
        match self {
            Why::CiTakesNothing => "cache-ci-takes-nothing",
            Why::Canonical => "cache-canonical",
            Why::NotGranted => "cache-not-granted",
            Why::Foreign => "cache-foreign",
        }
    }
}

/// Whether an actor may read or write a cache.
///
/// `ci` reads and writes `ci/…` only. `ci-aux` reads `ci/…`, and writes there what it is granted. Persons and agents read
/// `ci/…` and their own `dev/…`, and write their own only. So nothing that was not built by CI gets into its builds.
///
/// # Errors
/// Why not.
pub fn decide(actor: &Actor, access: Access, slot: &Slot, grants: &Grants) -> Result<(), Refused> {
    let why = match (actor, access, &slot.namespace) {
        (Actor::Ci, _, Namespace::Ci(_)) | (_, Access::Read, Namespace::Ci(_)) => None,
        (Actor::CiAux(name), Access::Write, Namespace::Ci(workspace)) => {
            (!grants.has(name, workspace, &slot.layer)).then_some(Why::NotGranted)
        }
        (Actor::Own(_), Access::Write, Namespace::Ci(_)) => Some(Why::Canonical),
        (Actor::Ci | Actor::CiAux(_), _, Namespace::Dev(..)) => Some(Why::CiTakesNothing),
        (Actor::Own(own), _, Namespace::Dev(owner, _)) => (own != owner).then_some(Why::Foreign),
    };
    match why {
        None => Ok(()),
        Some(why) => Err(Refused { actor: actor.clone(), access, slot: slot.clone(), why }),
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Access::Read => "read",
            Access::Write => "write",
        })
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Why::CiTakesNothing => "CI has no part in what people and agents have built",
            Why::Canonical => "what CI has built is written by CI alone",
            Why::NotGranted => "`caches.granted` in the catalog does not grant it this layer in this workspace",
            Why::Foreign => "it is somebody else's",
        })
    }
}
