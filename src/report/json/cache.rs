//! Layer caches.

use schemars::JsonSchema;
use serde::Serialize;

use super::Answer;
use crate::cache::{Kept, Refused, Repository, Root, Slot, Tagged};
use crate::report::cache::{Explained, Fate, Listed, Pruned, why_kept};

/// The layer caches that the registry has.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CacheList {
    /// Who asked: `human:ann`.
    actor: String,
    /// What caches are shared within.
    workspace: String,
    /// Why nobody knows of caches other than those of the catalog's layers; null where the registry lists all.
    partial: Option<String>,
    /// The caches, by namespace and layer.
    caches: Vec<Cache>,
    /// Those that could not be read.
    unread: Vec<Unread>,
    /// Repositories from before caches had owners, which nothing reads any more.
    ownerless: Vec<String>,
}

/// What a build of a layer reads and writes.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CacheExplain {
    /// The layer.
    layer: String,
    /// Who builds: `human:ann`.
    actor: String,
    /// What caches are shared within.
    workspace: String,
    /// The references that are read, in this order.
    reads: Vec<String>,
    /// The reference that is written; null where none is.
    writes: Option<String>,
    /// What the actor may not do, with what was named, and with what lies nearest.
    refused: Vec<Refusal>,
}

/// What a retention came to.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CachePrune {
    /// Who removes: only what this actor may write was looked at.
    actor: String,
    /// What caches are shared within.
    workspace: String,
    /// Why nobody knows of caches other than those of the catalog's layers; null where the registry lists all.
    partial: Option<String>,
    /// What became of each tag.
    tags: Vec<TagFate>,
    /// Caches of which not everything could be read: all of them stay.
    unread: Vec<Unread>,
}

/// A layer cache.
#[derive(Debug, Serialize, JsonSchema)]
struct Cache {
    /// Whose: `ci/WORKSPACE` or `dev/OWNER-WORKSPACE`.
    namespace: String,
    /// The layer.
    layer: String,
    /// The reference.
    reference: String,
    /// What it stands for.
    digest: String,
    /// The bytes of its layers, which other caches and images may share.
    bytes: u64,
    /// When the youngest of its layers was made, by RFC 3339; null where nobody says.
    created: Option<String>,
}

/// A cache that could not be read.
#[derive(Debug, Serialize, JsonSchema)]
struct Unread {
    /// Namespace and layer.
    cache: String,
    /// Why.
    why: String,
}

/// Something that is forbidden.
#[derive(Debug, Serialize, JsonSchema)]
struct Refusal {
    /// `read` or `write`.
    access: String,
    /// Namespace and layer, or `dev/…`, where it holds for all of these.
    cache: String,
    /// The reason's stable name: `cache-canonical`.
    code: String,
    /// The reason in words.
    why: String,
}

/// What became of a tag.
#[derive(Debug, Serialize, JsonSchema)]
struct TagFate {
    #[serde(flatten)]
    cache: Cache,
    /// What became of it.
    fate: FateWord,
    /// Why; null where it went.
    why: Option<String>,
}

/// What became of a tag.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum FateWord {
    /// It stays.
    Kept,
    /// It would go: nothing was removed.
    Planned,
    /// It is gone.
    Removed,
    /// It could not be removed.
    Failed,
}

impl Answer for CacheList {
    const NAME: &'static str = "cache-list";
}

impl Answer for CacheExplain {
    const NAME: &'static str = "cache-explain";
}

impl Answer for CachePrune {
    const NAME: &'static str = "cache-prune";
}

impl CacheList {
    /// What a report has to say.
    pub fn new(listed: &Listed<'_>) -> Self {
        let tags = |repository| tags(listed.root, repository);
        Self {
            actor: listed.session.actor.to_string(),
            workspace: listed.session.workspace.to_string(),
            partial: listed.survey.partial.clone(),
            caches: listed.repositories.iter().flat_map(tags).collect(),
            unread: listed.repositories.iter().filter_map(unread).collect(),
            ownerless: listed.survey.ownerless.iter().cloned().collect(),
        }
    }
}

impl CacheExplain {
    /// What a report has to say.
    pub fn new(explained: &Explained<'_>) -> Self {
        let uses = explained.session.uses(explained.layer);
        let reference = |slot: &Slot| explained.root.reference(slot).ok().map(|found| found.to_string());
        let refusal = |(name, Refused { access, why, .. }): (String, Refused)| Refusal {
            access: access.to_string(),
            cache: name,
            code: why.code().to_owned(),
            why: why.to_string(),
        };
        Self {
            layer: explained.layer.to_string(),
            actor: explained.session.actor.to_string(),
            workspace: explained.session.workspace.to_string(),
            reads: uses.from.iter().filter_map(reference).collect(),
            writes: uses.to.as_ref().and_then(reference),
            refused: explained.session.bars(explained.layer).into_iter().map(refusal).collect(),
        }
    }
}

impl CachePrune {
    /// What a report has to say.
    pub fn new(pruned: &Pruned) -> Self {
        let fate = |(slot, tagged, fate): &(Slot, Tagged, Fate)| {
            let kept = |kept: &Kept| Some(why_kept(kept).to_owned());
            let (word, why) = match fate {
                Fate::Kept(why) => (FateWord::Kept, kept(why)),
                Fate::Moved => (FateWord::Kept, Some("it was written meanwhile".to_owned())),
                Fate::Planned => (FateWord::Planned, None),
                Fate::Removed => (FateWord::Removed, None),
                Fate::Failed(why) => (FateWord::Failed, Some(why.clone())),
            };
            TagFate { cache: Cache::new(&pruned.root, slot, tagged), fate: word, why }
        };
        Self {
            actor: pruned.session.actor.to_string(),
            workspace: pruned.session.workspace.to_string(),
            partial: pruned.survey.partial.clone(),
            tags: pruned.fates.iter().map(fate).collect(),
            unread: pruned.unread.iter().filter_map(unread).collect(),
        }
    }
}

impl Cache {
    fn new(root: &Root, slot: &Slot, tagged: &Tagged) -> Self {
        let reference = root.reference(slot).and_then(|reference| reference.with_tag(&tagged.tag));
        Self {
            namespace: slot.namespace.to_string(),
            layer: slot.layer.to_string(),
            reference: reference.map(|found| found.to_string()).unwrap_or_default(),
            digest: tagged.digest.to_string(),
            bytes: tagged.links.bytes,
            created: tagged.links.created.map(|at| at.to_string()),
        }
    }
}

fn tags(root: &Root, repository: &Repository) -> Vec<Cache> {
    repository.tags.iter().map(|tagged| Cache::new(root, &repository.slot, tagged)).collect()
}

fn unread(repository: &Repository) -> Option<Unread> {
    Some(Unread { cache: repository.slot.to_string(), why: repository.unread.clone()? })
}
