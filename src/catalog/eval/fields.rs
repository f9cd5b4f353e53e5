//! Where the fields of a record stand in a file, read from Nickel's syntax tree.

use std::cmp::Reverse;
use std::ops::Range;

use nickel_lang_core::ast::pattern::PatternData;
use nickel_lang_core::ast::primop::PrimOp;
use nickel_lang_core::ast::record::{FieldDef, FieldPathElem, Record};
use nickel_lang_core::ast::{Ast, Node};
use nickel_lang_core::position::TermPos;

use super::FieldSpans;

/// Enough for any record that people write, and little to send.
const MAX_FIELDS: usize = 4096;
const MAX_DEPTH: usize = 64;

/// A field, an element of an array, or the whole record.
#[derive(Clone, Debug)]
pub(super) struct Field {
    /// `artifact_paths[1].path`; empty for the whole record.
    pub path: String,
    /// Its name; for an element of an array, the element.
    pub name: Range<usize>,
    /// Its value, or its definition where it has none.
    pub value: Range<usize>,
    /// The whole definition with name, contracts and value.
    pub whole: Range<usize>,
}

/// The fields of the record that a file ends with.
#[derive(Default)]
pub(super) struct Fields(Vec<Field>);

impl Fields {
    pub fn of(ast: &Ast<'_>) -> Self {
        let mut fields = Self(Vec::new());
        fields.walk(ast, "", 0);
        fields
    }

    /// The first definition of the field with this path.
    pub fn get(&self, path: &str) -> Option<&Field> {
        self.0.iter().find(|field| field.path == path)
    }

    /// The innermost field that holds these bytes; of `a.b = 1` it is `a.b`.
    pub fn at(&self, span: &Range<usize>) -> Option<&Field> {
        self.0
            .iter()
            .filter(|field| field.whole.start <= span.start && span.end <= field.whole.end)
            .min_by_key(|field| (field.whole.len(), Reverse(field.path.len())))
    }

    /// The elements of the list with this path.
    pub fn elements<'a>(&'a self, path: &'a str) -> impl Iterator<Item = &'a Field> {
        (0..).map_while(move |index| self.get(&format!("{path}[{index}]")))
    }

    /// The fields whose last name is this one.
    pub fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Field> {
        self.0.iter().filter(move |field| last_name(&field.path) == name)
    }

    /// Path and value of each field, sorted by path; of several definitions the first.
    pub fn into_spans(self) -> FieldSpans {
        let short = |span: Range<usize>| Some(u32::try_from(span.start).ok()?..u32::try_from(span.end).ok()?);
        let mut spans: FieldSpans =
            self.0.into_iter().filter_map(|field| Some((field.path, short(field.value)?))).collect();
        spans.sort_by(|a, b| a.0.cmp(&b.0));
        spans.dedup_by(|later, first| later.0 == first.0);
        spans
    }

    fn push(&mut self, path: &str, name: Range<usize>, value: Range<usize>, whole: Range<usize>) {
        if self.0.len() < MAX_FIELDS {
            self.0.push(Field { path: path.to_owned(), name, value, whole });
        }
    }

