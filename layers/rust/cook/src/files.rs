//! The files of a target folder, unit by unit.
//!
//! A unit NAME-HASH has `.fingerprint/NAME-HASH/*`, the files of `deps` whose names end in `-HASH`, and, where it is a
//! build script or the run of one, `build/NAME-HASH/**`. What cargo does without is none of them: dep-info for other
//! build systems (`*.d`) and the moment of the last call (`invoked.timestamp`).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::cpu::digits;

/// The folder of one profile, as `target/release`, as it is.
pub struct ProfileFolder {
    path: PathBuf,
    /// The names in `deps`, by the digits in them.
    artifacts: HashMap<String, Vec<String>>,
}

/// A unit's files.
#[derive(Debug, Default)]
pub struct UnitFiles {
    /// Paths in the profile's folder, in the order of their bytes.
    pub paths: Vec<PathBuf>,
    /// Whether all are plain files.
    pub is_plain: bool,
}

/// The size and the digest of a unit's files.
#[derive(Debug, PartialEq, Eq)]
pub struct Measured {
    /// A file with two names counts once.
    pub bytes: u64,
    pub sha256: String,
}

impl ProfileFolder {
    pub fn read(path: &Path) -> io::Result<ProfileFolder> {
        let mut artifacts: HashMap<String, Vec<String>> = HashMap::new();
        for name in names(&path.join("deps"))? {
            if let Some(digits) = artifact_digits(&name).filter(|_| !name.ends_with(".d")) {
                artifacts.entry(digits.to_owned()).or_default().push(name);
            }
        }
        Ok(ProfileFolder { path: path.to_owned(), artifacts })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The files of the unit with this folder; none where it is not there.
    pub fn unit(&self, folder: &str) -> io::Result<UnitFiles> {
        let mut found = UnitFiles { paths: Vec::new(), is_plain: true };
        for parent in [".fingerprint", "build"] {
            self.below(&Path::new(parent).join(folder), 0, &mut found)?;
        }
        let artifacts = digits(folder).and_then(|digits| self.artifacts.get(digits));
        for name in artifacts.into_iter().flatten() {
            self.file(Path::new("deps").join(name), &mut found)?;
        }
        found.paths.sort_by(|one, other| bytes(one).cmp(bytes(other)));
        Ok(found)
    }

    fn below(&self, folder: &Path, depth: usize, found: &mut UnitFiles) -> io::Result<()> {
        // `build` itself may be a link of somebody's.
        if fs::symlink_metadata(self.path.join(folder)).is_ok_and(|about| !about.is_dir()) || depth > 64 {
            found.is_plain = false;
            return Ok(());
        }
        for name in names(&self.path.join(folder))? {
            let is_needless = name == "invoked.timestamp" || name.ends_with(".d");
            if depth == 0 && is_needless {
                continue;
            }
            let path = folder.join(name);
            match fs::symlink_metadata(self.path.join(&path))?.is_dir() {
                true => self.below(&path, depth + 1, found)?,
                false => self.file(path, found)?,
            }
        }
        Ok(())
    }

    fn file(&self, path: PathBuf, found: &mut UnitFiles) -> io::Result<()> {
        found.is_plain &= fs::symlink_metadata(self.path.join(&path))?.is_file();
        found.paths.push(path);
        Ok(())
    }

    /// Reads a unit's files.
    ///
    /// The digest is the SHA-256 over, for each file in the order of their paths' bytes: the path in the profile's
    /// folder, a zero byte, the length of the contents as eight bytes, the lowest first, and the contents. A link's
    /// contents are what it points to.
    pub fn measure(&self, files: &UnitFiles) -> io::Result<Measured> {
        let mut hash = Sha256::new();
        let mut size = 0;
        let mut seen = HashSet::new();
        for path in &files.paths {
            let whole = self.path.join(path);
            let about = fs::symlink_metadata(&whole)?;
            hash.update(bytes(path));
            hash.update([0]);
            if about.is_symlink() {
                let to = fs::read_link(&whole)?;
                hash.update(about.len().to_le_bytes());
                hash.update(bytes(&to));
            } else {
                hash.update(about.len().to_le_bytes());
                let read = digest(&mut hash, &whole)?;
                if read != about.len() {
                    return Err(io::Error::other(format!("{} changes while it is read", whole.display())));
                }
            }
            if seen.insert((about.dev(), about.ino())) {
                size += about.len();
            }
        }
        Ok(Measured { bytes: size, sha256: hex(&hash.finalize()) })
    }
}

fn bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_encoded_bytes()
}

fn digest(hash: &mut Sha256, path: &Path) -> io::Result<u64> {
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 1 << 16];
    let mut total = 0;
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok(total);
        }
        hash.update(&buffer[..read]);
        total += u64::try_from(read).unwrap_or_default();
    }
}

/// Hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The digits in the name of a file in `deps`: `libserde-04c2e949dadc8657.rlib`, and also those of object files that
/// are left beside it, `serde-04c2e949dadc8657.serde.1b2c-cgu.0.rcgu.o`.
pub fn artifact_digits(name: &str) -> Option<&str> {
    digits(name.split('.').next()?)
}

/// The names in a folder, in order; none where it is not there. Names that are no UTF-8 are none of cargo's.
pub fn names(folder: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut names = Vec::new();
    for entry in entries {
        match entry?.file_name().into_string() {
            Ok(name) => names.push(name),
            Err(name) => return Err(io::Error::other(format!("{} has a name that is no text", name.display()))),
        }
    }
    names.sort();
    Ok(names)
}

/// The folders of profiles in a target folder: `release`, `wasm32-unknown-unknown/release`.
pub fn profile_folders(target_dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let is_one = |folder: &Path| folder.join(".fingerprint").is_dir();
    for name in names(target_dir)? {
        let folder = target_dir.join(name);
        if is_one(&folder) {
            found.push(folder);
        } else if folder.is_dir() {
            found.extend(names(&folder)?.into_iter().map(|name| folder.join(name)).filter(|folder| is_one(folder)));
        }
    }
    Ok(found)
}

/// Digests and sizes of several units, on all processors.
pub fn measure_all(
    folders: &BTreeMap<PathBuf, ProfileFolder>,
    units: &[(PathBuf, String)],
) -> io::Result<Vec<Measured>> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let share = units.len().div_ceil(threads).max(1);
    std::thread::scope(|scope| {
        let measure = |(folder, unit): &(PathBuf, String)| {
            let folder = folders.get(folder).ok_or_else(|| io::Error::other("a profile's folder is gone"))?;
            folder.measure(&folder.unit(unit)?)
        };
        let threads: Vec<_> = units
            .chunks(share)
            .map(|units| scope.spawn(move || units.iter().map(measure).collect::<io::Result<Vec<_>>>()))
            .collect();
        let join = |thread: std::thread::ScopedJoinHandle<'_, io::Result<Vec<Measured>>>| {
            thread.join().unwrap_or_else(|_| Err(io::Error::other("a thread has ended in a panic")))
        };
        let measured: Vec<Vec<Measured>> = threads.into_iter().map(join).collect::<io::Result<_>>()?;
        Ok(measured.into_iter().flatten().collect())
    })
}
