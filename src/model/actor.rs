//! Who builds: continuous integration, a person, an agent. A name says who somebody claims to be; who may write to a
//! registry is the registry's to check.

use std::fmt;
use std::str::FromStr;

/// The longest name of an actor.
const LONGEST: usize = 32;

/// Who builds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Actor {
    /// The pipeline whose results everybody takes.
    Ci,
    /// A pipeline beside it, which may write what the catalog grants it.
    CiAux(ActorName),
    /// Somebody with caches of their own.
    Own(Owner),
}

/// Somebody with caches of their own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner {
    /// What they are.
    pub kind: OwnerKind,
    /// Their name among those.
    pub name: ActorName,
}

/// What somebody with caches of their own is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OwnerKind {
    /// A person.
    Human,
    /// A program that works by itself.
    Agent,
}

/// The name of an actor: parts of a-z and 0-9, with single dots or underscores between them, at most 32 characters.
///
/// It has no dash: in `dev/human.ann-shop/web` the first dash ends the name, so no name can look like another one with a
/// part of the workspace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ActorName(Box<str>);

/// A text that is no actor.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ActorError {
    /// The kind is none.
    #[error("`{}` is no actor: write ci, ci-aux:NAME, human:NAME or agent:NAME", .0.escape_debug())]
    Kind(String),
    /// The name does not follow the grammar.
    #[error("`{}` is no actor's name: allowed are a-z, 0-9, and single dots or underscores between them, at most {LONGEST} characters", .0.escape_debug())]
    Name(String),
}

impl Actor {
    /// As [`Owner`], where the actor has caches of its own.
    pub fn owner(&self) -> Option<&Owner> {
        match self {
            Actor::Own(owner) => Some(owner),
            Actor::Ci | Actor::CiAux(_) => None,
        }
    }
}

impl OwnerKind {
    /// Both.
    pub const ALL: [OwnerKind; 2] = [OwnerKind::Human, OwnerKind::Agent];

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            OwnerKind::Human => "human",
            OwnerKind::Agent => "agent",
        }
    }
}

impl ActorName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of a user that has only a number: `uid1000`.
    pub fn of_uid(uid: u32) -> Self {
        Self(format!("uid{uid}").into())
    }

    /// What is left of a text when all that a name can't have is left out; nothing where that is all of it. `Ann-Lee`
    /// becomes `annlee`.
    pub fn reduced(text: &str) -> Option<Self> {
        let kept = text.chars().map(|c| c.to_ascii_lowercase());
        let kept: String = kept.filter(|c| c.is_ascii_lowercase() || c.is_ascii_digit()).take(LONGEST).collect();
        kept.parse().ok()
    }
}

impl FromStr for ActorName {
    type Err = ActorError;

    fn from_str(text: &str) -> Result<Self, ActorError> {
        let part = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        match text.len() <= LONGEST && text.split(['.', '_']).all(part) {
            true => Ok(Self(text.into())),
            false => Err(ActorError::Name(text.chars().take(80).collect())),
        }
    }
}

impl FromStr for Actor {
    type Err = ActorError;

    fn from_str(text: &str) -> Result<Self, ActorError> {
        let own = |kind, name: &str| Ok(Actor::Own(Owner { kind, name: name.parse()? }));
        match text.split_once(':') {
            None if text == "ci" => Ok(Actor::Ci),
            Some(("ci-aux", name)) => Ok(Actor::CiAux(name.parse()?)),
            Some(("human", name)) => own(OwnerKind::Human, name),
            Some(("agent", name)) => own(OwnerKind::Agent, name),
            _ => Err(ActorError::Kind(text.chars().take(80).collect())),
        }
    }
}

/// `human.ann`, as namespaces have it.
impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.kind.as_str(), self.name)
    }
}

impl FromStr for Owner {
    type Err = ActorError;

    fn from_str(text: &str) -> Result<Self, ActorError> {
        let (kind, name) = text.split_once('.').ok_or_else(|| ActorError::Kind(text.chars().take(80).collect()))?;
        let kind = OwnerKind::ALL.into_iter().find(|known| known.as_str() == kind);
        let kind = kind.ok_or_else(|| ActorError::Kind(text.chars().take(80).collect()))?;
        Ok(Owner { kind, name: name.parse()? })
    }
}

impl fmt::Display for ActorName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `human:ann`, as the command line has it.
impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Actor::Ci => f.write_str("ci"),
            Actor::CiAux(name) => write!(f, "ci-aux:{name}"),
            Actor::Own(Owner { kind, name }) => write!(f, "{}:{name}", kind.as_str()),
        }
    }
}
