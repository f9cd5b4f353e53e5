//! What nothing needs any more is deleted: a layer does not grow from cook to cook.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::cpu::digits;
use crate::files::{artifact_digits, names, profile_folders};
use crate::manifest::Manifest;

/// Deletes whatever belongs to no unit of the manifests, in all folders of profiles; how many units these were.
pub fn prune(target_dir: &Path, manifests: &[&Manifest]) -> io::Result<usize> {
    let mut kept: BTreeMap<PathBuf, BTreeSet<&str>> = BTreeMap::new();
    for (folder, output) in manifests.iter().flat_map(|manifest| manifest.outputs()) {
        kept.entry(folder).or_default().insert(&output.folder);
    }
    let mut pruned = 0;
    for folder in profile_folders(target_dir)? {
        pruned += prune_profile(&folder, kept.get(&folder).unwrap_or(&BTreeSet::new()))?;
    }
    // Cargo's answers of rustc, which name this program as the wrapper.
    remove(&target_dir.join(".rustc_info.json"))?;
    Ok(pruned)
}

fn prune_profile(folder: &Path, kept: &BTreeSet<&str>) -> io::Result<usize> {
    let kept_digits: BTreeSet<&str> = kept.iter().filter_map(digits).collect();
    let mut pruned = 0;
    for name in names(folder)? {
        let path = folder.join(&name);
        match name.as_str() {
            ".fingerprint" | "build" => {
                for unit in names(&path)? {
                    if !kept.contains(&*unit) {
                        pruned += usize::from(name == ".fingerprint");
                        remove(&path.join(unit))?;
                        continue;
                    }
                    for file in names(&path.join(&unit))?.into_iter().filter(|file| file.ends_with(".d")) {
                        remove(&path.join(&unit).join(file))?;
                    }
                }
            }
            "deps" => {
                for file in names(&path)? {
                    let is_kept = artifact_digits(&file).is_some_and(|digits| kept_digits.contains(digits));
                    if !is_kept || file.ends_with(".d") {
                        remove(&path.join(file))?;
                    }
                }
            }
            // The project's own programs, incremental, examples, .cargo-lock
            _ => remove(&path)?,
        }
    }
    Ok(pruned)
}

fn remove(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(about) if about.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(io::Error::new(error.kind(), format!("{}: {error}", path.display())))
        }
        _ => Ok(()),
    }
}
