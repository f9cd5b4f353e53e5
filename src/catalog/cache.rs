//! The evaluation cache: what files evaluated to, keyed by the content of all that they import.
//!
//! One file per catalog and set of overlays, replaced as a whole by a rename: a reader sees the old one or the new
//! one, never a torn one, and of two runs at the same time the later one's entries stay. It holds a checksum, and a
//! file that can't be read for any reason counts as empty.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::eval::{Job, Overlay, Record};
use super::spans::Spans;
use crate::model::{LayerName, RelPath};
use crate::tree::{Hash, sha256};

/// Changes with the layout of the file, the records, and how evaluation goes about its work.
const FORMAT: &str =
    concat!("lamina evaluation cache 9, lamina ", env!("CARGO_PKG_VERSION"), ", nickel-lang-core 0.19.0");

/// How many versions of a file's record are kept: enough for a work tree and a few revisions.
const VERSIONS: usize = 4;

/// The cache of one catalog.
#[derive(Debug, Default)]
pub struct Cache {
    path: Option<PathBuf>,
    /// The contents that entries were computed from. Most entries share theirs, so they hold numbers.
    files: Vec<(RelPath, Hash)>,
    /// The numbers of the files, once something is added.
    numbers: HashMap<(RelPath, Hash), u32>,
    entries: HashMap<Job, Vec<Arc<Entry>>>,
    changed: bool,
}

/// A file's record, with what it was computed from.
#[derive(Debug, Serialize, Deserialize)]
pub struct Entry {
    /// The hash of the file itself.
    hash: Hash,
    /// The files it imports, as numbers into the cache's list.
    imports: Vec<u32>,
    /// Its value.
    pub record: Record,
    /// Where its fields stand.
    pub spans: Spans,
}

/// Which of the cache's files have the content that they had.
#[derive(Debug)]
pub struct Unchanged(Vec<bool>);

/// How many entries are encoded together. Shards are decoded side by side.
const SHARD: usize = 512;

/// The file's layout.
#[derive(Serialize, Deserialize)]
struct Stored {
    files: Vec<(RelPath, Hash)>,
    /// Each an encoded list of jobs with their entries.
    shards: Vec<ByteBuf>,
}

impl Cache {
    /// A cache that keeps nothing.
    pub fn disabled() -> Self {
        Self::default()
    }

    /// Opens the cache of the catalog at `root`, in `folder`.
    pub fn open(folder: &Path, root: &Path, overlays: &[Overlay]) -> Self {
        let mut key = FORMAT.as_bytes().to_vec();
        for overlay in overlays {
            let path = overlay.path.as_ref().map_or("", RelPath::as_str);
            for part in [path, &overlay.text] {
                key.extend((part.len() as u64).to_le_bytes());
                key.extend(part.as_bytes());
            }
        }
        let hex = |bytes: &[u8]| sha256(bytes)[..8].iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let name = format!("{}-{}.cache", hex(root.as_os_str().as_encoded_bytes()), hex(&key));
        let path = folder.join(name);
        let known = fs::read(&path).ok().and_then(|bytes| Self::decode(&bytes)).unwrap_or_default();
        Self { path: Some(path), ..known }
    }

