//! A compiled unit as one archive, `tar.zst`: of equal units it is equal, byte by byte.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use sha2::{Digest as _, Sha256};
use tar::{Builder, EntryType, Header};
use zstd::stream::write::Encoder;

use super::files::{Content, Member, MemberKind, UnitError, members, record};
use super::place::Place;
use crate::cargo::recorded;
use crate::model::Digest;

/// The moment that all files have. Never 0, which some programs take for "unknown"; it is the one that cargo gives to
/// the files of its own packages.
pub(super) const MOMENT: u64 = 1_153_704_088;
/// Measured over the 30 units of a small project: see docs/warm.md.
const LEVEL: i32 = 9;
/// The largest window, as a power of two. Nobody needs more memory than this to unpack.
pub(super) const MAX_WINDOW: u32 = 26;

/// A unit as it is handed on.
#[derive(Clone, Debug)]
pub struct Packed {
    /// The archive.
    pub blob: Vec<u8>,
    /// The bytes of the archive before it was compressed.
    pub bytes: u64,
    /// The digest of what its dependents were made with.
    pub content: Digest,
    /// The variables that it depends on; see [`hidden`].
    pub watched: BTreeMap<String, Option<String>>,
}

/// Packs a unit of a target folder. `cargo_home` is the CARGO_HOME that it was compiled with.
///
/// # Errors
/// When it is not there or not whole, when others could not use it, or it can't be read.
pub fn pack(target: &Path, place: &Place, cargo_home: &Path) -> Result<Packed, UnitError> {
    let members = members(target, place)?;
    let record = record(&place.within(target, ".fingerprint"))?;
    // cargo knows that what lies there never changes; relative paths begin at the package, which lies there.
    let is_outside = |path: &&String| {
        let path = Path::new(path.as_str());
        path.is_absolute() && !path.starts_with(cargo_home) || path.components().any(|part| part.as_os_str() == "..")
    };
    if let Some(path) = record.looks_at.iter().find(is_outside) {
        return Err(UnitError::Outside(path.clone()));
    }
    let hide = |(name, value): (String, Option<String>)| {
        let value = value.map(|value| hidden(&recorded(&name, &value)));
        (name, value)
    };
    let watched = record.watched.into_iter().map(hide).collect();
    let io = |source| UnitError::Io { path: target.to_owned(), source };
    let mut content = Content::default();
    let size = tar_size(&members);
    let mut builder = Builder::new(encoder(size).map_err(io)?);
    for member in &members {
        let bytes = member.read()?;
        content.add(member, &bytes);
        let header = header(member)?;
        builder.append(&header, &*bytes).map_err(io)?;
    }
    let blob = builder.into_inner().and_then(Encoder::finish).map_err(io)?;
    Ok(Packed { blob, bytes: size, content: content.digest(), watched })
}

/// What is told of a variable's value, as [`recorded`] has it: enough to see that another one differs.
pub fn hidden(value: &str) -> String {
    Sha256::digest(value).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

fn header(member: &Member) -> Result<Header, UnitError> {
    let mut header = Header::new_ustar();
    // A path that the plain form of tar has no room for.
    header.set_path(&member.name).map_err(|_| UnitError::NotPlain(member.name.clone()))?;
    header.set_entry_type(match member.kind {
        MemberKind::Folder => EntryType::Directory,
        MemberKind::File { .. } | MemberKind::Text(_) => EntryType::Regular,
    });
    header.set_mode(match member.kind {
        MemberKind::Folder => 0o755,
        _ if member.is_program() => 0o755,
        _ => 0o644,
    });
    header.set_size(member.size());
    header.set_mtime(MOMENT);
    header.set_uid(0);
    header.set_gid(0);
    header.set_cksum();
    Ok(header)
}

/// The bytes of the archive: a block of 512 for each header, contents filled up to blocks, two blocks at the end.
fn tar_size(members: &[Member]) -> u64 {
    let blocks: u64 = members.iter().map(|member| 1 + member.size().div_ceil(512)).sum();
    (blocks + 2) * 512
}

/// A compressor that sees the whole archive at once: the metadata of a crate is in its `.rlib` and in its `.rmeta`.
fn encoder(size: u64) -> io::Result<Encoder<'static, Vec<u8>>> {
    let mut encoder = Encoder::new(Vec::new(), LEVEL)?;
    encoder.long_distance_matching(true)?;
    encoder.window_log(size.max(1 << 17).next_power_of_two().trailing_zeros().min(MAX_WINDOW))?;
    encoder.set_pledged_src_size(Some(size))?;
    encoder.include_checksum(false)?;
    Ok(encoder)
}
