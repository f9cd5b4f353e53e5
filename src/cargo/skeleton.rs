//! A project without its code: all that cargo plans by, in another folder.

use std::fs;
use std::io;
use std::path::Path;

use super::{Project, ProjectError};

/// The entries of a project that are looked at, at most; and how deep folders may lie.
const MOST_ENTRIES: usize = 200_000;
const DEEPEST: usize = 32;

/// The files that are copied as they are.
const COPIED: [&str; 4] = ["Cargo.toml", "Cargo.lock", "rust-toolchain", "rust-toolchain.toml"];

impl Project {
    /// Copies what cargo plans by to a folder: manifests, the lock, the toolchain file and the configuration of the
    /// workspace. Sources are there as empty files, so that cargo finds the targets.
    ///
    /// # Errors
    /// When a file can't be read or written, or a package that it depends on lies outside of the workspace.
    pub fn skeleton(&self, to: &Path) -> Result<(), ProjectError> {
        if let Some(folder) = self.packages_outside().into_iter().next() {
            return Err(ProjectError::Outside { folder, root: self.root.clone() });
        }
        let mut folders = vec![(self.root.clone(), to.to_owned(), 0)];
        let mut left = MOST_ENTRIES;
        while let Some((from, to, depth)) = folders.pop() {
            let unreadable = |source: io::Error| ProjectError::Unreadable { path: from.clone(), source };
            fs::create_dir_all(&to).map_err(ProjectError::Folder)?;
            for entry in fs::read_dir(&from).map_err(unreadable)? {
                let entry = entry.map_err(unreadable)?;
                let (kind, name) = (entry.file_type().map_err(unreadable)?, entry.file_name());
                let name = name.to_string_lossy();
                left = left.checked_sub(1).ok_or_else(|| unreadable(io::Error::other("it has too many files")))?;
                if kind.is_dir() {
                    let own =
                        (!name.starts_with('.') || name == ".cargo") && name != "target" && name != "node_modules";
                    folders.extend((own && depth < DEEPEST).then(|| (entry.path(), to.join(&*name), depth + 1)));
                } else if COPIED.contains(&&*name) || from.ends_with(".cargo") && name.starts_with("config") {
                    fs::copy(entry.path(), to.join(&*name)).map_err(ProjectError::Folder)?;
                } else if name.ends_with(".rs") {
                    fs::write(to.join(&*name), "").map_err(ProjectError::Folder)?;
                }
            }
        }
        Ok(())
    }
}
