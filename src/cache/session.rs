//! What the builds of an actor read and write.

use super::place::{Namespace, Root, Slot, Workspace};
use super::rule::{Access, Grants, Refused, decide};
use crate::model::{Actor, ActorName, ImageRef, LayerName, Owner, OwnerKind};

/// What becomes of the cache that a build would leave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Disposition {
    /// It is written.
    #[default]
    Export,
    /// Nothing is written.
    Discard,
    /// It is written, and what was there before is put back where the layer does not become good.
    Rollback,
}

/// Namespaces that somebody has named, in place of the actor's usual ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// Read, in this order; the usual ones where it is empty.
    pub read: Vec<Namespace>,
    /// Written.
    pub write: Option<Namespace>,
}

/// Who builds, in which workspace, and what becomes of the caches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Who.
    pub actor: Actor,
    /// In which workspace.
    pub workspace: Workspace,
    /// What pipelines beside CI may write.
    pub grants: Grants,
    /// The namespaces that were named.
    pub named: Named,
    /// What becomes of the caches.
    pub disposition: Disposition,
}

/// The caches of a layer that a build of a session has to do with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Uses {
    /// Read, in this order.
    pub from: Vec<Slot>,
    /// Written.
    pub to: Option<Slot>,
    /// What the rule forbids of what would have been used.
    pub refused: Vec<Refused>,
}

/// The references that a build reads its layer cache from, and the one that it writes it to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CacheRefs {
    /// Read, in this order. One that is not there is no error.
    pub from: Vec<ImageRef>,
    /// Written.
    pub to: Option<ImageRef>,
}

impl Session {
    /// What a build of a layer reads and writes. What the rule forbids it does not use, named or not.
    pub fn uses(&self, layer: &LayerName) -> Uses {
        let mut uses = Uses::default();
        let slot = |namespace: &Namespace| Slot { namespace: namespace.clone(), layer: layer.clone() };
        for slot in self.reads().iter().map(slot) {
            match decide(&self.actor, Access::Read, &slot, &self.grants) {
                Ok(()) => uses.from.push(slot),
                Err(refused) => uses.refused.push(refused),
            }
        }
        let to = slot(&self.writes());
        match decide(&self.actor, Access::Write, &to, &self.grants) {
            Ok(()) => uses.to = Some(to).filter(|_| self.disposition != Disposition::Discard),
            Err(refused) => uses.refused.push(refused),
        }
        uses
    }

    /// Whether builds of a layer may leave anything in a namespace.
    pub fn may_write(&self, namespace: &Namespace, layer: &LayerName) -> bool {
        let slot = Slot { namespace: namespace.clone(), layer: layer.clone() };
        self.disposition != Disposition::Discard && decide(&self.actor, Access::Write, &slot, &self.grants).is_ok()
    }

    /// Refuses what was named and is forbidden. That a usual namespace can't be written is no error: such a build reads.
    ///
    /// # Errors
    /// The first thing that is forbidden.
    pub fn check<'l>(&self, layers: impl IntoIterator<Item = &'l LayerName>) -> Result<(), Refused> {
        let is_named = |refused: &Refused| match refused.access {
            Access::Read => !self.named.read.is_empty(),
            Access::Write => self.named.write.is_some() && self.disposition != Disposition::Discard,
        };
        match layers.into_iter().flat_map(|layer| self.uses(layer).refused).find(is_named) {
            Some(refused) => Err(refused),
            None => Ok(()),
        }
    }

    /// What the rule forbids this actor near a layer, as the rule itself says it: each with how the caches are called
    /// that it holds for.
    pub fn bars(&self, layer: &LayerName) -> Vec<(String, Refused)> {
        let uses = self.uses(layer);
        let stranger = Owner { kind: OwnerKind::Human, name: ActorName::of_uid(u32::MAX) };
        let canonical = Slot { namespace: Namespace::Ci(self.workspace.clone()), layer: layer.clone() };
        let foreign = Slot { namespace: Namespace::Dev(stranger, self.workspace.clone()), layer: layer.clone() };
        let others = if self.actor.owner().is_some() { "dev/… of others" } else { "dev/…" };
        let near = [
            (canonical.to_string(), Access::Write, canonical),
            (others.to_owned(), Access::Read, foreign.clone()),
            (others.to_owned(), Access::Write, foreign),
        ];
        let near = near
            .into_iter()
            .filter_map(|(name, access, slot)| Some((name, decide(&self.actor, access, &slot, &self.grants).err()?)));
        let mut bars: Vec<(String, Refused)> =
            uses.refused.into_iter().map(|refused| (refused.slot.to_string(), refused)).collect();
        for (name, refused) in near {
            if !bars.iter().any(|(_, known)| *known == refused) {
                bars.push((name, refused));
            }
        }
        bars
    }

    /// The references of a layer with this image.
    pub fn references(&self, image: &ImageRef, layer: &LayerName) -> CacheRefs {
        let (root, Uses { from, to, .. }) = (Root::beside(image), self.uses(layer));
        // What lies beside an image can be named as the image can.
        let reference = |slot: &Slot| root.reference(slot).ok();
        CacheRefs { from: from.iter().filter_map(reference).collect(), to: to.as_ref().and_then(reference) }
    }

    /// The namespaces that are read, the actor's own first: it is the one that was written last.
    pub fn reads(&self) -> Vec<Namespace> {
        if !self.named.read.is_empty() {
            return self.named.read.clone();
        }
        self.own().into_iter().chain([Namespace::Ci(self.workspace.clone())]).collect()
    }

    /// The namespace that is written.
    pub fn writes(&self) -> Namespace {
        let usual = || self.own().unwrap_or_else(|| Namespace::Ci(self.workspace.clone()));
        self.named.write.clone().unwrap_or_else(usual)
    }

    fn own(&self) -> Option<Namespace> {
        Some(Namespace::Dev(self.actor.owner()?.clone(), self.workspace.clone()))
    }
}
