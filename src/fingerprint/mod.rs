//! Fingerprints: the SHA-256 over everything that goes into a layer, and nothing else.
//!
//! [`Inputs`] is what is hashed, kept so that two of them can be compared input by input. Not in it: summaries and
//! documentation, resources, hooks that run afterwards, time, the registry, the machine's paths, lamina's version.

mod context;
mod fields;

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

pub use context::{ContextFile, ContextFolder, DockerIgnore, FileMode, MAX_CONTEXT};
pub use fields::fields;

use crate::model::{Change, ContextChange, Digest, EdgeKind, Fingerprint, ImageRef, LayerName, RelPath};
use crate::tree::Hash;

/// The first thing that is hashed; it changes with the encoding, or with what is an input.
const FORMAT: &str = "lamina fingerprint 1";

/// All that goes into a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inputs {
    /// The build-relevant fields by path, as JSON.
    pub fields: BTreeMap<String, String>,
    /// The Dockerfile's place; a label for people, not hashed.
    pub dockerfile: RelPath,
    /// The Dockerfile's content.
    pub dockerfile_hash: Hash,
    /// The build context's folder; a label for people, not hashed.
    pub context_folder: RelPath,
    /// The build context by path, relative to its folder.
    pub context: BTreeMap<String, ContextFile>,
    /// The named contexts by name.
    pub contexts: BTreeMap<String, NamedContext>,
    /// What the layer depends on, by role and argument.
    pub edges: BTreeMap<(EdgeKind, String), Parent>,
}

/// A folder that a Dockerfile copies from besides the build context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedContext {
    /// The folder; a label for people, not hashed.
    pub folder: RelPath,
    /// Its files by path, relative to the folder.
    pub files: BTreeMap<String, ContextFile>,
}

/// What an edge leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parent {
    /// An external image, with its locked digest.
    Image(ImageRef, Option<Digest>),
    /// A layer, with its fingerprint; `None` where it has none.
    Layer(LayerName, Option<Fingerprint>),
}

impl Inputs {
    /// The fingerprint; none where a parent has none. Every part is preceded by its length, so no two sets of inputs
    /// have the same encoding.
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        let mut encoder = Encoder(Sha256::new());
        encoder.text(FORMAT);
        encoder.count(self.fields.len());
        for (path, value) in &self.fields {
            encoder.text(path);
            encoder.text(value);
        }
        encoder.bytes(&self.dockerfile_hash);
        encoder.files(&self.context);
        encoder.count(self.edges.len());
        for ((kind, arg), parent) in &self.edges {
            encoder.text(kind.as_str());
            encoder.text(arg);
            match parent {
                Parent::Image(image, digest) => {
                    encoder.text("image");
                    encoder.text(&image.to_string());
                    encoder.text(digest.as_ref().map_or("", Digest::as_str));
                }
                // The parent's name is a label; what it is made of is in its fingerprint.
                Parent::Layer(_, fingerprint) => {
                    encoder.text("layer");
                    encoder.bytes((*fingerprint)?.as_bytes());
                }
            }
        }
        // They came later. Nothing is written where there are none, so that the layers before them keep their
        // fingerprints; all before is of known length, so it is no other layer's encoding either.
        if !self.contexts.is_empty() {
            encoder.count(self.contexts.len());
            for (name, context) in &self.contexts {
                encoder.text(name);
                encoder.files(&context.files);
            }
        }
        Some(Fingerprint::new(encoder.0.finalize().into()))
    }

    /// What differs between `old` and these inputs, but for the fingerprints of parents: those are reasons of theirs.
    pub fn changes_since(&self, old: &Inputs) -> Vec<Change> {
        let mut changes = Vec::new();
        let mut field = |path: &str, old: Option<&String>, new: Option<&String>| {
            if old != new {
                changes.push(Change::Field { path: path.to_owned(), old: old.cloned(), new: new.cloned() });
            }
        };
        for (path, (old, new)) in pairs(&old.fields, &self.fields) {
            field(path, old, new);
        }
        for ((kind, arg), (old, new)) in pairs(&old.edges, &self.edges) {
            let path = match kind {
                EdgeKind::Build => "build_base".to_owned(),
                EdgeKind::Runtime => "runtime_base".to_owned(),
                EdgeKind::Donor => format!("donors.{arg}"),
            };
            field(&path, old.map(Parent::name).as_ref(), new.map(Parent::name).as_ref());
        }
        for ((kind, _), (old, new)) in pairs(&old.edges, &self.edges) {
            if let (Some(Parent::Image(before, old)), Some(Parent::Image(image, new))) = (old, new)
                && before == image
                && old != new
            {
                changes.push(Change::Image { edge: *kind, image: image.clone(), old: old.clone(), new: new.clone() });
            }
        }
        if old.dockerfile_hash != self.dockerfile_hash {
            changes.push(Change::Dockerfile { file: self.dockerfile.clone() });
        }
        changes.extend(file_changes(&self.context_folder, &old.context, &self.context));
        for (name, (old, new)) in pairs(&old.contexts, &self.contexts) {
            match (old, new) {
                (Some(old), Some(new)) => changes.extend(file_changes(&new.folder, &old.files, &new.files)),
                (old, new) => {
                    let folder = |context: &NamedContext| format!("\"{}\"", context.folder);
                    let path = format!("build.contexts.{name}");
                    changes.push(Change::Field { path, old: old.map(folder), new: new.map(folder) });
                }
            }
        }
        changes
    }
}

/// What differs between the files of a context.
fn file_changes(
    folder: &RelPath,
    old: &BTreeMap<String, ContextFile>,
    new: &BTreeMap<String, ContextFile>,
) -> Vec<Change> {
    let change = |(path, (old, new)): (&String, (Option<&ContextFile>, Option<&ContextFile>))| {
        let change = match (old, new) {
            (None, _) => ContextChange::Added,
            (_, None) => ContextChange::Removed,
            (Some(old), Some(new)) if old.hash != new.hash => ContextChange::Content,
            (Some(old), Some(new)) if old.mode != new.mode => ContextChange::Mode,
            _ => return None,
        };
        Some(Change::Context { file: folder.join(path).unwrap_or_default(), change })
    };
    pairs(old, new).into_iter().filter_map(change).collect()
}

impl Parent {
    /// As JSON, without digest or fingerprint.
    fn name(&self) -> String {
        match self {
            Parent::Image(image, _) => format!("{{\"image\":\"{}\"}}", image.familiar()),
            Parent::Layer(name, _) => format!("{{\"layer\":\"{name}\"}}"),
        }
    }
}

struct Encoder(Sha256);

impl Encoder {
    fn count(&mut self, count: usize) {
        self.0.update((count as u64).to_le_bytes());
    }

    fn files(&mut self, files: &BTreeMap<String, ContextFile>) {
        self.count(files.len());
        for (path, file) in files {
            self.text(path);
            self.text(file.mode.as_str());
            self.bytes(&file.hash);
        }
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        self.0.update(bytes);
    }

    fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }
}

/// The values of two maps side by side, in order of their keys.
fn pairs<'a, K: Ord, V>(
    old: &'a BTreeMap<K, V>,
    new: &'a BTreeMap<K, V>,
) -> BTreeMap<&'a K, (Option<&'a V>, Option<&'a V>)> {
    let mut pairs: BTreeMap<&K, (Option<&V>, Option<&V>)> = BTreeMap::new();
    old.iter().for_each(|(key, value)| pairs.entry(key).or_default().0 = Some(value));
    new.iter().for_each(|(key, value)| pairs.entry(key).or_default().1 = Some(value));
    pairs
}
