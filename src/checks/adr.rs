//! Architecture decisions: the constraints that lamina checks.

use std::collections::{BTreeMap, BTreeSet};

use globset::GlobBuilder;
use regex::Regex;
use serde_json::Value;

use crate::catalog::{LoadedAdr, LoadedLayer};
use crate::diag::{Code, Diagnostic};
use crate::model::{
    self, AdrStatus, Axiom, Constraint, ConstraintCheck, ConstraintSeverity, FieldCheck, FieldRule, PatternCheck,
    Presence, RelPath,
};
use crate::snapshot::{Snapshot, at_field};
use crate::tree;

/// How a constraint stands.
#[derive(Clone, Debug)]
pub struct ConstraintState<'a> {
    /// The decision.
    pub adr: &'a LoadedAdr,
    /// The constraint.
    pub constraint: &'a Constraint,
    /// Whether it is checked at all: only those of accepted decisions are.
    pub checked: bool,
    /// Where it does not hold, or why it can't be checked.
    pub findings: Vec<Diagnostic>,
}

/// Whether something holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// It holds.
    Yes,
    /// It does not.
    No,
    /// It is not checked: no decision about it is accepted.
    NotChecked,
}

impl ConstraintState<'_> {
    /// Whether the constraint holds.
    pub fn holds(&self) -> Holds {
        match (self.checked, self.findings.is_empty()) {
            (false, _) => Holds::NotChecked,
            (true, true) => Holds::Yes,
            (true, false) => Holds::No,
        }
    }
}

/// Whether an axiom holds: all constraints of the decisions that enforce it do.
pub fn axiom_holds(axiom: &Axiom, states: &[ConstraintState<'_>]) -> Holds {
    let own = states.iter().filter(|state| axiom.adrs.contains(&state.adr.adr.id)).map(ConstraintState::holds);
    own.fold(Holds::NotChecked, |all, one| match (all, one) {
        (Holds::No, _) | (_, Holds::No) => Holds::No,
        (Holds::Yes, _) | (_, Holds::Yes) => Holds::Yes,
        _ => Holds::NotChecked,
    })
}

pub(super) fn check(snapshot: &Snapshot) -> Vec<Diagnostic> {
    let mut findings = Vec::new();
    let mut ids: BTreeMap<&str, &RelPath> = BTreeMap::new();
    for loaded in &snapshot.catalog.adrs {
        let id = loaded.adr.id.as_str();
        if !loaded.file.file_name().starts_with(id) {
            let message = format!("the record in {} calls itself {id}", loaded.file);
            findings.push(at_adr(loaded, Code::AdrInvalid, "id", message).help("begin the file's name with the id"));
        }
        if let Some(other) = ids.insert(id, &loaded.file) {
            findings.push(at_adr(loaded, Code::AdrInvalid, "id", format!("{other} is the record {id}, too")));
        }
    }
    findings.extend(constraints(snapshot).into_iter().flat_map(|state| state.findings));
    findings
}

/// All constraints of all decisions, in their order.
pub fn constraints(snapshot: &Snapshot) -> Vec<ConstraintState<'_>> {
    let mut states = Vec::new();
    for adr in &snapshot.catalog.adrs {
        let checked = adr.adr.status == AdrStatus::Accepted;
        for (index, constraint) in adr.adr.constraints.iter().enumerate() {
            let mut state = ConstraintState { adr, constraint, checked, findings: Vec::new() };
            if checked {
                let field = format!("constraints[{index}].check");
                state.findings = match &constraint.check {
                    ConstraintCheck::Pattern(check) => pattern(snapshot, adr, constraint, check, &field),
                    ConstraintCheck::Field(check) => field_rule(snapshot, adr, constraint, check, &field),
                };
            }
            states.push(state);
        }
    }
    states
}

fn at_adr(adr: &LoadedAdr, code: Code, field: &str, message: impl Into<String>) -> Diagnostic {
    let finding = Diagnostic::new(code, message).file(adr.file.as_str()).field(field);
    match adr.spans.find(field) {
        Some(span) => finding.label(adr.file.as_str(), span, ""),
        None => finding,
    }
}

/// What every violation of a constraint says.
fn explain(finding: Diagnostic, adr: &LoadedAdr, constraint: &Constraint) -> Diagnostic {
    let finding = finding.note(format!("ADR {} ({}): {}", adr.adr.id, constraint.id, constraint.claim));
    match &constraint.hint {
        Some(hint) => finding.help(hint.trim()),
        None => finding,
    }
}

fn code(constraint: &Constraint) -> Code {
    match constraint.severity {
        ConstraintSeverity::Hard => Code::AdrHard,
        ConstraintSeverity::Soft => Code::AdrSoft,
    }
}

fn regex(adr: &LoadedAdr, field: &str, pattern: &str) -> Result<Regex, Vec<Diagnostic>> {
    Regex::new(pattern).map_err(|error| {
        // The parser draws a picture first; what is wrong comes last.
        let error = error.to_string();
        let message = format!("the pattern is no regular expression: {}", error.lines().last().unwrap_or_default());
        vec![at_adr(adr, Code::AdrInvalid, field, message)]
    })
}

