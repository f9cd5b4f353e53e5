//! Findings as text, with the lines they are about.

use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use super::place::{LONGEST_LINE, Texts, boundary, position};
use crate::diag::{Code, Diagnostic, Severity};

/// Findings in order of their place. What several layers share, because it is a mistake in a file that they
/// import, is told once.
pub fn sorted(mut findings: Vec<Diagnostic>) -> Vec<Diagnostic> {
    findings.sort_by(|a, b| place(a).cmp(&place(b)));
    let mut told: Vec<Diagnostic> = Vec::with_capacity(findings.len());
    for finding in findings {
        let nearby = told.iter_mut().rev().take_while(|other| place(other) == place(&finding));
        match nearby.into_iter().find(|other| is_same(other, &finding)) {
            Some(same) => {
                if same.layer != finding.layer {
                    same.layer = None;
                }
            }
            None => told.push(finding),
        }
    }
    told
}

/// What findings are sorted by.
fn place(finding: &Diagnostic) -> (&str, usize, Code, &str) {
    let start = finding.labels.first().map_or(0, |label| label.span.start);
    (finding.main_file().unwrap_or_default(), start, finding.code, &finding.message)
}

/// Whether two findings differ at most in the layer that they were found by.
fn is_same(a: &Diagnostic, b: &Diagnostic) -> bool {
    let Diagnostic { code, severity, message, file, layer: _, field, labels, notes, help } = a;
    (code, severity, message, file, field) == (&b.code, &b.severity, &b.message, &b.file, &b.field)
        && (labels, notes, help) == (&b.labels, &b.notes, &b.help)
}

/// A severity as a word.
pub fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Note => "note",
        Severity::Warning => "warning",
        Severity::Error => "error",
    }
}

/// What a finding says, without its places: the message, then facts and what to do, each in a line.
pub fn message(finding: &Diagnostic) -> String {
    let mut message = finding.message.clone();
    finding.notes.iter().for_each(|note| message.push_str(&format!("\nnote: {note}")));
    finding.help.iter().for_each(|help| message.push_str(&format!("\nhelp: {help}")));
    message
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
