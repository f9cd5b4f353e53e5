//! The texts that a worker gets: files of the catalog, and what the host writes to merge overlays.

use std::collections::HashMap;
use std::fmt::Write;
use std::ops::Range;

use super::protocol::{self, Missing, ROOT, Source};
use super::{CATALOG, Overlay, Sources};
use crate::diag::{Code, Diagnostic, Label};
use crate::model::{RelPath, nearest};

/// Prefetching stops here; what is really imported beyond it is asked for.
const MAX_PREFETCH: usize = 16 << 20;

/// Collects the sources for one chunk of jobs.
pub(super) struct Supply<'a> {
    files: &'a dyn Sources,
    overlays: &'a [Overlay],
    known: Vec<Source>,
    by_place: HashMap<String, usize>,
    /// The files that parts are left out of.
    blanked: HashMap<RelPath, String>,
    /// How many of the known sources were searched for imports.
    searched: usize,
    size: usize,
}

impl<'a> Supply<'a> {
    pub fn new(files: &'a dyn Sources, overlays: &'a [Overlay]) -> Self {
        Self {
            files,
            overlays,
            known: Vec::new(),
            by_place: HashMap::new(),
            blanked: HashMap::new(),
            searched: 0,
            size: 0,
        }
    }

    /// The same, with nothing collected yet.
    pub fn again(&self) -> Self {
        Self { blanked: self.blanked.clone(), ..Self::new(self.files, self.overlays) }
    }

    /// Leaves parts of a file out, each with the comma behind it; all else keeps its place.
    pub fn blank(&mut self, path: &RelPath, spans: &[Range<usize>]) {
        let Ok(text) = self.text(path) else { return };
        let mut bytes = text.into_bytes();
        for span in spans {
            let end = span.end.min(bytes.len());
            let behind = bytes[end..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            let end = if bytes.get(end + behind) == Some(&b',') { end + behind + 1 } else { end };
            bytes[span.start.min(end)..end].iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b' ');
        }
        if let Ok(text) = String::from_utf8(bytes) {
            self.blanked.insert(path.clone(), text);
        }
    }

    fn text(&self, path: &RelPath) -> Result<String, Box<Diagnostic>> {
        match self.blanked.get(path) {
            Some(text) => Ok(text.clone()),
            None => Ok(self.files.text(path)?.to_string()),
        }
    }

    /// All texts so far.
    pub fn sources(&self) -> &[Source] {
        &self.known
    }

    /// Adds a file.
    pub fn add(&mut self, path: &RelPath) -> Result<(), Box<Diagnostic>> {
        let place = protocol::place(path);
        if self.by_place.contains_key(&place) {
            return Ok(());
        }
        let text = self.text(path)?;
        let file = Source { place, file: Some(path.clone()), shown: Some(path.as_str().to_owned()), text };
        if path.as_str() == CATALOG && !self.overlays.is_empty() {
            self.merge(file);
        } else {
            self.insert(file);
        }
        Ok(())
    }

    /// Adds what the known texts seem to import, so that few questions are left to the worker. Only a guess:
    /// what can't be had is not an error until it is really imported.
    pub fn prefetch(&mut self) {
        while self.searched < self.known.len() && self.size < MAX_PREFETCH {
            let source = &self.known[self.searched];
            self.searched += 1;
            if source.place.ends_with(".ncl") {
                let guesses: Vec<_> =
                    imports(&source.text).filter_map(|path| target(&source.place, path).ok()).collect();
                for path in guesses {
                    // The worker asks for it again where it matters, and then the answer is reported.
                    let _ = self.add(&path);
                }
            }
        }
    }

    /// Adds the file that an import lacked. `sent` is the number of sources that the worker had.
    pub fn resolve(&mut self, missing: &Missing, sent: usize) -> Result<(), Box<Diagnostic>> {
        let found = match target(&missing.importer, &missing.path) {
            Ok(path) => match self.by_place.get(&protocol::place(&path)) {
                Some(index) if *index < sent => {
                    let message = format!("`{path}` can't be imported in this format");
                    Err(Box::new(Diagnostic::new(Code::Import, message)))
                }
                _ => self.add(&path).map_err(|finding| Box::new(self.suggest(*finding, &path, missing))),
            },
            Err(reason) => Err(reason),
        };
        found.map_err(|finding| Box::new(self.at_import(*finding, missing)))
    }

