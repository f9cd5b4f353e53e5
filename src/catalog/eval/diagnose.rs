//! Nickel's errors as findings: with a code, places in files that people know, and the path of the field.

use std::collections::HashSet;
use std::ops::Range;

use codespan_reporting::diagnostic::{Diagnostic as Rendered, LabelStyle, Severity};
use nickel_lang_core::ast::InputFormat;
use nickel_lang_core::cache::CacheHub;
use nickel_lang_core::error::{
    Error, EvalError, EvalErrorData, EvalErrorKind, ExportErrorKind, ImportErrorKind, IntoDiagnostics,
    PointedExportErrorData, TypecheckErrorKind,
};
use nickel_lang_core::eval::value::NickelValue;
use nickel_lang_core::files::{FileId, Files};
use nickel_lang_core::label::{self, ty_path};
use nickel_lang_core::serialize::NickelPointerElem;
use nickel_lang_core::typ::{EnumRowsIteratorItem, Type, TypeF};

use super::fields::{self, Fields};
use super::library::Library;
use super::{Job, Kind, protocol};
use crate::diag::{Code, Diagnostic, Label};
use crate::model::nearest;

/// More findings than this in one file help nobody.
const MAX_FINDINGS: usize = 100;
/// A value or message in full is not worth more than this.
const MAX_TEXT: usize = 400;

/// A record that is longer, or has several lines, is shown by its opening brace.
const MAX_LINE: usize = 80;

/// What is said about the place of a contract.
const CONTRACT: &str = "the contract stands here";
/// What is said about where a value comes from.
const ORIGIN: &str = "the value comes from here";
/// Fields of a contract are no fields of a record.
const SCHEMAS: &str = "schemas/";

/// Makes findings of what went wrong with one job.
pub(super) struct Diagnoser<'a> {
    hub: &'a CacheHub,
    library: &'a Library,
    job: &'a Job,
    /// The text of the job that people know; with overlays, evaluation starts at another one.
    own: FileId,
}

impl<'a> Diagnoser<'a> {
    pub fn new(hub: &'a CacheHub, library: &'a Library, job: &'a Job, id: FileId) -> Self {
        Self { hub, library, job, own: library.shown(&job.path).unwrap_or(id) }
    }

    /// What is wrong with `file`, which could not be parsed, typechecked or imported; and which file is to blame.
    pub fn unprepared(&self, file: FileId, error: Error) -> (Option<FileId>, Vec<Diagnostic>) {
        let import = |kind: &ImportErrorKind| match kind {
            ImportErrorKind::ParseErrors(..) => Code::Syntax,
            _ => Code::Import,
        };
        let code = match &error {
            Error::ParseErrors(_) => Code::Syntax,
            Error::ImportError(kind) => import(kind),
            Error::TypecheckError(data) => match data.borrow_error() {
                TypecheckErrorKind::ImportError(kind) => import(kind),
                TypecheckErrorKind::UnboundIdentifier(_) => Code::Evaluation,
                _ => Code::Type,
            },
            _ => Code::Evaluation,
        };
        let mut files = self.hub.sources.files().clone();
        let mut rendered = error.into_diagnostics(&mut files);
        if self.hub.input_format(file) == Some(InputFormat::Yaml) {
            let labels = rendered.iter_mut().flat_map(|diagnostic| &mut diagnostic.labels);
            labels.filter(|label| label.file_id == file).for_each(|label| self.by_characters(file, &mut label.range));
        }
        let culprit = rendered
            .iter()
            .flat_map(|diagnostic| &diagnostic.labels)
            .filter(|label| label.style == LabelStyle::Primary)
            .find_map(|label| self.library.source(label.file_id).map(|_| label.file_id));
        let mut findings = self.convert(code, rendered, &files);
        if findings.is_empty() {
            findings.push(Diagnostic::new(code, "the file can't be prepared for evaluation"));
        }
        for finding in findings.iter_mut().filter(|finding| finding.labels.is_empty()) {
            finding.file = self.shown(file).map(str::to_owned);
        }
        (culprit, findings)
    }

    /// What is wrong with YAML, Nickel places by characters instead of bytes.
    fn by_characters(&self, file: FileId, range: &mut Range<usize>) {
        let Some(source) = self.library.source(file) else { return };
        let offset = |number| source.text.char_indices().nth(number).map_or(source.text.len(), |(offset, _)| offset);
        *range = offset(range.start)..offset(range.end);
    }

