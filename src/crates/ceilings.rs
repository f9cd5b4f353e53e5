//! Ceilings of a cooked set: which are broken, and by what.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::normal::{HOST, TARGET};
use super::{BuildGraph, Second, Section};
use crate::model::Ceilings;
use crate::unit::{UnitGraph, cone};

/// How many causes are told of one ceiling.
const MAX_CAUSES: usize = 5;

/// A ceiling that is broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    /// The field of `cooked.ceilings`: `packages`, `cone.libc`.
    pub field: String,
    /// What is counted: `packages compiled`.
    pub what: String,
    /// What it is.
    pub is: u64,
    /// What it may be.
    pub ceiling: u64,
    /// What broke it, each with the way to it from what the set asks for.
    pub causes: Vec<String>,
    /// How many more there are.
    pub more: usize,
    /// Whether nothing is new that could have broken it: it was lowered, or measured anew.
    pub is_lowered: bool,
}

/// What is new in a snapshot against the time when the ceilings last held.
struct News<'a> {
    graph: &'a BuildGraph,
}

/// The ceilings that a snapshot breaks. `second` is what is compiled although the layer below has it.
pub fn breaches(graph: &BuildGraph, ceilings: &Ceilings, second: &[Second]) -> Vec<Breach> {
    let counts = graph.counts();
    let news = News { graph };
    let mut found = Vec::new();
    let mut hold = |field: &str, what: &str, is: u64, ceiling: Option<u64>, causes: &dyn Fn() -> Vec<String>| {
        if let Some(ceiling) = ceiling.filter(|ceiling| is > *ceiling) {
            let mut causes = causes();
            let is_lowered = causes.is_empty() || !news.is_any();
            let more = causes.len().saturating_sub(MAX_CAUSES);
            causes.truncate(MAX_CAUSES);
            found.push(Breach {
                field: field.to_owned(),
                what: what.to_owned(),
                is,
                ceiling,
                causes,
                more,
                is_lowered,
            });
        }
    };
    let new_packages = || news.packages();
    hold("packages", "packages compiled", counts.packages as u64, ceilings.packages, &new_packages);
    hold("units", "units compiled", counts.units as u64, ceilings.units, &|| news.units());
    let duplicates = || news.duplicates();
    hold(
        "duplicates",
        "packages with another version beside them",
        counts.duplicates as u64,
        ceilings.duplicates,
        &duplicates,
    );
    let again = || second.iter().filter(|second| second.why.is_own()).map(Second::sentence).collect();
    hold("second_time", "units compiled a second time", second.len() as u64, ceilings.second_time, &again);
    if let Some(measured) = graph.measured {
        let seconds = measured.cpu_ms.div_ceil(1000);
        hold("cpu_s", "seconds of processor time", seconds, ceilings.cpu_s, &new_packages);
        hold("bytes", "bytes of all that is compiled", measured.bytes, ceilings.bytes, &new_packages);
    }
    for (name, ceiling) in &ceilings.cone {
        let is = graph.cone_units(name) as u64;
        hold(&format!("cone.{name}"), &format!("units that a new {name} compiles again"), is, Some(*ceiling), &|| {
            news.cone(name)
        });
    }
    found
}

impl BuildGraph {
    /// How many units a new version of a crate has compiled again, in all cooks together; its own are among them.
    pub fn cone_units(&self, name: &str) -> usize {
        let of =
            |section: &Section| cone(&section.graph, |package| package.name == name).units.len() * section.cooks.len();
        self.sections.iter().map(of).sum()
    }
}

