//! Units that a layer compiles although the layer below it has them.

use std::collections::{BTreeMap, BTreeSet};

use super::{BuildGraph, Section};
use crate::unit::{Kind, Package};

/// A unit that is compiled a second time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Second {
    /// The cook, as the child's snapshot writes it.
    pub cook: String,
    /// The package, as the child has it.
    pub package: Package,
    /// What it is.
    pub kind: Kind,
    /// Where it is for: `host`, `target` or a target triple.
    pub place: String,
    /// Why.
    pub why: Difference,
}

/// What keeps a unit of the layer below from being taken.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Difference {
    /// The layer below has another version, which is compatible.
    Version(String),
    /// It has it for another place alone.
    Place,
    /// Features are others.
    Features {
        /// Those that the child has and the layer below has not.
        missing: Vec<String>,
        /// Those that the layer below has and the child has not.
        extra: Vec<String>,
    },
    /// The unit is the same, but something that it depends on is not.
    Below,
}

impl Difference {
    /// Whether it lies in the unit itself, and not in what it depends on.
    pub fn is_own(&self) -> bool {
        *self != Difference::Below
    }
}

/// The units that `child` compiles although `parent` has compiled the same crate, in a compatible version. A cook is
/// compared with those of the parent that have the same profile; where there is none, nothing could be shared.
pub fn second_time(child: &BuildGraph, parent: &BuildGraph) -> Vec<Second> {
    let mut found = Vec::new();
    for section in &child.sections {
        for cook in &section.cooks {
            let has_profile = |below: &&Section| below.cooks.iter().any(|below| profile(below) == profile(cook));
            let below: Vec<&Section> = parent.sections.iter().filter(has_profile).collect();
            if !below.is_empty() {
                compare(cook, section, &below, &mut found);
            }
        }
    }
    found
}

fn profile(cook: &str) -> &str {
    cook.split(' ').next().unwrap_or(cook)
}

fn compare(cook: &str, section: &Section, below: &[&Section], found: &mut Vec<Second>) {
    let held: BTreeSet<_> = below.iter().flat_map(|below| below.graph.keys()).collect();
    let mut named: BTreeMap<(&str, Kind), Vec<(&Section, usize)>> = BTreeMap::new();
    for below in below {
        for (place, unit) in below.graph.units.iter().enumerate() {
            named.entry((&below.graph.package(unit).name, unit.kind)).or_default().push((below, place));
        }
    }
    let graph = &section.graph;
    for (unit, key) in graph.units.iter().zip(graph.keys()) {
        let package = graph.package(unit);
        if held.contains(&key) || package.source.is_none() {
            continue;
        }
        let place = super::normal::place(graph, unit);
        let candidates = named.get(&(package.name.as_str(), unit.kind)).map_or(&[][..], Vec::as_slice);
        let other = |&(below, at): &(&Section, usize)| {
            let other = &below.graph.units[at];
            let its = below.graph.package(other);
            let same_place = super::normal::place(&below.graph, other) == place;
            match (its == package, same_place) {
                (false, _) => {
                    is_compatible(&its.version, &package.version).then(|| (3, Difference::Version(its.version.clone())))
                }
                (true, false) => Some((2, Difference::Place)),
                (true, true) => {
                    let less = |a: &[String], b: &[String]| -> Vec<String> {
                        a.iter().filter(|feature| !b.contains(feature)).cloned().collect()
                    };
                    let missing = less(&unit.features, &other.features);
                    let extra = less(&other.features, &unit.features);
                    let is_same = missing.is_empty() && extra.is_empty();
                    Some(if is_same { (0, Difference::Below) } else { (1, Difference::Features { missing, extra }) })
                }
            }
        };
        // The nearest one says why.
        if let Some((_, why)) = candidates.iter().filter_map(other).min() {
            let (cook, place) = (cook.to_owned(), place.to_owned());
            found.push(Second { cook, package: package.clone(), kind: unit.kind, place, why });
        }
    }
}

/// Whether cargo takes two versions for ones that can stand for each other.
pub fn is_compatible(a: &str, b: &str) -> bool {
    let line = |version: &str| {
        let version = semver::Version::parse(version).ok()?;
        Some(match (version.major, version.minor) {
            (0, 0) => (0, 0, version.patch),
            (0, minor) => (0, minor, 0),
            (major, _) => (major, 0, 0),
        })
    };
    match (line(a), line(b)) {
        (Some(a), Some(b)) => a == b,
        _ => a == b,
    }
}
