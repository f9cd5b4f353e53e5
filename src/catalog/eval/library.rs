//! The sources as Nickel knows them: a text, and the ids that it has by format.

use std::collections::{BTreeMap, HashMap};

use nickel_lang_core::ast::InputFormat;
use nickel_lang_core::cache::{CacheHub, SourcePath};
use nickel_lang_core::files::FileId;

use super::protocol::{self, Source};
use crate::model::RelPath;

/// What is known of the sources.
pub(super) struct Library {
    sources: Vec<Source>,
    /// A text has an id for each format that it may be imported in.
    ids: HashMap<FileId, usize>,
    /// Where each text lies as Nickel.
    nickel: BTreeMap<String, FileId>,
}

impl Library {
    /// Makes the sources importable.
    pub fn register(hub: &mut CacheHub, sources: Vec<Source>) -> Self {
        let (mut ids, mut nickel) = (HashMap::new(), BTreeMap::new());
        for (index, source) in sources.iter().enumerate() {
            // Path and format together are the identity of a source: `import "x.json" as 'Text` is another one.
            let formats: &[InputFormat] = match InputFormat::from_path(&source.place) {
                Some(InputFormat::Nickel) => &[InputFormat::Nickel, InputFormat::Text],
                _ => &[InputFormat::Nickel, InputFormat::Text, InputFormat::Json, InputFormat::Yaml, InputFormat::Toml],
            };
            for format in formats {
                let key = SourcePath::Path(source.place.clone().into(), *format);
                let id = hub.sources.add_string(key, source.text.clone());
                ids.insert(id, index);
                if *format == InputFormat::Nickel {
                    nickel.insert(source.place.clone(), id);
                }
            }
        }
        Self { sources, ids, nickel }
    }

    pub fn source(&self, id: FileId) -> Option<&Source> {
        self.ids.get(&id).map(|index| &self.sources[*index])
    }

    /// All Nickel sources, in the order of their places.
    pub fn all(&self) -> impl Iterator<Item = (FileId, &Source)> {
        self.nickel.values().filter_map(|id| Some((*id, self.source(*id)?)))
    }

    /// The Nickel text of a file, whether people see it or not.
    pub fn file(&self, path: &RelPath) -> Option<FileId> {
        self.nickel.get(&protocol::place(path)).copied()
    }

    /// The text that people know as this file.
    pub fn shown(&self, file: &RelPath) -> Option<FileId> {
        self.all().find(|(_, source)| source.file.as_ref() == Some(file) && source.shown.is_some()).map(|(id, _)| id)
    }
}
