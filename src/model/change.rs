//! Why a layer is stale. The same reasons go from a cascade to a plan and into events.

use super::{Digest, EdgeKind, ImageRef, LayerName, RelPath};

/// What changed of a layer itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// The layer was named as changed.
    Named,
    /// The layer is new.
    New,
    /// Its workflow.ncl changed; what in it, is not known from the path alone.
    Workflow {
        /// The file.
        file: RelPath,
    },
    /// A file changed that its workflow imports.
    Import {
        /// The file.
        file: RelPath,
    },
    /// An evaluated field has another value; as JSON, `None` where it is absent.
    Field {
        /// The field's path.
        path: String,
        /// Its value before.
        old: Option<String>,
        /// Its value now.
        new: Option<String>,
    },
    /// Its Dockerfile changed.
    Dockerfile {
        /// The file.
        file: RelPath,
    },
    /// A file of its build context changed.
    Context {
        /// The file.
        file: RelPath,
        /// In which way.
        change: ContextChange,
    },
    /// An external image that it depends on has another digest.
    Image {
        /// In which role.
        edge: EdgeKind,
        /// The image.
        image: ImageRef,
        /// The locked digest before.
        old: Option<Digest>,
        /// The locked digest now.
        new: Option<Digest>,
    },
    /// The lock changed; what in it, is not known from the path alone.
    Lock {
        /// The file.
        file: RelPath,
    },
    /// A path inside of the catalog that no layer claims changed, and such a path means all layers.
    Unclaimed {
        /// The file.
        file: RelPath,
    },
    /// The other revision, or this layer in it, can't be evaluated.
    OldUnreadable,
}

/// In which way a file of a build context changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ContextChange {
    /// Known from the path alone.
    Changed,
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It has another content.
    Content,
    /// It has another mode.
    Mode,
}

impl ContextChange {
    /// As a verb.
    pub fn as_str(self) -> &'static str {
        match self {
            ContextChange::Changed => "changed",
            ContextChange::Added => "added",
            ContextChange::Removed => "removed",
            ContextChange::Content => "content changed",
            ContextChange::Mode => "mode changed",
        }
    }
}

/// How a layer is reached: by a stale parent, in a role.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Via {
    /// The stale parent.
    pub parent: LayerName,
    /// In which role it goes into the layer.
    pub edge: EdgeKind,
}

impl Change {
    /// The stable name of the reason.
    pub fn code(&self) -> &'static str {
        match self {
            Change::Named => "named",
            Change::New => "new",
            Change::Workflow { .. } => "workflow",
            Change::Import { .. } => "import",
            Change::Field { .. } => "field",
            Change::Dockerfile { .. } => "dockerfile",
            Change::Context { .. } => "context",
            Change::Image { .. } => "image",
            Change::Lock { .. } => "lock",
            Change::Unclaimed { .. } => "unclaimed",
            Change::OldUnreadable => "old-unreadable",
        }
    }
}