    /// A file whose evaluation failed: `first` stopped it, `all` were found by going on.
    pub fn failed(&self, first: EvalErrorData, all: Vec<EvalError>) -> Vec<Diagnostic> {
        let mut findings = Vec::new();
        // Each error holds a copy of the position table: let go of it at once.
        for error in all {
            if findings.len() < MAX_FINDINGS && !is_absent_optional(&error.error) {
                findings.extend(self.runtime(*error));
            }
        }
        if findings.is_empty() {
            findings = self.runtime(first);
        }
        if findings.is_empty() {
            findings.push(Diagnostic::new(Code::Evaluation, "evaluation failed"));
        }
        self.tidy(findings)
    }

    /// Whether what is no data is a choice with its own settings, where a catalog has one: who leases runners, and where
    /// sccache keeps crates.
    pub fn is_choice(&self, error: &PointedExportErrorData) -> bool {
        const CHOICES: [&str; 2] = ["runners", "sccache"];
        let has_choices =
            matches!(error.path.0.first(), Some(NickelPointerElem::Field(name)) if CHOICES.contains(&name.label()));
        let is_variant = |value: &NickelValue| value.type_of() == Some("EnumVariant");
        has_choices && matches!(&error.error, ExportErrorKind::NonSerializable(value) if is_variant(value))
    }

    /// A value that is no data.
    pub fn unexportable(&self, error: PointedExportErrorData) -> Diagnostic {
        let path = error.path.0.iter().fold(String::new(), |path, elem| match elem {
            NickelPointerElem::Field(name) => fields::join(&path, name.label()),
            NickelPointerElem::Index(index) => format!("{path}[{index}]"),
        });
        let finding = match error.error {
            ExportErrorKind::NumberOutOfRange { .. } => Diagnostic::new(Code::Contract, "the number is out of range"),
            ExportErrorKind::NonSerializable(value) => {
                let kind = value.type_of().unwrap_or("special value");
                self.not_applied(&format!("a {} is no data", kind.to_lowercase()))
            }
            _ => self.not_applied("the value is no data"),
        };
        let place = self.fields(self.own).get(&path).map(|field| field.value.clone());
        self.locate(finding, place).field(path)
    }

    /// A value of another shape than its contract makes sure of. Serde's message names the field, not its place.
    pub fn misshapen(&self, error: &str) -> Diagnostic {
        let error = error.split(", expected one of").next().unwrap_or(error);
        let contract = contract_of(self.job.kind);
        let finding = self.not_applied(&format!("the value is no `{contract}`: {}", bounded(error)));
        let fields = self.fields(self.own);
        let unknown = error.strip_prefix("unknown field `").and_then(|rest| rest.strip_suffix('`'));
        let place = match unknown.and_then(|name| fields.named(name).next()) {
            Some(field) => Some(field.name.clone()),
            None => fields.get("").map(|whole| self.head(self.own, &whole.value)),
        };
        self.locate(finding, place)
    }

    fn not_applied(&self, message: &str) -> Diagnostic {
        let contract = contract_of(self.job.kind);
        Diagnostic::new(Code::ContractNotApplied, message).help(format!("does the record end with `| {contract}`?"))
    }

    fn locate(&self, finding: Diagnostic, place: Option<Range<usize>>) -> Diagnostic {
        match place {
            Some(span) => finding.label(self.job.path.as_str(), span, ""),
            None => finding,
        }
    }

    fn runtime(&self, error: EvalErrorData) -> Vec<Diagnostic> {
        let code = match &error.error {
            EvalErrorKind::BlameError { .. } => return self.blame(error),
            EvalErrorKind::MissingFieldDef { .. } => return vec![self.missing(error)],
            EvalErrorKind::IllegalPolymorphicTailAccess { .. } => Code::Contract,
            EvalErrorKind::MergeIncompatibleArgs { .. } => Code::MergeConflict,
            EvalErrorKind::InfiniteRecursion(..) => Code::Recursion,
            EvalErrorKind::ParseError(_) => Code::Syntax,
            _ => Code::Evaluation,
        };
        let mut files = self.hub.sources.files().clone();
        let rendered = error.into_diagnostics(&mut files);
        self.convert(code, rendered, &files)
    }

