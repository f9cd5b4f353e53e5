//! Reasons in words.

use super::enumeration;
use crate::cascade::Cascade;
use crate::model::{Change, Digest, LayerName};
use crate::plan::{Condition, Reason, SkipReason, Standing};

/// What changed, in words.
pub fn change(change: &Change) -> String {
    match change {
        Change::Named => "named as changed".to_owned(),
        Change::New => "new layer".to_owned(),
        Change::Workflow { file } | Change::Dockerfile { file } | Change::Lock { file } => format!("{file} changed"),
        Change::Import { file } => format!("{file}, which it is made with, changed"),
        Change::Field { path, old, new } => match (old, new) {
            (Some(old), Some(new)) => format!("{path} changed from {old} to {new}"),
            (None, Some(new)) => format!("{path} is new: {new}"),
            (Some(old), None) => format!("{path} is gone, was {old}"),
            (None, None) => format!("{path} changed"),
        },
        Change::Context { file, change } => format!("{file} {}", change.as_str()),
        Change::Image { edge, image, old, new } => {
            let name = image.familiar();
            match (old, new) {
                (Some(old), Some(new)) => format!("{edge} {name} moved from {} to {}", short(old), short(new)),
                (None, Some(new)) => format!("{edge} {name} is locked now: {}", short(new)),
                (Some(old), None) => format!("{edge} {name} is not locked any more, was {}", short(old)),
                (None, None) => format!("{edge} {name} was named as changed"),
            }
        }
        Change::Unclaimed { file } => format!("{file} changed, which no layer claims"),
        Change::OldUnreadable => "can't be evaluated in the other revision".to_owned(),
    }
}

/// Enough of a digest for people to tell two apart.
fn short(digest: &Digest) -> &str {
    digest.as_str().get(..19).unwrap_or(digest.as_str())
}

/// Why a layer is stale, from the change to the layer: `layers/rust/Dockerfile changed → rust → wasm (build base)`.
/// Of several changes the first one stands for all, unless all are asked for.
pub fn chain(cascade: &Cascade, name: &LayerName, all: bool) -> String {
    let Some(chain) = cascade.chain(name) else { return String::new() };
    let changes = cascade.changed.get(chain.origin).map(Vec::as_slice).unwrap_or_default();
    let origin = chain.origin;
    let mut text = match changes {
        // A layer that was named has no reason but its name.
        [] | [Change::Named] => format!("{origin} changed"),
        [one] => format!("{} → {origin}", change(one)),
        several if all => format!("{} → {origin}", several.iter().map(change).collect::<Vec<_>>().join(", ")),
        [first, rest @ ..] => format!("{} (and {} more) → {origin}", change(first), rest.len()),
    };
    for (edge, layer) in &chain.steps {
        text.push_str(&format!(" → {layer} ({edge})"));
    }
    text
}

/// Why a layer is built or proven, in words.
pub fn planned(reason: &Reason) -> String {
    match reason {
        Reason::NoImage => "no image of this fingerprint".to_owned(),
        Reason::Forced => "forced".to_owned(),
        Reason::ParentForced { parent, edge } => format!("its {edge} {parent} is built once more"),
        Reason::ParentBuilt { parent, edge } => format!("its {edge} {parent} is built as well"),
        Reason::NeededBy { child } => format!("needed by {child}"),
        Reason::ProofMissing => "an image without a proof that it is good".to_owned(),
        Reason::FailedBefore { run } => format!("failed in run {run}"),
    }
}

/// All reasons why a layer is built or proven, in words: parents and children that share a reason share its words.
pub fn all_planned(reasons: &[Reason]) -> String {
    let (mut forced, mut built, mut children, mut words) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for reason in reasons {
        match reason {
            Reason::ParentForced { parent, .. } => forced.push(parent),
            Reason::ParentBuilt { parent, .. } => built.push(parent),
            Reason::NeededBy { child } => children.push(child),
            Reason::NoImage | Reason::Forced | Reason::ProofMissing | Reason::FailedBefore { .. } => {
                words.push(planned(reason));
            }
        }
    }
    let is = |layers: &[&LayerName]| if layers.len() == 1 { "is" } else { "are" };
    for layers in [&mut forced, &mut built, &mut children] {
        layers.dedup();
    }
    if !forced.is_empty() {
        words.push(format!("{} {} built once more", enumeration(&forced), is(&forced)));
    }
    if !built.is_empty() {
        words.push(format!("{} {} built as well", enumeration(&built), is(&built)));
    }
    if !children.is_empty() {
        words.push(format!("needed by {}", enumeration(&children)));
    }
    words.join("; ")
}

/// Why a layer needs nothing, in words.
pub fn skipped(reason: &SkipReason) -> String {
    match reason {
        SkipReason::UpToDate => "up to date".to_owned(),
    }
}

/// Why a layer is built, stale, failed or not proven, in words.
pub fn standing(standing: &Standing) -> String {
    let image = match (&standing.digest, standing.condition, standing.others.len()) {
        (Some(_), Condition::Built, _) => "the registry has its image".to_owned(),
        (Some(_), ..) => planned(&Reason::ProofMissing),
        (None, _, 0) => "no image of any fingerprint".to_owned(),
        (None, _, 1) => "no image of this fingerprint; another fingerprint is there".to_owned(),
        (None, _, others) => format!("no image of this fingerprint; {others} other fingerprints are there"),
    };
    match (standing.condition, &standing.last) {
        (Condition::Failed, Some(last)) => {
            format!("{}; {image}", planned(&Reason::FailedBefore { run: last.run.clone() }))
        }
        _ => image,
    }
}
