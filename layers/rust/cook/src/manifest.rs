//! The unit manifest: the form that lamina reads, written here. Its types are those of lamina's `unit::Manifest`; a test
//! of lamina reads what this program writes.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::cpu::digits;
use crate::failure::{Failure, Result};

/// What was cooked into a layer, unit by unit.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Manifest {
    pub version: u32,
    pub layer: String,
    pub environment: Environment,
    /// The SHA-256 of Debian's list of installed packages, where there is one. Only a donor's is ever looked at: its
    /// compiled C code and its linked programs are taken over where these packages are the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    pub cooks: Vec<Cook>,
}

/// What decides, besides a unit itself, whether cargo takes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    pub rustc: String,
    pub cargo: String,
    pub cargo_home: String,
    pub rustflags: Vec<String>,
    pub config: BTreeMap<String, String>,
    pub variables: BTreeMap<String, Option<String>>,
}

/// One call of cargo.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Cook {
    pub profile: String,
    pub settings: BTreeMap<String, String>,
    pub target_dir: String,
    pub arguments: Vec<String>,
    pub graph: UnitGraph,
}

/// Units, which name packages, profiles and each other by their places.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitGraph {
    pub packages: Vec<Package>,
    pub profiles: Vec<Profile>,
    pub units: Vec<Unit>,
    pub roots: Vec<usize>,
}

/// A package; without a source it is one in a folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Package {
    pub name: String,
    pub version: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

/// A compilation, or a build script's run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unit {
    pub package: usize,
    pub kind: Kind,
    pub target: String,
    pub crate_types: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    pub features: Vec<String>,
    pub profile: usize,
    pub dependencies: Vec<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Output>,
}

/// What a unit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    Lib,
    ProcMacro,
    BuildScript,
    BuildScriptRun,
    Bin,
}

/// Settings that a unit is compiled with, and the folder that it goes to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Profile {
    pub folder: String,
    pub settings: BTreeMap<String, String>,
}

/// What came of a unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    pub folder: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_ms: Option<u64>,
    pub bytes: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// The variables that a build script's run watches.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub watches: Vec<String>,
}

impl Manifest {
    const VERSION: u32 = 1;
    const MAX_BYTES: u64 = 32 << 20;
    /// How the names of manifests end.
    const SUFFIX: &str = ".units.json";

    pub fn new(layer: &str, environment: Environment, system: Option<String>) -> Manifest {
        let layer = layer.to_owned();
        Manifest { version: Self::VERSION, layer, environment, system, cooks: Vec::new() }
    }

    /// Reads a manifest; `None` where there is no such file. The error says why it can't be used.
    pub fn read(path: &Path) -> std::result::Result<Option<Manifest>, String> {
        let about = match fs::symlink_metadata(path) {
            Ok(about) => about,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(format!("{} can't be read: {error}", path.display())),
        };
        if !about.is_file() || about.len() > Self::MAX_BYTES {
            return Err(format!("{} is no file of at most {} MiB", path.display(), Self::MAX_BYTES >> 20));
        }
        let bytes = fs::read(path).map_err(|error| format!("{} can't be read: {error}", path.display()))?;
        Self::parse(&bytes).map(Some).map_err(|error| format!("{} is no unit manifest: {error}", path.display()))
    }

