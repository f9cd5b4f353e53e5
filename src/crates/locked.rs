//! A graph from a Cargo.lock alone: packages in place of units, so no more than an approximation.

use std::collections::BTreeMap;

use cargo_lock::Lockfile;

use super::normal::{TARGET, profile, target};
use crate::unit::{Kind, Package, Unit, UnitGraph};

/// A Cargo.lock that can't be read, in cargo's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the Cargo.lock can't be read: {0}")]
pub struct LockError(pub String);

/// The graph of a lock: each package is one unit, with all dependencies that it could have on any machine, with any
/// feature. Its cones are never smaller than the truth. Its roots are the packages in folders.
///
/// # Errors
/// When it is no Cargo.lock.
pub fn of_lock(text: &str) -> Result<UnitGraph, LockError> {
    let error = |error: String| LockError(error.lines().next().unwrap_or_default().to_owned());
    let lock: Lockfile = text.parse().map_err(|cause: cargo_lock::Error| error(cause.to_string()))?;
    let mut entries: Vec<(Package, &cargo_lock::Package)> = lock
        .packages
        .iter()
        .map(|entry| (package(&entry.name, &entry.version, entry.source.as_ref()), entry))
        .collect();
    entries.sort_by(|(a, _), (b, _)| a.cmp(b));
    entries.dedup_by(|(a, _), (b, _)| a == b);
    let places: BTreeMap<Package, usize> =
        entries.iter().enumerate().map(|(place, (package, _))| (package.clone(), place)).collect();
    let mut graph = UnitGraph { profiles: vec![profile(TARGET)], ..UnitGraph::default() };
    for (place, (package, entry)) in entries.iter().enumerate() {
        let needs = entry.dependencies.iter().filter_map(|need| {
            let wanted = self::package(&need.name, &need.version, need.source.as_ref());
            places.get(&wanted).copied().filter(|need| *need != place)
        });
        let mut dependencies: Vec<usize> = needs.collect();
        dependencies.sort_unstable();
        dependencies.dedup();
        if package.source.is_none() {
            graph.roots.push(place);
        }
        graph.units.push(Unit {
            package: place,
            kind: Kind::Lib,
            target: target(package, Kind::Lib),
            crate_types: Vec::new(),
            platform: None,
            features: Vec::new(),
            profile: 0,
            dependencies,
            output: None,
        });
    }
    graph.packages = entries.into_iter().map(|(package, _)| package).collect();
    Ok(graph)
}

fn package(name: &cargo_lock::Name, version: &cargo_lock::Version, source: Option<&cargo_lock::SourceId>) -> Package {
    Package { name: name.to_string(), version: version.to_string(), source: source.map(ToString::to_string) }
}
