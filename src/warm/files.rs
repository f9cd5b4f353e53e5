//! The files of a compiled unit in a target folder, and what cargo's record of it says.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::place::{OUTPUTS, Place};
use crate::model::Digest;

/// The most files and folders that a unit may have.
pub(super) const MAX_MEMBERS: usize = 50_000;
/// The most bytes that a unit's files may have together.
pub(super) const MAX_BYTES: u64 = 1 << 30;
/// The largest of cargo's own files that is read.
const MAX_RECORD: u64 = 8 << 20;
/// Where a build script's `out` is said to have been; cargo puts the true folder in its place.
const NOWHERE: &str = "/lamina";

/// A file or a folder of a unit.
#[derive(Debug)]
pub(super) struct Member {
    /// Its path below [`Place::root`].
    pub name: String,
    /// What it is.
    pub kind: MemberKind,
}

/// What a member is.
#[derive(Debug)]
pub(super) enum MemberKind {
    /// A folder: only what a build script made.
    Folder,
    /// A file.
    File { path: PathBuf, size: u64, is_program: bool },
    /// A file that is not packed as it is.
    Text(Vec<u8>),
}

/// Why a unit can't be handed on.
#[derive(Debug, thiserror::Error)]
pub enum UnitError {
    /// It is not there, or was not compiled to its end.
    #[error("it is not compiled")]
    Missing,
    /// Something of it is no file and no folder, or has a name that no archive takes.
    #[error("`{}` is no plain file", .0.escape_debug())]
    NotPlain(String),
    /// It has too many files, or they are too large.
    #[error("it has more than {MAX_MEMBERS} files, or more than {MAX_BYTES} bytes")]
    TooLarge,
    /// Its build script looks at a file that other machines need not have.
    #[error("its build script looks at {}", .0.escape_debug())]
    Outside(String),
    /// What its build script says holds for its own target folder alone.
    #[error("what its build script prints names the target folder")]
    Unmovable,
    /// It can't be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// What cargo keeps of a unit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Record {
    /// The hash that units which depend on it name it by.
    pub hash: u64,
    /// Those of the units that it depends on.
    pub dependencies: Vec<u64>,
    /// The variables that it depends on, with their values; nothing for one that was not set.
    pub watched: BTreeMap<String, Option<String>>,
    /// The files that its build script looks at.
    pub looks_at: Vec<String>,
    /// Its features, in order, where they can be read.
    pub features: Option<Vec<String>>,
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> UnitError {
    move |source| UnitError::Io { path: path.to_owned(), source }
}

/// The files and folders of a unit in a target folder, by name.
///
/// Left out is what cargo does not ask for, or makes anew: rustc's `.d`, the second name of a build script's program,
/// and what the script wrote on stderr.
pub(super) fn members(target: &Path, place: &Place) -> Result<Vec<Member>, UnitError> {
    let root = target.join(place.root());
    let mut members = Vec::new();
    let fingerprint = place.within(target, ".fingerprint");
    if !fingerprint.is_dir() {
        return Err(UnitError::Missing);
    }
    for (name, path) in entries(&fingerprint)? {
        members.push(file(format!(".fingerprint/{}/{name}", place.folder()), path)?);
    }
    let build = place.within(target, "build");
    for (name, path) in if build.is_dir() { entries(&build)? } else { Vec::new() } {
        let inside = format!("build/{}/{name}", place.folder());
        match () {
            () if name == "out" => tree(inside, path, &mut members)?,
            () if OUTPUTS.contains(&&*name) || place.owns_name(&name) => members.push(file(inside, path)?),
            () => {}
        }
    }
    let deps = root.join("deps");
    for (name, path) in if deps.is_dir() { entries(&deps)? } else { Vec::new() } {
        if place.owns_name(&name) {
            members.push(file(format!("deps/{name}"), path)?);
        }
    }
    without_its_folder(place, &mut members)?;
    members.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    let size: u64 = members.iter().map(Member::size).sum();
    if members.len() > MAX_MEMBERS || size > MAX_BYTES {
        return Err(UnitError::TooLarge);
    }
    match members.iter().find(|member| !place.owns(&member.name, matches!(member.kind, MemberKind::Folder))) {
        Some(foreign) => Err(UnitError::NotPlain(foreign.name.clone())),
        None => Ok(members),
    }
}

/// The entries of a folder by name.
fn entries(folder: &Path) -> Result<Vec<(String, PathBuf)>, UnitError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed(folder))? {
        let path = entry.map_err(failed(folder))?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| UnitError::NotPlain(path.to_string_lossy().into_owned()))?;
        found.push((name.to_owned(), path));
    }
    Ok(found)
}

