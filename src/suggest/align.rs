//! Which crates of a project to move to a layer's versions.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::bound::Packages;
use super::held::HeldPackages;

/// A crate that could be moved.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Move {
    /// The crate.
    pub name: String,
    /// Its version in the project's lock.
    pub from: String,
    /// The layer's.
    pub to: String,
}

/// The crates that a project has in another version than the layers, of the same line of versions as semver has them
/// (`1.2` and `1.7`, `0.3.1` and `0.3.9`), the dearest first. Whether those who depend on them allow it, cargo knows.
pub fn moves(project: &Packages<'_>, layers: &[&HeldPackages<'_>], most: usize) -> Vec<Move> {
    let mut held: BTreeMap<(&str, Line), (semver::Version, &str, u64)> = BTreeMap::new();
    for (&(name, version), &cpu_ms) in layers.iter().flat_map(|layer| layer.iter()) {
        let Ok(parsed) = semver::Version::parse(version) else { continue };
        let known = held.entry((name, line(&parsed))).or_insert_with(|| (parsed.clone(), version, cpu_ms));
        // Of several the newest, as cargo would choose.
        if known.0 < parsed {
            *known = (parsed, version, cpu_ms);
        }
    }
    let mut moves = Vec::new();
    for &(name, version) in project {
        let Ok(parsed) = semver::Version::parse(version) else { continue };
        let Some((_, to, cpu_ms)) = held.get(&(name, line(&parsed))) else { continue };
        if *to != version && !layers.iter().any(|layer| layer.contains_key(&(name, version))) {
            let moved = Move { name: name.to_owned(), from: version.to_owned(), to: (*to).to_owned() };
            moves.push((Reverse(*cpu_ms), moved));
        }
    }
    moves.sort();
    moves.into_iter().take(most).map(|(_, moved)| moved).collect()
}

/// The numbers that a caret requirement holds fast.
type Line = (u64, u64, u64);

fn line(version: &semver::Version) -> Line {
    match (version.major, version.minor) {
        (0, 0) => (0, 0, version.patch),
        (0, minor) => (0, minor, 0),
        (major, _) => (major, 0, 0),
    }
}
