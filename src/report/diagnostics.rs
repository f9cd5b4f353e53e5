//! Findings as text with the lines they are about, and as JSON.

use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use serde::Serialize;

use crate::diag::{Diagnostic, Label, Severity};

/// Gives the text of a file by the name that labels call it.
pub type Texts<'a> = dyn Fn(&str) -> Option<Arc<str>> + 'a;

/// Lines longer than this are not shown: nobody reads them.
const LONGEST_LINE: usize = 1000;

/// Findings in order of their place. What several layers share, because it is a mistake in a file that they
/// import, is told once.
pub fn sorted(mut findings: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let key = |finding: &Diagnostic| {
        let start = finding.labels.first().map_or(0, |label| label.span.start);
        (finding.main_file().unwrap_or_default().to_owned(), start, finding.code, finding.message.clone())
    };
    findings.sort_by_cached_key(key);
    let mut told: Vec<Diagnostic> = Vec::with_capacity(findings.len());
    for finding in findings {
        match told.last_mut() {
            Some(last) if is_same(last, &finding) => {
                if last.layer != finding.layer {
                    last.layer = None;
                }
            }
            _ => told.push(finding),
        }
    }
    told
}

/// Whether two findings differ at most in the layer that they were found by.
fn is_same(a: &Diagnostic, b: &Diagnostic) -> bool {
    a.code == b.code && a.message == b.message && a.labels == b.labels && a.file == b.file && a.help == b.help
}

/// A finding for people.
pub fn text(finding: &Diagnostic, texts: &Texts<'_>, color: bool) -> String {
    let level = match finding.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
    };
    let title = level.primary_title(finding.message.as_str()).id(finding.code.as_str());
    let mut group = Group::with_title(title);
    let mut files: Vec<&str> = Vec::new();
    for label in &finding.labels {
        if !files.contains(&label.file.as_str()) {
            files.push(&label.file);
        }
    }
    let sources: Vec<Option<Arc<str>>> = files.iter().map(|file| texts(file)).collect();
    for (file, source) in files.iter().zip(&sources) {
        match source.as_deref().filter(|source| source.lines().all(|line| line.len() <= LONGEST_LINE)) {
            Some(source) => {
                let mut snippet = Snippet::source(source).path(*file);
                for (index, label) in finding.labels.iter().enumerate().filter(|(_, label)| label.file == **file) {
                    let kind = if index == 0 { AnnotationKind::Primary } else { AnnotationKind::Context };
                    let message = Some(label.message.as_str()).filter(|message| !message.is_empty());
                    let (start, end) = (boundary(source, label.span.start), boundary(source, label.span.end));
                    snippet = snippet.annotation(kind.span(start..end.max(start)).label(message));
                }
                group = group.element(snippet);
            }
            None => {
                let mut origin = Origin::path(*file);
                let first = finding.labels.iter().find(|label| label.file == **file);
                if let (Some(source), Some(label)) = (source, first) {
                    let (line, column) = position(source, label.span.start);
                    origin = origin.line(line).char_column(column);
                }
                group = group.element(origin);
            }
        }
    }
    if let (true, Some(file)) = (files.is_empty(), finding.file.as_deref()) {
        group = group.element(Origin::path(file));
    }
    let notes = finding.notes.iter().map(|note| Level::NOTE.message(note.as_str()));
    let help = finding.help.iter().map(|help| Level::HELP.message(help.as_str()));
    for message in notes.chain(help) {
        group = group.element(message);
    }
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    renderer.render(&[group])
}

/// A finding as JSON.
#[derive(Debug, Serialize)]
pub struct JsonFinding<'a> {
    code: &'static str,
    severity: Severity,
    message: &'a str,
    file: Option<&'a str>,
    layer: Option<&'a str>,
    field: Option<&'a str>,
    labels: Vec<JsonLabel<'a>>,
    notes: &'a [String],
    help: &'a [String],
}

#[derive(Debug, Serialize)]
struct JsonLabel<'a> {
    file: &'a str,
    message: &'a str,
    start: Option<JsonPosition>,
    end: Option<JsonPosition>,
    /// The line of the start, as it stands in the file.
    snippet: Option<String>,
}

#[derive(Debug, Serialize)]
struct JsonPosition {
    offset: usize,
    line: usize,
    column: usize,
}

/// A finding as JSON.
pub fn json<'a>(finding: &'a Diagnostic, texts: &Texts<'_>) -> JsonFinding<'a> {
    let label = |label: &'a Label| {
        let source = texts(&label.file);
        let place = |offset: usize| {
            let (line, column) = position(source.as_deref()?, offset);
            Some(JsonPosition { offset, line, column })
        };
        let start = place(label.span.start);
        let line = start.as_ref().and_then(|start| source.as_deref()?.lines().nth(start.line - 1));
        let snippet = line.map(|line| line.chars().take(LONGEST_LINE).collect());
        JsonLabel { file: &label.file, message: &label.message, end: place(label.span.end), start, snippet }
    };
    JsonFinding {
        code: finding.code.as_str(),
        severity: finding.severity,
        message: &finding.message,
        file: finding.main_file(),
        layer: finding.layer.as_deref(),
        field: finding.field.as_deref(),
        labels: finding.labels.iter().map(label).collect(),
        notes: &finding.notes,
        help: &finding.help,
    }
}

/// The nearest character's start at or before an offset.
fn boundary(text: &str, offset: usize) -> usize {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

/// Line and column of an offset, both from 1; the column counts characters.
fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = &text[..boundary(text, offset)];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or(before).chars().count() + 1;
    (line, column)
}