    fn missing(&self, error: EvalErrorData) -> Diagnostic {
        let mut finding = Diagnostic::new(Code::MissingField, "");
        if let EvalErrorKind::MissingFieldDef { id, metadata, pos_record, .. } = &error.error {
            finding.message = format!("missing definition for `{id}`");
            if let Some(doc) = metadata.doc.as_ref().and_then(|doc| doc.lines().next()) {
                finding = finding.note(format!("`{id}`: {doc}"));
            }
            let record = error.ctxt.pos_table.get(*pos_record).into_opt();
            let record = record.map(|span| (span.src_id, span.to_range::<usize>()));
            let record = record.filter(|(file, _)| self.shown(*file).is_some_and(|file| !file.starts_with(SCHEMAS)));
            let record = record.or_else(|| Some((self.own, self.fields(self.own).get("")?.value.clone())));
            if let Some((file, span)) = record {
                let fields = self.fields(file);
                // Nickel takes the `let` and the contract around the whole record for a part of it.
                let (parent, span) = match (fields.at(&span), fields.get("")) {
                    (Some(field), _) => (field.path.as_str(), span),
                    (None, Some(whole)) => ("", whole.value.clone()),
                    (None, None) => ("", span),
                };
                // Of an element of a list, Nickel names the whole list.
                let elements = fields
                    .elements(parent)
                    .filter(|element| fields.get(&fields::join(&element.path, id.label())).is_none());
                let elements: Vec<_> = elements.cloned().collect();
                let parent = elements.first().map_or(parent, |element| element.path.as_str());
                finding.field = Some(fields::join(parent, id.label()));
                let places = elements.iter().map(|element| element.value.clone());
                let places: Vec<_> = if elements.is_empty() { vec![span] } else { places.collect() };
                for place in places {
                    let label = self.label(file, self.head(file, &place), "in this record");
                    finding.labels.extend(label);
                }
            }
            let required = metadata.annotation.first().and_then(|contract| contract.label.field_name).unwrap_or(*id);
            if let Some(span) = required.pos.into_opt() {
                let label = self.label(span.src_id, span.to_range(), "required here");
                finding.labels.extend(label);
            }
        }
        finding
    }

    fn blame(&self, error: EvalErrorData) -> Vec<Diagnostic> {
        let mut files = self.hub.sources.files().clone();
        let EvalErrorKind::BlameError { label, evaluated_arg } = error.error.clone() else {
            return Vec::new();
        };
        let rendered = error.into_diagnostics(&mut files);
        let said = label.diagnostics.iter().rev().find(|said| !said.is_empty());
        let message = said.and_then(|said| said.message.clone());
        let value_at = rendered
            .iter()
            .flat_map(|diagnostic| &diagnostic.labels)
            .find(|label| label.style == LabelStyle::Primary)
            .map(|label| (label.file_id, label.range.clone()));
        let Some(mut finding) = self.convert(Code::Contract, rendered, &files).into_iter().next() else {
            return Vec::new();
        };

        let extra = message.as_ref().and_then(|message| message.strip_prefix("extra field"));
        let extra = extra.map(|names| names.trim_start_matches('s').split([',', '`', ' ']));
        let extra: Vec<_> = extra.into_iter().flatten().filter(|name| !name.is_empty()).collect();
        if !extra.is_empty() {
            return extra.iter().map(|name| self.unknown(name, &label, value_at.clone(), &finding)).collect();
        }
        let typ = element(&label.typ, label.path.iter());
        finding.message = match (message, &typ.typ) {
            (Some(message), _) => bounded(&message),
            (None, TypeF::Contract(_)) => format!("the value breaks the contract `{}`", bounded(&typ.to_string())),
            (None, _) => {
                let found = evaluated_arg.as_ref().and_then(NickelValue::type_of);
                let found = found.map(|found| format!(", found `{found}`")).unwrap_or_default();
                format!("expected `{}`{found}", bounded(&typ.to_string()))
            }
        };
        if finding.field.is_none() {
            finding.field = label.field_name.map(|name| name.label().to_owned());
        }
        self.suggest_tag(&mut finding, &tags(typ), evaluated_arg.as_ref());
        vec![finding]
    }

