//! What has to be done, from what is wanted and what is there: a pure function.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{Image, Past, Plan, Reason, SkipReason, Skipped, Step, images_of};
use crate::diag::Diagnostic;
use crate::event::Action;
use crate::model::{EdgeKind, LayerName};
use crate::snapshot::Snapshot;

/// What is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The layers that are to have a proven image.
    pub selected: BTreeSet<LayerName>,
    /// Those of them that are built even if they have one.
    pub forced: BTreeSet<LayerName>,
    /// Whether what a selected layer needs may be built or proven too, where it is not there.
    pub ancestors: bool,
    /// The change that a layer was selected for, in words, where it was one.
    pub causes: BTreeMap<LayerName, String>,
}

/// Why there is no plan.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PlanError {
    /// Layers have no fingerprint, or their images have no name.
    #[error("not every layer can be built")]
    Unbuildable(Vec<Diagnostic>),
    /// Layers outside of the selection are needed, and were not to be added. At least one.
    #[error("layers outside of the selection are needed: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Ancestors(Vec<Lacking>),
    /// The catalog has no such layer.
    #[error("there is no layer `{0}`")]
    NoLayer(LayerName),
    /// Nobody asked what the registry has of a layer, so nothing can be said about it.
    #[error("the registry was not asked about {0}")]
    NotAsked(LayerName),
}

/// A layer that is needed, is not selected and has no image that is good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lacking {
    /// The layer.
    pub layer: LayerName,
    /// What there is of it.
    pub image: Image,
    /// A layer that needs it.
    pub child: LayerName,
    /// In which role.
    pub edge: EdgeKind,
}

impl std::fmt::Display for Lacking {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { layer, image, child, edge } = self;
        let state = match image {
            Image::Missing => "has no image",
            Image::Unproven(_) | Image::Proven(_) => "has an image that is not proven",
        };
        write!(f, "{layer}, the {edge} of {child}, {state}")
    }
}

/// A layer that will be in the plan.
#[derive(Clone)]
struct Draft {
    action: Action,
    reasons: Vec<Reason>,
}

impl Plan {
    /// What has to be done. `images` says what the registry has of every layer in [`asked`].
    ///
    /// One more image that is missing never takes a step out of a plan.
    ///
    /// # Errors
    /// When a layer can't be built, or needs one that is neither there nor wanted.
    pub fn of(
        snapshot: &Snapshot,
        wanted: &Wanted,
        images: &BTreeMap<LayerName, Image>,
        past: &Past,
    ) -> Result<Self, PlanError> {
        if let Some(unknown) = wanted.selected.iter().find(|name| !snapshot.graph.contains(name)) {
            return Err(PlanError::NoLayer(unknown.clone()));
        }
        let image = |name: &LayerName| images.get(name).ok_or_else(|| PlanError::NotAsked(name.clone()));
        let rebuilt = rebuilt(snapshot, wanted);
        let drafts = drafts(snapshot, wanted, &rebuilt, image)?;
        let is_planned = |name: &LayerName| drafts.contains_key(name) || wanted.selected.contains(name);
        let named = images_of(snapshot, snapshot.graph.names().filter(|name| is_planned(name)))
            .map_err(PlanError::Unbuildable)?;
        let mut plan = Self { causes: wanted.causes.clone(), ..Self::default() };
        plan.causes.retain(|name, _| is_planned(name));
        for name in snapshot.graph.build_order() {
            let Some((fingerprint, reference)) = named.get(name).cloned() else { continue };
            let layer = name.clone();
            let Some(Draft { action, mut reasons }) = drafts.get(name).cloned() else {
                let Some(digest) = image(name)?.digest().cloned() else { continue };
                plan.skipped.push(Skipped { layer, fingerprint, digest, reason: SkipReason::UpToDate });
                continue;
            };
            let (mut needs, mut present) = (BTreeSet::new(), BTreeMap::new());
            for (parent, edge) in snapshot.graph.parents(name) {
                match drafts.get(parent) {
                    Some(draft) => {
                        if (action, draft.action) == (Action::Build, Action::Build) && !rebuilt.contains_key(parent) {
                            reasons.push(Reason::ParentBuilt { parent: parent.clone(), edge });
                        }
                        needs.insert(parent.clone());
                    }
                    None => present.extend(image(parent)?.digest().map(|digest| (parent.clone(), digest.clone()))),
                }
            }
            if let Some(attempt) = past.failed.get(name) {
                reasons.push(Reason::FailedBefore { run: attempt.run.clone() });
            }
            reasons.sort();
            reasons.dedup();
            let expected = match action {
                Action::Build => past.durations.get(name).copied().or_else(|| declared(snapshot, name)),
                Action::Prove => None,
            };
            let forced = rebuilt.contains_key(name);
            let image = reference;
            plan.steps.push(Step { layer, action, fingerprint, image, reasons, needs, present, forced, expected });
        }
        Ok(plan)
    }
}

