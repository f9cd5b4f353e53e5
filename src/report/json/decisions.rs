//! Architecture decisions and axioms.

use schemars::JsonSchema;
use serde::Serialize;

use super::Answer;
use crate::catalog::LoadedAdr;
use crate::checks::{self, ConstraintState};
use crate::model::{AdrStatus, Axiom, ConstraintSeverity};

/// The architecture decisions, or the one that was asked for.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Adrs<'a> {
    /// The decisions.
    adrs: Vec<Adr<'a>>,
}

/// An architecture decision.
#[derive(Debug, Serialize, JsonSchema)]
struct Adr<'a> {
    /// Three digits.
    id: &'a str,
    /// The decision in one line.
    title: &'a str,
    /// How far it has come.
    status: Status,
    /// When it was decided: YYYY-MM-DD.
    date: &'a str,
    /// Its file, relative to the catalog's root.
    file: &'a str,
    /// What made a decision necessary.
    context: &'a str,
    /// What was decided.
    decision: &'a str,
    /// What follows from it.
    consequences: &'a [String],
    /// What is checked.
    constraints: Vec<Constraint<'a>>,
}

/// How far a decision has come.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Status {
    /// Not decided yet; its constraints are not checked.
    Proposed,
    /// In force.
    Accepted,
    /// Replaced; its constraints are not checked.
    Superseded,
}

/// A constraint of a decision.
#[derive(Debug, Serialize, JsonSchema)]
struct Constraint<'a> {
    /// Unique in the record.
    id: &'a str,
    /// How much a violation weighs.
    severity: Weight,
    /// What has to hold, in a sentence.
    claim: &'a str,
    /// Whether it holds.
    state: State,
    /// Where it does not hold.
    findings: Vec<&'a str>,
}

/// How much a broken constraint weighs.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Weight {
    /// An error.
    Hard,
    /// A warning.
    Soft,
}

/// Whether something holds.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum State {
    /// It holds.
    Holds,
    /// It does not hold.
    Broken,
    /// It is not checked: no decision about it is accepted.
    NotChecked,
}

/// What the catalog takes for granted.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Axioms<'a> {
    /// The axioms.
    axioms: Vec<AxiomState<'a>>,
}

/// An axiom, and whether it holds.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Axiom")]
struct AxiomState<'a> {
    /// The axiom's name.
    id: &'a str,
    /// The axiom in a sentence.
    statement: &'a str,
    /// Why it holds.
    rationale: &'a str,
    /// The ids of the decisions that enforce it.
    adrs: &'a [String],
    /// `broken` where a constraint of these decisions is, else `holds`, or `not-checked` where none is checked.
    state: State,
}

impl Answer for Adrs<'_> {
    const NAME: &'static str = "adr";
}

impl Answer for Axioms<'_> {
    const NAME: &'static str = "axioms";
}

impl<'a> Adrs<'a> {
    /// Decisions, each with the state of its constraints.
    pub fn new(adrs: &'a [LoadedAdr], states: &'a [ConstraintState<'a>]) -> Self {
        Self { adrs: adrs.iter().map(|loaded| Adr::new(loaded, states)).collect() }
    }
}

impl<'a> Adr<'a> {
    fn new(loaded: &'a LoadedAdr, states: &'a [ConstraintState<'a>]) -> Self {
        let adr = &loaded.adr;
        let own = states.iter().filter(|state| state.adr.adr.id == adr.id);
        Self {
            id: &adr.id,
            title: &adr.title,
            status: match adr.status {
                AdrStatus::Proposed => Status::Proposed,
                AdrStatus::Accepted => Status::Accepted,
                AdrStatus::Superseded => Status::Superseded,
            },
            date: &adr.date,
            file: loaded.file.as_str(),
            context: adr.context.trim(),
            decision: adr.decision.trim(),
            consequences: &adr.consequences,
            constraints: own.map(Constraint::new).collect(),
        }
    }
}

impl<'a> Constraint<'a> {
    fn new(state: &'a ConstraintState<'a>) -> Self {
        let constraint = state.constraint;
        Self {
            id: &constraint.id,
            severity: match constraint.severity {
                ConstraintSeverity::Hard => Weight::Hard,
                ConstraintSeverity::Soft => Weight::Soft,
            },
            claim: &constraint.claim,
            state: state.holds().into(),
            findings: state.findings.iter().map(|finding| finding.message.as_str()).collect(),
        }
    }
}

impl From<checks::Holds> for State {
    fn from(holds: checks::Holds) -> Self {
        match holds {
            checks::Holds::Yes => State::Holds,
            checks::Holds::No => State::Broken,
            checks::Holds::NotChecked => State::NotChecked,
        }
    }
}

impl<'a> Axioms<'a> {
    /// Axioms, each with the state that its decisions have.
    pub fn new(axioms: &'a [Axiom], states: &[ConstraintState<'_>]) -> Self {
        let axiom = |axiom: &'a Axiom| AxiomState {
            id: &axiom.id,
            statement: axiom.statement.trim(),
            rationale: axiom.rationale.trim(),
            adrs: &axiom.adrs,
            state: checks::axiom_holds(axiom, states).into(),
        };
        Self { axioms: axioms.iter().map(axiom).collect() }
    }
}