    /// What a cache's file holds: a SHA-256, and what it is of. `None` where that is not so, or can't be read.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (checksum, payload) = bytes.split_at_checked(32)?;
        if sha256(payload) != checksum {
            return None;
        }
        let Stored { files, shards } = postcard::from_bytes(payload).ok()?;
        let shard = |shard: &ByteBuf| postcard::from_bytes::<Vec<(Job, Entry)>>(shard).ok();
        let decoded: Vec<Vec<(Job, Entry)>> = shards.par_iter().map(shard).collect::<Option<_>>()?;
        let mut entries: HashMap<Job, Vec<Arc<Entry>>> = HashMap::with_capacity(decoded.iter().map(Vec::len).sum());
        for (job, entry) in decoded.into_iter().flatten() {
            entries.entry(job).or_default().push(Arc::new(entry));
        }
        Some(Self { files, entries, ..Self::default() })
    }

    /// Compares the files that entries were computed from with those of today, which `hash_of` gives.
    pub fn unchanged(&self, hash_of: impl Fn(&RelPath) -> Option<Hash>) -> Unchanged {
        Unchanged(self.files.iter().map(|(path, hash)| hash_of(path).as_ref() == Some(hash)).collect())
    }

    /// The entry of a file with this hash, if all that it imports is unchanged.
    pub fn find(&self, job: &Job, hash: &Hash, unchanged: &Unchanged) -> Option<&Arc<Entry>> {
        let is_unchanged = |number: &u32| unchanged.0.get(*number as usize) == Some(&true);
        self.entries.get(job)?.iter().find(|entry| entry.hash == *hash && entry.imports.iter().all(is_unchanged))
    }

    /// The files that an entry's file imports.
    pub fn imports(&self, entry: &Entry) -> Vec<RelPath> {
        entry
            .imports
            .iter()
            .filter_map(|number| self.files.get(*number as usize))
            .map(|(path, _)| path.clone())
            .collect()
    }

    /// What each layer says of itself in a line, as of the last evaluation: its files may have changed since.
    pub fn summaries(&self) -> BTreeMap<LayerName, String> {
        let summary = |(job, versions): (&Job, &Vec<Arc<Entry>>)| {
            let Record::Workflow(workflow) = &versions.first()?.record else { return None };
            Some((job.path.parent()?.file_name().parse().ok()?, workflow.summary.clone()))
        };
        self.entries.iter().filter_map(summary).collect()
    }

    /// Adds what a file evaluated to; returns it as it is kept.
    pub fn insert(
        &mut self,
        job: Job,
        hash: Hash,
        imports: impl Iterator<Item = (RelPath, Hash)>,
        record: Record,
        spans: Spans,
    ) -> Arc<Entry> {
        if self.numbers.is_empty() {
            self.numbers = self.files.iter().cloned().zip(0..).collect();
        }
        let imports = imports.map(|import| {
            *self.numbers.entry(import).or_insert_with_key(|import| {
                self.files.push(import.clone());
                u32::try_from(self.files.len() - 1).unwrap_or(u32::MAX)
            })
        });
        let imports = imports.collect();
        let entry = Arc::new(Entry { hash, imports, record, spans });
        let versions = self.entries.entry(job).or_default();
        versions.insert(0, Arc::clone(&entry));
        versions.truncate(VERSIONS);
        self.changed = true;
        entry
    }

    /// Writes the cache if something was added.
    ///
    /// # Errors
    /// When the folder or the file can't be written.
    pub fn save(&mut self) -> io::Result<()> {
        let Some(path) = self.path.as_ref().filter(|_| self.changed) else { return Ok(()) };
        let folder = path.parent().ok_or(io::ErrorKind::NotFound)?;
        fs::create_dir_all(folder)?;
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(&self.encode()?)?;
        file.persist(path).map_err(|error| error.error)?;
        self.changed = false;
        Ok(())
    }

    /// The bytes of the cache's file, for [`Cache::decode`].
    ///
    /// # Errors
    /// None that is known: writing into memory does not fail.
    pub fn encode(&self) -> io::Result<Vec<u8>> {
        // Contents that no entry was computed from any more are left behind, so the others get new numbers.
        let mut kept = Vec::new();
        let mut numbers: HashMap<u32, u32> = HashMap::new();
        let mut renumber = |old: &u32| {
            *numbers.entry(*old).or_insert_with(|| {
                // A number without a content stays one: its entry is never found.
                let Some(file) = self.files.get(*old as usize) else { return u32::MAX };
                kept.push(file.clone());
                u32::try_from(kept.len() - 1).unwrap_or(u32::MAX)
            })
        };
        let mut all = Vec::new();
        for (job, versions) in &self.entries {
            for entry in versions {
                let imports: Vec<u32> = entry.imports.iter().map(&mut renumber).collect();
                // The encoding has no names: this is an `Entry` with other numbers.
                all.push((job, (entry.hash, imports, &entry.record, &entry.spans)));
            }
        }
        let shards = all.par_chunks(SHARD).map(|shard| postcard::to_allocvec(shard).map(ByteBuf::from));
        let shards = shards.collect::<postcard::Result<_>>().map_err(io::Error::other)?;
        let payload = postcard::to_allocvec(&Stored { files: kept, shards }).map_err(io::Error::other)?;
        let mut bytes = sha256(&payload).to_vec();
        bytes.extend(payload);
        Ok(bytes)
    }
}
