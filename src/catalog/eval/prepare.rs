//! Files made ready for evaluation, one by one, each after all that it imports.
//!
//! Nickel prepares a file together with its imports, and stops at the first mistake: the files in between stay half
//! prepared, and break the evaluator, or pass, when another job imports them. Here, whatever a file imports was
//! prepared before it, so a mistake leaves nothing behind but the file it is in, and what a job is told depends on
//! the files that it imports and on nothing else.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::Range;
use std::path::PathBuf;

use nickel_lang_core::ast::pattern::Pattern;
use nickel_lang_core::ast::{Annotation, Ast, Import, InputFormat, Node};
use nickel_lang_core::cache::CacheHub;
use nickel_lang_core::error::{Error, ImportErrorKind, TypecheckErrorKind};
use nickel_lang_core::files::FileId;
use nickel_lang_core::position::{PosTable, TermPos};
use nickel_lang_core::traverse::{TraverseAlloc, TraverseControl};

use super::Job;
use super::diagnose::Diagnoser;
use super::fields::range;
use super::library::Library;
use super::protocol::{Finished, Missing};
use crate::diag::Diagnostic;
use crate::model::RelPath;

/// What is wrong with a file itself.
enum Broken {
    /// It imports what was not supplied.
    Missing(Missing),
    Failed(Vec<Diagnostic>),
}

/// What is known of the files so far.
#[derive(Default)]
pub(super) struct Prepared {
    /// What each file imports directly.
    imports: HashMap<FileId, Vec<FileId>>,
    broken: HashMap<FileId, Broken>,
    /// The files that are prepared, with all that they import.
    fit: HashSet<FileId>,
    /// The files in the order in which they were come across.
    numbers: HashMap<FileId, usize>,
    /// Those that wait for the rest of a circle of imports.
    open: Vec<FileId>,
}

impl Prepared {
    /// Prepares a job and all that it imports; or else says what is wrong with any of these files.
    pub fn prepare(
        &mut self,
        hub: &mut CacheHub,
        positions: &mut PosTable,
        library: &Library,
        job: &Job,
        id: FileId,
    ) -> Result<(), Finished> {
        if !self.numbers.contains_key(&id) {
            Pass { known: self, hub, positions, library, job }.visit(id);
        }
        if self.fit.contains(&id) { Ok(()) } else { Err(self.failure(hub, library, job, id)) }
    }

    fn failure(&self, hub: &CacheHub, library: &Library, job: &Job, id: FileId) -> Finished {
        let files = self.closure(id);
        let mut all = Vec::new();
        for file in &files {
            match self.broken.get(file) {
                Some(Broken::Missing(missing)) => return Finished::Missing(missing.clone()),
                Some(Broken::Failed(findings)) => all.extend(findings.iter().cloned()),
                None => {}
            }
        }
        let findings = Diagnoser::new(hub, library, job, id).tidy(all);
        Finished::failed(names(library, job, files.into_iter().chain(hub.import_data.transitive_imports(id))), findings)
    }

    /// A file and all that it imports, directly or not, each once.
    fn closure(&self, id: FileId) -> Vec<FileId> {
        let (mut files, mut seen) = (vec![id], HashSet::from([id]));
        let mut next = 0;
        while let Some(file) = files.get(next) {
            next += 1;
            files.extend(self.imports.get(file).into_iter().flatten().filter(|import| seen.insert(**import)));
        }
        files
    }
}

/// The files of the catalog among these, sorted, without the job's own.
pub(super) fn names(library: &Library, job: &Job, files: impl IntoIterator<Item = FileId>) -> Vec<RelPath> {
    let files = files.into_iter().filter_map(|id| library.source(id)?.file.clone());
    let files: BTreeSet<_> = files.filter(|file| *file != job.path).collect();
    files.into_iter().collect()
}

struct Pass<'a> {
    known: &'a mut Prepared,
    hub: &'a mut CacheHub,
    positions: &'a mut PosTable,
    library: &'a Library,
    job: &'a Job,
}