fn file(name: String, path: PathBuf) -> Result<Member, UnitError> {
    let metadata = fs::symlink_metadata(&path).map_err(failed(&path))?;
    if !metadata.is_file() {
        return Err(UnitError::NotPlain(name));
    }
    let is_program = metadata.permissions().mode() & 0o100 != 0;
    Ok(Member { name, kind: MemberKind::File { path, size: metadata.len(), is_program } })
}

/// A folder with all that is in it.
fn tree(name: String, path: PathBuf, members: &mut Vec<Member>) -> Result<(), UnitError> {
    let mut folders = vec![(name, path)];
    while let Some((name, path)) = folders.pop() {
        for (inside, path) in entries(&path)? {
            let inside = format!("{name}/{inside}");
            match fs::symlink_metadata(&path).map_err(failed(&path))?.is_dir() {
                true => folders.push((inside, path)),
                false => members.push(file(inside, path)?),
            }
        }
        members.push(Member { name, kind: MemberKind::Folder });
        if members.len() > MAX_MEMBERS {
            return Err(UnitError::TooLarge);
        }
    }
    Ok(())
}

/// Takes the path of a build script's `out` from what it printed, so that equal units have equal archives. cargo does
/// the same when it reads the file in another target folder (`prev_script_out_dir`); a path into the target folder
/// that it would not find makes the unit unfit.
fn without_its_folder(place: &Place, members: &mut [Member]) -> Result<(), UnitError> {
    let text = |name: &str| {
        let name = format!("build/{}/{name}", place.folder());
        let member = members.iter().position(|member| member.name == name);
        let path = member.and_then(|at| match &members[at].kind {
            MemberKind::File { path, .. } => Some((at, path.clone())),
            _ => None,
        });
        let Some((at, path)) = path else { return Ok(None) };
        let bytes = bounded(&path)?;
        String::from_utf8(bytes).map(|text| Some((at, text))).map_err(|_| UnitError::Unmovable)
    };
    let (root, output) = (text("root-output")?, text("output")?);
    let (Some((root_at, root)), Some((at, output))) = (root, output) else { return Ok(()) };
    let inside = format!("/{}/build/{}/out", place.root().display(), place.folder());
    let target = root.strip_suffix(&inside).ok_or(UnitError::Unmovable)?;
    let nowhere = format!("{NOWHERE}{inside}");
    let output = output.replace(&root, &nowhere);
    if target != NOWHERE && output.contains(&format!("{target}/")) {
        return Err(UnitError::Unmovable);
    }
    members[root_at].kind = MemberKind::Text(nowhere.into_bytes());
    members[at].kind = MemberKind::Text(output.into_bytes());
    Ok(())
}

fn bounded(path: &Path) -> Result<Vec<u8>, UnitError> {
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(failed(path))?;
    file.take(MAX_RECORD + 1).read_to_end(&mut bytes).map_err(failed(path))?;
    if bytes.len() as u64 > MAX_RECORD { Err(UnitError::TooLarge) } else { Ok(bytes) }
}

impl Member {
    /// Its bytes.
    pub fn size(&self) -> u64 {
        match &self.kind {
            MemberKind::Folder => 0,
            MemberKind::File { size, .. } => *size,
            MemberKind::Text(text) => text.len() as u64,
        }
    }

    /// What it holds.
    pub fn read(&self) -> Result<Vec<u8>, UnitError> {
        match &self.kind {
            MemberKind::Folder => Ok(Vec::new()),
            MemberKind::Text(text) => Ok(text.clone()),
            MemberKind::File { path, size, .. } => {
                let bytes = fs::read(path).map_err(failed(path))?;
                // Somebody writes to it.
                if bytes.len() as u64 == *size { Ok(bytes) } else { Err(UnitError::Missing) }
            }
        }
    }

    /// Whether it can be run.
    pub fn is_program(&self) -> bool {
        matches!(self.kind, MemberKind::File { is_program: true, .. })
    }
}

/// The digest of what a unit's dependents are made with: all but cargo's own record.
#[derive(Default)]
pub(super) struct Content(Sha256);

impl Content {
    /// Adds a member; they come in the order of their names.
    pub fn add(&mut self, member: &Member, bytes: &[u8]) {
        if !member.name.starts_with(".fingerprint/") {
            self.0.update((member.name.len() as u64).to_le_bytes());
            self.0.update(&member.name);
            self.0.update([u8::from(member.is_program())]);
            self.0.update((bytes.len() as u64).to_le_bytes());
            self.0.update(bytes);
        }
    }

    /// The digest.
    pub fn digest(self) -> Digest {
        digest(self.0)
    }
}

/// A SHA-256 as the model has it.
pub(super) fn digest(hash: Sha256) -> Digest {
    let hex: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}").parse().expect("a SHA-256 has 64 digits")
}

/// A unit that is in a target folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Present {
    /// What its dependents are made with.
    pub content: Digest,
    /// When the newest of its files was written.
    pub newest: SystemTime,
}

