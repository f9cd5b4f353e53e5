//! Architecture decision records and axioms, as `schemas/adr.ncl` describes them.

use serde::{Deserialize, Serialize};

/// How far a decision has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AdrStatus {
    /// Not decided yet; its constraints are not checked.
    Proposed,
    /// In force.
    Accepted,
    /// Replaced; its constraints are not checked.
    Superseded,
}

/// How much a broken constraint weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConstraintSeverity {
    /// An error.
    Hard,
    /// A warning.
    Soft,
}

/// Whether a pattern has to be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Presence {
    /// In each of the files.
    BePresent,
    /// In none of them.
    BeAbsent,
}

/// What has to hold for a field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FieldRule {
    /// It has a value.
    BePresent,
    /// It has none.
    BeAbsent,
    /// It has a value that is not empty.
    BeNonEmpty,
    /// Its value as text is this one.
    Be(String),
    /// Its value as text is not this one.
    NotBe(String),
    /// Its value as text matches this regular expression.
    Match(String),
}

/// A pattern in files.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PatternCheck {
    /// Globs of the files that are read, relative to the catalog.
    pub files: Vec<String>,
    /// A regular expression, searched line by line.
    pub pattern: String,
    /// Whether it has to be found.
    pub must: Presence,
}

/// A condition on evaluated fields.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FieldCheck {
    /// Only layers for which this holds; all layers where it is absent.
    pub when: Option<When>,
    /// The evaluated field's path.
    pub field: String,
    /// What has to hold for it.
    pub must: FieldRule,
}

/// Which layers a condition is about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct When {
    /// The evaluated field's path.
    pub field: String,
    /// Its value as text.
    pub is: String,
}

/// How a constraint is checked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ConstraintCheck {
    /// A pattern in files.
    Pattern(PatternCheck),
    /// A condition on evaluated fields.
    Field(FieldCheck),
}

/// A constraint of a decision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Constraint {
    /// Unique in the record.
    pub id: String,
    /// How much a violation weighs.
    pub severity: ConstraintSeverity,
    /// What has to hold, in a sentence.
    pub claim: String,
    /// How it is checked.
    pub check: ConstraintCheck,
    /// What to do about a violation.
    pub hint: Option<String>,
}

/// An architecture decision record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Adr {
    /// Three digits.
    pub id: String,
    /// The decision in one line.
    pub title: String,
    /// How far it has come.
    pub status: AdrStatus,
    /// When it was decided, YYYY-MM-DD.
    pub date: String,
    /// What made a decision necessary.
    pub context: String,
    /// What was decided.
    pub decision: String,
    /// What follows from it.
    pub consequences: Vec<String>,
    /// What is checked.
    pub constraints: Vec<Constraint>,
}

/// An axiom.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Axiom {
    /// The axiom's name.
    pub id: String,
    /// The axiom in a sentence.
    pub statement: String,
    /// Why it holds.
    pub rationale: String,
    /// The decisions that enforce it.
    pub adrs: Vec<String>,
}
