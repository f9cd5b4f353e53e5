//! Findings, checks and codes.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

use super::Answer;
use super::words::{self, Severity};
use crate::checks::{self, CHECKS, Check};
use crate::diag::{self, Code, Diagnostic};
use crate::model::LayerName;
use crate::report::place::{self, Texts};
use crate::report::suggest;
use crate::unit::Hindrance;

/// Whether the catalog is right, and what is wrong with it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Validate<'a> {
    /// The checks that ran.
    checks: Vec<&'static str>,
    /// What is wrong, sorted by file and place.
    findings: Vec<Finding<'a>>,
    /// How many findings are errors.
    errors: usize,
    /// How many findings are warnings.
    warnings: usize,
    /// All layers, those that can't be used included.
    layers: usize,
    /// With `--check-dag` and without errors: the order of building, the names by wave; else empty.
    waves: Vec<Vec<&'a str>>,
    /// With `--changed` or `--staged`: how many findings are not told, which `errors` and `warnings` do not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    left_out: Option<LeftOut>,
}

/// One finding.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Finding<'a> {
    /// The finding's code; docs/checks.md has them all.
    code: &'static str,
    /// How much it weighs.
    severity: Severity,
    /// What is wrong, in one line.
    message: &'a str,
    /// The file that it is about, relative to the catalog's root; an overlay as it was given.
    file: Option<&'a str>,
    /// The layer that it is about; null where several share it.
    layer: Option<&'a str>,
    /// The path of the field that it is about: `artifact_paths[1].path`.
    field: Option<&'a str>,
    /// The places; the first is the main one.
    labels: Vec<Label<'a>>,
    /// Facts that explain it.
    notes: &'a [String],
    /// What to do.
    help: &'a [String],
}

/// A place in a file.
#[derive(Debug, Serialize, JsonSchema)]
struct Label<'a> {
    /// The file, relative to the catalog's root; an overlay as it was given.
    file: &'a str,
    /// What is the matter there; may be empty.
    message: &'a str,
    /// Where it begins; null where the file can't be read.
    start: Option<Position>,
    /// Where it ends: the place behind its last character; null where the file can't be read.
    end: Option<Position>,
    /// The line of the start, at most 1000 characters of it.
    snippet: Option<String>,
}

/// A place in a text.
#[derive(Debug, Serialize, JsonSchema)]
struct Position {
    /// In bytes, from 0.
    offset: usize,
    /// From 1.
    line: usize,
    /// In characters, from 1.
    column: usize,
}

/// The checks, with the findings that they can have.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ValidateList {
    /// The checks, in the order that they run in.
    checks: Vec<CheckWithCodes>,
}

/// A check.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Check")]
struct CheckWithCodes {
    /// Its name, as `--only` takes it.
    check: &'static str,
    /// What it looks at, in a line.
    summary: &'static str,
    /// Whether it runs with `--check-dag` alone.
    thorough: bool,
    /// The findings that it can have.
    codes: Vec<ExplainedCode>,
}

/// What `lamina validate --explain` says about a code.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ValidateExplain {
    /// The code.
    explain: ExplainedCode,
}

/// What a code means, and what to do about it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Code")]
struct ExplainedCode {
    /// The code.
    code: &'static str,
    /// How much such a finding weighs.
    severity: Severity,
    /// One line: what it means.
    summary: &'static str,
    /// Why it matters and what to do.
    explanation: &'static str,
}

/// What the code of a finding, or of an obstacle to reuse, means, and what to do about it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Explain {
    #[serde(flatten)]
    code: ExplainedCode,
    /// The checks that can find it; none for an obstacle to reuse, which is no finding.
    checks: Vec<&'static str>,
}

/// How many findings are not told.
#[derive(Debug, Serialize, JsonSchema)]
struct LeftOut {
    /// Errors among them.
    errors: usize,
    /// Warnings among them.
    warnings: usize,
}

impl Answer for Validate<'_> {
    const NAME: &'static str = "validate";
}

impl Answer for Explain {
    const NAME: &'static str = "explain";
}

impl Answer for ValidateList {
    const NAME: &'static str = "validate-list";
    const COMMAND: &'static str = "validate";
}

impl Answer for ValidateExplain {
    const NAME: &'static str = "validate-explain";
    const COMMAND: &'static str = "validate";
}

impl<'a> Validate<'a> {
    /// The findings of the checks that ran, about so many layers, and the waves where they were asked for. `left_out` is
    /// how many errors and warnings are not among the findings.
    pub fn new(
        ran: &[&'static Check],
        findings: &'a [Diagnostic],
        texts: &Texts<'_>,
        layers: usize,
        waves: &[Vec<&'a LayerName>],
        left_out: Option<(usize, usize)>,
    ) -> Self {
        let number = |wanted| findings.iter().filter(|finding| finding.severity == wanted).count();
        Self {
            checks: ran.iter().map(|check| check.name).collect(),
            findings: findings.iter().map(|finding| Finding::new(finding, texts)).collect(),
            errors: number(diag::Severity::Error),
            warnings: number(diag::Severity::Warning),
            layers,
            waves: words::waves(waves),
            left_out: left_out.map(|(errors, warnings)| LeftOut { errors, warnings }),
        }
    }
}

impl<'a> Finding<'a> {
    /// A finding with its places in the texts.
    pub fn new(finding: &'a Diagnostic, texts: &Texts<'_>) -> Self {
        Self {
            code: finding.code.as_str(),
            severity: finding.severity.into(),
            message: &finding.message,
            file: finding.main_file(),
            layer: finding.layer.as_deref(),
            field: finding.field.as_deref(),
            labels: finding.labels.iter().map(|label| Label::new(label, texts(&label.file))).collect(),
            notes: &finding.notes,
            help: &finding.help,
        }
    }
}

impl<'a> Label<'a> {
    fn new(label: &'a diag::Label, source: Option<Arc<str>>) -> Self {
        let position = |offset: usize| {
            let (line, column) = place::position(source.as_deref()?, offset);
            Some(Position { offset, line, column })
        };
        let start = position(label.span.start);
        let line = start.as_ref().and_then(|start| source.as_deref()?.lines().nth(start.line - 1));
        let snippet = line.map(|line| line.chars().take(place::LONGEST_LINE).collect());
        Self { file: &label.file, message: &label.message, end: position(label.span.end), start, snippet }
    }
}

impl ValidateList {
    /// All checks.
    pub fn all() -> Self {
        let check = |check: &Check| CheckWithCodes {
            check: check.name,
            summary: check.summary,
            thorough: check.thorough,
            codes: check.codes.iter().map(|code| (*code).into()).collect(),
        };
        Self { checks: CHECKS.iter().map(check).collect() }
    }
}

impl From<Code> for Explain {
    fn from(code: Code) -> Self {
        Self { code: code.into(), checks: checks::of(code).map(|check| check.name).collect() }
    }
}

impl From<Hindrance> for Explain {
    fn from(hindrance: Hindrance) -> Self {
        let code = ExplainedCode {
            code: hindrance.code(),
            severity: Severity::Note,
            summary: suggest::summary(hindrance),
            explanation: suggest::explanation(hindrance),
        };
        Self { code, checks: Vec::new() }
    }
}

impl From<Code> for ValidateExplain {
    fn from(code: Code) -> Self {
        Self { explain: code.into() }
    }
}

impl From<Code> for ExplainedCode {
    fn from(code: Code) -> Self {
        Self {
            code: code.as_str(),
            severity: code.severity().into(),
            summary: code.summary(),
            explanation: code.explanation(),
        }
    }
}
