//! What units cost: as measured where the very unit was cooked, else as the units of that package were elsewhere, else
//! what a unit costs as a rule.

use std::collections::{BTreeMap, HashMap};

use crate::unit::{Index, Key, Kind, UNKNOWN_MS, Unit, UnitGraph};

/// The costs of units and packages, in milliseconds of processor time.
#[derive(Debug, Default)]
pub struct Costs<'a> {
    units: HashMap<Key, u64>,
    /// By name and version: the most that any layer measured, so that no layer saves more than the whole.
    packages: HashMap<(&'a str, &'a str), u64>,
    /// By name: the median of its versions.
    names: BTreeMap<&'a str, u64>,
}

impl<'a> Costs<'a> {
    /// What these layers measured.
    pub fn of<'i>(layers: impl IntoIterator<Item = &'i Index<'a>>, with_units: bool) -> Self
    where
        'a: 'i,
    {
        let mut costs = Self::default();
        for index in layers {
            for unit in index.units.iter().filter(|_| with_units) {
                if let Some(cpu_ms) = unit.cpu_ms {
                    let known = costs.units.entry(unit.key).or_default();
                    *known = cpu_ms.max(*known);
                }
            }
            for held in &index.packages {
                let known = costs.packages.entry((held.name, held.version)).or_default();
                *known = held.cpu_ms.max(*known);
            }
        }
        let mut names: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
        for (&(name, _), &cpu_ms) in &costs.packages {
            names.entry(name).or_default().push(cpu_ms);
        }
        costs.names = names.into_iter().map(|(name, all)| (name, median(all))).collect();
        costs
    }

    /// What a package's units cost together.
    pub fn package(&self, name: &str, version: &str) -> u64 {
        let known = self.packages.get(&(name, version)).or_else(|| self.names.get(name));
        known.copied().unwrap_or(UNKNOWN_MS)
    }

    /// What each unit of a project costs. A package's figure is that of its library, where nothing better is known: its
    /// build script is small against it.
    pub fn units(&self, graph: &UnitGraph, keys: &[Key]) -> Vec<u64> {
        let cost = |(unit, key): (&Unit, &Key)| {
            let of_name = || match unit.kind {
                Kind::Lib | Kind::ProcMacro => self.names.get(graph.package(unit).name.as_str()).copied(),
                _ => None,
            };
            self.units.get(key).copied().or_else(of_name).unwrap_or(UNKNOWN_MS)
        };
        graph.units.iter().zip(keys).map(cost).collect()
    }
}

fn median(mut all: Vec<u64>) -> u64 {
    all.sort_unstable();
    all.get(all.len() / 2).copied().unwrap_or_default()
}
