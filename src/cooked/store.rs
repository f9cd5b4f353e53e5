//! Unit manifests on this machine, in a folder that may be deleted at any time.
//!
//! Each document is a file with its own SHA-256 as its name. One index says which image has which document, what tags
//! stood for, and of each image what its pull takes, what a comparison of locks needs of its document, and what a
//! project has to agree with, so that no document is read for that. All files
//! are written aside and renamed, and what is not what its checksum says counts as not there. Of two programs that
//! write the index at the same time, the later one's stays; what it does not know is asked for again.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::remote::Fetched;
use crate::model::{Digest, ImageRef};
use crate::tree::sha256;
use crate::unit::{Conditions, Manifest};

/// Changes with the layout of the index.
const INDEX: &str = "index-2";
/// How many tags of a repository are remembered, the latest ones.
const TAGS: usize = 8;
/// The most bytes that an index may have.
const MAX_INDEX: u64 = 256 << 20;

/// Unit manifests by the digest of their image.
#[derive(Debug, Default)]
pub struct Store {
    folder: Option<PathBuf>,
    index: Index,
    changed: bool,
    /// Those that were read or fetched by this program.
    memory: HashMap<Digest, Arc<Manifest>>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Index {
    /// Name and version. Layers share most of theirs, so they hold numbers.
    packages: Vec<(String, String)>,
    /// What projects have to agree with, which layers share as well.
    conditions: Vec<Conditions>,
    images: BTreeMap<Digest, Entry>,
    /// By repository, what tags stood for; the latest at the end.
    tags: BTreeMap<String, Vec<(String, Digest)>>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Entry {
    document: [u8; 32],
    /// The bytes of the image's compressed layers, where they are known.
    pull_bytes: Option<u64>,
    /// A number, as those of packages.
    conditions: u32,
    packages: Vec<Spared>,
}

/// A package, and the most that a build is spared by it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Spared {
    package: u32,
    cpu_ms: u64,
}

/// What a comparison of locks needs of an image.
#[derive(Clone, Copy, Debug)]
pub struct Summary<'a> {
    index: &'a Index,
    entry: &'a Entry,
}

/// Some of the packages that a store knows.
#[derive(Clone, Debug)]
pub struct Among(Vec<bool>);

impl<'a> Summary<'a> {
    /// Those of its packages that are among these: name, version, and the most that a build is spared by each, in
    /// milliseconds of processor time ([`Manifest::packages`]).
    pub fn packages(self, among: &Among) -> impl Iterator<Item = ((&'a str, &'a str), u64)> {
        let wanted = |spared: &&Spared| among.0.get(spared.package as usize) == Some(&true);
        self.entry.packages.iter().filter(wanted).filter_map(move |spared| {
            let (name, version) = self.index.packages.get(spared.package as usize)?;
            Some(((name.as_str(), version.as_str()), spared.cpu_ms))
        })
    }

    /// What a project has to agree with.
    pub fn conditions(self) -> Option<&'a Conditions> {
        self.index.conditions.get(self.entry.conditions as usize)
    }
}

impl Store {
    /// A store that keeps nothing beyond this program's end.
    pub fn in_memory() -> Self {
        Self::default()
    }

    /// The store below a cache folder.
    pub fn open(cache: &Path) -> Self {
        let folder = cache.join("units");
        let index = read(&folder.join(INDEX), MAX_INDEX).and_then(|bytes| Index::decode(&bytes)).unwrap_or_default();
        Self { folder: Some(folder), index, ..Self::default() }
    }

    /// The packages with these names.
    pub fn among(&self, names: &HashSet<&str>) -> Among {
        Among(self.index.packages.iter().map(|(name, _)| names.contains(name.as_str())).collect())
    }

    /// The bytes of an image's compressed layers, where they are known.
    pub fn pull_bytes(&self, digest: &Digest) -> Option<u64> {
        self.index.images.get(digest)?.pull_bytes
    }

    /// Keeps how large an image is that has a manifest here. A digest names the very bytes, so it is asked once.
    pub(super) fn remember_bytes(&mut self, digest: &Digest, bytes: u64) {
        if let Some(entry) = self.index.images.get_mut(digest) {
            self.changed |= entry.pull_bytes.replace(bytes) != Some(bytes);
        }
    }

