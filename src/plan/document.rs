//! A plan that was written down: the JSON answer of `lamina plan`, read again.
//!
//! What is written is another room's matter (`report/json/plan.rs`); this is the reader, and it trusts nothing: not
//! the file's size, not its shape, and not that it is about the catalog at hand. From the file come the actions, the
//! reasons, the estimates and the images of parents that are there; the order and who waits for whom come from the
//! graph.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Deserialize;

use super::{Plan, Reason, SkipReason, Skipped, Step, images_of};
use crate::diag::Diagnostic;
use crate::event::{Action, RunId};
use crate::model::{Digest, EdgeKind, Fingerprint, ImageRef, LayerName};
use crate::snapshot::Snapshot;

/// The version of the answer that is read.
const VERSION: u64 = 1;

/// The largest document that is read, in bytes: enough for tens of thousands of layers.
pub const MAX_DOCUMENT: u64 = 32 << 20;

/// A plan as it was written down, not yet compared with a catalog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saved {
    /// Whether it was made with `--frozen`.
    pub frozen: bool,
    registry: String,
    namespace: String,
    steps: Vec<Step>,
    skipped: Vec<Skipped>,
    causes: BTreeMap<LayerName, String>,
}

/// Why a plan that was written down can't be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SavedError {
    /// It has too many bytes.
    #[error("it has more than {MAX_DOCUMENT} bytes")]
    TooLarge,
    /// It is no JSON, or not of the shape of a plan.
    #[error("it is no plan: {0}")]
    Malformed(String),
    /// It is another answer of lamina.
    #[error("it is the answer of `lamina {0}`, and no plan")]
    NoPlan(String),
    /// It is of another version.
    #[error("it is of version {0}, and this lamina reads version {VERSION}")]
    Version(u64),
    /// A layer stands in it twice.
    #[error("{0} stands in it twice")]
    Twice(LayerName),
    /// It contradicts the catalog that it is about, or itself.
    #[error("what it says of {layer} can't be: {why}")]
    Contradiction {
        /// The layer.
        layer: LayerName,
        /// What is wrong.
        why: String,
    },
    /// It was made for another registry or namespace.
    #[error("it was made for {planned}, and the catalog's images are in {now}")]
    Elsewhere {
        /// The plan's registry and namespace.
        planned: String,
        /// The catalog's.
        now: String,
    },
    /// Inputs of these layers, or the layers themselves, are not what they were.
    #[error("the catalog has moved since the plan was made: {}", .0.iter().map(LayerName::as_str).collect::<Vec<_>>().join(", "))]
    Moved(Vec<LayerName>),
    /// Layers have no fingerprint, or their images have no name.
    #[error("not every layer can be built")]
    Unbuildable(Vec<Diagnostic>),
}

#[derive(Deserialize)]
struct Head {
    version: u64,
    command: String,
}

#[derive(Deserialize)]
struct Document {
    registry: String,
    namespace: String,
    frozen: bool,
    steps: Vec<DocumentStep>,
    skipped: Vec<DocumentSkipped>,
}

#[derive(Deserialize)]
struct DocumentStep {
    layer: LayerName,
    action: Action,
    fingerprint: Fingerprint,
    image: ImageRef,
    reasons: Vec<DocumentReason>,
    cause: Option<String>,
    needs: BTreeSet<LayerName>,
    present: BTreeMap<LayerName, Digest>,
    forced: bool,
    expected_ms: Option<u64>,
}

#[derive(Deserialize)]
struct DocumentSkipped {
    layer: LayerName,
    fingerprint: Fingerprint,
    digest: Digest,
    code: DocumentSkip,
    cause: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum DocumentSkip {
    UpToDate,
}

#[derive(Deserialize)]
#[serde(tag = "code", rename_all = "kebab-case")]
enum DocumentReason {
    NoImage,
    Forced,
    ParentForced { parent: LayerName, edge: DocumentEdge },
    ParentBuilt { parent: LayerName, edge: DocumentEdge },
    NeededBy { child: LayerName },
    ProofMissing,
    FailedBefore { run: RunId },
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum DocumentEdge {
    Build,
    Runtime,
    Donor,
}

impl Saved {
    /// Reads a document.
    ///
    /// # Errors
    /// When it is no plan that this lamina understands.
    pub fn read(bytes: &[u8]) -> Result<Self, SavedError> {
        if bytes.len() as u64 > MAX_DOCUMENT {
            return Err(SavedError::TooLarge);
        }
        let malformed = |error: serde_json::Error| SavedError::Malformed(error.to_string());
        let head: Head = serde_json::from_slice(bytes).map_err(malformed)?;
        match head {
            Head { version: VERSION, command } if command == "plan" => {}
            Head { version: VERSION, command } => return Err(SavedError::NoPlan(command)),
            Head { version, .. } => return Err(SavedError::Version(version)),
        }
        let document: Document = serde_json::from_slice(bytes).map_err(malformed)?;
        let mut saved = Self {
            frozen: document.frozen,
            registry: document.registry,
            namespace: document.namespace,
            steps: Vec::new(),
            skipped: Vec::new(),
            causes: BTreeMap::new(),
        };
        let mut seen = BTreeSet::new();
        let mut once = |layer: &LayerName| match seen.insert(layer.clone()) {
            true => Ok(()),
            false => Err(SavedError::Twice(layer.clone())),
        };
        for step in document.steps {
            once(&step.layer)?;
            if step.reasons.is_empty() {
                return Err(contradiction(&step.layer, "it is planned without a reason"));
            }
            saved.causes.extend(step.cause.map(|cause| (step.layer.clone(), cause)));
            saved.steps.push(Step {
                layer: step.layer,
                action: step.action,
                fingerprint: step.fingerprint,
                image: step.image,
                reasons: step.reasons.into_iter().map(Reason::from).collect(),
                needs: step.needs,
                present: step.present,
                forced: step.forced,
                expected: step.expected_ms.map(Duration::from_millis),
            });
        }
        for skipped in document.skipped {
            once(&skipped.layer)?;
            saved.causes.extend(skipped.cause.map(|cause| (skipped.layer.clone(), cause)));
            let reason = match skipped.code {
                DocumentSkip::UpToDate => SkipReason::UpToDate,
            };
            let (layer, fingerprint, digest) = (skipped.layer, skipped.fingerprint, skipped.digest);
            saved.skipped.push(Skipped { layer, fingerprint, digest, reason });
        }
        Ok(saved)
    }

