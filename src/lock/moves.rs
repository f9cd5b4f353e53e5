//! What moved between two locks.

use std::collections::BTreeMap;

use super::Lock;
use crate::model::{Digest, ImageRef};

/// An image that differs between two locks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Move<'a> {
    /// The image and its digest before; `None` for one that is new.
    pub old: Option<(&'a ImageRef, &'a Digest)>,
    /// The image and its digest now; `None` for one that is gone.
    pub new: Option<(&'a ImageRef, &'a Digest)>,
}

impl Lock {
    /// The images whose digest or tag moved. Another tag of the same repository counts as a move where it is the only
    /// one that came and the only one that went; otherwise nobody can tell which took whose place.
    pub fn moves_since<'a>(&'a self, old: &'a Lock) -> Vec<Move<'a>> {
        type Entry<'a> = (&'a ImageRef, &'a Digest);
        let mut moves = Vec::new();
        let mut others: BTreeMap<(&str, &str), (Vec<Entry<'a>>, Vec<Entry<'a>>)> = BTreeMap::new();
        for (image, before) in old.iter() {
            match self.get(image) {
                Some(now) if now.digest != before.digest => {
                    moves.push(Move { old: Some((image, &before.digest)), new: Some((image, &now.digest)) });
                }
                Some(_) => {}
                None => {
                    others.entry((image.registry(), image.repository())).or_default().0.push((image, &before.digest));
                }
            }
        }
        for (image, now) in self.iter().filter(|(image, _)| old.get(image).is_none()) {
            others.entry((image.registry(), image.repository())).or_default().1.push((image, &now.digest));
        }
        for (gone, come) in others.into_values() {
            if let ([gone], [come]) = (&*gone, &*come) {
                moves.push(Move { old: Some(*gone), new: Some(*come) });
                continue;
            }
            moves.extend(gone.into_iter().map(|gone| Move { old: Some(gone), new: None }));
            moves.extend(come.into_iter().map(|come| Move { old: None, new: Some(come) }));
        }
        moves.sort_by_key(|moved| moved.old.or(moved.new).map(|(image, _)| image));
        moves
    }
}
