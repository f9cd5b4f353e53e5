//! Findings as workflow commands of GitHub Actions: annotations at the lines that they are about.
//!
//! Source: GitHub, "Workflow commands for GitHub Actions", and the escapes of `@actions/core`. GitHub shows at most
//! ten errors, ten warnings and ten notices of a step as annotations, so errors come first. The log shows the message
//! alone, so the message names its places, too: nothing is lost where an annotation is not shown.

use std::cmp::Reverse;

use super::diagnostics;
use super::place::{Located, Sources, position};
use crate::diag::{Diagnostic, Label, Severity};

/// How many annotations of a kind GitHub shows of a step.
const SHOWN: usize = 10;

/// A command a line, and at the end one that says how many there are.
pub fn commands(findings: &[Diagnostic], sources: Sources<'_>, summary: &str) -> String {
    let mut sorted: Vec<&Diagnostic> = findings.iter().collect();
    sorted.sort_by_key(|finding| Reverse(finding.severity));
    let mut text: String = sorted.into_iter().map(|finding| command(finding, sources)).collect();
    let number = |severity| findings.iter().filter(|finding| finding.severity == severity).count();
    let is_cut = [Severity::Error, Severity::Warning, Severity::Note].into_iter().any(|kind| number(kind) > SHOWN);
    let cut = if is_cut { "; GitHub shows ten annotations of a kind, the log of this step has all" } else { "" };
    text.push_str(&format!("::notice title=lamina validate::{}\n", data(&format!("{summary}{cut}"))));
    text
}

fn command(finding: &Diagnostic, sources: Sources<'_>) -> String {
    let kind = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "notice",
    };
    let mut properties = Vec::new();
    let mut message = diagnostics::message(finding);
    for (index, label) in finding.labels.iter().enumerate() {
        let (name, place) = place(label, sources);
        message.push_str(&format!("\n--> {name}"));
        if !label.message.is_empty() {
            message.push_str(&format!(": {}", label.message));
        }
        if index == 0 {
            properties.extend(place);
        }
    }
    if let (true, Some(file)) = (finding.labels.is_empty(), finding.main_file()) {
        let located = (sources.locate)(file);
        message.push_str(&format!("\n--> {}", name(&located)));
        if let Located::Inside(path) = located {
            properties.push(("file", path));
        }
    }
    properties.push(("title", finding.code.to_string()));
    let properties: Vec<String> =
        properties.iter().map(|(name, value)| format!("{name}={}", property(value))).collect();
    format!("::{kind} {}::{}\n", properties.join(","), data(&message))
}

/// A label's place in words, and as properties of a command. Only files of the repository can be annotated.
fn place(label: &Label, sources: Sources<'_>) -> (String, Vec<(&'static str, String)>) {
    let located = (sources.locate)(&label.file);
    let mut words = name(&located);
    let mut properties = Vec::new();
    if let Located::Inside(path) = located {
        properties.push(("file", path));
    }
    if let Some(source) = (sources.texts)(&label.file) {
        let (line, column) = position(&source, label.span.start);
        let (end_line, end_column) = position(&source, label.span.end.max(label.span.start));
        words.push_str(&format!(":{line}:{column}"));
        if !properties.is_empty() {
            // What ends before the first character of a line ends with the line before.
            let last = if end_column == 1 && end_line > line { end_line - 1 } else { end_line };
            properties.extend([("line", line.to_string()), ("endLine", last.to_string())]);
            // GitHub knows columns of annotations of one line only.
            if end_line == line {
                properties.extend([("col", column.to_string()), ("endColumn", end_column.to_string())]);
            }
        }
    }
    (words, properties)
}

fn name(located: &Located) -> String {
    match located {
        Located::Inside(path) => path.clone(),
        Located::Outside(path) => path.display().to_string(),
    }
}

/// A message as a command takes it.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// A property's value as a command takes it.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
