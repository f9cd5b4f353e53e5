//! What caches a registry has, and the removal of some.

use std::collections::BTreeSet;

use futures_util::future::join_all;

use super::place::{Root, Slot};
use super::retention::{Repository, Tagged};
use crate::model::ImageRef;
use crate::registry::{Registry, RegistryError, if_found, parse_links};

/// Which caches there may be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// The ones that were named, and all others below the root where the registry says which repositories it has.
    pub slots: BTreeSet<Slot>,
    /// Repositories of caches from before they had owners, which nothing reads any more.
    pub ownerless: BTreeSet<String>,
    /// Why nobody knows of others.
    pub partial: Option<String>,
}

/// What became of a tag that was to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Removed {
    /// It is gone.
    Gone,
    /// It stands for something else by now, and stays.
    Moved,
    /// It is still there.
    Failed(String),
}

/// Finds caches: `named` ones, and those that the registry's list of repositories has.
pub async fn find(registry: &impl Registry, root: &Root, named: impl IntoIterator<Item = Slot>) -> Survey {
    let mut survey = Survey { slots: named.into_iter().collect(), ..Survey::default() };
    // Any reference of the registry will do.
    let asked = match survey.slots.first().map(|slot| root.reference(slot)) {
        Some(Ok(reference)) => registry.repositories(&reference).await.map_err(|error| error.kind.to_string()),
        Some(Err(error)) => Err(error.to_string()),
        None => Err("there is nothing to ask for".to_owned()),
    };
    match asked {
        Ok(repositories) => {
            survey.slots.extend(repositories.iter().filter_map(|name| root.slot(name)));
            survey.ownerless = repositories.into_iter().filter(|name| root.is_ownerless(name)).collect();
        }
        Err(why) => survey.partial = Some(why),
    }
    survey
}

/// Reads caches. One that is not there has no tags; one that can't be read says so.
pub async fn read_all(registry: &impl Registry, root: &Root, slots: &BTreeSet<Slot>) -> Vec<Repository> {
    join_all(slots.iter().map(|slot| read(registry, root, slot))).await
}

async fn read(registry: &impl Registry, root: &Root, slot: &Slot) -> Repository {
    let mut repository = Repository { slot: slot.clone(), tags: Vec::new(), unread: None };
    let tags = async {
        let reference = root.reference(slot).map_err(|error| error.to_string())?;
        let tags = if_found(registry.tags(&reference).await).map_err(|error| error.kind.to_string())?;
        Ok::<_, String>((reference, tags.unwrap_or_default()))
    };
    let (reference, mut tags) = match tags.await {
        Ok(found) => found,
        Err(why) => return Repository { unread: Some(why), ..repository },
    };
    tags.sort();
    let read = join_all(tags.iter().map(|tag| tagged(registry, &reference, tag))).await;
    for (tag, tagged) in tags.iter().zip(read) {
        match tagged {
            Ok(tagged) => repository.tags.extend(tagged),
            Err(why) => repository.unread = Some(format!("{tag}: {why}")),
        }
    }
    repository
}

/// A tag; none where it has gone meanwhile.
async fn tagged(registry: &impl Registry, reference: &ImageRef, tag: &str) -> Result<Option<Tagged>, String> {
    let at = reference.with_tag(tag).map_err(|error| error.to_string())?;
    let raw = if_found(registry.raw(&at, None).await).map_err(|error| error.kind.to_string())?;
    let Some(raw) = raw else { return Ok(None) };
    let links = parse_links(&raw.bytes).map_err(|error| error.to_string())?;
    Ok(Some(Tagged { tag: tag.to_owned(), digest: raw.digest, links }))
}

/// Removes a tag with what it stands for, if that is still what it was read as.
pub async fn remove(registry: &impl Registry, root: &Root, slot: &Slot, tagged: &Tagged) -> Removed {
    let removing = async {
        let at = root.reference(slot).and_then(|reference| reference.with_tag(&tagged.tag));
        let at = at.map_err(|error| error.to_string())?;
        let failed = |error: RegistryError| error.kind.to_string();
        match if_found(registry.raw(&at, None).await).map_err(failed)? {
            Some(raw) if raw.digest != tagged.digest => return Ok(Removed::Moved),
            None => return Ok(Removed::Gone),
            Some(_) => {}
        }
        if_found(registry.delete(&at, &tagged.digest).await).map_err(failed)?;
        Ok::<_, String>(Removed::Gone)
    };
    removing.await.unwrap_or_else(Removed::Failed)
}
