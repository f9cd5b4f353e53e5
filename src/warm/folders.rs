//! Which folder of a target folder holds which unit of a project.
//!
//! cargo says the folders that it would use ([`crate::cargo::oracle`]), by package and kind, but not with which features
//! or for what. The rest follows from its records in the target folder: each names the units that it was made with by
//! their hashes. So a unit whose folder is certain settles those below it.

use std::collections::BTreeMap;
use std::path::Path;

use super::files::{Record, record};
use super::place::Place;
use crate::cargo::Verdict;
use crate::unit::{Kind, Unit, UnitGraph};

/// What a unit's folder may be.
struct Candidate<'a> {
    folder: &'a str,
    record: Record,
}

/// The folders of a project's units, as far as they are certain and compiled; `verdicts` is what cargo says of any
/// target folder.
pub fn folders(graph: &UnitGraph, verdicts: &[Verdict], target: &Path) -> Vec<Option<String>> {
    let mut by_area: BTreeMap<(&str, &str), Vec<&Verdict>> = BTreeMap::new();
    for verdict in verdicts {
        let name = verdict.folder.rsplit_once('-').map_or("", |(name, _)| name);
        by_area.entry((&verdict.area, name)).or_default().push(verdict);
    }
    let mut candidates: Vec<Vec<Candidate<'_>>> = graph
        .units
        .iter()
        .map(|unit| {
            let package = graph.package(unit);
            let area = area(graph, unit);
            let known = by_area.get(&(area.as_str(), package.name.as_str())).map(Vec::as_slice).unwrap_or_default();
            let of_kind = known
                .iter()
                .filter(|verdict| verdict.version == package.version && verdict.file.starts_with(prefix(unit.kind)));
            let candidate = |verdict: &&&'_ Verdict| {
                let place: Place = format!("{}/{}", verdict.area, verdict.folder).parse().ok()?;
                let record = record(&place.within(target, ".fingerprint")).ok()?;
                let features = record.features.as_ref().is_none_or(|features| *features == unit.features);
                (features || unit.kind == Kind::BuildScriptRun).then_some((place, record))
            };
            let of_kind: Vec<_> = of_kind.filter_map(|verdict| Some((verdict, candidate(&verdict)?))).collect();
            of_kind.into_iter().map(|(verdict, (_, record))| Candidate { folder: &verdict.folder, record }).collect()
        })
        .collect();
    settle(graph, &mut candidates);
    candidates
        .into_iter()
        .map(|candidates| match &candidates[..] {
            [only] => Some(only.folder.to_owned()),
            _ => None,
        })
        .collect()
}

/// Leaves those that fit their neighbours, until nothing changes.
fn settle(graph: &UnitGraph, candidates: &mut [Vec<Candidate<'_>>]) {
    loop {
        let before: usize = candidates.iter().map(Vec::len).sum();
        for (at, unit) in graph.units.iter().enumerate() {
            // A unit was made with one of each below it.
            let below: Vec<Vec<u64>> = unit
                .dependencies
                .iter()
                .map(|&below| candidates[below].iter().map(|candidate| candidate.record.hash).collect())
                .collect();
            let fits = |record: &Record| {
                below
                    .iter()
                    .all(|hashes| hashes.is_empty() || hashes.iter().any(|hash| record.dependencies.contains(hash)))
            };
            if candidates[at].len() > 1 {
                candidates[at].retain(|candidate| fits(&candidate.record));
            }
            if let [only] = &candidates[at][..] {
                let made_with = only.record.dependencies.clone();
                for &below in &unit.dependencies {
                    candidates[below].retain(|candidate| made_with.contains(&candidate.record.hash));
                }
            }
        }
        if candidates.iter().map(Vec::len).sum::<usize>() == before {
            return;
        }
    }
}

/// The folder below the target folder that a unit's files go to: `release`, `wasm32-unknown-unknown/debug`.
pub fn area(graph: &UnitGraph, unit: &Unit) -> String {
    let triple = unit.platform.iter().map(|platform| format!("{}/", super::place::triple(platform)));
    triple.chain([graph.profile(unit).folder.clone()]).collect()
}

/// How cargo's file for a unit of a kind begins.
fn prefix(kind: Kind) -> &'static str {
    match kind {
        Kind::Lib | Kind::ProcMacro => "lib-",
        Kind::BuildScript => "build-script-",
        Kind::BuildScriptRun => "run-build-script-",
        Kind::Bin => "",
        Kind::Check => "check-",
    }
}
