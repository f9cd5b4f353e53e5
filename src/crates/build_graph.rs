//! A build-graph snapshot: which units cargo compiles for a cooked set, without anything that differs by machine.

use std::collections::{BTreeMap, BTreeSet};

use crate::unit::{Manifest, Package, UnitGraph};

/// The build graph of a cooked set, as it is committed beside its lock in [`BuildGraph::FILE`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BuildGraph {
    /// What it was computed from: the digest that [`super::Inputs`] makes, in hexadecimal digits.
    pub inputs: String,
    /// What compiling it took, where a unit manifest said so when it was written.
    pub measured: Option<Measured>,
    /// The graphs, in the order of the cooks.
    pub sections: Vec<Section>,
}

/// What a unit manifest says of the same units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measured {
    /// Processor time of all compilation, in milliseconds.
    pub cpu_ms: u64,
    /// The bytes of all that was compiled.
    pub bytes: u64,
}

/// The graph that one or more cooks have in common.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Section {
    /// The cooks: a profile, and the arguments that cargo is given besides, separated by spaces.
    pub cooks: Vec<String>,
    /// The units without those of the set itself; in order, and without outputs. Its roots are the units that the
    /// set itself needs.
    pub graph: UnitGraph,
    /// The units that came since the ceilings last held.
    pub new_units: BTreeSet<usize>,
    /// The dependencies, from and to, that came since the ceilings last held.
    pub new_edges: BTreeSet<(usize, usize)>,
}

/// How large a build graph is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Packages that are compiled.
    pub packages: usize,
    /// Units of all cooks together.
    pub units: usize,
    /// Packages of which there is another version: of each name, all but one.
    pub duplicates: usize,
}

/// A name with more than one version.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Duplicate {
    /// The packages' name.
    pub name: String,
    /// Their versions, in order.
    pub versions: Vec<String>,
}

impl BuildGraph {
    /// The file's name, in the folder of the Cargo.lock.
    pub const FILE: &str = "units.snap";
    /// The host that it is computed for.
    pub const HOST: &str = "x86_64-unknown-linux-gnu";

    /// How large it is.
    pub fn counts(&self) -> Counts {
        Counts {
            packages: self.packages().len(),
            units: self.sections.iter().map(|section| section.graph.units.len() * section.cooks.len()).sum(),
            duplicates: self.duplicates().iter().map(|duplicate| duplicate.versions.len() - 1).sum(),
        }
    }

    /// The packages of all sections.
    pub fn packages(&self) -> BTreeSet<&Package> {
        self.sections.iter().flat_map(|section| &section.graph.packages).collect()
    }

    /// The names with more than one version.
    pub fn duplicates(&self) -> Vec<Duplicate> {
        let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for package in self.packages() {
            versions.entry(&package.name).or_default().push(&package.version);
        }
        let several = versions.into_iter().filter(|(_, versions)| versions.len() > 1);
        several
            .map(|(name, mut versions)| {
                versions.sort_by(|a, b| by_version(a, b));
                Duplicate { name: name.to_owned(), versions: versions.into_iter().map(str::to_owned).collect() }
            })
            .collect()
    }

    /// Whether both say the same of the set; what came since the ceilings last held and what was measured is no part
    /// of that.
    pub fn is_same(&self, other: &BuildGraph) -> bool {
        let sections = |graph: &BuildGraph| -> Vec<(Vec<String>, UnitGraph)> {
            graph.sections.iter().map(|section| (section.cooks.clone(), section.graph.clone())).collect()
        };
        self.inputs == other.inputs && sections(self) == sections(other)
    }

    /// Marks what is new against an older snapshot of the set: what that one has not, and what was new in it already.
    /// A unit of another version is not new, as long as there are not more versions than before.
    pub fn mark_since(&mut self, old: &BuildGraph) {
        for section in &mut self.sections {
            let is_same = |before: &&Section| before.cooks.iter().any(|cook| section.cooks.contains(cook));
            match old.sections.iter().find(is_same) {
                Some(before) => section.mark_since(before),
                None => section.new_units = (0..section.graph.units.len()).collect(),
            }
        }
    }

    /// Forgets what is new.
    pub fn clear_marks(&mut self) {
        for section in &mut self.sections {
            section.new_units.clear();
            section.new_edges.clear();
        }
    }
}

impl Section {
    fn mark_since(&mut self, old: &Section) {
        let before = self.paired(old);
        let is_new = |unit: &usize| before[*unit].is_none_or(|was| old.new_units.contains(&was));
        self.new_units = (0..before.len()).filter(is_new).collect();
        let mut edges = BTreeSet::new();
        for (from, unit) in self.graph.units.iter().enumerate().filter(|(from, _)| !self.new_units.contains(from)) {
            let Some(was) = before[from] else { continue };
            let had =
                |to: usize| old.graph.units[was].dependencies.contains(&to) && !old.new_edges.contains(&(was, to));
            let fresh = unit.dependencies.iter().filter(|&&to| !before[to].is_some_and(had));
            edges.extend(fresh.map(|&to| (from, to)));
        }
        self.new_edges = edges;
    }

    /// For each unit the one that it was: of the same package, kind and place; of the same version if there is such
    /// a one, and else of any version that is not there any more.
    fn paired(&self, old: &Section) -> Vec<Option<usize>> {
        let name = |section: &Section, unit: usize| {
            let unit = &section.graph.units[unit];
            let place = super::normal::place(&section.graph, unit).to_owned();
            (section.graph.package(unit).name.clone(), unit.kind, place)
        };
        let version =
            |section: &Section, unit: usize| section.graph.package(&section.graph.units[unit]).version.clone();
        let mut left: BTreeMap<_, Vec<usize>> = BTreeMap::new();
        for unit in 0..old.graph.units.len() {
            left.entry(name(old, unit)).or_default().push(unit);
        }
        let mut pairs = vec![None; self.graph.units.len()];
        for exactly in [true, false] {
            for (unit, pair) in pairs.iter_mut().enumerate().filter(|(_, pair)| pair.is_none()) {
                let Some(candidates) = left.get_mut(&name(self, unit)) else { continue };
                let fits = |&was: &usize| !exactly || version(old, was) == version(self, unit);
                *pair = candidates.iter().position(fits).map(|at| candidates.remove(at));
            }
        }
        pairs
    }
}

/// Orders versions by precedence, and what is none by its letters.
pub(super) fn by_version(a: &str, b: &str) -> std::cmp::Ordering {
    match (semver::Version::parse(a), semver::Version::parse(b)) {
        (Ok(a), Ok(b)) => a.cmp(&b),
        _ => a.cmp(b),
    }
}

/// What a manifest measured of a build graph; none unless it is of the very same units, and all were measured.
/// `sections` are the manifest's graphs, normalised.
pub fn measured(graph: &BuildGraph, sections: &[Section], manifest: &Manifest) -> Option<Measured> {
    let same = graph.sections.len() == sections.len()
        && graph.sections.iter().zip(sections).all(|(own, other)| own.cooks == other.cooks && own.graph == other.graph);
    let outputs = manifest.cooks.iter().flat_map(|cook| &cook.graph.units).filter_map(|unit| unit.output.as_ref());
    let mut measured = Measured { cpu_ms: 0, bytes: 0 };
    for output in outputs {
        measured.cpu_ms += output.cpu_ms?;
        measured.bytes += output.bytes;
    }
    same.then_some(measured)
}
