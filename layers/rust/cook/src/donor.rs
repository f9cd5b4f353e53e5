//! The layer's earlier image: whatever of it is certainly what it says, cargo need not compile again.
//!
//! A donor is never an input. Cargo decides by its own fingerprints what it takes; here it is only made sure that what it
//! finds is what was compiled then, by the same compiler on the same system. A donor that is not, is passed over: the
//! cook takes longer, and that is all.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{self, FileTimes};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

use crate::args::Options;
use crate::files::ProfileFolder;
use crate::manifest::{Environment, Manifest, Package, UnitGraph};

/// What was taken over.
#[derive(Debug, Default)]
pub struct Seeded {
    pub units: BTreeSet<(PathBuf, String)>,
    /// The donor's manifest: what its units cost.
    pub manifest: Option<Manifest>,
}

/// Copies a donor's units of some packages into the target folder, where they are not there yet.
pub fn seed(
    options: &Options,
    environment: &Environment,
    system: Option<&str>,
    packages: &BTreeSet<Package>,
) -> Seeded {
    let Some(root) = &options.donor else { return Seeded::default() };
    let manifest = match usable(options, root, environment, system) {
        Ok(Some(manifest)) => manifest,
        Ok(None) => {
            eprintln!("lamina-cook: no donor: everything is compiled");
            return Seeded::default();
        }
        Err(why) => {
            eprintln!("lamina-cook: the donor is ignored: {why}");
            return Seeded::default();
        }
    };
    // One moment for all: cargo asks whether a unit is older than what it depends on, a parent's units among these.
    let mut donor = Donor { root, now: SystemTime::now(), folders: HashMap::new(), refused: Vec::new() };
    let mut units = BTreeSet::new();
    for cook in manifest.cooks.iter().filter(|cook| Path::new(&cook.target_dir) == options.target_dir) {
        units.append(&mut donor.take(&options.target_dir, &cook.graph, packages));
    }
    for (folder, why) in donor.refused.iter().take(SHOWN) {
        eprintln!("lamina-cook: the donor's {folder} is not taken: {why}");
    }
    if donor.refused.len() > SHOWN {
        eprintln!("lamina-cook: nor are {} others of the donor", donor.refused.len() - SHOWN);
    }
    Seeded { units, manifest: Some(manifest) }
}

/// So many refused units are named.
const SHOWN: usize = 10;

/// The donor's manifest, where there is a donor; the error says why it is none for this cook.
fn usable(
    options: &Options,
    root: &Path,
    environment: &Environment,
    system: Option<&str>,
) -> Result<Option<Manifest>, String> {
    let path = inside(root, &options.manifest);
    let Some(manifest) = Manifest::read(&path)? else { return Ok(None) };
    let other = |what: &str, theirs: &str, ours: &str| Err(format!("its {what} is `{theirs}`, here it is `{ours}`"));
    let theirs = &manifest.environment;
    if manifest.layer != options.layer {
        return other("layer", &manifest.layer, &options.layer);
    }
    if theirs.rustc != environment.rustc {
        return other("compiler", first_line(&theirs.rustc), first_line(&environment.rustc));
    }
    if theirs.cargo != environment.cargo {
        return other("cargo", &theirs.cargo, &environment.cargo);
    }
    if theirs.cargo_home != environment.cargo_home {
        return other("CARGO_HOME", &theirs.cargo_home, &environment.cargo_home);
    }
    if theirs.rustflags != environment.rustflags {
        return other("RUSTFLAGS", &theirs.rustflags.join(" "), &environment.rustflags.join(" "));
    }
    if theirs.config != environment.config {
        return Err("cargo's configuration has another `target` there".to_owned());
    }
    if manifest.system.as_deref() != system {
        return Err("other Debian packages are installed there, C compiler and libraries among them".to_owned());
    }
    Ok(Some(manifest))
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// An absolute path as it is below another root.
fn inside(root: &Path, path: &Path) -> PathBuf {
    let plain = path.components().filter(|part| matches!(part, Component::Normal(_)));
    root.join(plain.collect::<PathBuf>())
}

struct Donor<'a> {
    root: &'a Path,
    now: SystemTime,
    /// Its profile folders; `None` where one can't be read.
    folders: HashMap<PathBuf, Option<ProfileFolder>>,
    refused: Vec<(String, String)>,
}