    /// The plan, if the catalog is what it was when the plan was made.
    ///
    /// # Errors
    /// When it is not, or when the plan contradicts it.
    pub fn plan(self, snapshot: &Snapshot) -> Result<Plan, SavedError> {
        let config = snapshot.catalog.config.as_ref();
        let now = config.map_or(("", ""), |config| (&config.registry, &config.namespace));
        if now != (&self.registry, &self.namespace) {
            let place = |(registry, namespace): (&str, &str)| format!("{registry}/{namespace}");
            let planned = place((&self.registry, &self.namespace));
            return Err(SavedError::Elsewhere { planned, now: place(now) });
        }
        let fingerprints = || {
            let planned = self.steps.iter().map(|step| (&step.layer, step.fingerprint));
            planned.chain(self.skipped.iter().map(|skipped| (&skipped.layer, skipped.fingerprint)))
        };
        let named = images_of(snapshot, fingerprints().map(|(name, _)| name)).map_err(SavedError::Unbuildable)?;
        let has_moved = |(name, was): &(&LayerName, Fingerprint)| named.get(*name).is_none_or(|(is, _)| is != was);
        let moved: BTreeSet<LayerName> = fingerprints().filter(has_moved).map(|(name, _)| name.clone()).collect();
        if !moved.is_empty() {
            return Err(SavedError::Moved(moved.into_iter().collect()));
        }
        let planned: BTreeSet<LayerName> = self.steps.iter().map(|step| step.layer.clone()).collect();
        for step in &self.steps {
            if named.get(&step.layer).is_none_or(|(_, image)| *image != step.image) {
                return Err(contradiction(&step.layer, &format!("its image is not {}", step.image)));
            }
            agrees(snapshot, &planned, step)?;
        }
        let order: BTreeMap<&LayerName, usize> = snapshot.graph.build_order().zip(0..).collect();
        let place = |name: &LayerName| order.get(name).copied();
        let mut plan = Plan { steps: self.steps, skipped: self.skipped, causes: self.causes };
        plan.steps.sort_by_key(|step| place(&step.layer));
        plan.skipped.sort_by_key(|skipped| place(&skipped.layer));
        Ok(plan)
    }
}

/// Whether what a step waits for, and what it stands on, are what the graph says.
fn agrees(snapshot: &Snapshot, planned: &BTreeSet<LayerName>, step: &Step) -> Result<(), SavedError> {
    let parents = snapshot.graph.parents(&step.layer).into_iter();
    let (needs, others): (BTreeSet<&LayerName>, BTreeSet<&LayerName>) =
        parents.map(|(parent, _)| parent).partition(|parent| planned.contains(*parent));
    if needs != step.needs.iter().collect() {
        return Err(contradiction(&step.layer, "it needs other layers of the plan than the catalog says"));
    }
    if let Some(stranger) = step.present.keys().find(|parent| !others.contains(parent)) {
        return Err(contradiction(&step.layer, &format!("{stranger} is no parent of it that is there already")));
    }
    match others.iter().find(|parent| !step.present.contains_key(**parent)) {
        Some(parent) if step.action == Action::Build => {
            Err(contradiction(&step.layer, &format!("the image of {parent}, on which it stands, is missing")))
        }
        _ => Ok(()),
    }
}

fn contradiction(layer: &LayerName, why: &str) -> SavedError {
    SavedError::Contradiction { layer: layer.clone(), why: why.to_owned() }
}

impl From<DocumentReason> for Reason {
    fn from(reason: DocumentReason) -> Self {
        match reason {
            DocumentReason::NoImage => Reason::NoImage,
            DocumentReason::Forced => Reason::Forced,
            DocumentReason::ParentForced { parent, edge } => Reason::ParentForced { parent, edge: edge.into() },
            DocumentReason::ParentBuilt { parent, edge } => Reason::ParentBuilt { parent, edge: edge.into() },
            DocumentReason::NeededBy { child } => Reason::NeededBy { child },
            DocumentReason::ProofMissing => Reason::ProofMissing,
            DocumentReason::FailedBefore { run } => Reason::FailedBefore { run },
        }
    }
}

impl From<DocumentEdge> for EdgeKind {
    fn from(edge: DocumentEdge) -> Self {
        match edge {
            DocumentEdge::Build => EdgeKind::Build,
            DocumentEdge::Runtime => EdgeKind::Runtime,
            DocumentEdge::Donor => EdgeKind::Donor,
        }
    }
}