/// The layers whose images have to be known for a plan: the selected ones, and all that they depend on.
pub fn asked(snapshot: &Snapshot, selected: &BTreeSet<LayerName>) -> BTreeSet<LayerName> {
    let kinds = [EdgeKind::Build, EdgeKind::Runtime, EdgeKind::Donor];
    let ancestors = selected.iter().flat_map(|name| snapshot.graph.ancestors(name, &kinds));
    ancestors.chain(selected).cloned().collect()
}

/// The layers that are built once more by request, with the reasons: those that were asked for, and of the selected
/// ones those that stand on one of them. What was built from an image that is replaced is to be replaced as well.
fn rebuilt<'a>(snapshot: &'a Snapshot, wanted: &Wanted) -> BTreeMap<&'a LayerName, Vec<Reason>> {
    let mut rebuilt: BTreeMap<&LayerName, Vec<Reason>> = BTreeMap::new();
    for name in snapshot.graph.build_order().filter(|name| wanted.selected.contains(*name)) {
        let mut reasons: Vec<Reason> = wanted.forced.contains(name).then_some(Reason::Forced).into_iter().collect();
        for (parent, edge) in snapshot.graph.parents(name) {
            if rebuilt.contains_key(parent) {
                reasons.push(Reason::ParentForced { parent: parent.clone(), edge });
            }
        }
        if !reasons.is_empty() {
            rebuilt.insert(name, reasons);
        }
    }
    rebuilt
}

/// The layers of the plan. From children to parents, so that each layer is looked at once all that may need it is known.
fn drafts<'a, 'i>(
    snapshot: &'a Snapshot,
    wanted: &Wanted,
    rebuilt: &BTreeMap<&'a LayerName, Vec<Reason>>,
    image: impl Fn(&LayerName) -> Result<&'i Image, PlanError>,
) -> Result<BTreeMap<&'a LayerName, Draft>, PlanError> {
    let mut drafts: BTreeMap<&LayerName, Draft> = BTreeMap::new();
    let mut lacking = Vec::new();
    let order: Vec<&LayerName> = snapshot.graph.build_order().collect();
    for name in order.into_iter().rev() {
        let is_built = |child: &LayerName| drafts.get(child).is_some_and(|draft| draft.action == Action::Build);
        let needed: Vec<_> = snapshot.graph.children(name).into_iter().filter(|(child, _)| is_built(child)).collect();
        let is_selected = wanted.selected.contains(name);
        if !is_selected && needed.is_empty() {
            continue;
        }
        let image = image(name)?;
        let (action, mut reasons) = match (image, rebuilt.get(name)) {
            (Image::Missing, forced) => {
                let forced = forced.into_iter().flatten().cloned();
                (Action::Build, std::iter::once(Reason::NoImage).chain(forced).collect::<Vec<_>>())
            }
            (_, Some(forced)) => (Action::Build, forced.clone()),
            (Image::Unproven(_), None) => (Action::Prove, vec![Reason::ProofMissing]),
            (Image::Proven(_), None) => continue,
        };
        if !is_selected {
            if !wanted.ancestors {
                let (child, edge) = needed[0];
                let (layer, child) = (name.clone(), child.clone());
                lacking.push(Lacking { layer, image: image.clone(), child, edge });
                continue;
            }
            reasons.extend(needed.iter().map(|(child, _)| Reason::NeededBy { child: (*child).clone() }));
        }
        drafts.insert(name, Draft { action, reasons });
    }
    if lacking.is_empty() {
        return Ok(drafts);
    }
    lacking.reverse();
    Err(PlanError::Ancestors(lacking))
}

/// How long the layer says that its build takes.
fn declared(snapshot: &Snapshot, name: &LayerName) -> Option<Duration> {
    let minutes = snapshot.layer(name)?.build.resources.expected_min?;
    Some(Duration::from_secs(minutes.saturating_mul(60)))
}
