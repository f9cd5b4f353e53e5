//! Cargo's `--unit-graph`, version 1, as a [`UnitGraph`].
//!
//! The form is cargo's own and unstable; fields that are not known are passed over, another version is refused. See
//! <https://doc.rust-lang.org/cargo/reference/unstable.html#unit-graph>.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Kind, Package, Profile, Unit, UnitGraph};

/// Why a unit graph can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GraphError {
    /// It is none.
    #[error("it is no unit graph of cargo's: {0}")]
    Malformed(String),
    /// Another version of the form.
    #[error("it has version {0}, this lamina reads version 1")]
    Version(u64),
    /// More than anybody would read, in bytes.
    #[error("it has {0} bytes, more than {max} are not read", max = UnitGraph::MAX_BYTES)]
    TooLarge(usize),
    /// A mode that makes nothing anybody could reuse, as `doc`.
    #[error("it has a unit of mode `{0}`, which is not known here")]
    Mode(String),
    /// A package id in a form that is not known.
    #[error("`{0}` is no package id of cargo's")]
    PackageId(String),
}

#[derive(Deserialize)]
struct RawGraph {
    units: Vec<RawUnit>,
    roots: Vec<usize>,
}

#[derive(Deserialize)]
struct RawUnit {
    pkg_id: String,
    target: RawTarget,
    profile: Map<String, Value>,
    platform: Option<String>,
    mode: String,
    features: Vec<String>,
    dependencies: Vec<RawDependency>,
}

#[derive(Deserialize)]
struct RawTarget {
    kind: Vec<String>,
    crate_types: Vec<String>,
    name: String,
}

#[derive(Deserialize)]
struct RawDependency {
    index: usize,
}

impl UnitGraph {
    /// The largest graph that is read, in bytes.
    pub const MAX_BYTES: usize = 128 << 20;

    /// Reads what `cargo build --unit-graph -Zunstable-options` writes.
    ///
    /// A git package's id has no commit in it: `source` is `git+URL?branch=main` at first, and [`UnitGraph::pin`]
    /// completes it from the lock, for two commits of a branch are not the same.
    ///
    /// # Errors
    /// When it is something else, too large, or contradicts itself.
    pub fn parse(bytes: &[u8]) -> Result<UnitGraph, GraphError> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u64,
        }
        if bytes.len() > Self::MAX_BYTES {
            return Err(GraphError::TooLarge(bytes.len()));
        }
        let malformed = |error: serde_json::Error| GraphError::Malformed(error.to_string());
        let Versioned { version } = serde_json::from_slice(bytes).map_err(malformed)?;
        if version != 1 {
            return Err(GraphError::Version(version));
        }
        let raw: RawGraph = serde_json::from_slice(bytes).map_err(malformed)?;

        let mut parts = Vec::with_capacity(raw.units.len());
        for unit in &raw.units {
            parts.push((package(&unit.pkg_id)?, profile(&unit.profile)?, kind(unit)?));
        }
        let packages = places(parts.iter().map(|(package, _, _)| package));
        let profiles = places(parts.iter().map(|(_, profile, _)| profile));
        let units = raw.units.into_iter().zip(&parts).map(|(unit, (package, profile, kind))| Unit {
            package: packages[package],
            kind: *kind,
            target: unit.target.name.replace('-', "_"),
            // A test is a program, whatever its target is otherwise.
            crate_types: match *kind == Kind::Bin {
                true => vec!["bin".to_owned()],
                false => unit.target.crate_types,
            },
            platform: unit.platform,
            features: unit.features,
            profile: profiles[profile],
            dependencies: unit.dependencies.iter().map(|dependency| dependency.index).collect(),
            output: None,
        });
        let units = units.collect();
        let graph = UnitGraph { packages: list(&packages), profiles: list(&profiles), units, roots: raw.roots };
        graph.check().map_err(GraphError::Malformed)?;
        Ok(graph)
    }

    /// Completes the sources of git packages: `commit` is asked with each, and gives the source as the lock has it,
    /// `git+URL?branch=main#COMMIT`.
    pub fn pin(&mut self, commit: impl Fn(&Package) -> Option<String>) {
        for package in &mut self.packages {
            if package.source.as_deref().is_some_and(|source| source.starts_with("git+") && !source.contains('#')) {
                package.source = commit(package).or(package.source.take());
            }
        }
    }
}

