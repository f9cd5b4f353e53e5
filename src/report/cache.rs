//! Layer caches, as text.

use super::{count, table};
use crate::cache::{Kept, Refused, Repository, Root, Session, Slot, Survey, Tagged};
use crate::model::LayerName;

/// The caches that a registry has.
#[derive(Clone, Copy, Debug)]
pub struct Listed<'a> {
    /// Who asks.
    pub session: &'a Session,
    /// Where caches lie.
    pub root: &'a Root,
    /// Which there may be.
    pub survey: &'a Survey,
    /// What was read of them.
    pub repositories: &'a [Repository],
}

/// What a build of a layer reads and writes.
#[derive(Clone, Copy, Debug)]
pub struct Explained<'a> {
    /// Who builds.
    pub session: &'a Session,
    /// Where caches lie.
    pub root: &'a Root,
    /// The layer.
    pub layer: &'a LayerName,
}

/// What a retention came to.
#[derive(Clone, Debug)]
pub struct Pruned {
    /// Where caches lie.
    pub root: Root,
    /// Who removes.
    pub session: Session,
    /// Which caches there may be, of those that the actor may write.
    pub survey: Survey,
    /// Those of which not everything could be read: all of them stay.
    pub unread: Vec<Repository>,
    /// What became of each tag that was read.
    pub fates: Vec<(Slot, Tagged, Fate)>,
}

/// What became of a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It stays.
    Kept(Kept),
    /// It would go.
    Planned,
    /// It is gone.
    Removed,
    /// It stands for something else by now, and stays.
    Moved,
    /// It could not be removed.
    Failed(String),
}

/// A line a cache: whose, size, age.
pub fn list(listed: &Listed<'_>) -> String {
    let rows: Vec<[String; 3]> = listed
        .repositories
        .iter()
        .flat_map(|repository| {
            let slot = &repository.slot;
            repository.tags.iter().map(move |tagged| [name(slot, tagged), size(tagged), created(tagged)])
        })
        .collect();
    match rows.is_empty() {
        true => "there is no layer cache\n".to_owned(),
        false => table(&rows),
    }
}

/// What is to be known beside the list.
pub fn remarks(listed: &Listed<'_>) -> Vec<String> {
    let number = listed.repositories.iter().filter(|repository| !repository.tags.is_empty()).count();
    let bytes = listed.repositories.iter().flat_map(|repository| &repository.tags);
    let bytes = bytes.fold(0_u64, |sum, tagged| sum.saturating_add(tagged.links.bytes));
    let mut remarks =
        vec![format!("{}, {} MB at most: layers may be shared", count(number, "cache"), bytes / 1_000_000)];
    remarks.extend(of_survey(listed.survey));
    remarks.extend(listed.repositories.iter().filter_map(unread));
    remarks
}

/// What nobody could find out.
fn of_survey(survey: &Survey) -> Vec<String> {
    let mut remarks = Vec::new();
    if let Some(why) = &survey.partial {
        remarks.push(format!("the registry does not say what else there is: {why}"));
    }
    if !survey.ownerless.is_empty() {
        let names: Vec<&str> = survey.ownerless.iter().map(String::as_str).collect();
        remarks.push(format!("of an earlier version, and not used any more: {}", names.join(", ")));
    }
    remarks
}

fn unread(repository: &Repository) -> Option<String> {
    Some(format!("{} can't be read: {}", repository.slot, repository.unread.as_ref()?))
}

/// Who, what is read in which order, what is written, and what is forbidden.
pub fn explain(explained: &Explained<'_>) -> String {
    let Explained { session, root, layer } = *explained;
    let uses = session.uses(layer);
    let reference =
        |slot: &Slot| root.reference(slot).map_or_else(|error| error.to_string(), |found| found.to_string());
    let mut rows =
        vec![["actor".to_owned(), session.actor.to_string()], ["workspace".to_owned(), session.workspace.to_string()]];
    rows.extend(uses.from.iter().map(|slot| ["reads".to_owned(), reference(slot)]));
    rows.push(["writes".to_owned(), uses.to.as_ref().map_or_else(|| "nothing".to_owned(), reference)]);
    rows.extend(session.bars(layer).iter().map(|(name, Refused { access, why, .. })| {
        ["may not".to_owned(), format!("{access} {name}: {why} ({})", why.code())]
    }));
    table(&rows)
}

/// A line a tag: what became of it, and why. Tags that stay are told in detail only when asked for.
pub fn pruned(pruned: &Pruned, verbose: bool) -> String {
    let is_told = |fate: &Fate| verbose || !matches!(fate, Fate::Kept(_));
    let rows: Vec<[String; 4]> = pruned
        .fates
        .iter()
        .filter(|(_, _, fate)| is_told(fate))
        .map(|(slot, tagged, fate)| [word(fate), name(slot, tagged), size(tagged), created(tagged)])
        .collect();
    match rows.is_empty() {
        true => "nothing is to be removed\n".to_owned(),
        false => table(&rows),
    }
}

impl Pruned {
    /// Whether everything was read and nothing failed.
    pub fn is_clean(&self) -> bool {
        self.unread.is_empty() && !self.fates.iter().any(|(_, _, fate)| matches!(fate, Fate::Failed(_)))
    }

    /// What is to be known beside the answer.
    pub fn remarks(&self) -> Vec<String> {
        let number = |is: fn(&Fate) -> bool| self.fates.iter().filter(|(_, _, fate)| is(fate)).count();
        let kept = number(|fate| matches!(fate, Fate::Kept(_) | Fate::Moved | Fate::Failed(_)));
        let planned = number(|fate| matches!(fate, Fate::Planned));
        let gone = match planned {
            0 => format!("{} removed", count(number(|fate| matches!(fate, Fate::Removed)), "tag")),
            _ => format!("{} would be removed", count(planned, "tag")),
        };
        let mut remarks = vec![format!("{gone}, {kept} kept, of what {} may write", self.session.actor)];
        remarks.extend(of_survey(&self.survey));
        remarks.extend(self.unread.iter().filter_map(unread));
        remarks
    }
}

fn word(fate: &Fate) -> String {
    match fate {
        Fate::Kept(kept) => format!("kept: {}", why_kept(kept)),
        Fate::Planned => "would go".to_owned(),
        Fate::Removed => "removed".to_owned(),
        Fate::Moved => "kept: it was written meanwhile".to_owned(),
        Fate::Failed(why) => format!("not removed: {why}"),
    }
}

/// Why a tag stays, in words.
pub fn why_kept(kept: &Kept) -> &'static str {
    match kept {
        Kept::Recent => "it is younger than what is kept",
        Kept::Last => "it is among the youngest",
        Kept::Young => "it is within the window of grace",
        Kept::Ageless => "nobody knows how old it is",
        Kept::Unread => "not all of its repository can be read",
        Kept::Same => "another tag that stays stands for the same",
        Kept::Child => "it is part of an index that stays",
        Kept::Referrer => "it refers to what stays",
    }
}

fn name(slot: &Slot, tagged: &Tagged) -> String {
    match tagged.tag.as_str() {
        "latest" => slot.to_string(),
        tag => format!("{slot}:{tag}"),
    }
}

fn size(tagged: &Tagged) -> String {
    format!("{}.{} MB", tagged.links.bytes / 1_000_000, tagged.links.bytes % 1_000_000 / 100_000)
}

fn created(tagged: &Tagged) -> String {
    tagged.links.created.map_or_else(|| "age unknown".to_owned(), |at| at.strftime("%Y-%m-%d %H:%M").to_string())
}