/// Looks at a unit in a target folder.
pub(super) fn inspect(target: &Path, place: &Place) -> Result<Present, UnitError> {
    let mut content = Content::default();
    let mut newest = SystemTime::UNIX_EPOCH;
    let at = |name: &str| target.join(place.root()).join(name);
    for member in members(target, place)? {
        content.add(&member, &member.read()?);
        let path = at(&member.name);
        if !matches!(member.kind, MemberKind::Folder) {
            let time = fs::metadata(&path).and_then(|metadata| metadata.modified()).map_err(failed(&path))?;
            newest = newest.max(time);
        }
    }
    Ok(Present { content: content.digest(), newest })
}

/// The bytes of a unit that is there and whole.
pub fn unit_bytes(target: &Path, place: &Place) -> Option<u64> {
    record(&place.within(target, ".fingerprint")).ok()?;
    Some(members(target, place).ok()?.iter().map(Member::size).sum())
}

/// The variables that a unit depends on.
pub fn watched(target: &Path, place: &Place) -> Vec<String> {
    let record = record(&place.within(target, ".fingerprint")).unwrap_or_default();
    record.watched.into_keys().collect()
}

/// Reads cargo's record of a unit: `KIND-NAME` holds its hash, `KIND-NAME.json` what went into it, and
/// `dep-KIND-NAME`, for a unit that rustc compiled, the variables that its source asked for. The last one is a form of
/// cargo's own; of a version that is not known, it says nothing.
pub(super) fn record(fingerprint: &Path) -> Result<Record, UnitError> {
    #[derive(Deserialize)]
    struct Json {
        #[serde(default)]
        deps: Vec<(u64, String, bool, u64)>,
        #[serde(default)]
        local: Vec<Local>,
        #[serde(default)]
        features: String,
    }
    #[derive(Deserialize)]
    enum Local {
        RerunIfEnvChanged {
            var: String,
            val: Option<String>,
        },
        RerunIfChanged {
            paths: Vec<String>,
        },
        #[serde(untagged)]
        Other(serde::de::IgnoredAny),
    }
    let names = entries(fingerprint)?;
    let described = names.iter().find_map(|(name, path)| Some((name.strip_suffix(".json")?, path)));
    let Some((name, path)) = described else { return Err(UnitError::Missing) };
    // It is written last.
    let Some((_, hash)) = names.iter().find(|(known, _)| known == name) else { return Err(UnitError::Missing) };
    let hash = String::from_utf8(bounded(hash)?).ok().and_then(|text| u64::from_str_radix(text.trim(), 16).ok());
    let hash = hash.ok_or(UnitError::Missing)?.swap_bytes();
    let json: Json = serde_json::from_slice(&bounded(path)?).map_err(|_| UnitError::Missing)?;
    let mut record = Record { hash, ..Record::default() };
    record.dependencies = json.deps.into_iter().map(|(.., hash)| hash).collect();
    record.features = serde_json::from_str(&json.features).ok();
    for local in json.local {
        match local {
            Local::RerunIfEnvChanged { var, val } => drop(record.watched.insert(var, val)),
            Local::RerunIfChanged { paths } => record.looks_at.extend(paths),
            Local::Other(_) => {}
        }
    }
    let asked = format!("dep-{name}");
    if let Some((_, path)) = names.iter().find(|(name, _)| *name == asked) {
        record.watched.extend(asked_for(&bounded(path)?).unwrap_or_default());
    }
    Ok(record)
}

/// The variables of a `dep-` file, version 1: a mark, files, then variables; numbers have four bytes, the lowest first.
fn asked_for(bytes: &[u8]) -> Option<BTreeMap<String, Option<String>>> {
    struct Bytes<'a>(&'a [u8]);
    impl<'a> Bytes<'a> {
        fn take(&mut self, count: usize) -> Option<&'a [u8]> {
            let (taken, rest) = self.0.split_at_checked(count)?;
            self.0 = rest;
            Some(taken)
        }
        fn number(&mut self) -> Option<usize> {
            let bytes: [u8; 4] = self.take(4)?.try_into().ok()?;
            usize::try_from(u32::from_le_bytes(bytes)).ok()
        }
        fn text(&mut self) -> Option<String> {
            let length = self.number()?;
            String::from_utf8(self.take(length)?.to_vec()).ok()
        }
    }
    let mut bytes = Bytes(bytes.strip_prefix(&[1, 0, 0, 0, 0xff, 1])?);
    for _ in 0..bytes.number()? {
        bytes.take(1)?;
        bytes.text()?;
        // A checksum stands here where `-Zchecksum-freshness` was given.
        if bytes.take(1)? != [0] {
            return None;
        }
    }
    let mut found = BTreeMap::new();
    for _ in 0..bytes.number()? {
        let name = bytes.text()?;
        let value = if bytes.take(1)? == [1] { Some(bytes.text()?) } else { None };
        found.insert(name, value);
    }
    Some(found)
}
