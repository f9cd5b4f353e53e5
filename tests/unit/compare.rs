//! Keys of lamina's against names of cargo's.

use std::collections::{BTreeMap, BTreeSet};

use lamina::cargo::{Oracle, Verdict};
use lamina::unit::{Kind, UnitGraph};

/// What a unit is, as far as both sides say it: name, version, kind.
pub type Group = (String, String, &'static str);

/// The units of one build that others could reuse, by lamina's keys and by the names of cargo's folders.
pub struct Build {
    pub label: String,
    pub keys: BTreeMap<Group, BTreeSet<String>>,
    pub folders: BTreeMap<Group, BTreeSet<String>>,
    /// The folder of each key.
    pub units: BTreeMap<String, String>,
}

impl Build {
    pub fn new(label: &str, graph: &UnitGraph, oracle: &Oracle) -> Self {
        let shareable = graph.shareable();
        let mut keys: BTreeMap<Group, BTreeSet<String>> = BTreeMap::new();
        let count = |map: &BTreeMap<Group, BTreeSet<String>>| map.values().map(BTreeSet::len).sum::<usize>();
        for ((unit, key), shareable) in graph.units.iter().zip(graph.keys()).zip(&shareable) {
            if *shareable {
                let package = graph.package(unit);
                let group = (package.name.clone(), package.version.clone(), kind(unit.kind));
                keys.entry(group).or_default().insert(key.to_string());
            }
        }
        let mut folders: BTreeMap<Group, BTreeSet<String>> = BTreeMap::new();
        let mut units = BTreeMap::new();
        let verdicts = oracle.by_unit(graph).unwrap_or_else(|| panic!("{label}: the verdicts are on other units"));
        for ((key, verdict), shareable) in graph.keys().iter().zip(&verdicts).zip(&shareable) {
            if let (Some(unit), true) = (verdict, shareable) {
                let (name, _) = unit.folder.rsplit_once('-').expect("a name and a hash");
                let group = (name.to_owned(), unit.version.clone(), file_kind(unit));
                let place = format!("{}/{}", unit.area, unit.folder);
                folders.entry(group).or_default().insert(place.clone());
                units.insert(key.to_string(), place);
            }
        }
        assert_eq!(count(&keys), count(&folders), "{label}: as many keys as folders");
        for (group, known) in &keys {
            assert_eq!(Some(known.len()), folders.get(group).map(BTreeSet::len), "{label}: {group:?}");
        }
        Self { label: label.to_owned(), keys, folders, units }
    }

    pub fn count(&self) -> usize {
        self.keys.values().map(BTreeSet::len).sum()
    }
}

pub fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Lib | Kind::ProcMacro => "lib",
        Kind::BuildScript => "build-script",
        Kind::BuildScriptRun => "run-build-script",
        Kind::Bin => "bin",
        Kind::Check => "check",
    }
}

pub fn file_kind(unit: &Verdict) -> &'static str {
    let starts = ["lib", "build-script", "run-build-script", "bin"];
    let start = starts.iter().find(|start| unit.file.starts_with(&format!("{start}-")));
    start.unwrap_or_else(|| panic!("{} is of no known kind", unit.file))
}

/// How many of the units of one build are right, wrong and missed when another build is its layer.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Score {
    pub right: usize,
    pub wrong: usize,
    pub missed: usize,
}

pub fn score(project: &Build, layer: &Build) -> Score {
    let mut score = Score::default();
    for (group, keys) in &project.keys {
        let both = |own: Option<&BTreeSet<String>>, other: Option<&BTreeSet<String>>| {
            own.zip(other).map_or(0, |(own, other)| own.intersection(other).count())
        };
        let predicted = both(Some(keys), layer.keys.get(group));
        let truth = both(project.folders.get(group), layer.folders.get(group));
        score.right += predicted.min(truth);
        score.wrong += predicted.saturating_sub(truth);
        score.missed += truth.saturating_sub(predicted);
    }
    score
}

/// Where two units are the same for lamina and not for cargo, or the other way round, over all builds at once.
pub fn disagreements(builds: &[Build]) -> Vec<String> {
    let mut wrong = Vec::new();
    let (mut folders, mut keys) = (BTreeMap::new(), BTreeMap::new());
    for build in builds {
        for (key, folder) in &build.units {
            let (known, label) = folders.entry(key).or_insert((folder, &build.label));
            if *known != folder {
                wrong.push(format!("one key: {known} of {label}, {folder} of {}", build.label));
            }
            let (known, label) = keys.entry(folder).or_insert((key, &build.label));
            if *known != key {
                wrong.push(format!("{folder}: {known} of {label}, {key} of {}", build.label));
            }
        }
    }
    wrong
}
