//! What of the caches may go: a pure function over what was read.
//!
//! It fails closed. What nobody knows the age of stays, and so does all of a repository of which not everything could
//! be read: something in it may hold on to the rest.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use super::place::{Namespace, Slot};
use crate::model::Digest;
use crate::registry::Links;

/// What stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// What is younger than this.
    pub keep: Option<Duration>,
    /// So many of each namespace, the youngest ones.
    pub last: usize,
    /// What is younger than this, whatever else is said: somebody may be about to use it.
    pub grace: Duration,
}

/// The repository of a layer's cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repository {
    /// The cache.
    pub slot: Slot,
    /// Its tags.
    pub tags: Vec<Tagged>,
    /// What of it can't be read, and why: then nothing of it goes.
    pub unread: Option<String>,
}

/// A tag with what it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tagged {
    /// The tag.
    pub tag: String,
    /// The manifest.
    pub digest: Digest,
    /// What that holds on to.
    pub links: Links,
}

/// Why a tag stays.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kept {
    /// It is younger than what is kept.
    Recent,
    /// It is among the youngest of its namespace.
    Last,
    /// It is within the window of grace.
    Young,
    /// Nobody knows how old it is.
    Ageless,
    /// Not all of its repository can be read.
    Unread,
    /// Another tag that stays stands for the same.
    Same,
    /// It is part of an index that stays.
    Child,
    /// It refers to what stays.
    Referrer,
}

/// Of each repository, why each tag stays; nothing where it may go.
pub fn judge(repositories: &[Repository], policy: Policy, now: Timestamp) -> Vec<Vec<Option<Kept>>> {
    let last = last(repositories, policy.last);
    let judged = repositories.iter().map(|repository| {
        let mut kept: Vec<Option<Kept>> = Vec::new();
        for tagged in &repository.tags {
            let age = tagged.links.created.map(|created| age(created, now));
            kept.push(match age {
                _ if repository.unread.is_some() => Some(Kept::Unread),
                None => Some(Kept::Ageless),
                Some(age) if age < policy.grace => Some(Kept::Young),
                Some(age) if policy.keep.is_some_and(|keep| age < keep) => Some(Kept::Recent),
                Some(_) if last.contains(&(&repository.slot, &*tagged.tag)) => Some(Kept::Last),
                Some(_) => None,
            });
        }
        hold(repository, &mut kept);
        kept
    });
    judged.collect()
}

/// The youngest ones of each namespace.
fn last(repositories: &[Repository], count: usize) -> BTreeSet<(&Slot, &str)> {
    let mut by_namespace: BTreeMap<&Namespace, Vec<(Timestamp, &Slot, &str)>> = BTreeMap::new();
    for repository in repositories {
        let of = by_namespace.entry(&repository.slot.namespace).or_default();
        let aged = |tagged: &'_ Tagged| tagged.links.created;
        of.extend(repository.tags.iter().filter_map(|tag| Some((aged(tag)?, &repository.slot, &*tag.tag))));
    }
    by_namespace.values_mut().for_each(|of| of.sort_by(|a, b| b.cmp(a)));
    by_namespace.into_values().flat_map(|of| of.into_iter().take(count)).map(|(_, slot, tag)| (slot, tag)).collect()
}

/// Keeps what is held on to by something that stays, until nothing more is found.
fn hold(repository: &Repository, kept: &mut [Option<Kept>]) {
    loop {
        let staying = repository.tags.iter().zip(&*kept).filter(|(_, kept)| kept.is_some()).map(|(tagged, _)| tagged);
        let (mut same, mut children) = (BTreeSet::new(), BTreeSet::new());
        for tagged in staying {
            same.insert(tagged.digest.clone());
            children.extend(tagged.links.children.iter().cloned());
        }
        let mut found = false;
        for (tagged, kept) in repository.tags.iter().zip(&mut *kept).filter(|(_, kept)| kept.is_none()) {
            let stays = |digest: &Digest| same.contains(digest) || children.contains(digest);
            *kept = match () {
                () if same.contains(&tagged.digest) => Some(Kept::Same),
                () if children.contains(&tagged.digest) => Some(Kept::Child),
                () if subject(tagged).as_ref().is_some_and(stays) => Some(Kept::Referrer),
                () => None,
            };
            found |= kept.is_some();
        }
        if !found {
            return;
        }
    }
}

/// What a tag refers to: by its manifest, or by its name where a registry keeps no list of referrers (`sha256-…`, the
/// distribution specification's "referrers tag schema"; cosign's `sha256-….sig`).
fn subject(tagged: &Tagged) -> Option<Digest> {
    let by_name = || {
        let digits = tagged.tag.strip_prefix("sha256-")?;
        format!("sha256:{}", digits.get(..64)?).parse().ok()
    };
    tagged.links.subject.clone().or_else(by_name)
}

/// How long ago; a moment that is still to come is now.
fn age(created: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(created)).unwrap_or_default()
}
