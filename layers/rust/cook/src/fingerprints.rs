//! Which folder a unit has: the unit graph names no hash, fingerprints name no unit.
//!
//! A fingerprint `.fingerprint/NAME-HASH/STEM.json` lists the fingerprints that it depends on by their own hashes, which
//! stand in `.fingerprint/NAME-HASH/STEM` (a u64, lowest byte first, in hexadecimal digits). So from the folders of the
//! project's own packages, of which there is one for each unit, the graph and the fingerprints are walked side by side.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::Deserialize;

use crate::cpu::{Runs, digits};
use crate::failure::{Failure, Result};
use crate::files::{names, profile_folders};
use crate::graph::Planned;
use crate::manifest::{Kind, Unit, UnitGraph};

/// All fingerprints of a target folder.
pub struct Fingerprints {
    all: Vec<Fingerprint>,
    by_hash: HashMap<u64, Vec<usize>>,
}

/// One of them.
pub struct Fingerprint {
    /// The folder of the profile: `/cooked/target/release`.
    pub profile_folder: PathBuf,
    /// The folder of the unit: `serde-04c2e949dadc8657`.
    pub folder: String,
    stem: String,
    content: Content,
}

#[derive(Deserialize)]
struct Content {
    /// As Rust prints a list of texts; empty for a build script's run.
    features: String,
    deps: Vec<(u64, String, bool, u64)>,
    local: Vec<Local>,
    rustflags: Vec<String>,
}

/// What cargo looks at besides; of interest are variables alone.
#[derive(Deserialize)]
struct Local {
    #[serde(rename = "RerunIfEnvChanged")]
    variable: Option<Variable>,
}

#[derive(Deserialize)]
struct Variable {
    var: String,
    val: Option<String>,
}

impl Fingerprint {
    /// The name of the package in the folder's name.
    fn package(&self) -> &str {
        self.folder.rsplit_once('-').map_or(&*self.folder, |(name, _)| name)
    }

    /// Where a unit with this fingerprint lies.
    pub fn place(&self) -> (PathBuf, String) {
        (self.profile_folder.clone(), self.folder.clone())
    }

    /// The variables that the build script watches, with what cargo saw in them.
    pub fn variables(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        let variables = self.content.local.iter().filter_map(|local| local.variable.as_ref());
        variables.map(|variable| (variable.var.as_str(), variable.val.as_deref()))
    }

    /// What RUSTFLAGS, or cargo's configuration in its place, adds.
    pub fn rustflags(&self) -> &[String] {
        &self.content.rustflags
    }
}

impl Fingerprints {
    /// Reads them all. One that can't be read is none: cargo compiles its unit anew.
    pub fn read(target_dir: &Path) -> Result<Fingerprints> {
        let mut read = Fingerprints { all: Vec::new(), by_hash: HashMap::new() };
        for profile_folder in profile_folders(target_dir).map_err(Failure::file("read", target_dir))? {
            let parent = profile_folder.join(".fingerprint");
            for folder in names(&parent).map_err(Failure::file("read", &parent))? {
                let path = parent.join(&folder);
                for stem in names(&path).unwrap_or_default() {
                    let Some((hash, content)) = one(&path, &stem) else { continue };
                    read.by_hash.entry(hash).or_default().push(read.all.len());
                    let (profile_folder, folder) = (profile_folder.clone(), folder.clone());
                    read.all.push(Fingerprint { profile_folder, folder, stem, content });
                }
            }
        }
        Ok(read)
    }

