//! What changed of a layer.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::words::Edge;
use crate::model::{self, Digest, RelPath};
use crate::report::reason;

/// What changed of a layer itself. `text` says it in words, the other fields depend on the code.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(tag = "code", rename_all = "kebab-case")]
pub(super) enum Change<'a> {
    /// The layer was named as changed.
    Named {
        /// The same in words.
        text: String,
    },
    /// The other revision has no such layer.
    New {
        /// The same in words.
        text: String,
    },
    /// Its `workflow.ncl` changed; what in it is not known from the path.
    Workflow {
        /// The same in words.
        text: String,
        /// The file, relative to the catalog's root.
        file: &'a str,
    },
    /// A file that its workflow imports changed.
    Import {
        /// The same in words.
        text: String,
        /// The file, relative to the catalog's root.
        file: &'a str,
    },
    /// An evaluated field has another value.
    Field {
        /// The same in words.
        text: String,
        /// The field's path: `build.args.VERSION`.
        field: &'a str,
        /// Its value before; null where it was absent.
        old: Value,
        /// Its value now; null where it is absent.
        new: Value,
    },
    /// Its Dockerfile changed.
    Dockerfile {
        /// The same in words.
        text: String,
        /// The file, relative to the catalog's root.
        file: &'a str,
    },
    /// A file of its build context changed.
    Context {
        /// The same in words.
        text: String,
        /// The file, relative to the catalog's root.
        file: &'a str,
        /// In which way.
        change: ContextChange,
    },
    /// An external image that it depends on was named, or has another digest.
    Image {
        /// The same in words.
        text: String,
        /// The image's role for the layer.
        edge: Edge,
        /// The image's full name.
        image: String,
        /// The locked digest before; null where it was not locked, and where the image was named.
        old: Option<&'a str>,
        /// The locked digest now; null where it is not locked, and where the image was named.
        new: Option<&'a str>,
    },
    /// The lock changed; what in it is not known from the path.
    Lock {
        /// The same in words.
        text: String,
        /// The file, relative to the catalog's root.
        file: &'a str,
    },
    /// A path changed that no layer claims, with `--unknown=all`.
    Unclaimed {
        /// The same in words.
        text: String,
        /// The file, relative to the catalog's root.
        file: &'a str,
    },
    /// The other revision, or the layer in it, can't be evaluated.
    OldUnreadable {
        /// The same in words.
        text: String,
    },
}

/// In which way a file of a build context changed.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum ContextChange {
    /// Known from the path alone.
    Changed,
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It has another content.
    #[serde(rename = "content changed")]
    Content,
    /// It has another mode.
    #[serde(rename = "mode changed")]
    Mode,
}

impl<'a> From<&'a model::Change> for Change<'a> {
    fn from(change: &'a model::Change) -> Self {
        use model::Change as Known;
        let text = reason::change(change);
        match change {
            Known::Named => Change::Named { text },
            Known::New => Change::New { text },
            Known::Workflow { file } => Change::Workflow { text, file: file.as_str() },
            Known::Import { file } => Change::Import { text, file: file.as_str() },
            Known::Field { path, old, new } => Change::Field { text, field: path, old: parsed(old), new: parsed(new) },
            Known::Dockerfile { file } => Change::Dockerfile { text, file: file.as_str() },
            Known::Context { file, change } => context(text, file, *change),
            Known::Image { edge, image, old, new } => Change::Image {
                text,
                edge: (*edge).into(),
                image: image.to_string(),
                old: old.as_ref().map(Digest::as_str),
                new: new.as_ref().map(Digest::as_str),
            },
            Known::Lock { file } => Change::Lock { text, file: file.as_str() },
            Known::Unclaimed { file } => Change::Unclaimed { text, file: file.as_str() },
            Known::OldUnreadable => Change::OldUnreadable { text },
        }
    }
}

fn context(text: String, file: &RelPath, change: model::ContextChange) -> Change<'_> {
    let change = match change {
        model::ContextChange::Changed => ContextChange::Changed,
        model::ContextChange::Added => ContextChange::Added,
        model::ContextChange::Removed => ContextChange::Removed,
        model::ContextChange::Content => ContextChange::Content,
        model::ContextChange::Mode => ContextChange::Mode,
    };
    Change::Context { text, file: file.as_str(), change }
}

/// The texts of values are JSON themselves.
fn parsed(text: &Option<String>) -> Value {
    text.as_ref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}
