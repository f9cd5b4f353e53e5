//! The text of a lock, moved on: what people wrote into it, comments and order, stays.

use toml_edit::{ArrayOfTables, DocumentMut, Item, Table, value};

use super::{Lock, Locked};
use crate::diag::Diagnostic;
use crate::model::ImageRef;

/// What a new lock begins with.
const NEW: &str = "\
# The digests of the external images that the catalog stands on. Tag and digest stand together: move both.
# `lamina lock` adds what is missing, `lamina update` moves what is there.
version = 1
";

/// A lock as text that can be edited.
#[derive(Clone, Debug)]
pub struct LockText {
    document: DocumentMut,
}

impl LockText {
    /// Takes the text of a lock; none is the beginning of a new one.
    ///
    /// # Errors
    /// All that is wrong with it: a lock that can't be read as a whole is not written, or something would be lost.
    pub fn parse(file: &str, text: Option<&str>) -> Result<Self, Vec<Diagnostic>> {
        let text = text.unwrap_or(NEW);
        let (_, findings) = Lock::parse(file, text);
        if !findings.is_empty() {
            return Err(findings);
        }
        let broken = |error: toml_edit::TomlError| {
            let finding = Diagnostic::new(crate::diag::Code::LockSyntax, error.message().trim());
            vec![finding.label(file, error.span().unwrap_or(0..0), "")]
        };
        Ok(Self { document: text.parse().map_err(broken)? })
    }

    /// Locks an image. An entry that is there is changed at its place; a new one comes where its name sorts it.
    pub fn set(&mut self, image: &ImageRef, locked: &Locked) {
        let reference = format!("{image}@{}", locked.digest);
        let mut tables = self.take();
        let named: Vec<Option<ImageRef>> = tables.iter().map(named).collect();
        match named.iter().position(|named| named.as_ref() == Some(image)) {
            Some(at) => fill(&mut tables[at], &reference, locked),
            None => {
                let mut table = Table::new();
                table.decor_mut().set_prefix("\n");
                fill(&mut table, &reference, locked);
                let at = named.iter().position(|named| named.as_ref() > Some(image)).unwrap_or(tables.len());
                tables.insert(at, table);
            }
        }
        self.put(tables);
    }

    /// Gives an image another tag, at its entry's place. Where that is locked as well, one entry remains.
    pub fn rename(&mut self, old: &ImageRef, new: &ImageRef, locked: &Locked) {
        let mut tables = self.take();
        if old != new && tables.iter().any(|table| named(table).as_ref() == Some(new)) {
            tables.retain(|table| named(table).as_ref() != Some(old));
        }
        let is_either = |image: Option<ImageRef>| image.as_ref() == Some(old) || image.as_ref() == Some(new);
        if let Some(table) = tables.iter_mut().find(|table| is_either(named(table))) {
            fill(table, &format!("{new}@{}", locked.digest), locked);
        }
        self.put(tables);
    }

    /// Removes an image.
    pub fn remove(&mut self, image: &ImageRef) {
        let mut tables = self.take();
        tables.retain(|table| named(table).as_ref() != Some(image));
        self.put(tables);
    }

    /// The entries, out of the document.
    fn take(&mut self) -> Vec<Table> {
        match self.document.remove("image") {
            Some(Item::ArrayOfTables(tables)) => tables.into_iter().collect(),
            // `image = [{ reference = "…" }]` is the same in another dress.
            Some(item) => {
                let array = item.into_array_of_tables();
                array.map(|tables| tables.into_iter().collect()).unwrap_or_default()
            }
            None => Vec::new(),
        }
    }

    /// The entries, back into the document, in this order.
    fn put(&mut self, tables: Vec<Table>) {
        if tables.is_empty() {
            return;
        }
        let mut array = ArrayOfTables::new();
        for (at, mut table) in tables.into_iter().enumerate() {
            // Tables are written by the position that they were read at, unless it is set anew.
            table.set_position(isize::try_from(at + 1).ok());
            for (_, item) in table.iter_mut() {
                if let Some(table) = item.as_table_mut() {
                    table.set_position(None);
                }
            }
            array.push(table);
        }
        self.document.insert("image", Item::ArrayOfTables(array));
    }
}

impl std::fmt::Display for LockText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.document.fmt(f)
    }
}

/// The image of an entry.
fn named(table: &Table) -> Option<ImageRef> {
    let reference = table.get("reference")?.as_str()?;
    ImageRef::parse_pinned(reference).ok().map(|(image, _)| image)
}

/// Writes an entry's values, and keeps the comments beside them.
fn fill(table: &mut Table, reference: &str, locked: &Locked) {
    let mut new = value(reference);
    if let (Some(old), Some(new)) = (table.get("reference").and_then(Item::as_value), new.as_value_mut()) {
        *new.decor_mut() = old.decor().clone();
    }
    table.insert("reference", new);
    if locked.platforms.is_empty() {
        table.remove("platforms");
        return;
    }
    let mut platforms = Table::new();
    if let Some(old) = table.get("platforms").and_then(Item::as_table) {
        *platforms.decor_mut() = old.decor().clone();
    }
    for (platform, digest) in &locked.platforms {
        platforms.insert(platform.as_str(), value(digest.as_str()));
    }
    table.insert("platforms", Item::Table(platforms));
}
