//! What clients have said of their version before. Asking takes one of them as long as the beginning of a build does,
//! and it says the same for as long as its program is the same file.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// The largest file that is read, in bytes.
const MAX_BYTES: u64 = 64 << 10;
/// The most clients that are remembered.
const MAX_CLIENTS: usize = 32;

/// By a client's command, the file that it was and what it said.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Known(BTreeMap<String, (Identity, String)>);

/// What changes with a program: device, inode, length, and when it was changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Identity(u64, u64, u64, i64, i64);

impl Identity {
    fn of(program: &Path) -> Option<Self> {
        let metadata = fs::metadata(program).ok()?;
        Some(Self(metadata.dev(), metadata.ino(), metadata.len(), metadata.ctime(), metadata.ctime_nsec()))
    }
}

/// What the client said, or what `ask` brings to light. The file is a convenience: that it can't be read or written is
/// no error, and what is odd in it is asked for again.
pub(super) fn or_ask<E>(
    file: Option<&Path>,
    program: &Path,
    asked: &str,
    ask: impl FnOnce() -> Result<String, E>,
) -> Result<String, E> {
    let (Some(file), Some(identity)) = (file, Identity::of(program)) else { return ask() };
    let key = format!("{} {asked}", program.display());
    let mut known = read(file).unwrap_or_default();
    if let Some((_, said)) = known.0.get(&key).filter(|(of, _)| *of == identity) {
        return Ok(said.clone());
    }
    let said = ask()?;
    // Of a client that says nothing there is nothing to be remembered: it may be mended.
    if !said.trim().is_empty() {
        if known.0.len() >= MAX_CLIENTS {
            known.0.clear();
        }
        known.0.insert(key, (identity, said.clone()));
        let _ = write(file, &known);
    }
    Ok(said)
}

fn read(file: &Path) -> Option<Known> {
    let is_small = fs::metadata(file).ok()?.len() <= MAX_BYTES;
    serde_json::from_slice(&fs::read(file).ok().filter(|_| is_small)?).ok()
}

/// Aside, then by its name: another lamina may read it.
fn write(file: &Path, known: &Known) -> std::io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut aside = tempfile::NamedTempFile::new_in(folder)?;
    aside.write_all(&serde_json::to_vec(known)?)?;
    aside.persist(file)?;
    Ok(())
}
