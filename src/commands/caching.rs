//! Who builds, and which layer caches that means: what `build`, `warm` and `cache` share.

use std::ffi::OsString;

use super::error::CommandError;
use super::exit::Exit;
use crate::cache::{Disposition, Grants, Named, Namespace, Refused, Session, Workspace};
use crate::model::{Actor, ActorName, LayerName, Owner, OwnerKind};
use crate::snapshot::Snapshot;

/// Who builds.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Caches")]
pub struct ActorArgs {
    /// Who builds: ci, ci-aux:NAME, human:NAME or agent:NAME [default: ci where CI=true, else human: and USER]
    #[arg(long, value_name = "ACTOR", env = "LAMINA_ACTOR", hide_env_values = true)]
    pub actor: Option<Actor>,
    /// What caches are shared within, and events and hooks tell of [default: the catalog's name]
    #[arg(long, value_name = "WORKSPACE", env = "LAMINA_WORKSPACE", hide_env_values = true)]
    pub workspace: Option<Workspace>,
}

/// Which layer caches a build reads and writes.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Caches")]
pub struct CacheArgs {
    #[command(flatten)]
    pub who: ActorArgs,
    /// Where the layer cache is
    #[arg(long, value_name = "WHERE", value_enum, default_value_t)]
    cache: CacheWhere,
    /// What becomes of the cache that a build would leave
    #[arg(long, value_name = "WHAT", value_enum, default_value_t)]
    cache_disposition: DispositionWhat,
    /// Read layer caches of this namespace, and not of the actor's usual ones; may be repeated
    #[arg(long, value_name = "NAMESPACE")]
    cache_from: Vec<Namespace>,
    /// Write layer caches to this namespace, and not to the actor's usual one
    #[arg(long, value_name = "NAMESPACE")]
    cache_to: Option<Namespace>,
}

/// Where the layer cache is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum CacheWhere {
    /// In the registry of the images
    #[default]
    Registry,
    /// Only in the engine itself
    None,
}

/// What becomes of the cache that a build would leave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum DispositionWhat {
    /// It is written
    #[default]
    Export,
    /// Nothing is written
    Discard,
    /// It is written, and what was there before is put back where the layer fails
    Rollback,
}

impl ActorArgs {
    /// Who builds, in which workspace.
    ///
    /// # Errors
    /// When the catalog's name is no workspace.
    pub fn session(&self, snapshot: &Snapshot) -> Result<Session, CommandError> {
        let config = snapshot.catalog.config.as_ref();
        let name = config.map(|config| config.name.as_str()).unwrap_or_default();
        let own: Result<Workspace, _> = name.parse();
        let workspace = match (&self.workspace, &own) {
            (Some(named), _) => named.clone(),
            (None, Ok(own)) => own.clone(),
            (None, Err(error)) => {
                return Err(CommandError::new(Exit::Usage, error.to_string()).hint("name one with --workspace"));
            }
        };
        let layers = config.map(|config| config.granted.clone()).unwrap_or_default();
        Ok(Session {
            actor: self.actor.clone().unwrap_or_else(|| usual(|name| std::env::var_os(name))),
            workspace,
            grants: Grants { workspace: own.ok(), layers },
            named: Named::default(),
            disposition: Disposition::default(),
        })
    }
}

impl CacheArgs {
    /// Who builds, in which workspace, with which caches: also where that is forbidden.
    ///
    /// # Errors
    /// When the catalog's name is no workspace.
    pub fn unchecked(&self, snapshot: &Snapshot) -> Result<Session, CommandError> {
        let named = Named { read: self.cache_from.clone(), write: self.cache_to.clone() };
        Ok(Session { named, disposition: self.cache_disposition.into(), ..self.who.session(snapshot)? })
    }

    /// Who reads and writes layer caches; nobody where there are none.
    ///
    /// # Errors
    /// When what the command line names is forbidden for one of these layers.
    pub fn session<'l>(
        &self,
        snapshot: &Snapshot,
        layers: impl IntoIterator<Item = &'l LayerName>,
    ) -> Result<Option<Session>, CommandError> {
        let session = self.unchecked(snapshot)?;
        session.check(layers).map_err(|error| refused(&error))?;
        Ok((self.cache == CacheWhere::Registry).then_some(session))
    }
}

/// What the rule of caches forbids, with its code.
pub fn refused(error: &Refused) -> CommandError {
    CommandError::new(Exit::Usage, format!("refused ({}): {error}", error.why.code()))
        .hint("`lamina cache explain LAYER` says what an actor reads and writes")
}

/// Who builds where nobody says it.
fn usual(variable: impl Fn(&str) -> Option<OsString>) -> Actor {
    if variable("CI").is_some_and(|value| value == "true") {
        return Actor::Ci;
    }
    let name = ["USER", "LOGNAME"].into_iter().find_map(|name| {
        let value = variable(name)?;
        ActorName::reduced(value.to_str()?)
    });
    let name = name.unwrap_or_else(|| ActorName::of_uid(rustix::process::getuid().as_raw()));
    Actor::Own(Owner { kind: OwnerKind::Human, name })
}

impl From<DispositionWhat> for Disposition {
    fn from(what: DispositionWhat) -> Self {
        match what {
            DispositionWhat::Export => Disposition::Export,
            DispositionWhat::Discard => Disposition::Discard,
            DispositionWhat::Rollback => Disposition::Rollback,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::usual;

    #[test]
    fn who_builds_is_ci_or_the_user() {
        let of = |pairs: &[(&str, &str)]| {
            let pairs: Vec<(String, String)> =
                pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            let find = |name: &str| pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.into());
            usual(find).to_string()
        };
        assert_eq!(of(&[("CI", "true"), ("USER", "ann")]), "ci");
        assert_eq!(of(&[("CI", "false"), ("USER", "ann")]), "human:ann");
        assert_eq!(of(&[("USER", "Ann-Lee.O'Hara@corp")]), "human:annleeoharacorp");
        assert_eq!(of(&[("USER", "../.."), ("LOGNAME", "bo")]), "human:bo");
        assert!(of(&[]).starts_with("human:uid"));
    }
}