fn pattern(
    snapshot: &Snapshot,
    adr: &LoadedAdr,
    constraint: &Constraint,
    check: &PatternCheck,
    field: &str,
) -> Vec<Diagnostic> {
    let regex = match regex(adr, field, &check.pattern) {
        Ok(regex) => regex,
        Err(findings) => return findings,
    };
    let (mut entries, mut findings) = (BTreeSet::new(), Vec::new());
    for glob in &check.files {
        let matcher = match GlobBuilder::new(glob).literal_separator(true).build() {
            Ok(glob) => glob.compile_matcher(),
            Err(error) => return vec![at_adr(adr, Code::AdrInvalid, field, error.to_string())],
        };
        // Only the folder that all matches lie in is read.
        let literal = glob.split('/').take_while(|part| !part.contains(['*', '?', '[', '{']));
        let folder = RelPath::new(&literal.collect::<Vec<_>>().join("/")).unwrap_or_default();
        let folder = if folder.as_str() == glob { folder.parent().unwrap_or_default() } else { folder };
        let found = match tree::walk(snapshot.catalog.files.tree(), &folder, &|_, _| false) {
            Ok(found) => found,
            Err(error) => return vec![tree::finding(&error)],
        };
        let matched: Vec<_> = found.into_iter().filter(|entry| matcher.is_match(entry.path.as_str())).collect();
        // A file that was renamed takes what it has to say along.
        let is_named = !glob.contains(['*', '?', '[', '{']);
        if is_named && matched.is_empty() && check.must == Presence::BePresent {
            let message = format!("{glob} does not exist, and has to have a line that matches `{}`", check.pattern);
            findings.push(explain(at_adr(adr, code(constraint), field, message), adr, constraint));
        }
        entries.extend(matched);
    }
    for entry in &entries {
        let file = match snapshot.catalog.files.require(&entry.path) {
            Ok(file) => file,
            Err(finding) => {
                findings.push(explain(*finding, adr, constraint));
                continue;
            }
        };
        let mut offset = 0;
        let mut hit = None;
        for line in file.text.split_inclusive('\n') {
            if let Some(found) = regex.find(line.trim_end_matches(['\n', '\r'])) {
                hit = Some(offset + found.start()..offset + found.end());
                break;
            }
            offset += line.len();
        }
        let finding = match (check.must, hit) {
            (Presence::BePresent, None) => {
                let message = format!("{} has no line that matches `{}`", entry.path, check.pattern);
                Diagnostic::new(code(constraint), message).file(entry.path.as_str())
            }
            (Presence::BeAbsent, Some(span)) => {
                let message = format!("{} has a line that matches `{}`", entry.path, check.pattern);
                Diagnostic::new(code(constraint), message).label(entry.path.as_str(), span, "")
            }
            _ => continue,
        };
        findings.push(explain(finding, adr, constraint));
    }
    findings
}

fn field_rule(
    snapshot: &Snapshot,
    adr: &LoadedAdr,
    constraint: &Constraint,
    check: &FieldCheck,
    field: &str,
) -> Vec<Diagnostic> {
    let regex = match &check.must {
        FieldRule::Match(pattern) => match regex(adr, field, pattern) {
            Ok(regex) => Some(regex),
            Err(findings) => return findings,
        },
        _ => None,
    };
    let violates = |loaded: &&LoadedLayer| {
        let value = model::to_value(&loaded.layer);
        let at = |path: &str| path.split('.').try_fold(&value, |value, part| value.get(part));
        if check.when.as_ref().is_some_and(|when| at(&when.field).map(text) != Some(when.is.clone())) {
            return false;
        }
        let found = at(&check.field);
        let holds = match &check.must {
            FieldRule::BePresent => found.is_some(),
            FieldRule::BeAbsent => found.is_none(),
            FieldRule::BeNonEmpty => found.is_some_and(|value| !is_empty(value)),
            FieldRule::Be(wanted) => found.map(text).as_ref() == Some(wanted),
            FieldRule::NotBe(unwanted) => found.map(text).as_ref() != Some(unwanted),
            FieldRule::Match(_) => {
                found.map(text).is_some_and(|value| regex.as_ref().is_some_and(|regex| regex.is_match(&value)))
            }
        };
        !holds
    };
    let finding = |loaded: &LoadedLayer| {
        let rule = match &check.must {
            FieldRule::BePresent => "has to be present".to_owned(),
            FieldRule::BeAbsent => "has to be absent".to_owned(),
            FieldRule::BeNonEmpty => "has to be non-empty".to_owned(),
            FieldRule::Be(wanted) => format!("has to be `{wanted}`"),
            FieldRule::NotBe(unwanted) => format!("may not be `{unwanted}`"),
            FieldRule::Match(pattern) => format!("has to match `{pattern}`"),
        };
        let message = format!("{}: {} {rule}", loaded.layer.name, check.field);
        explain(at_field(loaded, code(constraint), &check.field, message), adr, constraint)
    };
    snapshot.layers().filter(violates).map(finding).collect()
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        _ => false,
    }
}
