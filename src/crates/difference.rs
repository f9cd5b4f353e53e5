//! What a change of a lock comes to: packages that moved, and units that are compiled again because of it.

use std::collections::{BTreeMap, BTreeSet};

use crate::unit::{Key, UnitGraph, cone};

/// What happened to a package.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Moved {
    /// It is new.
    Added,
    /// It is not needed any more.
    Removed,
    /// It has another version, or comes from elsewhere; this is the version that it had.
    Version(String),
    /// The version is the same, but features are others.
    Features {
        /// Those that it has now.
        on: Vec<String>,
        /// Those that it has no more.
        off: Vec<String>,
    },
}

/// A package that a change moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its name.
    pub name: String,
    /// Its version, as it is now; as it was for one that is gone.
    pub version: String,
    /// What happened.
    pub moved: Moved,
    /// How many units are compiled again because of it; those of other steps may be the same.
    pub cone: usize,
}

/// What a change comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// The packages that moved, by name and version.
    pub steps: Vec<Step>,
    /// The units of the new graph that the old one has not.
    pub compiled: Vec<usize>,
}

/// Compares two graphs by meaning: a unit is compiled again if no unit of the old graph is the same for cargo.
pub fn difference(old: &UnitGraph, new: &UnitGraph) -> Change {
    let held: BTreeSet<Key> = old.keys().into_iter().collect();
    let keys = new.keys();
    let compiled: Vec<usize> = (0..keys.len()).filter(|&unit| !held.contains(&keys[unit])).collect();
    let (before, after) = (packages(old), packages(new));
    let mut steps = Vec::new();
    for (&name, now) in &after {
        let none = BTreeMap::new();
        let was = before.get(name).unwrap_or(&none);
        // Versions that are gone, to be paired with those that came.
        let mut gone: Vec<&(&str, Option<&str>)> = was.keys().filter(|version| !now.contains_key(*version)).collect();
        for (version, features) in now {
            let moved = match was.get(version) {
                Some(had) if had == features => continue,
                Some(had) => {
                    let less =
                        |a: &BTreeSet<&str>, b: &BTreeSet<&str>| a.difference(b).map(ToString::to_string).collect();
                    Moved::Features { on: less(features, had), off: less(had, features) }
                }
                None if gone.is_empty() => Moved::Added,
                None => Moved::Version(gone.remove(0).0.to_owned()),
            };
            let same = |package: &crate::unit::Package| {
                package.name == name && package.version == version.0 && package.source.as_deref() == version.1
            };
            let cone = cone(new, same).units.len();
            steps.push(Step { name: name.to_owned(), version: version.0.to_owned(), moved, cone });
        }
    }
    for (&name, was) in &before {
        let now = after.get(name);
        let came = now.map_or(0, |now| now.keys().filter(|version| !was.contains_key(*version)).count());
        let gone = was.keys().filter(|version| now.is_none_or(|now| !now.contains_key(*version)));
        for version in gone.skip(came) {
            let (name, version) = (name.to_owned(), version.0.to_owned());
            steps.push(Step { name, version, moved: Moved::Removed, cone: 0 });
        }
    }
    steps.sort_by(|a, b| (&a.name, &a.version, &a.moved).cmp(&(&b.name, &b.version, &b.moved)));
    Change { steps, compiled }
}

/// The versions of a name, each with its source, and the features of each.
type Versions<'g> = BTreeMap<(&'g str, Option<&'g str>), BTreeSet<&'g str>>;

/// By name, by version and source: the features of all units of the package together.
fn packages(graph: &UnitGraph) -> BTreeMap<&str, Versions<'_>> {
    let mut found: BTreeMap<&str, Versions<'_>> = BTreeMap::new();
    for unit in &graph.units {
        let package = graph.package(unit);
        let versions = found.entry(&package.name).or_default();
        let features = versions.entry((package.version.as_str(), package.source.as_deref())).or_default();
        features.extend(unit.features.iter().map(String::as_str));
    }
    found
}
