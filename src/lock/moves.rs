//! What moved between two locks.

use std::collections::BTreeMap;

use super::Lock;
use super::tag::TagPattern;
use crate::model::{Digest, ImageRef};

/// An image that differs between two locks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Move<'a> {
    /// The image and its digest before; `None` for one that is new.
    pub old: Option<(&'a ImageRef, &'a Digest)>,
    /// The image and its digest now; `None` for one that is gone.
    pub new: Option<(&'a ImageRef, &'a Digest)>,
}

/// The entries of one repository that are in one of the locks only.
type GoneAndCome<'a> = (Vec<(&'a ImageRef, &'a Digest)>, Vec<(&'a ImageRef, &'a Digest)>);

impl Lock {
    /// The images whose digest or tag moved. Another tag of the same repository counts as a move where it is the only
    /// one that came of the variant that went, or one alone came for one alone that went. Otherwise nobody can tell which
    /// took whose place.
    pub fn moves_since<'a>(&'a self, old: &'a Lock) -> Vec<Move<'a>> {
        let mut moves = Vec::new();
        let mut others: BTreeMap<(&str, &str), GoneAndCome<'a>> = BTreeMap::new();
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
        for (mut gone, mut come) in others.into_values() {
            gone.retain(|old| {
                let alike: Vec<usize> = (0..come.len()).filter(|at| is_variant(old.0, come[*at].0)).collect();
                let [at] = *alike else { return true };
                moves.push(Move { old: Some(*old), new: Some(come.remove(at)) });
                false
            });
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

/// Whether two images are versions of one variant.
fn is_variant(a: &ImageRef, b: &ImageRef) -> bool {
    match (TagPattern::parse(a.tag()), TagPattern::parse(b.tag())) {
        (Some(a), Some(b)) => a.is_variant_of(&b),
        _ => false,
    }
}