    /// The field itself is the place, not the whole record that Nickel blames.
    fn unknown(
        &self,
        name: &str,
        label: &label::Label,
        record: Option<(FileId, Range<usize>)>,
        blamed: &Diagnostic,
    ) -> Diagnostic {
        let mut finding = Diagnostic::new(Code::UnknownField, format!("unknown field `{name}`"));
        let record = record.filter(|(file, _)| self.shown(*file).is_some());
        let inside = record.and_then(|(file, span)| {
            let fields = self.fields(file);
            let path = fields::join(&fields.at(&span)?.path, name);
            fields.get(&path).map(|field| (file, field.clone()))
        });
        // Merged records are blamed where they are merged: look at what was merged.
        let found = inside.or_else(|| {
            let mut candidates: Vec<_> = self
                .library
                .all()
                .filter(|(id, source)| source.shown.is_some() && (source.file.is_none() || *id == self.own))
                .map(|(id, _)| id)
                .collect();
            candidates.sort();
            candidates.into_iter().find_map(|id| self.fields(id).named(name).next().map(|field| (id, field.clone())))
        });
        match found {
            Some((file, field)) => {
                finding.labels.extend(self.label(file, field.name, ""));
                finding.field = Some(field.path);
                finding.labels.extend(blamed.labels.iter().filter(|label| label.message == CONTRACT).cloned());
            }
            None => {
                finding.labels.clone_from(&blamed.labels);
                finding.field = Some(name.to_owned());
            }
        }
        let contract = label.typ.to_string();
        let contract = contract.rsplit(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or("");
        let known = self
            .library
            .all()
            .filter_map(|(id, _)| self.hub.asts.get(id))
            .find_map(|ast| fields::contract(ast, contract));
        if let Some(near) = nearest(name, known.iter().flatten().map(String::as_str)) {
            finding = finding.help(format!("did you mean `{near}`?"));
        }
        finding
    }

    fn suggest_tag(&self, finding: &mut Diagnostic, tags: &[&str], value: Option<&NickelValue>) {
        let Some(value) = value.filter(|_| !tags.is_empty()) else {
            return;
        };
        let allowed: Vec<_> = tags.iter().map(|tag| format!("`'{tag}`")).collect();
        finding.notes.push(format!("allowed: {}", allowed.join(", ")));
        if let Some(tag) = value.as_enum_tag() {
            if let Some(near) = nearest(tag.label(), tags.iter().copied()) {
                finding.help.push(format!("did you mean `'{near}`?"));
            }
        } else if let Some(text) = value.as_string() {
            let text = text.to_string();
            if let Some(near) = nearest(&text, tags.iter().copied()) {
                finding.help.push(format!("write `'{near}`, without quotes"));
            }
        }
    }

    /// Nickel's own rendering as findings; its notes that follow an error belong to it.
    fn convert(&self, code: Code, rendered: Vec<Rendered<FileId>>, files: &Files) -> Vec<Diagnostic> {
        let mut findings: Vec<Diagnostic> = Vec::new();
        for diagnostic in rendered {
            if diagnostic.severity < Severity::Error
                && let Some(finding) = findings.last_mut()
            {
                finding.notes.extend(diagnostic.notes.iter().map(|note| bounded(note)));
                continue;
            }
            let mut finding = Diagnostic::new(code, fragment(&diagnostic.message));
            finding.notes = diagnostic.notes.iter().map(|note| bounded(note)).collect();
            let mut labels = diagnostic.labels;
            labels.sort_by_key(|label| (label.style != LabelStyle::Primary, said(&label.message) == CONTRACT));
            for label in labels {
                match self.label(label.file_id, label.range.clone(), said(&label.message)) {
                    Some(place) => {
                        if finding.labels.is_empty() && !place.file.starts_with(SCHEMAS) {
                            finding.field = self.field(label.file_id, &label.range);
                        }
                        finding.labels.push(place);
                    }
                    None if label.message.contains("evaluated to") && !self.is_known(label.file_id, files) => {
                        finding.notes.extend(self.value(files.source(label.file_id).trim(), &finding.labels));
                    }
                    None => {}
                }
            }
            // Where the value is all there is to show, it is the main place and needs no words.
            if let Some(main) = finding.labels.first_mut().filter(|label| label.message == ORIGIN) {
                main.message.clear();
            }
            findings.push(finding);
        }
        findings
    }

    /// Orders findings as they stand in the file, the file's own first, and drops repetitions.
    pub fn tidy(&self, mut findings: Vec<Diagnostic>) -> Vec<Diagnostic> {
        let own = self.job.path.as_str();
        let place = |finding: &Diagnostic| {
            let file = finding.main_file().unwrap_or(own).to_owned();
            (file != own, file, finding.labels.first().map_or(0, |label| label.span.start))
        };
        findings.sort_by_cached_key(place);
        let mut seen = HashSet::new();
        findings.retain(|finding| seen.insert((place(finding), finding.message.clone())));
        findings.truncate(MAX_FINDINGS);
        findings
    }

    /// The path of the field that holds these bytes.
    fn field(&self, file: FileId, span: &Range<usize>) -> Option<String> {
        self.fields(file).at(span).map(|field| field.path.clone()).filter(|path| !path.is_empty())
    }

    /// What an expression evaluated to, where that says more than the expression, and is no heap of closures.
    fn value(&self, value: &str, labels: &[Label]) -> Option<String> {
        let own = self.library.source(self.own).map_or("", |source| source.text.as_str());
        let is_plain = !value.contains('\n') && !value.contains("%<");
        let is_news = !labels.iter().any(|label| own.get(label.span.clone()) == Some(value));
        (is_plain && is_news).then(|| format!("the value is {}", bounded(value)))
    }

    fn shown(&self, file: FileId) -> Option<&'a str> {
        self.library.source(file)?.shown.as_deref()
    }

