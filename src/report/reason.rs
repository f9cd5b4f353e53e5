//! Reasons in words.

use crate::cascade::Cascade;
use crate::model::{Change, Digest, LayerName};
use crate::plan::{Reason, SkipReason};

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
        Reason::ParentBuilt { parent, edge } => format!("its {edge} {parent} is built, too"),
        Reason::NeededBy { child } => format!("needed by {child}"),
        Reason::ProofMissing => "an image, and no proof that it is good".to_owned(),
        Reason::FailedBefore { run } => format!("failed in run {run}"),
    }
}

/// Why a layer needs nothing, in words.
pub fn skipped(reason: &SkipReason) -> String {
    match reason {
        SkipReason::UpToDate => "up to date".to_owned(),
    }
}