    /// What a comparison of locks needs of an image's manifest.
    pub fn summary(&self, digest: &Digest) -> Option<Summary<'_>> {
        let entry = self.index.images.get(digest)?;
        Some(Summary { index: &self.index, entry })
    }

    /// The manifest of an image, where it is here, and is what it was.
    pub fn manifest(&self, digest: &Digest) -> Option<Arc<Manifest>> {
        if let Some(manifest) = self.memory.get(digest) {
            return Some(Arc::clone(manifest));
        }
        let document = self.index.images.get(digest)?.document;
        let bytes = read(&self.folder.as_ref()?.join(file_name(&document)), Manifest::MAX_BYTES as u64)?;
        (sha256(&bytes) == document).then(|| Manifest::parse(&bytes).ok().map(Arc::new)).flatten()
    }

    /// Whether the manifest of an image is here; not whether it is still what it was.
    pub(super) fn has(&self, digest: &Digest) -> bool {
        let is_there = |entry: &Entry| {
            let folder = self.folder.as_ref();
            folder.is_some_and(|folder| folder.join(file_name(&entry.document)).is_file())
        };
        self.memory.contains_key(digest) || self.index.images.get(digest).is_some_and(is_there)
    }

    /// What a tag stood for when it was asked last.
    pub(super) fn remembered(&self, image: &ImageRef) -> Option<&Digest> {
        let tags = self.index.tags.get(&repository(image))?;
        tags.iter().find(|(tag, _)| tag == image.tag()).map(|(_, digest)| digest)
    }

    /// Keeps what a tag stands for.
    pub(super) fn remember(&mut self, image: &ImageRef, digest: &Digest) {
        if self.remembered(image) == Some(digest) {
            return;
        }
        let tags = self.index.tags.entry(repository(image)).or_default();
        tags.retain(|(tag, _)| tag != image.tag());
        tags.push((image.tag().to_owned(), digest.clone()));
        tags.drain(..tags.len().saturating_sub(TAGS));
        self.changed = true;
    }

    /// Keeps the manifest of an image.
    pub(super) fn insert(&mut self, digest: &Digest, fetched: Fetched) -> Arc<Manifest> {
        let Fetched { bytes, manifest } = fetched;
        let manifest = Arc::new(manifest);
        self.memory.insert(digest.clone(), Arc::clone(&manifest));
        let document = sha256(&bytes);
        let mut numbers = Numbers::of(&mut self.index.packages);
        let spared = |((name, version), cpu_ms): ((&str, &str), u64)| {
            let package = numbers.number((name.to_owned(), version.to_owned()));
            Spared { package, cpu_ms }
        };
        let packages = manifest.packages().into_iter().map(spared).collect();
        let conditions = Numbers::of(&mut self.index.conditions).number(manifest.conditions());
        let pull_bytes = self.pull_bytes(digest);
        let entry = Entry { document, pull_bytes, conditions, packages };
        self.index.images.insert(digest.clone(), entry);
        // What can't be kept is fetched again.
        if let Some(folder) = &self.folder {
            drop(write(&folder.join(file_name(&document)), &bytes));
        }
        self.changed = true;
        manifest
    }

    /// Writes the index where something was added, and removes what no tag leads to any more. That it can't be written
    /// costs time, and no answer.
    pub(super) fn save(&mut self) {
        let Some(folder) = self.folder.clone().filter(|_| std::mem::take(&mut self.changed)) else { return };
        let images = self.index.images.clone();
        self.index.retain_tagged();
        if self.index.encode().and_then(|bytes| write(&folder.join(INDEX), &bytes)).is_ok() {
            let kept: BTreeSet<[u8; 32]> = self.index.images.values().map(|entry| entry.document).collect();
            for entry in images.values().filter(|entry| !kept.contains(&entry.document)) {
                drop(fs::remove_file(folder.join(file_name(&entry.document))));
            }
        }
    }
}

impl Index {
    /// What an index's file holds: a SHA-256, and what it is of. `None` where that is not so, or can't be read.
    fn decode(bytes: &[u8]) -> Option<Self> {
        let (checksum, payload) = bytes.split_at_checked(32)?;
        (sha256(payload) == checksum).then(|| postcard::from_bytes(payload).ok()).flatten()
    }

    fn encode(&self) -> io::Result<Vec<u8>> {
        let payload = postcard::to_allocvec(self).map_err(io::Error::other)?;
        let mut bytes = sha256(&payload).to_vec();
        bytes.extend(payload);
        Ok(bytes)
    }

    /// Leaves the images that tags lead to, and the packages and conditions of these.
    fn retain_tagged(&mut self) {
        let tagged: BTreeSet<&Digest> = self.tags.values().flatten().map(|(_, digest)| digest).collect();
        self.images.retain(|digest, _| tagged.contains(digest));
        let (mut packages, mut conditions) = (Vec::new(), Vec::new());
        let mut of_packages = Numbers::of(&mut packages);
        let mut of_conditions = Numbers::of(&mut conditions);
        for entry in self.images.values_mut() {
            of_conditions.renew(&mut entry.conditions, &self.conditions);
            for spared in &mut entry.packages {
                of_packages.renew(&mut spared.package, &self.packages);
            }
        }
        (self.packages, self.conditions) = (packages, conditions);
    }
}

/// The numbers of things.
struct Numbers<'a, T> {
    things: &'a mut Vec<T>,
    known: BTreeMap<T, u32>,
}

impl<'a, T: Clone + Ord> Numbers<'a, T> {
    fn of(things: &'a mut Vec<T>) -> Self {
        let known = things.iter().cloned().zip(0..).collect();
        Self { things, known }
    }

    fn number(&mut self, thing: T) -> u32 {
        *self.known.entry(thing).or_insert_with_key(|thing| {
            self.things.push(thing.clone());
            u32::try_from(self.things.len() - 1).unwrap_or(u32::MAX)
        })
    }

    /// The new number of a thing. One without a thing stays so: it is passed over.
    fn renew(&mut self, number: &mut u32, things: &[T]) {
        *number = things.get(*number as usize).map_or(u32::MAX, |thing| self.number(thing.clone()));
    }
}

fn repository(image: &ImageRef) -> String {
    format!("{}/{}", image.registry(), image.repository())
}

fn file_name(document: &[u8; 32]) -> String {
    let digits: String = document.iter().map(|byte| format!("{byte:02x}")).collect();
    digits + ".json"
}

fn read(path: &Path, limit: u64) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(path).ok()?.take(limit + 1).read_to_end(&mut bytes).ok()?;
    (bytes.len() as u64 <= limit).then_some(bytes)
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().ok_or(io::ErrorKind::NotFound)?;
    fs::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}