/// The places of things in the sorted list of them.
fn places<'a, T: Ord + 'a>(things: impl Iterator<Item = &'a T>) -> BTreeMap<&'a T, usize> {
    let mut places: BTreeMap<&T, usize> = things.map(|thing| (thing, 0)).collect();
    for (place, number) in places.values_mut().zip(0..) {
        *place = number;
    }
    places
}

fn list<T: Clone>(places: &BTreeMap<&T, usize>) -> Vec<T> {
    places.keys().map(|&thing| thing.clone()).collect()
}

fn kind(unit: &RawUnit) -> Result<Kind, GraphError> {
    let is = |kind: &str| unit.target.kind.iter().any(|known| known == kind);
    Ok(match unit.mode.as_str() {
        "run-custom-build" => Kind::BuildScriptRun,
        "check" => Kind::Check,
        // A library's documentation is compiled as programs, when its tests run.
        "test" | "doctest" => Kind::Bin,
        "build" if is("custom-build") => Kind::BuildScript,
        "build" if is("proc-macro") => Kind::ProcMacro,
        "build" if ["bin", "test", "bench"].into_iter().any(is) => Kind::Bin,
        "build" if is("example") && unit.target.crate_types.iter().any(|kind| kind == "bin") => Kind::Bin,
        "build" => Kind::Lib,
        mode => return Err(GraphError::Mode(mode.to_owned())),
    })
}

fn profile(raw: &Map<String, Value>) -> Result<Profile, GraphError> {
    let name = raw.get("name").and_then(Value::as_str);
    let name = name.ok_or_else(|| GraphError::Malformed("a profile has no name".to_owned()))?;
    let settings = raw.iter().filter(|(key, _)| !matches!(key.as_str(), "name" | "incremental"));
    let settings = settings.map(|(key, value)| {
        // Whether it was stated or follows from `debug` is not hashed.
        let stated = ["resolved", "deferred"].into_iter().find_map(|form| value.get(form));
        (key.clone(), stated.unwrap_or(value).to_string())
    });
    Ok(Profile { folder: folder(name).to_owned(), settings: settings.collect() })
}

/// The folder of a profile: the built-in ones share two.
pub fn folder(profile: &str) -> &str {
    match profile {
        "dev" | "test" => "debug",
        "release" | "bench" => "release",
        own => own,
    }
}

/// A package by its id: `registry+URL#name@version`, `git+URL?branch=main#version`, `path+file:///folder#version`; up
/// to cargo 1.76 also `name version (source)`.
fn package(id: &str) -> Result<Package, GraphError> {
    let unknown = || GraphError::PackageId(id.to_owned());
    let (source, name, version) = match id.strip_suffix(')').and_then(|id| id.split_once(" (")) {
        Some((package, source)) => {
            let (name, version) = package.split_once(' ').ok_or_else(unknown)?;
            (source, name, version)
        }
        None => {
            let (source, fragment) = id.rsplit_once('#').ok_or_else(unknown)?;
            let (name, version) = fragment.split_once('@').unwrap_or_else(|| (last_part(source), fragment));
            (source, name, version)
        }
    };
    if name.is_empty() || version.is_empty() {
        return Err(unknown());
    }
    let source = match source.split_once('+').ok_or_else(unknown)?.0 {
        "path" => None,
        _ => Some(source.to_owned()),
    };
    Ok(Package { name: name.to_owned(), version: version.to_owned(), source })
}

/// The last part of a URL's path, which is left out as a name where it is the same.
fn last_part(source: &str) -> &str {
    let path = source.split_once('?').map_or(source, |(path, _)| path).trim_end_matches('/');
    let last = path.rsplit_once('/').map_or(path, |(_, last)| last);
    last.strip_suffix(".git").unwrap_or(last)
}