    fn parse(bytes: &[u8]) -> std::result::Result<Manifest, String> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u64,
        }
        let Versioned { version } = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        if version != u64::from(Self::VERSION) {
            return Err(format!("it has version {version}, this program reads {}", Self::VERSION));
        }
        let manifest: Manifest = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        for graph in manifest.cooks.iter().map(|cook| &cook.graph) {
            graph.check()?;
        }
        Ok(manifest)
    }

    /// Those of other layers in the same folder: what the images that this one stands on have cooked.
    pub fn beside(path: &Path) -> Result<Vec<Manifest>> {
        let folder = path.parent().unwrap_or(Path::new("/"));
        let Ok(entries) = fs::read_dir(folder) else { return Ok(Vec::new()) };
        let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        paths.retain(|other| other != path && other.to_string_lossy().ends_with(Self::SUFFIX));
        paths.sort();
        let read = |path: &PathBuf| Manifest::read(path).map_err(Failure::Other);
        Ok(paths.iter().map(read).collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
    }

    /// Writes it, aside at first: a reader never sees half of it.
    pub fn write(&self, path: &Path) -> Result<()> {
        let aside = path.with_extension("part");
        let mut bytes = serde_json::to_vec(self).map_err(|error| Failure::Other(error.to_string()))?;
        bytes.push(b'\n');
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(Failure::file("make", folder))?;
        }
        fs::write(&aside, bytes).map_err(Failure::file("write", &aside))?;
        fs::rename(&aside, path).map_err(Failure::file("write", path))
    }

    /// Adds a cook, in the place of an earlier one that was asked for in the same words.
    pub fn add(&mut self, cook: Cook) {
        let asked = |cook: &Cook| {
            (cook.profile.clone(), cook.settings.clone(), cook.target_dir.clone(), cook.arguments.clone())
        };
        match self.cooks.iter_mut().find(|known| asked(known) == asked(&cook)) {
            Some(known) => *known = cook,
            None => self.cooks.push(cook),
        }
    }

    /// Which run of its build script each unit was compiled with, both by their digits.
    pub fn runs(&self) -> impl Iterator<Item = (String, String)> {
        let named = |unit: &Unit| unit.output.as_ref().and_then(|output| digits(&output.folder).map(str::to_owned));
        let graphs = self.cooks.iter().map(|cook| &cook.graph);
        let units = graphs.flat_map(|graph| graph.units.iter().map(move |unit| (graph, unit)));
        units.filter(|(_, unit)| unit.kind != Kind::BuildScriptRun).filter_map(move |(graph, unit)| {
            let needed = unit.dependencies.iter().map(|&place| &graph.units[place]);
            let run =
                needed.filter(|run| run.kind == Kind::BuildScriptRun && run.package == unit.package).find_map(named);
            named(unit).zip(run)
        })
    }

    /// All units that were compiled or found, each with the folder of its profile.
    pub fn outputs(&self) -> impl Iterator<Item = (PathBuf, &Output)> {
        self.cooks.iter().flat_map(|cook| {
            let outputs = cook.graph.units.iter().filter_map(|unit| Some((unit, unit.output.as_ref()?)));
            outputs.map(|(unit, output)| (cook.graph.folder(Path::new(&cook.target_dir), unit), output))
        })
    }
}

impl UnitGraph {
    pub fn package(&self, unit: &Unit) -> &Package {
        &self.packages[unit.package]
    }

    pub fn profile(&self, unit: &Unit) -> &Profile {
        &self.profiles[unit.profile]
    }

    /// Whether others than its own project can have a unit.
    pub fn is_shareable(&self, unit: &Unit) -> bool {
        self.package(unit).source.is_some()
    }

    /// The folder of a unit's profile in a target folder: `release`, or `wasm32-unknown-unknown/release`.
    pub fn folder(&self, target_dir: &Path, unit: &Unit) -> PathBuf {
        target_dir.join(unit.platform.as_deref().unwrap_or_default()).join(&self.profile(unit).folder)
    }

    /// The units, each behind all that it needs; `None` where they go in a circle.
    pub fn order(&self) -> Option<Vec<usize>> {
        let mut waiting: Vec<usize> = self.units.iter().map(|unit| unit.dependencies.len()).collect();
        let mut dependents = vec![Vec::new(); self.units.len()];
        for (place, unit) in self.units.iter().enumerate() {
            for &dependency in &unit.dependencies {
                dependents[dependency].push(place);
            }
        }
        let mut order: Vec<usize> = (0..self.units.len()).filter(|&place| waiting[place] == 0).collect();
        let mut next = 0;
        while let Some(&place) = order.get(next) {
            next += 1;
            for &dependent in &dependents[place] {
                waiting[dependent] -= 1;
                if waiting[dependent] == 0 {
                    order.push(dependent);
                }
            }
        }
        (order.len() == self.units.len()).then_some(order)
    }

    /// Whether every place is one, and every name is one of a folder: a manifest may come from anywhere.
    pub fn check(&self) -> std::result::Result<(), String> {
        let count = self.units.len();
        for (place, unit) in self.units.iter().enumerate() {
            let inside = unit.package < self.packages.len() && unit.profile < self.profiles.len();
            if !inside || unit.dependencies.iter().any(|&dependency| dependency >= count) {
                return Err(format!("unit {place} names something that is not there"));
            }
            let names = [
                unit.output.as_ref().map_or("none", |output| &output.folder),
                unit.platform.as_deref().unwrap_or("none"),
                &self.profile(unit).folder,
            ];
            if !names.into_iter().all(is_plain) {
                return Err(format!("unit {place} has a folder that cargo would not make"));
            }
        }
        if self.roots.iter().any(|&root| root >= count) {
            return Err("a root is not there".to_owned());
        }
        self.order().map(drop).ok_or_else(|| "units depend on each other in a circle".to_owned())
    }
}

/// Whether a text is the name of a folder that cargo could make for a unit, a profile or a target.
fn is_plain(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !name.is_empty() && name.len() <= 255 && name.chars().all(plain) && !name.starts_with('.')
}
