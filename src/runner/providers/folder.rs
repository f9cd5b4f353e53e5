//! The folder that a lease has on this machine: named as the lease, for this user alone.

use std::fmt::Display;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Host;
use crate::runner::{LeaseId, ProviderError};

/// The longest path of a socket, in bytes (unix(7): 108 with the end).
const LONGEST_SOCKET: usize = 107;
/// How often it is tried to remove what somebody still writes into, and how long is waited in between.
const TRIES: (u32, Duration) = (50, Duration::from_millis(100));

/// Where a lease's folder is, be it there or not.
pub fn of(host: &Host, lease: &LeaseId) -> PathBuf {
    host.state.join("runners").join(lease.as_str())
}

/// Makes a lease's folder.
pub fn make(host: &Host, lease: &LeaseId) -> Result<PathBuf, ProviderError> {
    let folder = of(host, lease);
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder);
    made.map_err(|error| not_written(&folder, &error))?;
    Ok(folder)
}

/// A socket in a folder, where a path of this length can be one.
pub fn socket(folder: &Path) -> Result<PathBuf, ProviderError> {
    let socket = folder.join("engine.sock");
    match socket.as_os_str().as_bytes().len() {
        0..=LONGEST_SOCKET => Ok(socket),
        _ => {
            let message = format!("the path {} is too long for a socket", socket.display());
            Err(ProviderError::lasting(message).hint("set XDG_STATE_HOME to a shorter path"))
        }
    }
}

/// Writes a file of a lease.
pub fn write(file: &Path, text: &str) -> Result<(), ProviderError> {
    fs::write(file, text).map_err(|error| not_written(file, &error))
}

/// Removes a lease's folder at its release, as [`remove`] does.
pub async fn clear(host: &Host, lease: &LeaseId) -> Result<(), ProviderError> {
    remove(host, lease).await.map_err(|error| left(of(host, lease).display(), &error))
}

/// What a release could not take away.
pub fn left(what: impl Display, error: &io::Error) -> ProviderError {
    ProviderError::passing(format!("{what} is left of it: {error}"))
}

/// Removes a lease's folder; that it is not there is no error.
pub async fn remove(host: &Host, lease: &LeaseId) -> io::Result<()> {
    let folder = of(host, lease);
    let mut tried = 0;
    loop {
        let folder = folder.clone();
        // There may be gigabytes in it.
        let removed = tokio::task::spawn_blocking(move || fs::remove_dir_all(folder)).await;
        match removed.unwrap_or_else(|panic| Err(io::Error::other(panic))) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) if tried == TRIES.0 || error.kind() == io::ErrorKind::PermissionDenied => return Err(error),
            Err(_) => tokio::time::sleep(TRIES.1).await,
            Ok(()) => return Ok(()),
        }
        tried += 1;
    }
}

fn not_written(path: &Path, error: &io::Error) -> ProviderError {
    ProviderError::lasting(format!("{} can't be written: {error}", path.display()))
        .hint("set XDG_STATE_HOME to a folder that can be written")
}
