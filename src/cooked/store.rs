//! Unit manifests on this machine, in a folder that may be deleted at any time.
//!
//! Each document is a file with its own SHA-256 as its name. One index says which image has which document, what tags
//! stood for, and how much of each package a document has, so that locks are compared without reading any. All files
//! are written aside and renamed, and what is not what its checksum says counts as not there. Of two programs that
//! write the index at the same time, the later one's stays; what it does not know is asked for again.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::remote::Fetched;
use crate::model::{Digest, ImageRef};
use crate::tree::sha256;
use crate::unit::{Manifest, UnitGraph};

/// Changes with the layout of the index.
const INDEX: &str = "index-1";
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
    /// Name, version, source. Layers share most of theirs, so they hold numbers.
    packages: Vec<(String, String, Option<String>)>,
    images: BTreeMap<Digest, Entry>,
    /// By repository, what tags stood for; the latest at the end.
    tags: BTreeMap<String, Vec<(String, Digest)>>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Entry {
    document: [u8; 32],
    cooks: Vec<CookEntry>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct CookEntry {
    profile: String,
    settings: BTreeMap<String, String>,
    packages: Vec<Used>,
}

/// How much of a package was compiled.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Used {
    package: u32,
    units: u32,
    cpu_ms: u64,
    bytes: u64,
}

/// How much of each package a layer has, call by call of cargo.
#[derive(Clone, Copy, Debug)]
pub struct Summary<'a> {
    index: &'a Index,
    entry: &'a Entry,
}

/// How much of each package a call of cargo has compiled.
#[derive(Clone, Copy, Debug)]
pub struct CookSummary<'a> {
    index: &'a Index,
    cook: &'a CookEntry,
}

/// How much of a package was compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackageSummary<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its version.
    pub version: &'a str,
    /// Where it comes from, as cargo writes it; absent for one in a folder.
    pub source: Option<&'a str>,
    /// Units of compilation.
    pub units: u32,
    /// Processor time that was measured, in milliseconds.
    pub cpu_ms: u64,
    /// Bytes of what came of them.
    pub bytes: u64,
}

impl<'a> Summary<'a> {
    /// The calls of cargo, in order.
    pub fn cooks(self) -> impl ExactSizeIterator<Item = CookSummary<'a>> {
        self.entry.cooks.iter().map(move |cook| CookSummary { index: self.index, cook })
    }
}

impl<'a> CookSummary<'a> {
    /// The profile.
    pub fn profile(self) -> &'a str {
        &self.cook.profile
    }

    /// Settings of the profile that differ from the project's.
    pub fn settings(self) -> &'a BTreeMap<String, String> {
        &self.cook.settings
    }

    /// The packages that were compiled.
    pub fn packages(self) -> impl Iterator<Item = PackageSummary<'a>> {
        self.cook.packages.iter().filter_map(move |used| {
            let (name, version, source) = self.index.packages.get(used.package as usize)?;
            let Used { units, cpu_ms, bytes, .. } = *used;
            Some(PackageSummary { name, version, source: source.as_deref(), units, cpu_ms, bytes })
        })
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

    /// How much of each package an image's manifest has.
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
        let cooks = manifest.cooks.iter().map(|cook| CookEntry {
            profile: cook.profile.clone(),
            settings: cook.settings.clone(),
            packages: used(&cook.graph, &mut numbers),
        });
        let entry = Entry { document, cooks: cooks.collect() };
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

    /// Leaves the images that tags lead to, and the packages of these.
    fn retain_tagged(&mut self) {
        let tagged: BTreeSet<&Digest> = self.tags.values().flatten().map(|(_, digest)| digest).collect();
        self.images.retain(|digest, _| tagged.contains(digest));
        let mut packages = Vec::new();
        let mut numbers = Numbers::of(&mut packages);
        for used in self.images.values_mut().flat_map(|entry| &mut entry.cooks).flat_map(|cook| &mut cook.packages) {
            // A number without a package stays one: it is passed over.
            used.package = match self.packages.get(used.package as usize) {
                Some(package) => numbers.of_package(package.clone()),
                None => u32::MAX,
            };
        }
        self.packages = packages;
    }
}

/// The numbers of packages.
struct Numbers<'a> {
    packages: &'a mut Vec<(String, String, Option<String>)>,
    known: HashMap<(String, String, Option<String>), u32>,
}

impl<'a> Numbers<'a> {
    fn of(packages: &'a mut Vec<(String, String, Option<String>)>) -> Self {
        let known = packages.iter().cloned().zip(0..).collect();
        Self { packages, known }
    }

    fn of_package(&mut self, package: (String, String, Option<String>)) -> u32 {
        *self.known.entry(package).or_insert_with_key(|package| {
            self.packages.push(package.clone());
            u32::try_from(self.packages.len() - 1).unwrap_or(u32::MAX)
        })
    }
}

/// How much of each package a graph has, in the order of the graph's packages.
fn used(graph: &UnitGraph, numbers: &mut Numbers<'_>) -> Vec<Used> {
    let mut used = vec![Used::default(); graph.packages.len()];
    for unit in &graph.units {
        // Every place in a manifest that was read is one.
        let used = &mut used[unit.package];
        used.units += 1;
        if let Some(output) = &unit.output {
            used.cpu_ms = used.cpu_ms.saturating_add(output.cpu_ms.unwrap_or_default());
            used.bytes = used.bytes.saturating_add(output.bytes);
        }
    }
    let number = |(package, used): (&crate::unit::Package, Used)| {
        let package = (package.name.clone(), package.version.clone(), package.source.clone());
        Used { package: numbers.of_package(package), ..used }
    };
    graph.packages.iter().zip(used).map(number).filter(|used| used.units > 0).collect()
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