    /// Of a file that does not exist, names the one in the same folder that may be meant. Only files that were
    /// supplied are known.
    fn suggest(&self, finding: Diagnostic, path: &RelPath, missing: &Missing) -> Diagnostic {
        let others = self.known.iter().filter(|source| source.place != missing.importer);
        let known = others.filter_map(|source| source.file.as_ref());
        let beside = known.filter(|file| file.parent() == path.parent()).map(RelPath::file_name);
        match nearest(path.file_name(), beside) {
            Some(name) if finding.code == Code::Import => finding.help(format!("did you mean `{name}`?")),
            _ => finding,
        }
    }

    /// The import expression is the main place of what is wrong with it.
    pub fn at_import(&self, mut finding: Diagnostic, missing: &Missing) -> Diagnostic {
        let importer = self.by_place.get(&missing.importer).map(|index| &self.known[*index]);
        if let Some(source) = importer {
            match &source.shown {
                Some(file) => {
                    let span = source.span(&missing.span);
                    let label = Label { file: file.clone(), span, message: String::new() };
                    finding.labels.insert(0, label);
                }
                None => finding.file = source.file.as_ref().map(|file| file.as_str().to_owned()),
            }
        }
        finding
    }

    fn insert(&mut self, source: Source) {
        self.size += source.text.len();
        self.by_place.insert(source.place.clone(), self.known.len());
        self.known.push(source);
    }

    /// Puts an expression in the place of the catalog that merges it with the overlays. The contract is
    /// applied after the merge: `&` checks it on the left side only, and an unknown field would pass.
    fn merge(&mut self, original: Source) {
        let mut merged = String::from("((import \"<catalog>.ncl\")");
        let folder = original.place.strip_suffix("catalog.ncl").unwrap_or(ROOT).to_owned();
        let (place, file) = (original.place.clone(), original.file.clone());
        self.insert(Source { place: format!("{folder}<catalog>.ncl"), ..original });
        for (index, overlay) in self.overlays.iter().enumerate() {
            let folder = match overlay.path.as_ref().and_then(RelPath::parent) {
                Some(folder) if folder == RelPath::root() => ROOT.to_owned(),
                Some(folder) => protocol::place(&folder),
                None => "/<elsewhere>".to_owned(),
            };
            let place = format!("{folder}/<overlay {index}>.ncl");
            let quoted = place.replace('\\', "\\\\").replace('"', "\\\"").replace("%{", "\\%{");
            let _ = write!(merged, " & (import \"{quoted}\")");
            let shown = Some(overlay.name.clone());
            self.insert(Source { place, file: None, shown, text: overlay.text.to_string() });
        }
        merged.push_str(") | (import \"../schemas/catalog.ncl\").Catalog");
        self.insert(Source { place, file, shown: None, text: merged });
    }
}

/// The file that `path` means in the source at `importer`.
fn target(importer: &str, path: &str) -> Result<RelPath, Box<Diagnostic>> {
    let Some(importer) = importer.strip_prefix(ROOT).and_then(|place| place.strip_prefix('/')) else {
        let message = "an overlay from outside of the catalog can't import files";
        let finding = Diagnostic::new(Code::Import, message);
        return Err(Box::new(finding.help("put the overlay into the catalog, or write out what it imports")));
    };
    let folder = RelPath::new(importer).map(|importer| importer.parent().unwrap_or_default());
    folder.and_then(|folder| folder.join(path)).map_err(|reason| {
        let finding = Diagnostic::new(Code::Import, "imports cannot leave the catalog");
        Box::new(finding.note(reason.to_string()))
    })
}

/// The paths behind each word `import`: no parser, a guess.
fn imports(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices("import").filter_map(|(at, word)| {
        let (path, _) = text[at + word.len()..].trim_start().strip_prefix('"')?.split_once('"')?;
        (!path.contains(['\\', '\n'])).then_some(path)
    })
}
