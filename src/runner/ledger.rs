//! Where leases are written down.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::lease::VERSION;
use super::{LeaseId, Record};

/// The largest record that is read, in bytes.
const MAX_RECORD: u64 = 64 * 1024;

/// Where leases are written down. What is written is there when the call returns, also if the machine stops then.
pub trait Ledger: Send + Sync {
    /// Writes a record, or replaces the one of the same lease.
    ///
    /// # Errors
    /// When it can't be written.
    fn write(&self, record: &Record) -> Result<(), LedgerError>;

    /// Takes a record away. One that is not there is no error.
    ///
    /// # Errors
    /// When it is there and can't be taken away.
    fn remove(&self, lease: &LeaseId) -> Result<(), LedgerError>;

    /// All records, in order of their names; and what is wrong with those that can't be read.
    ///
    /// # Errors
    /// When nothing can be read.
    fn all(&self) -> Result<(Vec<Record>, Vec<LedgerError>), LedgerError>;
}

/// Why a lease can't be written down or read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", path.display())]
pub struct LedgerError {
    /// Where.
    pub path: PathBuf,
    /// Why.
    pub message: String,
}

impl LedgerError {
    fn new(path: &Path, message: impl ToString) -> Self {
        Self { path: path.to_owned(), message: message.to_string() }
    }
}

/// A folder with a file a lease, that only this user can look into.
#[derive(Clone, Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// The records in a folder, which is made with the first one.
    pub fn new(folder: PathBuf) -> Self {
        Self(folder)
    }

    fn file(&self, lease: &LeaseId) -> PathBuf {
        self.0.join(format!("{lease}.json"))
    }
}

impl Ledger for Folder {
    fn write(&self, record: &Record) -> Result<(), LedgerError> {
        let file = self.file(&record.lease);
        let write = || -> io::Result<()> {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.0)?;
            let mut aside = tempfile::NamedTempFile::new_in(&self.0)?;
            serde_json::to_writer_pretty(&mut aside, record)?;
            aside.write_all(b"\n")?;
            aside.as_file().sync_all()?;
            aside.persist(&file)?;
            // The name, too, has to outlive the machine's stop.
            fs::File::open(&self.0)?.sync_all()
        };
        write().map_err(|error| LedgerError::new(&file, error))
    }

    fn remove(&self, lease: &LeaseId) -> Result<(), LedgerError> {
        let file = self.file(lease);
        match fs::remove_file(&file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(LedgerError::new(&file, error)),
            _ => Ok(()),
        }
    }

    fn all(&self) -> Result<(Vec<Record>, Vec<LedgerError>), LedgerError> {
        let entries = match fs::read_dir(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((Vec::new(), Vec::new())),
            entries => entries.map_err(|error| LedgerError::new(&self.0, error))?,
        };
        let (mut records, mut errors) = (Vec::new(), Vec::new());
        for entry in entries {
            let file = entry.map_err(|error| LedgerError::new(&self.0, error))?.path();
            if file.extension().is_some_and(|extension| extension == "json") {
                match read(&file) {
                    Ok(record) => records.extend(record),
                    Err(error) => errors.push(LedgerError::new(&file, error)),
                }
            }
        }
        records.sort_by(|a, b| a.lease.cmp(&b.lease));
        Ok((records, errors))
    }
}

/// A record; none where somebody has taken it away meanwhile.
fn read(file: &Path) -> io::Result<Option<Record>> {
    let text = match fs::metadata(file).and_then(|data| match data.len() > MAX_RECORD {
        true => Err(io::Error::other("it is too large for the record of a lease")),
        false => fs::read(file),
    }) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        text => text?,
    };
    let record: Record = serde_json::from_slice(&text)?;
    match record.version {
        VERSION => Ok(Some(record)),
        newer => Err(io::Error::other(format!("a lamina with records of version {newer} has written it"))),
    }
}