impl Pass<'_> {
    /// Prepares all that the file imports, and then the file, unless it is part of a circle that is entered
    /// elsewhere. Returns the least number in reach (this is Tarjan's algorithm).
    fn visit(&mut self, id: FileId) -> usize {
        let number = self.known.numbers.len();
        self.known.numbers.insert(id, number);
        self.known.open.push(id);
        let imports = self.read(id);
        let mut least = number;
        for import in &imports {
            match self.known.numbers.get(import) {
                None => least = least.min(self.visit(*import)),
                Some(number) if self.known.open.contains(import) => least = least.min(*number),
                Some(_) => {}
            }
        }
        self.known.imports.insert(id, imports);
        if least == number
            && let Some(start) = self.known.open.iter().position(|file| *file == id)
        {
            let circle = self.known.open.split_off(start);
            self.close(id, &circle);
        }
        least
    }

    /// Parses a file. Returns what it imports.
    fn read(&mut self, id: FileId) -> Vec<FileId> {
        let format = self.hub.input_format(id).unwrap_or_default();
        let parsed = match format {
            InputFormat::Nickel => self.hub.parse_to_ast(id),
            _ => self.hub.parse_to_term(self.positions, id, format),
        };
        if let Err(errors) = parsed {
            self.fail(id, Error::ParseErrors(errors));
            return Vec::new();
        }
        let (Some(ast), Some(source)) = (self.hub.asts.get(id), self.library.source(id)) else {
            return Vec::new();
        };
        let mut folder = PathBuf::from(&source.place);
        folder.pop();
        let mut files = Vec::new();
        for (path, format, pos) in imports(ast) {
            match self.hub.sources.get_or_add_file(folder.join(&path), format) {
                Ok(found) => files.push(found.inner()),
                Err(_) => self.miss(id, path.to_string_lossy().into_owned(), pos),
            }
        }
        files
    }

    /// Prepares a file all of whose imports were prepared, save for those in a circle with it.
    fn close(&mut self, id: FileId, circle: &[FileId]) {
        let known = &mut self.known;
        let is_fit = |file: &FileId| {
            let mut imports = known.imports.get(file).into_iter().flatten();
            !known.broken.contains_key(file) && imports.all(|file| circle.contains(file) || known.fit.contains(file))
        };
        if !circle.iter().all(is_fit) {
            return;
        }
        match self.hub.prepare(self.positions, id) {
            Ok(_) => known.fit.extend(circle),
            Err(error) => self.fail(id, error),
        }
    }

    fn fail(&mut self, id: FileId, error: Error) {
        if let Some((path, pos)) = missing_import(&error) {
            return self.miss(id, path, pos);
        }
        let (culprit, findings) = Diagnoser::new(self.hub, self.library, self.job, id).unprepared(id, error);
        // Of files that are known to be imported, the culprit is always the one at hand.
        if let Some(culprit) = culprit.filter(|culprit| *culprit != id && !self.known.fit.contains(culprit)) {
            self.known.broken.entry(culprit).or_insert_with(|| Broken::Failed(findings.clone()));
        }
        self.known.broken.insert(id, Broken::Failed(findings));
    }

    fn miss(&mut self, id: FileId, path: String, pos: TermPos) {
        let importer = pos.src_id().unwrap_or(id);
        let Some(source) = self.library.source(importer) else { return };
        let span: Range<usize> = range(pos).unwrap_or(0..0);
        let missing = Missing { importer: source.place.clone(), path, span };
        for file in [id, importer] {
            self.known.broken.entry(file).or_insert_with(|| Broken::Missing(missing.clone()));
        }
    }
}

/// What a file imports, in the order in which it stands there.
fn imports<'a>(ast: &'a Ast<'a>) -> Vec<(PathBuf, InputFormat, TermPos)> {
    enum Part<'a> {
        Ast(&'a Ast<'a>),
        Pattern(&'a Pattern<'a>),
        Annotation(&'a Annotation<'a>),
    }
    let mut found = Vec::new();
    let mut parts = vec![Part::Ast(ast)];
    while let Some(part) = parts.pop() {
        let mut look = |ast: &'a Ast<'a>, (): &()| -> TraverseControl<(), ()> {
            match &ast.node {
                Node::Import(Import::Path { path, format }) => found.push((PathBuf::from(path), *format, ast.pos)),
                // The traversal leaves these out.
                Node::Let { bindings, .. } => {
                    parts.extend(bindings.iter().map(|binding| Part::Pattern(&binding.pattern)))
                }
                Node::Record(record) => {
                    parts.extend(record.includes.iter().map(|include| Part::Annotation(&include.metadata.annotation)));
                }
                _ => {}
            }
            TraverseControl::Continue
        };
        match part {
            Part::Ast(ast) => ast.traverse_ref(&mut look, &()),
            Part::Pattern(pattern) => pattern.traverse_ref(&mut look, &()),
            Part::Annotation(annotation) => annotation.traverse_ref(&mut look, &()),
        };
    }
    found.sort_by_key(|(_, _, pos)| range(*pos).map(|span| span.start));
    found
}

fn missing_import(error: &Error) -> Option<(String, TermPos)> {
    let kind = match error {
        Error::ImportError(kind) => kind,
        Error::TypecheckError(data) => match data.borrow_error() {
            TypecheckErrorKind::ImportError(kind) => kind,
            _ => return None,
        },
        _ => return None,
    };
    match kind {
        ImportErrorKind::IOError(path, _, pos) => Some((path.clone(), *pos)),
        _ => None,
    }
}
