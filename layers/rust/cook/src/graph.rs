//! Cargo's `--unit-graph`, version 1.
//!
//! lamina reads the same graph of projects in its `unit::UnitGraph::parse`; both must make the same of it. See
//! <https://doc.rust-lang.org/cargo/reference/unstable.html#unit-graph>.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::manifest::{Kind, Package, Profile, Unit, UnitGraph};

/// A graph, with what is needed to find its units in a target folder.
#[derive(Debug)]
pub struct Planned {
    pub graph: UnitGraph,
    /// For each unit, what cargo calls its fingerprint's file: `lib-serde`, `run-build-script-build-script-build`.
    pub stems: Vec<String>,
    /// For each unit, the names by which it knows its dependencies, in their order. `None` for a program, which no
    /// fingerprint has among its dependencies.
    pub names: Vec<Vec<Option<String>>>,
}

#[derive(Deserialize)]
struct RawGraph {
    version: u64,
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
    extern_crate_name: String,
}

impl RawTarget {
    fn is(&self, kind: &str) -> bool {
        self.kind.iter().any(|known| known == kind)
    }
}

impl Planned {
    /// Reads what `cargo build --unit-graph` writes. `lock` is the project's Cargo.lock: it knows the commits of git
    /// packages.
    pub fn parse(bytes: &[u8], lock: &str) -> Result<Planned, String> {
        let raw: RawGraph = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        if raw.version != 1 {
            return Err(format!("it has version {}, this program reads 1", raw.version));
        }
        let mut parts = Vec::with_capacity(raw.units.len());
        for unit in &raw.units {
            parts.push((pinned(package(&unit.pkg_id)?, lock), profile(&unit.profile)?, kind(unit)?));
        }
        let packages = places(parts.iter().map(|(package, _, _)| package));
        let profiles = places(parts.iter().map(|(_, profile, _)| profile));
        let units = raw.units.iter().zip(&parts).map(|(unit, (package, profile, kind))| Unit {
            package: packages[package],
            kind: *kind,
            target: unit.target.name.replace('-', "_"),
            // A test is a program, whatever its target is otherwise.
            crate_types: match *kind == Kind::Bin {
                true => vec!["bin".to_owned()],
                false => unit.target.crate_types.clone(),
            },
            platform: unit.platform.clone(),
            features: unit.features.clone(),
            profile: profiles[profile],
            dependencies: unit.dependencies.iter().map(|dependency| dependency.index).collect(),
            output: None,
        });
        let units = units.collect();
        let graph = UnitGraph { packages: list(&packages), profiles: list(&profiles), units, roots: raw.roots };
        graph.check()?;
        let name = |dependency: &RawDependency| {
            (!raw.units[dependency.index].target.is("bin")).then(|| dependency.extern_crate_name.clone())
        };
        let names = raw.units.iter().map(|unit| unit.dependencies.iter().map(name).collect()).collect();
        Ok(Planned { graph, stems: raw.units.iter().map(stem).collect(), names })
    }
}

/// The name of a fingerprint's file, as cargo's `fingerprint_file_path` makes it.
fn stem(unit: &RawUnit) -> String {
    let flavor = match unit.mode.as_str() {
        "test" => "test-",
        "run-custom-build" => "run-",
        _ => "",
    };
    let descriptions = [
        ("custom-build", "build-script"),
        ("bin", "bin"),
        ("test", "integration-test"),
        ("bench", "bench"),
        ("example", "example"),
    ];
    let kind = descriptions.into_iter().find(|(kind, _)| unit.target.is(kind)).map_or("lib", |(_, text)| text);
    format!("{flavor}{kind}-{}", unit.target.name)
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

fn kind(unit: &RawUnit) -> Result<Kind, String> {
    let target = &unit.target;
    Ok(match unit.mode.as_str() {
        "run-custom-build" => Kind::BuildScriptRun,
        "test" => Kind::Bin,
        "build" if target.is("custom-build") => Kind::BuildScript,
        "build" if target.is("proc-macro") => Kind::ProcMacro,
        "build" if ["bin", "test", "bench"].into_iter().any(|kind| target.is(kind)) => Kind::Bin,
        "build" if target.is("example") && target.crate_types.iter().any(|kind| kind == "bin") => Kind::Bin,
        "build" => Kind::Lib,
        mode => return Err(format!("it has a unit of mode `{mode}`, which is not known here")),
    })
}

fn profile(raw: &Map<String, Value>) -> Result<Profile, String> {
    let name = raw.get("name").and_then(Value::as_str).ok_or("a profile has no name")?;
    let settings = raw.iter().filter(|(key, _)| !matches!(key.as_str(), "name" | "incremental"));
    let settings = settings.map(|(key, value)| {
        // Whether it was stated or follows from `debug` is not hashed.
        let stated = ["resolved", "deferred"].into_iter().find_map(|form| value.get(form));
        (key.clone(), stated.unwrap_or(value).to_string())
    });
    let folder = match name {
        "dev" | "test" => "debug",
        "release" | "bench" => "release",
        own => own,
    };
    Ok(Profile { folder: folder.to_owned(), settings: settings.collect() })
}

/// A package by its id: `registry+URL#name@version`, `git+URL?branch=main#version`, `path+file:///folder#version`.
fn package(id: &str) -> Result<Package, String> {
    let unknown = || format!("`{id}` is no package id of cargo's");
    let (source, fragment) = id.rsplit_once('#').ok_or_else(unknown)?;
    let (name, version) = fragment.split_once('@').unwrap_or_else(|| (last_part(source), fragment));
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

/// A git package with its commit, which its id does not have.
///
/// Cargo writes the lock itself, one value to a line: <https://doc.rust-lang.org/cargo/reference/resolver.html>.
fn pinned(mut package: Package, lock: &str) -> Package {
    let Some(source) = package.source.as_deref().filter(|source| source.starts_with("git+") && !source.contains('#'))
    else {
        return package;
    };
    let value = |block: &str, key: &str| {
        let line = block.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = \""));
        line.and_then(|line| line.strip_suffix('"')).map(str::to_owned)
    };
    let commit = lock.split("[[package]]").find_map(|block| {
        let same = value(block, "name").as_ref() == Some(&package.name)
            && value(block, "version").as_ref() == Some(&package.version);
        value(block, "source").filter(|locked| same && locked.split('#').next() == Some(source))
    });
    package.source = commit.or(package.source);
    package
}
