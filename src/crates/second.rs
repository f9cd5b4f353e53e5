//! Units that a layer compiles although the layer below it has them.

use std::collections::{BTreeMap, BTreeSet};

use super::{BuildGraph, Section};
use crate::unit::{Kind, Package, UnitGraph};

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
    /// Whether the child has another such unit above it: a layer below that is given that one may get this one along.
    pub follows: bool,
    /// The same of what the layer below has and the child lacks.
    pub follows_below: bool,
}

/// What keeps a unit of the layer below from being taken.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Difference {
    /// The layer below has another version, which is compatible.
    Version(String),
    /// It has it for another place alone.
    Place {
        /// The features that the child has it with.
        features: Vec<String>,
    },
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

    /// Whether the layer below lacks something that the child has.
    fn is_lacking(&self) -> bool {
        match self {
            Difference::Place { .. } => true,
            Difference::Features { missing, .. } => !missing.is_empty(),
            Difference::Version(_) | Difference::Below => false,
        }
    }

    /// Whether the layer below has something that the child lacks.
    fn is_extra(&self) -> bool {
        matches!(self, Difference::Features { extra, .. } if !extra.is_empty())
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

/// A unit of the child that is compiled a second time, by its place in the child's graph.
struct Again<'a> {
    unit: usize,
    /// The nearest unit of the layer below: a section, and the place in its graph.
    nearest: (&'a Section, usize),
    why: Difference,
}

fn compare(cook: &str, section: &Section, below: &[&Section], found: &mut Vec<Second>) {
    let held: BTreeSet<_> = below.iter().flat_map(|below| below.graph.keys()).collect();
    let mut named: BTreeMap<(&str, Kind), Vec<(&Section, usize)>> = BTreeMap::new();
    for &below in below {
        for (place, unit) in below.graph.units.iter().enumerate() {
            named.entry((&below.graph.package(unit).name, unit.kind)).or_default().push((below, place));
        }
    }
    let graph = &section.graph;
    let keys = graph.keys();
    let again = (0..keys.len()).filter(|&unit| !held.contains(&keys[unit])).filter_map(|unit| {
        let package = graph.package(&graph.units[unit]);
        package.source.as_ref()?;
        let candidates = named.get(&(package.name.as_str(), graph.units[unit].kind))?;
        // The nearest one says why.
        let reasons = candidates.iter().filter_map(|&nearest| Some((nearest, difference(section, unit, nearest)?)));
        let (nearest, (_, why)) = reasons.min_by(|(_, a), (_, b)| a.cmp(b))?;
        Some(Again { unit, nearest, why })
    });
    let again: Vec<Again<'_>> = again.collect();
    let follows = under(graph, again.iter().filter(|one| one.why.is_lacking()).map(|one| one.unit));
    let mut follows_below: Vec<BTreeSet<usize>> = Vec::new();
    for below in below {
        let own = again.iter().filter(|one| one.why.is_extra() && std::ptr::eq(one.nearest.0, *below));
        follows_below.push(under(&below.graph, own.map(|one| one.nearest.1)));
    }
    for Again { unit, nearest: (other, at), why } in again {
        let mut sets = below.iter().zip(&follows_below);
        found.push(Second {
            cook: cook.to_owned(),
            package: graph.package(&graph.units[unit]).clone(),
            kind: graph.units[unit].kind,
            place: super::normal::place(graph, &graph.units[unit]).to_owned(),
            why,
            follows: follows.contains(&unit),
            follows_below: sets.any(|(below, under)| std::ptr::eq(*below, other) && under.contains(&at)),
        });
    }
}

/// What keeps a unit of the layer below from being taken, the more of it the greater; none where it is another crate
/// for cargo.
fn difference(section: &Section, unit: usize, (below, at): (&Section, usize)) -> Option<(u8, Difference)> {
    let graph = &section.graph;
    let (unit, other) = (&graph.units[unit], &below.graph.units[at]);
    let (package, its) = (graph.package(unit), below.graph.package(other));
    if its != package {
        let is_near = is_compatible(&its.version, &package.version);
        return is_near.then(|| (3, Difference::Version(its.version.clone())));
    }
    if super::normal::place(&below.graph, other) != super::normal::place(graph, unit) {
        return Some((2, Difference::Place { features: unit.features.clone() }));
    }
    let less = |a: &[String], b: &[String]| -> Vec<String> {
        a.iter().filter(|feature| !b.contains(feature)).cloned().collect()
    };
    let (missing, extra) = (less(&unit.features, &other.features), less(&other.features, &unit.features));
    match missing.is_empty() && extra.is_empty() {
        true => Some((0, Difference::Below)),
        false => Some((1, Difference::Features { missing, extra })),
    }
}

/// All that these units depend on.
fn under(graph: &UnitGraph, units: impl Iterator<Item = usize>) -> BTreeSet<usize> {
    let mut under = BTreeSet::new();
    let mut waiting: Vec<usize> = units.collect();
    while let Some(unit) = waiting.pop() {
        waiting.extend(graph.units[unit].dependencies.iter().copied().filter(|&need| under.insert(need)));
    }
    under
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