    fn is_known(&self, file: FileId, files: &Files) -> bool {
        files.is_stdlib(file) || self.library.source(file).is_some()
    }

    fn label(&self, file: FileId, span: Range<usize>, message: &str) -> Option<Label> {
        let span = self.library.source(file)?.span(&span);
        Some(Label { file: self.shown(file)?.to_owned(), span, message: message.to_owned() })
    }

    /// The opening brace of a long record, or the whole of a short one.
    fn head(&self, file: FileId, span: &Range<usize>) -> Range<usize> {
        let text = self.library.source(file).and_then(|source| source.text.get(span.clone())).unwrap_or("");
        let is_long = text.contains('\n') || text.len() > MAX_LINE;
        if is_long && text.starts_with(['{', '[']) { span.start..span.start + 1 } else { span.clone() }
    }

    fn fields(&self, file: FileId) -> Fields {
        self.hub.asts.get(file).map(Fields::of).unwrap_or_default()
    }
}

fn is_absent_optional(error: &EvalErrorKind) -> bool {
    matches!(error, EvalErrorKind::MissingFieldDef { metadata, .. } if metadata.opt)
}

fn contract_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Catalog => "Catalog",
        Kind::Axioms => "Axioms",
        Kind::Adr => "Adr",
        Kind::Workflow => "Workflow",
        Kind::Directives => "Directives",
        Kind::BuildSpec => "BuildSpec",
    }
}

/// The contract of the element that an array's or dictionary's contract was broken by.
fn element<'t, 'p>(mut typ: &'t Type, path: impl Iterator<Item = &'p ty_path::Elem>) -> &'t Type {
    for elem in path {
        match (elem, &typ.typ) {
            (ty_path::Elem::Array, TypeF::Array(inner)) => typ = inner,
            (ty_path::Elem::Dict, TypeF::Dict { type_fields, .. }) => typ = type_fields,
            _ => break,
        }
    }
    typ
}

/// The tags of an enum type.
fn tags(typ: &Type) -> Vec<&str> {
    let TypeF::Enum(rows) = &typ.typ else {
        return Vec::new();
    };
    rows.iter()
        .filter_map(|row| match row {
            EnumRowsIteratorItem::Row(row) => Some(row.id.label()),
            EnumRowsIteratorItem::TailVar(_) => None,
        })
        .collect()
}

/// What a place has to say, in lamina's words where Nickel's are about its workings.
fn said(message: &str) -> &str {
    match message {
        "applied to this expression" => "",
        "evaluated to this expression" => ORIGIN,
        "expected type" | "expected array element type" | "expected dictionary field type" | "expected field type" => {
            CONTRACT
        }
        message => message,
    }
}

/// A message as it stands after `error: `: one line, lower case, no full stop.
fn fragment(message: &str) -> String {
    // Some parsers draw the place into their message.
    let is_drawing = |line: &&str| line.trim_start_matches(|c: char| c.is_ascii_digit()).trim().starts_with(['|', '^']);
    let lines = message.lines().map(str::trim).filter(|line| !line.is_empty() && !is_drawing(line));
    let line = lines.map(|line| line.trim_end_matches(':')).collect::<Vec<_>>().join(": ");
    let mut chars = line.trim_end_matches('.').chars();
    let lowered = match (chars.next(), chars.as_str()) {
        (Some(first), rest) if rest.starts_with(|c: char| c.is_lowercase() || c == ' ') => {
            first.to_lowercase().chain(rest.chars()).collect()
        }
        (Some(first), rest) => format!("{first}{rest}"),
        (None, _) => String::new(),
    };
    bounded(&lowered)
}

/// Cuts a long text, and takes the made-up folder out of it.
fn bounded(text: &str) -> String {
    let text = text.replace(&format!("{}/", protocol::ROOT), "").replace(protocol::ROOT, ".");
    match text.char_indices().nth(MAX_TEXT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
