//! An archive of a unit, which nobody vouches for, as files in a private folder.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use tar::{Archive, EntryType};
use zstd::stream::read::Decoder;

use super::files::{MAX_BYTES, MAX_MEMBERS, record};
use super::pack::MAX_WINDOW;
use super::place::Place;

/// Why an archive is not unpacked.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// It is no archive, or is broken off.
    #[error("the archive can't be read: {0}")]
    Malformed(String),
    /// Something in it is a link, a device, or of another kind that no unit has.
    #[error("the archive holds `{0}`, which is no plain file")]
    NotPlain(String),
    /// A name in it leads elsewhere, or is another unit's.
    #[error("the archive holds `{0}`, which does not belong to the unit")]
    Foreign(String),
    /// A name is in it twice.
    #[error("the archive holds `{0}` twice")]
    Twice(String),
    /// It has more files or more bytes than it may have.
    #[error("the archive is larger than it may be")]
    TooLarge,
    /// Cargo's record of the unit is not in it.
    #[error("the archive holds no whole unit")]
    Incomplete,
    /// The files can't be written.
    #[error("{0}")]
    Io(io::Error),
}

/// A reader with a bound. Whoever reads on past it gets an error and not an end, which could be taken for the truth.
struct Bounded<R> {
    inner: R,
    left: u64,
}

/// What a [`Bounded`] fails with.
#[derive(Debug, thiserror::Error)]
#[error("larger than it may be")]
struct Exceeded;

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.left = self.left.checked_sub(count as u64).ok_or_else(|| io::Error::other(Exceeded))?;
        Ok(count)
    }
}

/// Unpacks the archive of a unit into an empty folder, as it lies below [`Place::root`]. `bytes` is how many the
/// archive has before it was compressed, as its publisher says; no more of them are read.
///
/// Files are made anew and never written to; of their modes, only whether they can be run is kept.
///
/// # Errors
/// At the first thing that is not as it should be. What is in the folder then is of no use.
pub fn unpack(blob: &[u8], bytes: u64, place: &Place, into: &Path) -> Result<(), UnpackError> {
    let read_error = |error: io::Error| match error.get_ref().is_some_and(|inner| inner.is::<Exceeded>()) {
        true => UnpackError::TooLarge,
        false => UnpackError::Malformed(error.to_string().chars().take(200).flat_map(char::escape_debug).collect()),
    };
    if bytes > MAX_BYTES + MAX_MEMBERS as u64 * 1024 {
        return Err(UnpackError::TooLarge);
    }
    let mut decoder = Decoder::with_buffer(blob).map_err(read_error)?;
    decoder.window_log_max(MAX_WINDOW).map_err(read_error)?;
    let mut archive = Archive::new(Bounded { inner: decoder, left: bytes });
    let mut seen = BTreeSet::new();
    // Raw: names that continue in another entry, and what other extensions there are, are entries of a strange kind.
    for entry in archive.entries().map_err(read_error)?.raw(true) {
        let mut entry = entry.map_err(read_error)?;
        let bytes = entry.path_bytes().into_owned();
        let shown = || String::from_utf8_lossy(&bytes).chars().take(200).flat_map(char::escape_debug).collect();
        let is_folder = match entry.header().entry_type() {
            EntryType::Regular => false,
            EntryType::Directory => true,
            _ => return Err(UnpackError::NotPlain(shown())),
        };
        let name = std::str::from_utf8(&bytes).map_err(|_| UnpackError::Foreign(shown()))?;
        let name = if is_folder { name.strip_suffix('/').unwrap_or(name) } else { name };
        if !place.owns(name, is_folder) {
            return Err(UnpackError::Foreign(shown()));
        }
        if !seen.insert(name.to_owned()) {
            return Err(UnpackError::Twice(shown()));
        }
        if seen.len() > MAX_MEMBERS {
            return Err(UnpackError::TooLarge);
        }
        let path = into.join(name);
        if is_folder {
            fs::create_dir_all(&path).map_err(UnpackError::Io)?;
            continue;
        }
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(UnpackError::Io)?;
        }
        let mode = if entry.header().mode().unwrap_or_default() & 0o100 != 0 { 0o755 } else { 0o644 };
        let mut options = OpenOptions::new();
        let file = options.write(true).create_new(true).mode(mode).open(&path);
        let mut file = file.map_err(UnpackError::Io)?;
        let size = entry.header().entry_size().map_err(read_error)?;
        if copy(&mut entry, &mut file, read_error)? != size {
            return Err(UnpackError::Malformed("it is broken off".to_owned()));
        }
    }
    // What comes behind the end is of no use; but the sizes must agree, and the compressed form be whole.
    let mut rest = archive.into_inner();
    io::copy(&mut rest, &mut io::sink()).map_err(read_error)?;
    if rest.left > 0 {
        return Err(UnpackError::Malformed("it has fewer bytes than it should".to_owned()));
    }
    match record(&into.join(".fingerprint").join(place.folder())) {
        Ok(_) => Ok(()),
        Err(_) => Err(UnpackError::Incomplete),
    }
}

/// Copies, and tells a reader's failure from a writer's.
fn copy(
    from: &mut impl Read,
    to: &mut impl io::Write,
    read_error: impl Fn(io::Error) -> UnpackError,
) -> Result<u64, UnpackError> {
    let mut buffer = vec![0; 64 << 10];
    let mut copied = 0;
    loop {
        match from.read(&mut buffer).map_err(&read_error)? {
            0 => return Ok(copied),
            count => {
                to.write_all(&buffer[..count]).map_err(UnpackError::Io)?;
                copied += count as u64;
            }
        }
    }
}
