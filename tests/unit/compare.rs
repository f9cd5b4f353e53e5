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
}

impl Build {
    pub fn new(label: &str, graph: &UnitGraph, oracle: &Oracle) -> Self {
        let shareable = graph.shareable();
        let mut keys: BTreeMap<Group, BTreeSet<String>> = BTreeMap::new();
        let mut packages = BTreeSet::new();
        let count = |map: &BTreeMap<Group, BTreeSet<String>>| map.values().map(BTreeSet::len).sum::<usize>();
        for ((unit, key), shareable) in graph.units.iter().zip(graph.keys()).zip(shareable) {
            if shareable {
                let package = graph.package(unit);
                packages.insert((package.name.clone(), package.version.clone()));
                let group = (package.name.clone(), package.version.clone(), kind(unit.kind));
                keys.entry(group).or_default().insert(key.to_string());
            }
        }
        let mut folders: BTreeMap<Group, BTreeSet<String>> = BTreeMap::new();
        for unit in &oracle.units {
            let (name, _) = unit.folder.rsplit_once('-').expect("a name and a hash");
            if packages.contains(&(name.to_owned(), unit.version.clone())) {
                let group = (name.to_owned(), unit.version.clone(), file_kind(unit));
                folders.entry(group).or_default().insert(format!("{}/{}", unit.area, unit.folder));
            }
        }
        assert_eq!(count(&keys), count(&folders), "{label}: as many keys as folders");
        for (group, known) in &keys {
            assert_eq!(Some(known.len()), folders.get(group).map(BTreeSet::len), "{label}: {group:?}");
        }
        Self { label: label.to_owned(), keys, folders }
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

/// Groups in which keys are spread over the builds in another way than folders: in which two units are the same for
/// lamina and not for cargo, or the other way round. Empty where both agree on all builds at once.
pub fn disagreements(builds: &[Build]) -> Vec<String> {
    type Spread<'a> = BTreeMap<&'a Group, BTreeMap<&'a str, BTreeSet<usize>>>;
    let spread = |side: fn(&Build) -> &BTreeMap<Group, BTreeSet<String>>| {
        let mut spread: Spread = BTreeMap::new();
        for (number, build) in builds.iter().enumerate() {
            for (group, units) in side(build) {
                for unit in units {
                    spread.entry(group).or_default().entry(unit).or_default().insert(number);
                }
            }
        }
        spread
    };
    let sorted = |units: &BTreeMap<&str, BTreeSet<usize>>| {
        let mut sets: Vec<_> = units.values().cloned().collect();
        sets.sort();
        sets
    };
    let (keys, folders) = (spread(|build| &build.keys), spread(|build| &build.folders));
    let different = keys.iter().filter(|(group, units)| sorted(units) != sorted(&folders[*group]));
    let names = |sets: Vec<BTreeSet<usize>>| {
        let name = |set: &BTreeSet<usize>| {
            set.iter().map(|&number| builds[number].label.as_str()).collect::<Vec<_>>().join(" ")
        };
        sets.iter().map(name).collect::<Vec<_>>().join(" | ")
    };
    let say = |(group, units): (&&Group, &BTreeMap<&str, BTreeSet<usize>>)| {
        format!("{group:?}\n  lamina: {}\n  cargo:  {}", names(sorted(units)), names(sorted(&folders[*group])))
    };
    different.map(say).collect()
}
