//! The evaluation cache: what files evaluated to, keyed by the content of all that they import.
//!
//! One file per catalog and set of overlays, replaced as a whole by a rename: a reader sees the old one or the new
//! one, never a torn one, and of two runs at the same time the later one's entries stay. It holds a checksum, and a
//! file that can't be read for any reason counts as empty.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::eval::{Job, Overlay, Record};
use super::spans::Spans;
use crate::model::RelPath;
use crate::tree::{Hash, sha256};

/// Changes with the layout of the file, the records, and how evaluation goes about its work.
const FORMAT: &str =
    concat!("lamina evaluation cache 2, lamina ", env!("CARGO_PKG_VERSION"), ", nickel-lang-core 0.19.0");

/// How many versions of a file's record are kept: enough for a work tree and a few revisions.
const VERSIONS: usize = 4;

/// The cache of one catalog.
#[derive(Debug, Default)]
pub struct Cache {
    path: Option<PathBuf>,
    entries: HashMap<Job, Vec<Entry>>,
    changed: bool,
}

/// A file's record, with what it was computed from.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The hash of the file itself.
    pub hash: Hash,
    /// The files it imports, with their hashes.
    pub imports: Vec<(RelPath, Hash)>,
    /// Its value.
    pub record: Record,
    /// Where its fields stand.
    pub spans: Spans,
}

/// How many entries are encoded together. Shards are decoded side by side.
const SHARD: usize = 512;

/// The file's layout. Imports are shared by most entries, so they are numbers into a table.
#[derive(Default, Serialize, Deserialize)]
struct Stored {
    files: Vec<(RelPath, Hash)>,
    /// Each an encoded list of [`StoredEntry`].
    shards: Vec<Vec<u8>>,
}

#[derive(Serialize, Deserialize)]
struct StoredEntry {
    job: Job,
    hash: Hash,
    imports: Vec<u32>,
    record: Record,
    spans: Vec<u8>,
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
        let entries = fs::read(&path).ok().and_then(|bytes| decode(&bytes)).unwrap_or_default();
        Self { path: Some(path), entries, changed: false }
    }

    /// The record of a file whose content and imports have the hashes that `hash_of` gives.
    pub fn find(&self, job: &Job, hash: &Hash, hash_of: impl Fn(&RelPath) -> Option<Hash>) -> Option<&Entry> {
        let unchanged = |entry: &Entry| entry.imports.iter().all(|(path, hash)| hash_of(path).as_ref() == Some(hash));
        self.entries.get(job)?.iter().find(|entry| entry.hash == *hash && unchanged(entry))
    }

    /// The files that a file imported when it was last evaluated: a good guess at what it needs now.
    pub fn last_imports(&self, job: &Job) -> impl Iterator<Item = &RelPath> {
        self.entries
            .get(job)
            .and_then(|versions| versions.first())
            .into_iter()
            .flat_map(|entry| &entry.imports)
            .map(|(path, _)| path)
    }

    /// Adds a record.
    pub fn insert(&mut self, job: Job, entry: Entry) {
        let versions = self.entries.entry(job).or_default();
        versions.insert(0, entry);
        versions.truncate(VERSIONS);
        self.changed = true;
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
        file.write_all(&encode(&self.entries).map_err(io::Error::other)?)?;
        file.persist(path).map_err(|error| error.error)?;
        self.changed = false;
        Ok(())
    }
}

fn encode(entries: &HashMap<Job, Vec<Entry>>) -> postcard::Result<Vec<u8>> {
    let mut files = Vec::new();
    let mut numbers: HashMap<&(RelPath, Hash), u32> = HashMap::new();
    let mut stored = Vec::new();
    for (job, versions) in entries {
        for entry in versions {
            let number = |import| {
                *numbers.entry(import).or_insert_with(|| {
                    files.push(import.clone());
                    u32::try_from(files.len() - 1).unwrap_or(u32::MAX)
                })
            };
            stored.push(StoredEntry {
                job: job.clone(),
                hash: entry.hash,
                imports: entry.imports.iter().map(number).collect(),
                record: entry.record.clone(),
                spans: entry.spans.as_bytes().to_vec(),
            });
        }
    }
    let shards = stored.chunks(SHARD).map(postcard::to_allocvec).collect::<postcard::Result<_>>()?;
    let payload = postcard::to_allocvec(&Stored { files, shards })?;
    let mut bytes = sha256(&payload).to_vec();
    bytes.extend(payload);
    Ok(bytes)
}

fn decode(bytes: &[u8]) -> Option<HashMap<Job, Vec<Entry>>> {
    let (checksum, payload) = bytes.split_at_checked(32)?;
    if sha256(payload) != checksum {
        return None;
    }
    let Stored { files, shards } = postcard::from_bytes(payload).ok()?;
    let entry = |stored: StoredEntry| {
        let import = |number: &u32| files.get(*number as usize).cloned();
        let imports = stored.imports.iter().map(import).collect::<Option<_>>()?;
        let spans = Spans::from_bytes(stored.spans);
        Some((stored.job, Entry { hash: stored.hash, imports, record: stored.record, spans }))
    };
    let shard = |shard: &Vec<u8>| -> Option<Vec<(Job, Entry)>> {
        postcard::from_bytes::<Vec<StoredEntry>>(shard).ok()?.into_iter().map(entry).collect()
    };
    let decoded: Vec<Vec<(Job, Entry)>> = shards.par_iter().map(shard).collect::<Option<_>>()?;
    let mut entries: HashMap<Job, Vec<Entry>> = HashMap::with_capacity(decoded.len() * SHARD);
    for (job, entry) in decoded.into_iter().flatten() {
        entries.entry(job).or_default().push(entry);
    }
    Some(entries)
}