impl News<'_> {
    /// Whether anything is new.
    fn is_any(&self) -> bool {
        self.graph.sections.iter().any(|section| !section.new_units.is_empty() || !section.new_edges.is_empty())
    }

    /// New packages that something old depends on, or the set itself: all others came with these.
    fn packages(&self) -> Vec<String> {
        self.entries(|section, unit| {
            let package = section.graph.units[unit].package;
            let mut old = (0..section.graph.units.len()).filter(|unit| !section.new_units.contains(unit));
            !old.any(|unit| section.graph.units[unit].package == package)
        })
    }

    /// New units that something old depends on, or the set itself.
    fn units(&self) -> Vec<String> {
        self.entries(|_, _| true)
    }

    fn entries(&self, wanted: impl Fn(&Section, usize) -> bool) -> Vec<String> {
        let mut found = BTreeSet::new();
        for section in &self.graph.sections {
            let graph = &section.graph;
            let dependents = graph.dependents();
            for &unit in &section.new_units {
                let is_new = |above: &usize| section.new_units.contains(above);
                let is_entry = graph.roots.contains(&unit) || dependents[unit].iter().any(|above| !is_new(above));
                let inside =
                    dependents[unit].iter().any(|&above| graph.units[above].package == graph.units[unit].package);
                if is_entry && !inside && wanted(section, unit) {
                    found.insert(format!("new: {}", way(graph, &dependents, unit)));
                }
            }
        }
        found.into_iter().collect()
    }

    /// Names with more than one version, of which one is new; all of them where none is.
    fn duplicates(&self) -> Vec<String> {
        let all = self.graph.duplicates();
        let mut found = Vec::new();
        for duplicate in &all {
            for section in &self.graph.sections {
                let graph = &section.graph;
                let is_it = |unit: &&usize| graph.package(&graph.units[**unit]).name == duplicate.name;
                if let Some(&unit) = section.new_units.iter().find(is_it) {
                    let versions = duplicate.versions.join(", ");
                    found.push(format!(
                        "{} {versions}; new: {}",
                        duplicate.name,
                        way(graph, &graph.dependents(), unit)
                    ));
                    break;
                }
            }
        }
        if found.is_empty() {
            found = all.iter().map(|one| format!("{} {}", one.name, one.versions.join(", "))).collect();
        }
        found
    }

    /// The new dependencies by which units came into the cone of a crate.
    fn cone(&self, name: &str) -> Vec<String> {
        let mut found = BTreeSet::new();
        for section in &self.graph.sections {
            let now = cone(&section.graph, |package| package.name == name);
            let mut before = section.graph.clone();
            for (from, unit) in before.units.iter_mut().enumerate() {
                let is_old = |to: &usize| !section.new_edges.contains(&(from, *to)) && !section.new_units.contains(to);
                unit.dependencies.retain(is_old);
            }
            let was = cone(&before, |package| package.name == name);
            for &unit in now.units.iter().filter(|&&unit| !was.holds(unit) || section.new_units.contains(&unit)) {
                let chain = now.chain(unit);
                match chain.get(1) {
                    // A new version of the crate itself.
                    None => {
                        found.insert(format!("new: {}", way(&section.graph, &section.graph.dependents(), unit)));
                    }
                    // Only the first one on its way; those above came with it.
                    Some(below) if was.holds(*below) && !section.new_units.contains(below) => {
                        found.insert(format!("new: {}", arrows(&section.graph, &chain)));
                    }
                    Some(_) => {}
                }
            }
        }
        found.into_iter().collect()
    }
}

/// The shortest way to a unit from one that the set itself asks for.
fn way(graph: &UnitGraph, dependents: &[Vec<usize>], unit: usize) -> String {
    let mut from: BTreeMap<usize, usize> = BTreeMap::from([(unit, unit)]);
    let mut waiting = VecDeque::from([unit]);
    while let Some(at) = waiting.pop_front() {
        if graph.roots.contains(&at) {
            let mut chain = vec![at];
            let mut next = at;
            while next != unit {
                next = from[&next];
                chain.push(next);
            }
            return arrows(graph, &chain);
        }
        for &above in &dependents[at] {
            if let std::collections::btree_map::Entry::Vacant(entry) = from.entry(above) {
                entry.insert(at);
                waiting.push_back(above);
            }
        }
    }
    arrows(graph, &[unit])
}

/// A chain of units by their packages, each once.
pub fn arrows(graph: &UnitGraph, chain: &[usize]) -> String {
    let mut names: Vec<String> = Vec::new();
    for &unit in chain {
        let package = graph.package(&graph.units[unit]);
        let name = format!("{} {}", package.name, package.version);
        if names.last() != Some(&name) {
            names.push(name);
        }
    }
    names.join(" → ")
}

impl Second {
    /// Why it is compiled again, in a line.
    pub fn sentence(&self) -> String {
        use super::Difference;
        let Self { package, place, .. } = self;
        let unit = format!("{} {} ({} for {place})", package.name, package.version, super::text::kind(self.kind));
        match &self.why {
            Difference::Version(version) => format!("{unit}: the layer below has {version}"),
            Difference::Place { .. } => {
                let where_ = match place.as_str() {
                    HOST => "for the target alone",
                    TARGET => "for the host alone",
                    _ => "for other targets alone",
                };
                format!("{unit}: the layer below has it {where_}")
            }
            Difference::Features { missing, extra } => {
                let list = |what: &str, features: &[String]| match features {
                    [] => String::new(),
                    features => format!(" {what} {}", features.join(", ")),
                };
                format!("{unit}: the layer below has it{}{}", list("without", missing), list("with", extra))
            }
            Difference::Below => format!("{unit}: something that it depends on differs"),
        }
    }
}