    /// For each unit its fingerprint.
    ///
    /// Two runs of one build script, for two profiles, can have fingerprints with the same content, since no profile is
    /// part of it: then it counts which of them a unit was compiled with.
    ///
    /// # Errors
    /// Where a unit has none, or it could be one of several.
    pub fn of_units(&self, target_dir: &Path, planned: &Planned, runs: &Runs) -> Result<Vec<&Fingerprint>> {
        let graph = &planned.graph;
        let mut open: BTreeMap<usize, String> = BTreeMap::new();
        let mut found: Vec<Option<usize>> = vec![None; graph.units.len()];
        let mut waiting = Vec::new();
        for &root in &graph.roots {
            let candidates = (0..self.all.len()).filter(|&place| {
                let print = &self.all[place];
                print.stem == planned.stems[root] && self.fits(target_dir, planned, root, place)
            });
            let candidates: Vec<usize> = candidates.collect();
            let &[place] = &candidates[..] else {
                return Err(mismatch(planned, root, &format!("{} folders could be its own", candidates.len())));
            };
            waiting.push((root, place));
        }
        while let Some((unit, place)) = waiting.pop() {
            match found[unit] {
                Some(known) if known == place => continue,
                Some(known) => {
                    let text = format!("is {} and {} at once", self.all[known].folder, self.all[place].folder);
                    return Err(mismatch(planned, unit, &text));
                }
                None => found[unit] = Some(place),
            }
            let print = &self.all[place];
            let needed = graph.units[unit].dependencies.iter().zip(&planned.names[unit]);
            for (&dependency, name) in needed.filter_map(|(dependency, name)| Some((dependency, name.as_ref()?))) {
                let named = print.content.deps.iter().filter(|(_, known, ..)| known == name);
                let mut candidates: Vec<usize> =
                    named.filter_map(|(.., hash)| self.by_hash.get(hash)).flatten().copied().collect();
                candidates.retain(|&place| self.fits(target_dir, planned, dependency, place));
                candidates.sort_unstable();
                candidates.dedup();
                let run = digits(&print.folder).and_then(|digits| runs.get(digits));
                if let Some(run) = run.filter(|_| candidates.len() > 1) {
                    candidates.retain(|&place| digits(&self.all[place].folder) == Some(run));
                }
                match &candidates[..] {
                    &[place] => waiting.push((dependency, place)),
                    // Something else that needs it may tell.
                    several => {
                        let number = several.len();
                        let needs = &print.folder;
                        open.insert(
                            dependency,
                            format!("{number} folders could be its own among what {needs} needs as `{name}`"),
                        );
                    }
                }
            }
        }
        let all = found.into_iter().enumerate();
        all.map(|(unit, place)| {
            let why = || mismatch(planned, unit, open.get(&unit).map_or("there is none", String::as_str));
            place.map(|place| &self.all[place]).ok_or_else(why)
        })
        .collect()
    }

    /// Whether a fingerprint can be a unit's, by all that both say of themselves.
    fn fits(&self, target_dir: &Path, planned: &Planned, unit: usize, place: usize) -> bool {
        let print = &self.all[place];
        let of = &planned.graph.units[unit];
        print.package() == planned.graph.package(of).name
            && print.stem == planned.stems[unit]
            && print.profile_folder == planned.graph.folder(target_dir, of)
            && (of.kind == Kind::BuildScriptRun || print.content.features == format!("{:?}", of.features))
    }

    /// When each unit was compiled last.
    pub fn moments(&self) -> BTreeMap<(PathBuf, String), SystemTime> {
        let moment = |print: &Fingerprint| {
            let path = print.profile_folder.join(".fingerprint").join(&print.folder).join(&print.stem);
            Some((print.place(), fs::metadata(path).ok()?.modified().ok()?))
        };
        self.all.iter().filter_map(moment).collect()
    }
}

/// A fingerprint, where a file and the JSON beside it are one.
fn one(folder: &Path, stem: &str) -> Option<(u64, Content)> {
    let content = fs::read(folder.join(format!("{stem}.json"))).ok()?;
    let hash = fs::read_to_string(folder.join(stem)).ok()?;
    // The bytes are in memory's order: what was the lowest comes first.
    let hash = u64::from_str_radix(&hash, 16).ok().filter(|_| hash.len() == 16)?.swap_bytes();
    Some((hash, serde_json::from_slice(&content).ok()?))
}

fn mismatch(planned: &Planned, unit: usize, text: &str) -> Failure {
    let unit: &Unit = &planned.graph.units[unit];
    let package = planned.graph.package(unit);
    Failure::Mismatch(format!(
        "the unit {} of {} {} ({:?}) has no folder that is certainly its own: {text}. This cargo writes its target \
         folder in another way than this program knows, or somebody else writes to it",
        unit.target, package.name, package.version, unit.kind
    ))
}

/// Deletes what earlier builds have left of packages in folders: afterwards each of their units has one folder.
pub fn forget_own(target_dir: &Path, graph: &UnitGraph) -> Result<()> {
    let own = graph.packages.iter().filter(|package| package.source.is_none());
    let own: Vec<&str> = own.map(|package| package.name.as_str()).collect();
    for profile_folder in profile_folders(target_dir).map_err(Failure::file("read", target_dir))? {
        let parent = profile_folder.join(".fingerprint");
        for folder in names(&parent).map_err(Failure::file("read", &parent))? {
            let is_own = folder.rsplit_once('-').is_some_and(|(name, _)| own.contains(&name));
            if is_own && digits(&folder).is_some() {
                let path = parent.join(&folder);
                fs::remove_dir_all(&path).map_err(Failure::file("delete", &path))?;
            }
        }
    }
    Ok(())
}
