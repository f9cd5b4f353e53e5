//! Findings: what is wrong, where, why, and what to do. Nothing here renders them; `report` does.

mod code;

use std::ops::Range;

use serde::{Deserialize, Serialize};

pub use code::Code;

/// How much a finding weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Something to know; changes no exit code.
    Note,
    /// Worth mending; changes no exit code.
    Warning,
    /// The catalog is invalid.
    Error,
}

/// A place in a file, with what is to be said about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    /// The file as people know it: relative to the catalog's root, or an overlay as it was given.
    pub file: String,
    /// Byte offsets into the file's text.
    pub span: Range<usize>,
    /// What is the matter at this place; may be empty.
    pub message: String,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostic {
    /// What kind of finding it is.
    pub code: Code,
    /// How much it weighs.
    pub severity: Severity,
    /// What is wrong, in one line: lower case, no full stop.
    pub message: String,
    /// The file it belongs to where no label says it.
    pub file: Option<String>,
    /// The layer it is about.
    pub layer: Option<String>,
    /// The path of the field it is about: `artifact_paths[1].path`.
    pub field: Option<String>,
    /// Where; the first one is the main place.
    pub labels: Vec<Label>,
    /// Facts that explain it.
    pub notes: Vec<String>,
    /// What to do about it.
    pub help: Vec<String>,
}

impl Diagnostic {
    /// A finding with the code's own severity and no place yet.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            severity: code.severity(),
            message: message.into(),
            file: None,
            layer: None,
            field: None,
            labels: Vec::new(),
            notes: Vec::new(),
            help: Vec::new(),
        }
    }

    /// Weighs it differently from its code.
    #[must_use]
    pub fn severity(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }

    /// Names the file it belongs to.
    #[must_use]
    pub fn file(mut self, file: impl Into<String>) -> Self {
        self.file = Some(file.into());
        self
    }

    /// Names the layer it is about.
    #[must_use]
    pub fn layer(mut self, layer: impl Into<String>) -> Self {
        self.layer = Some(layer.into());
        self
    }

    /// Names the field it is about.
    #[must_use]
    pub fn field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// Adds a place.
    #[must_use]
    pub fn label(mut self, file: impl Into<String>, span: Range<usize>, message: impl Into<String>) -> Self {
        self.labels.push(Label { file: file.into(), span, message: message.into() });
        self
    }

    /// Adds a fact.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// Adds what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }

    /// The file of the main place.
    pub fn main_file(&self) -> Option<&str> {
        self.labels.first().map(|label| label.file.as_str()).or(self.file.as_deref())
    }
}