impl Donor<'_> {
    /// Copies the units of one cook; those that were copied.
    fn take(
        &mut self,
        target_dir: &Path,
        graph: &UnitGraph,
        packages: &BTreeSet<Package>,
    ) -> BTreeSet<(PathBuf, String)> {
        let mut taken = BTreeSet::new();
        // Of what depends on something that is not taken cargo would take nothing.
        let mut good = vec![false; graph.units.len()];
        for place in graph.order().unwrap_or_default() {
            let unit = &graph.units[place];
            let is_wanted = graph.is_shareable(unit) && packages.contains(graph.package(unit));
            if !is_wanted || !unit.dependencies.iter().all(|&dependency| good[dependency]) {
                continue;
            }
            let Some((output, sha256)) =
                unit.output.as_ref().and_then(|output| Some((output, output.sha256.as_ref()?)))
            else {
                continue;
            };
            let folder = graph.folder(target_dir, unit);
            if folder.join(".fingerprint").join(&output.folder).exists() {
                good[place] = true;
                continue;
            }
            match self.copy(&folder, &output.folder, sha256) {
                Ok(()) => {
                    good[place] = true;
                    taken.insert((folder, output.folder.clone()));
                }
                Err(why) => self.refused.push((output.folder.clone(), why)),
            }
        }
        taken
    }

    /// Copies one unit. The error says why it is not taken; then nothing is left of it.
    fn copy(&mut self, folder: &Path, unit: &str, sha256: &str) -> Result<(), String> {
        let from = inside(self.root, folder);
        let source = self.folders.entry(folder.to_owned()).or_insert_with(|| {
            let parts = [".fingerprint", "build", "deps"].map(|name| from.join(name));
            let mut above = from.ancestors().take_while(|path| path.starts_with(self.root));
            let is_straight = above.all(is_folder) && parts.iter().all(|part| is_folder(part) || !part.exists());
            is_straight.then(|| ProfileFolder::read(&from).ok()).flatten()
        });
        let source = source.as_ref().ok_or("its target folder can't be read")?;
        let files = source.unit(unit).map_err(|error| error.to_string())?;
        if !files.is_plain {
            return Err("there are links or special files in it".to_owned());
        }
        let measured = source.measure(&files).map_err(|error| error.to_string())?;
        if measured.sha256 != sha256 {
            return Err("its files are not those of its manifest".to_owned());
        }
        let mut copied = Vec::new();
        let result = copy_all(source, folder, &files.paths, self.now, &mut copied);
        result.map_err(|error| {
            copied.iter().for_each(|path| drop(fs::remove_file(path)));
            format!("it can't be copied: {error}")
        })
    }
}

/// Whether it is a folder, and no link to one.
fn is_folder(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|about| about.is_dir())
}

fn copy_all(
    source: &ProfileFolder,
    to: &Path,
    paths: &[PathBuf],
    now: SystemTime,
    copied: &mut Vec<PathBuf>,
) -> io::Result<()> {
    // A build script's program has two names. It stays one file.
    let mut known: BTreeMap<(u64, u64), PathBuf> = BTreeMap::new();
    for path in paths {
        let (from, to) = (source.path().join(path), to.join(path));
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder)?;
        }
        let about = fs::symlink_metadata(&from)?;
        if let Some(first) = known.get(&(about.dev(), about.ino())) {
            fs::hard_link(first, &to)?;
        } else {
            fs::copy(&from, &to)?;
            known.insert((about.dev(), about.ino()), to.clone());
            fs::File::open(&to)?.set_times(FileTimes::new().set_modified(now))?;
        }
        copied.push(to);
    }
    Ok(())
}
