//! What a new version of a crate has compiled again.

use std::collections::{BTreeMap, BTreeSet};

use super::{Section, build_graph::by_version, ceilings::arrows};
use crate::unit::{Costs, Package, cone};

/// How much is compiled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Work {
    /// Processor time, in milliseconds.
    pub cpu_ms: u64,
    /// Units, of all cooks together.
    pub units: usize,
    /// Packages.
    pub packages: usize,
}

/// What a new version of a crate comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bump {
    /// The crate's name.
    pub name: String,
    /// The versions that are there, all of which are taken for changed.
    pub versions: Vec<String>,
    /// What is compiled again, the crate itself included.
    pub work: Work,
    /// The packages that are compiled again, by name, each with the way from it to the crate.
    pub reached: Vec<Reached>,
}

/// A package in a cone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reached {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The shortest way from it to the crate: `tokio 1.54.1 → mio 1.1.0 → libc 0.2.177`.
    pub chain: String,
}

/// A crate as it is typed: `libc` for all of its versions, `libc@0.2.177` for one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The name.
    pub name: String,
    /// The version.
    pub version: Option<String>,
}

impl Wanted {
    /// What was typed.
    pub fn new(text: &str) -> Self {
        match text.split_once('@') {
            Some((name, version)) => Self { name: name.to_owned(), version: Some(version.to_owned()) },
            None => Self { name: text.to_owned(), version: None },
        }
    }

    fn is(&self, package: &Package) -> bool {
        package.name == self.name && self.version.as_ref().is_none_or(|version| *version == package.version)
    }
}

/// All that there is. `costs` are those of the sections' units, one for each.
pub fn whole(sections: &[Section], costs: &[Costs]) -> Work {
    let mut packages = BTreeSet::new();
    let mut work = Work::default();
    for (section, costs) in sections.iter().zip(costs) {
        packages.extend(&section.graph.packages);
        work.units += section.graph.units.len() * section.cooks.len();
        work.cpu_ms += costs.total_ms() * section.cooks.len() as u64;
    }
    work.packages = packages.len();
    work
}

/// What a new version of a crate has compiled again; none where the crate is not there.
pub fn bump(sections: &[Section], costs: &[Costs], wanted: &Wanted) -> Option<Bump> {
    let mut versions = BTreeSet::new();
    let mut reached: BTreeMap<&Package, String> = BTreeMap::new();
    let mut work = Work::default();
    for (section, costs) in sections.iter().zip(costs) {
        let graph = &section.graph;
        let times = section.cooks.len();
        versions.extend(graph.packages.iter().filter(|package| wanted.is(package)).map(|package| &package.version));
        let cone = cone(graph, |package| wanted.is(package));
        work.units += cone.units.len() * times;
        let cpu_ms = cone.units.iter().map(|&unit| costs.cpu_ms.get(unit).copied().unwrap_or_default()).sum::<u64>();
        work.cpu_ms += cpu_ms * times as u64;
        for &unit in &cone.units {
            let package = graph.package(&graph.units[unit]);
            if !reached.contains_key(package) {
                // Of a package's units, the one that is nearest to the crate says it best.
                let own = cone.units.iter().filter(|&&other| graph.units[other].package == graph.units[unit].package);
                let shortest = own.map(|&own| cone.chain(own)).min_by_key(Vec::len).unwrap_or_default();
                reached.insert(package, arrows(graph, &shortest));
            }
        }
    }
    if versions.is_empty() {
        return None;
    }
    let mut versions: Vec<String> = versions.into_iter().cloned().collect();
    versions.sort_by(|a, b| by_version(a, b));
    work.packages = reached.len();
    let reached = reached.into_iter().filter(|(package, _)| !wanted.is(package)).map(|(package, chain)| Reached {
        name: package.name.clone(),
        version: package.version.clone(),
        chain,
    });
    Some(Bump { name: wanted.name.clone(), versions, work, reached: reached.collect() })
}

/// Every crate with what a new version of it comes to, the most expensive one first.
pub fn ranked(sections: &[Section], costs: &[Costs]) -> Vec<Bump> {
    let names: BTreeSet<&str> =
        sections.iter().flat_map(|section| &section.graph.packages).map(|package| package.name.as_str()).collect();
    let wanted = names.into_iter().map(|name| Wanted { name: name.to_owned(), version: None });
    let mut bumps: Vec<Bump> = wanted.filter_map(|wanted| bump(sections, costs, &wanted)).collect();
    bumps.sort_by(|a, b| b.work.cmp(&a.work).then_with(|| a.name.cmp(&b.name)));
    bumps
}
