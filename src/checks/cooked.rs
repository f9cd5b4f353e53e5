//! Cooked dependency sets: a Cargo.toml and the Cargo.lock that cargo made for it.

use std::collections::{BTreeMap, BTreeSet};

use cargo_lock::Lockfile;
use serde::Deserialize;

use crate::catalog::LoadedLayer;
use crate::diag::{Code, Diagnostic};
use crate::model::{Class, RelPath};
use crate::snapshot::{Snapshot, at_field};
use crate::tree::TextFile;

#[derive(Deserialize)]
struct Manifest {
    package: Option<Package>,
    #[serde(default)]
    dependencies: BTreeMap<String, Dependency>,
    #[serde(default, rename = "build-dependencies")]
    build_dependencies: BTreeMap<String, Dependency>,
    #[serde(default, rename = "dev-dependencies")]
    dev_dependencies: BTreeMap<String, Dependency>,
    #[serde(default)]
    target: BTreeMap<String, Target>,
}

#[derive(Deserialize)]
struct Package {
    name: toml::Spanned<String>,
}

#[derive(Deserialize)]
struct Target {
    #[serde(default)]
    dependencies: BTreeMap<String, Dependency>,
    #[serde(default, rename = "build-dependencies")]
    build_dependencies: BTreeMap<String, Dependency>,
    #[serde(default, rename = "dev-dependencies")]
    dev_dependencies: BTreeMap<String, Dependency>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Dependency {
    Version(String),
    Table { version: Option<String>, package: Option<String> },
}

pub(super) fn check(snapshot: &Snapshot) -> Vec<Diagnostic> {
    snapshot.layers().flat_map(|loaded| check_layer(snapshot, loaded)).collect()
}

fn check_layer(snapshot: &Snapshot, loaded: &LoadedLayer) -> Vec<Diagnostic> {
    let layer = &loaded.layer;
    let Some(cooked) = &layer.cooked else {
        if layer.class == Class::Toolchain {
            return Vec::new();
        }
        let message = format!("{} is a {} layer without a cooked dependency set", layer.name, layer.class);
        let finding = at_field(loaded, Code::Cooked, "class", message);
        return vec![finding.help("add `cooked = {}` and a Cargo.toml with its Cargo.lock in the layer's folder")];
    };
    let manifest_path = cooked.path.join("Cargo.toml").unwrap_or_default();
    let lock_path = cooked.path.join("Cargo.lock").unwrap_or_default();
    let mut findings = Vec::new();
    let mut read = |path: &RelPath, help: &str| match snapshot.catalog.files.text(path) {
        Ok(Some(file)) => Some(file),
        Ok(None) => {
            let message = format!("{path} does not exist");
            findings.push(at_field(loaded, Code::Cooked, "cooked", message).help(help));
            None
        }
        Err(finding) => {
            findings.push(finding.layer(layer.name.as_str()));
            None
        }
    };
    let manifest = read(&manifest_path, "write the dependency set as a package without code");
    let lock = read(&lock_path, "run `cargo generate-lockfile` in that folder, and commit the file");
    if let (Some(manifest), Some(lock)) = (manifest, lock) {
        let found = compare(&manifest_path, &manifest, &lock_path, &lock);
        findings.extend(found.into_iter().map(|finding| finding.layer(layer.name.as_str())));
    }
    findings
}

fn compare(manifest_path: &RelPath, manifest: &TextFile, lock_path: &RelPath, lock: &TextFile) -> Vec<Diagnostic> {
    let parsed: Manifest = match toml::from_str(&manifest.text) {
        Ok(parsed) => parsed,
        Err(error) => {
            let finding = Diagnostic::new(Code::Cooked, error.message().trim().to_owned());
            return vec![finding.label(manifest_path.as_str(), error.span().unwrap_or(0..0), "")];
        }
    };
    let locked: Lockfile = match lock.text.parse() {
        Ok(locked) => locked,
        Err(error) => {
            let error = error.to_string();
            let message = format!("{lock_path} can't be read: {}", error.lines().next().unwrap_or_default());
            let help = "run `cargo generate-lockfile` in that folder";
            return vec![Diagnostic::new(Code::CargoLock, message).file(lock_path.as_str()).help(help)];
        }
    };
    let mut findings = Vec::new();
    if let Some(package) = &parsed.package {
        let name = package.name.get_ref();
        if !locked.packages.iter().any(|locked| locked.name.as_str() == name && locked.source.is_none()) {
            let message = format!("{lock_path} does not hold the package `{name}` itself");
            let finding = Diagnostic::new(Code::CargoLock, message);
            let help = "run `cargo generate-lockfile` in that folder";
            findings.push(finding.label(manifest_path.as_str(), package.name.span(), "").help(help));
        }
    }
    let sets = [&parsed.dependencies, &parsed.build_dependencies, &parsed.dev_dependencies];
    let of_targets = parsed.target.values();
    let of_targets =
        of_targets.flat_map(|target| [&target.dependencies, &target.build_dependencies, &target.dev_dependencies]);
    let mut declared = BTreeSet::new();
    for (key, dependency) in sets.into_iter().chain(of_targets).flatten() {
        let (version, package) = match dependency {
            Dependency::Version(version) => (Some(version), key),
            Dependency::Table { version, package } => (version.as_ref(), package.as_ref().unwrap_or(key)),
        };
        declared.insert(package.as_str());
        let requirement = version.and_then(|version| semver::VersionReq::parse(version).ok());
        let versions: Vec<_> = locked.packages.iter().filter(|locked| locked.name.as_str() == package).collect();
        let fits = |locked: &&cargo_lock::Package| {
            requirement.as_ref().is_none_or(|requirement| requirement.matches(&locked.version))
        };
        if versions.iter().any(fits) {
            continue;
        }
        let asked = version.map(|version| format!(" {version}")).unwrap_or_default();
        let message = match &versions[..] {
            [] => format!("{lock_path} has no `{package}`"),
            [locked, ..] => format!("{lock_path} has `{package}` {}, the manifest asks for{asked}", locked.version),
        };
        let finding = Diagnostic::new(Code::CargoLock, message).file(lock_path.as_str());
        findings.push(finding.help(format!("run `cargo update {package}` in that folder")));
    }
    let name = parsed.package.as_ref().map(|package| package.name.get_ref().as_str()).unwrap_or_default();
    let own = locked.packages.iter().filter(|locked| locked.name.as_str() == name && locked.source.is_none());
    for gone in own.flat_map(|own| &own.dependencies).filter(|known| !declared.contains(known.name.as_str())) {
        let message = format!("{lock_path} has `{}` for `{name}`, which the manifest does not ask for", gone.name);
        let finding = Diagnostic::new(Code::CargoLock, message).file(lock_path.as_str());
        findings.push(finding.help("run `cargo update --workspace` in that folder"));
    }
    findings
}
