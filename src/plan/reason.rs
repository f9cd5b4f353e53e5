//! Why a layer is in a plan, or needs nothing.

use crate::event::RunId;
use crate::model::{EdgeKind, LayerName};

/// Why a layer is built or proven.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// The registry has no image of its fingerprint.
    NoImage,
    /// It was asked for, although the registry has its image.
    Forced,
    /// A parent is built once more by request, and this layer is in the selection.
    ParentForced {
        /// The parent.
        parent: LayerName,
        /// In which role.
        edge: EdgeKind,
    },
    /// A parent is built as well.
    ParentBuilt {
        /// The parent.
        parent: LayerName,
        /// In which role.
        edge: EdgeKind,
    },
    /// It is outside of the selection, but a layer of the plan needs its image.
    NeededBy {
        /// The layer that needs it.
        child: LayerName,
    },
    /// The registry has its image, and no proof for the probes that are declared now.
    ProofMissing,
    /// It failed in an earlier run.
    FailedBefore {
        /// The run.
        run: RunId,
    },
}

/// Why a selected layer needs nothing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SkipReason {
    /// The registry has a proven image of its fingerprint.
    UpToDate,
}

impl Reason {
    /// The stable name of the reason.
    pub fn code(&self) -> &'static str {
        match self {
            Reason::NoImage => "no-image",
            Reason::Forced => "forced",
            Reason::ParentForced { .. } => "parent-forced",
            Reason::ParentBuilt { .. } => "parent-built",
            Reason::NeededBy { .. } => "needed-by",
            Reason::ProofMissing => "proof-missing",
            Reason::FailedBefore { .. } => "failed-before",
        }
    }
}

impl SkipReason {
    /// The stable name of the reason.
    pub fn code(&self) -> &'static str {
        match self {
            SkipReason::UpToDate => "up-to-date",
        }
    }
}
