//! Findings as SARIF 2.1.0, for code scanning and editors.
//!
//! Every finding is a result: also notes, those without a place, and those of files outside of the repository. The
//! same findings give the same bytes, so no path of the machine is in them but that of a file outside.

mod model;

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use sha2::{Digest, Sha256};

use super::place::{Located, Sources, position_utf16};
use super::{diagnostics, json};
use crate::catalog::CATALOG_FILE;
use crate::checks;
use crate::diag::{Code, Diagnostic, Label, Severity};
use model::*;

/// The root of the git repository, which whoever reads the log knows.
const ROOT: &str = "%SRCROOT%";

/// The bytes of a path that a URI spells out: RFC 3986, `unreserved`, and slashes.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// A log of one run over a catalog.
#[derive(Clone, Copy)]
pub struct SarifReport<'a> {
    /// What was found, in order.
    pub findings: &'a [Diagnostic],
    /// The files that the findings name.
    pub sources: Sources<'a>,
    /// The catalog's folder in the repository; empty where it is the root.
    pub folder: &'a str,
    /// The address of a page that explains each code below an anchor of its name.
    pub help_base: Option<&'a str>,
}

impl SarifReport<'_> {
    /// The log.
    pub fn text(&self) -> String {
        let log = Log { schema: SCHEMA, version: VERSION, runs: [self.run()] };
        json::to_text(&log)
    }

    fn run(&self) -> Run<'_> {
        let driver = Driver {
            name: env!("CARGO_PKG_NAME"),
            version: env!("CARGO_PKG_VERSION"),
            semantic_version: env!("CARGO_PKG_VERSION"),
            rules: Code::ALL.iter().map(|code| self.rule(*code)).collect(),
        };
        let fingerprints = self.fingerprints();
        let results = self.findings.iter().zip(fingerprints).map(|(finding, own)| self.result(finding, own)).collect();
        Run {
            tool: Tool { driver },
            // The part before the last slash is the category: of two catalogs of a repository, neither hides the other.
            automation_details: AutomationDetails {
                id: ["lamina/validate", self.folder, ""].join("/").replace("//", "/"),
            },
            // Findings are no failure of the program; a run that fails gives no log.
            invocations: [Invocation { execution_successful: true }],
            column_kind: "utf16CodeUnits",
            original_uri_base_ids: UriBaseIds {
                root: Described { description: text("The root of the git repository.".to_owned()) },
            },
            results,
        }
    }

    fn rule(&self, code: Code) -> Rule {
        let checks: Vec<&str> = checks::of(code).map(|check| check.name).collect();
        let (summary, explanation) = (code.summary(), code.explanation());
        let markdown = format!(
            "# {code}\n\n{summary}\n\n{explanation}\n\nCheck: {}. The same in a terminal: `lamina explain {code}`.\n",
            checks.join(", ")
        );
        Rule {
            id: code.as_str(),
            name: code.as_str().split('-').map(capitalized).collect(),
            short_description: text(summary.to_owned()),
            full_description: text(explanation.to_owned()),
            help: Text { text: format!("{summary}\n\n{explanation}"), markdown: Some(markdown) },
            help_uri: self.help_base.map(|base| format!("{base}#{code}")),
            default_configuration: Configuration { level: level(code.severity()) },
            properties: Tags { tags: checks },
        }
    }

    fn result<'f>(&self, finding: &'f Diagnostic, fingerprint: String) -> Finding<'f> {
        let (first, further) = match finding.labels.split_first() {
            Some((first, further)) => (self.location(first, None), further),
            None => (self.file_alone(finding), &[][..]),
        };
        Finding {
            rule_id: finding.code.as_str(),
            rule_index: Code::ALL.iter().position(|code| *code == finding.code).unwrap_or_default(),
            level: level(finding.severity),
            message: text(unlinked(&diagnostics::message(finding))),
            locations: [first],
            related_locations: further.iter().zip(1..).map(|(label, id)| self.location(label, Some(id))).collect(),
            partial_fingerprints: Fingerprints { finding: fingerprint },
            properties: About { layer: finding.layer.as_deref(), field: finding.field.as_deref() },
        }
    }

    fn location(&self, label: &Label, id: Option<usize>) -> Location {
        let source = (self.sources.texts)(&label.file);
        let region = source.map(|source| {
            let (start_line, start_column) = position_utf16(&source, label.span.start);
            let (end_line, end_column) = position_utf16(&source, label.span.end.max(label.span.start));
            Region { start_line, start_column, end_line, end_column }
        });
        let message = Some(unlinked(&label.message)).filter(|message| !message.is_empty());
        Location {
            id,
            physical_location: PhysicalLocation { artifact_location: self.artifact(&label.file), region },
            message: message.map(text),
        }
    }

    /// The place of a finding about a file as a whole. What is about none is about the catalog: GitHub refuses results
    /// without any place.
    fn file_alone(&self, finding: &Diagnostic) -> Location {
        let artifact_location = self.artifact(finding.main_file().unwrap_or(CATALOG_FILE));
        Location { id: None, physical_location: PhysicalLocation { artifact_location, region: None }, message: None }
    }

    fn artifact(&self, file: &str) -> ArtifactLocation {
        let escaped = |path: &Path| percent_encode(path.as_os_str().as_bytes(), ESCAPED).to_string();
        match (self.sources.locate)(file) {
            Located::Inside(path) => ArtifactLocation { uri: escaped(Path::new(&path)), uri_base_id: Some(ROOT) },
            Located::Outside(path) => ArtifactLocation { uri: format!("file://{}", escaped(&path)), uri_base_id: None },
        }
    }

    /// What makes a finding the same in the next run, wherever its lines have moved to: what it is about, and of
    /// several that are alike, which one.
    fn fingerprints(&self) -> Vec<String> {
        let mut alike: BTreeMap<[u8; 32], u64> = BTreeMap::new();
        let fingerprint = |finding: &Diagnostic| {
            let file = finding.main_file().unwrap_or_default();
            let layer = finding.layer.as_deref().unwrap_or_default();
            let field = finding.field.as_deref().unwrap_or_default();
            let identity = hash(&[finding.code.as_str(), file, layer, field, &finding.message]);
            let number = alike.entry(identity).and_modify(|number| *number += 1).or_default();
            let own = Sha256::new_with_prefix(identity).chain_update(number.to_be_bytes()).finalize();
            own.iter().map(|byte| format!("{byte:02x}")).collect()
        };
        self.findings.iter().map(fingerprint).collect()
    }
}

/// The hash of texts, each with its length before it.
fn hash(texts: &[&str]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for text in texts {
        hasher.update((text.len() as u64).to_be_bytes());
        hasher.update(text);
    }
    hasher.finalize().into()
}

/// `from` as `From`: names of rules are one word in viewers.
fn capitalized(word: &str) -> String {
    word[..1].to_ascii_uppercase() + &word[1..]
}

fn text(text: String) -> Text {
    Text { text, markdown: None }
}

/// A message in which nothing is a link: what a catalog says may look like `[text](target)`.
fn unlinked(message: &str) -> String {
    message.replace("](", "\\](")
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Note => "note",
        Severity::Warning => "warning",
        Severity::Error => "error",
    }
}