    fn walk(&mut self, ast: &Ast<'_>, path: &str, depth: usize) {
        if depth == MAX_DEPTH || self.0.len() >= MAX_FIELDS {
            return;
        }
        if depth == 0
            && !matches!(ast.node, Node::Let { .. } | Node::Annotated { .. })
            && let Some(span) = range(ast.pos)
        {
            self.push(path, span.clone(), span.clone(), span);
        }
        match &ast.node {
            // A `let` or an annotation around the record is not a level of it.
            Node::Let { body, .. } => self.walk(body, path, depth),
            Node::Annotated { inner, .. } => self.walk(inner, path, depth),
            Node::PrimOpApp { op: PrimOp::Merge(_), args } => {
                for arg in *args {
                    self.walk(arg, path, depth + 1);
                }
            }
            Node::EnumVariant { arg: Some(arg), .. } => self.walk(arg, path, depth + 1),
            Node::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    let path = format!("{path}[{index}]");
                    if let Some(span) = range(item.pos) {
                        self.push(&path, span.clone(), span.clone(), span);
                    }
                    self.walk(item, &path, depth + 1);
                }
            }
            Node::Record(record) => {
                for def in record.field_defs {
                    self.field(def, path, depth);
                }
            }
            _ => {}
        }
    }

    fn field(&mut self, def: &FieldDef<'_>, parent: &str, depth: usize) {
        let Some(whole) = range(def.pos) else { return };
        let mut path = parent.to_owned();
        for (index, elem) in def.path.iter().enumerate() {
            let FieldPathElem::Ident(name) = elem else {
                return;
            };
            path = join(&path, name.label());
            let last = index + 1 == def.path.len();
            let value = def.value.as_ref().filter(|_| last).and_then(|value| range(value.pos));
            // Of `a.b = 1` the name alone belongs to `a`: the value is that of `a.b`.
            let name = range(name.pos).unwrap_or_else(|| whole.clone());
            self.push(&path, name, value.unwrap_or_else(|| whole.clone()), whole.clone());
        }
        if let Some(value) = &def.value {
            self.walk(value, &path, depth + 1);
        }
    }
}

/// The field `name` of the record at `path`.
pub(super) fn join(path: &str, name: &str) -> String {
    let plain = name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '\''));
    match (path, plain && !name.is_empty()) {
        ("", true) => name.to_owned(),
        ("", false) => format!("{name:?}"),
        (path, true) => format!("{path}.{name}"),
        (path, false) => format!("{path}.{name:?}"),
    }
}

/// The last name of a path.
pub(super) fn last_name(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

/// The field names of the record contract that a file defines under this name, by a field or a `let`.
pub(super) fn contract(ast: &Ast<'_>, name: &str) -> Option<Vec<String>> {
    definition(ast, name, 0).map(|record| {
        record.field_defs.iter().filter_map(|def| def.root_as_ident().map(|name| name.label().to_owned())).collect()
    })
}

fn definition<'a>(ast: &'a Ast<'a>, name: &str, depth: usize) -> Option<&'a Record<'a>> {
    if depth == MAX_DEPTH {
        return None;
    }
    match &ast.node {
        Node::Let { bindings, body, .. } => bindings
            .iter()
            .find(|binding| matches!(binding.pattern.data, PatternData::Any(bound) if bound.label() == name))
            .and_then(|binding| first_record(&binding.value, 0))
            .or_else(|| definition(body, name, depth + 1)),
        Node::Annotated { inner, .. } => definition(inner, name, depth + 1),
        Node::Record(record) => record
            .field_defs
            .iter()
            .find(|def| def.path_as_ident().is_some_and(|field| field.label() == name))
            .and_then(|def| first_record(def.value.as_ref()?, 0)),
        _ => None,
    }
}

/// The record in `{ .. }`, `std.contract.Sequence [{ .. }, ..]` and `Array { .. }`.
fn first_record<'a>(ast: &'a Ast<'a>, depth: usize) -> Option<&'a Record<'a>> {
    if depth == MAX_DEPTH {
        return None;
    }
    match &ast.node {
        Node::Record(record) => Some(record),
        Node::Annotated { inner, .. } => first_record(inner, depth + 1),
        Node::Let { body, .. } => first_record(body, depth + 1),
        Node::App { args, .. } => args.iter().find_map(|arg| first_record(arg, depth + 1)),
        Node::Array(items) => items.iter().find_map(|item| first_record(item, depth + 1)),
        _ => None,
    }
}

/// The bytes of a place in the source.
pub(super) fn range(pos: TermPos) -> Option<Range<usize>> {
    pos.into_opt().map(|span| span.to_range())
}
