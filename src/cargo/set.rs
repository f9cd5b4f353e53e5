//! A project's dependencies as a package of their own, without its code: what a layer for the project cooks.

use std::collections::{BTreeMap, BTreeSet};

use semver::{Version, VersionReq};
use toml::{Table, Value};

use super::Project;
use crate::unit::{Kind, UnitGraph};

/// What a project depends on directly: name and version, with the features that are on.
type Direct = BTreeMap<(String, String), BTreeSet<String>>;

impl Project {
    /// The Cargo.toml of a package that depends on what the packages of the workspace depend on, with the same features
    /// and profiles. Where cargo's plan is known, the features are those that cargo resolved, and optional dependencies
    /// are there where they are on; else all is as it was declared, without what is optional.
    pub fn dependency_set(&self, name: &str, graph: Option<&UnitGraph>) -> String {
        let is_first = self.has_first_resolver();
        let mut text =
            format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2021\"\npublish = false\n");
        if is_first {
            text.push_str("resolver = \"1\"\n");
        }
        let kinds = [
            ("dependencies", &[Kind::Lib, Kind::Bin, Kind::ProcMacro][..]),
            ("build-dependencies", &[Kind::BuildScript]),
        ];
        for (table, kinds) in kinds {
            let direct = graph.map(|graph| direct(graph, kinds));
            let lines = self.declared(table, direct.as_ref());
            if !lines.is_empty() {
                text.push_str(&format!("\n[{table}]\n"));
                lines.iter().for_each(|(key, line)| text.push_str(&format!("{key} = {line}\n")));
            }
        }
        // The first resolver turns on features that tests alone ask for, whatever is built.
        let lines = if is_first { self.declared("dev-dependencies", None) } else { BTreeMap::new() };
        if !lines.is_empty() {
            text.push_str("\n# Not compiled, but their features count: the project has the resolver of 2018.\n");
            text.push_str("[dev-dependencies]\n");
            lines.iter().for_each(|(key, line)| text.push_str(&format!("{key} = {line}\n")));
        }
        if let Some(profiles) = self.manifest.get("profile").and_then(Value::as_table).filter(|table| !table.is_empty())
        {
            text.push_str("\n# As in the project: with another profile nothing is reused.\n[profile]\n");
            profiles.iter().for_each(|(name, profile)| text.push_str(&format!("{name} = {profile}\n")));
        }
        text
    }

    /// Whether cargo resolves features as before 2021: that is said, or follows from the edition of the root's package.
    /// Of later resolvers, all resolve them in the same way. See
    /// <https://doc.rust-lang.org/cargo/reference/resolver.html#resolver-versions>.
    fn has_first_resolver(&self) -> bool {
        let table = |name: &str| self.manifest.get(name).and_then(Value::as_table);
        let text = |table: Option<&Table>, key: &str| table?.get(key)?.as_str().map(str::to_owned);
        if let Some(said) = ["workspace", "package"].into_iter().find_map(|name| text(table(name), "resolver")) {
            return said == "1";
        }
        let inherited = || text(table("workspace")?.get("package")?.as_table(), "edition");
        let edition = text(table("package"), "edition").or_else(inherited);
        edition.is_none_or(|edition| matches!(&*edition, "2015" | "2018"))
    }

    /// Whether any package of the workspace has dependencies of a build script.
    pub fn has_build_dependencies(&self, graph: Option<&UnitGraph>) -> bool {
        let direct = graph.map(|graph| direct(graph, &[Kind::BuildScript]));
        !self.declared("build-dependencies", direct.as_ref()).is_empty()
    }

    /// The dependencies of all packages by their keys; of two with the same key the first one counts, with the features
    /// of both.
    fn declared(&self, table: &str, direct: Option<&Direct>) -> BTreeMap<String, String> {
        let own: BTreeSet<&str> = self.members.iter().map(|member| member.name.as_str()).collect();
        let workspace = self.manifest.get("workspace").and_then(|workspace| workspace.get("dependencies"));
        let mut merged: BTreeMap<String, Table> = BTreeMap::new();
        for member in &self.members {
            let targets = member.manifest.get("target").and_then(Value::as_table).into_iter().flatten();
            let targets = targets.filter_map(|(_, target)| target.get(table));
            let tables = member.manifest.get(table).into_iter().chain(targets).filter_map(Value::as_table);
            for (key, entry) in tables.flatten() {
                let entry = inherited(entry, workspace.and_then(|workspace| workspace.get(key)));
                let package = entry.get("package").and_then(Value::as_str).unwrap_or(key);
                if entry.contains_key("path") || own.contains(package) {
                    continue;
                }
                let entry = match direct {
                    Some(direct) => resolved(key, entry, direct),
                    None => (entry.get("optional").and_then(Value::as_bool) != Some(true)).then_some(entry),
                };
                let Some(mut entry) = entry else { continue };
                entry.remove("optional");
                let features = features(&entry);
                let known = merged.entry(key.clone()).or_insert(entry);
                let mut all = self::features(known);
                all.extend(features);
                if !all.is_empty() {
                    known.insert("features".to_owned(), Value::Array(all.into_iter().map(Value::String).collect()));
                }
            }
        }
        merged.into_iter().map(|(key, entry)| (key, Value::Table(entry).to_string())).collect()
    }
}

/// An entry as a table, with what the workspace says of it.
fn inherited(entry: &Value, workspace: Option<&Value>) -> Table {
    let table = |value: &Value| match value {
        Value::String(version) => Table::from_iter([("version".to_owned(), Value::String(version.clone()))]),
        Value::Table(table) => table.clone(),
        _ => Table::new(),
    };
    let mut own = table(entry);
    if own.remove("workspace").and_then(|inherits| inherits.as_bool()) != Some(true) {
        return own;
    }
    let mut whole = workspace.map(table).unwrap_or_default();
    let mut all = features(&whole);
    all.extend(features(&own));
    own.remove("features");
    whole.extend(own);
    if !all.is_empty() {
        whole.insert("features".to_owned(), Value::Array(all.into_iter().map(Value::String).collect()));
    }
    whole
}

fn features(entry: &Table) -> BTreeSet<String> {
    let list = entry.get("features").and_then(Value::as_array).into_iter().flatten();
    list.filter_map(|feature| Some(feature.as_str()?.to_owned())).collect()
}

/// An entry with the features that cargo resolved; nothing where it is not compiled.
fn resolved(key: &str, mut entry: Table, direct: &Direct) -> Option<Table> {
    let package = entry.get("package").and_then(Value::as_str).unwrap_or(key).to_owned();
    let requirement = entry.get("version").and_then(Value::as_str).and_then(|text| VersionReq::parse(text).ok());
    let fits = |version: &str| match (&requirement, Version::parse(version)) {
        (Some(requirement), Ok(version)) => requirement.matches(&version),
        _ => true,
    };
    let found = direct.iter().filter(|((name, version), _)| *name == package && fits(version));
    let found: Vec<&BTreeSet<String>> = found.map(|(_, features)| features).collect();
    let features: BTreeSet<&String> =
        found.first()?.iter().chain(found.iter().skip(1).flat_map(|more| more.iter())).collect();
    entry.insert("default-features".to_owned(), Value::Boolean(false));
    let features = features.into_iter().map(|feature| Value::String(feature.clone())).collect();
    entry.insert("features".to_owned(), Value::Array(features));
    Some(entry)
}

/// What the workspace's own units of some kinds depend on.
fn direct(graph: &UnitGraph, kinds: &[Kind]) -> Direct {
    let mut direct = Direct::new();
    let own = graph.units.iter().filter(|unit| !graph.is_shareable(unit) && kinds.contains(&unit.kind));
    for unit in own.flat_map(|unit| &unit.dependencies).map(|&place| &graph.units[place]) {
        if graph.is_shareable(unit) && matches!(unit.kind, Kind::Lib | Kind::ProcMacro) {
            let package = graph.package(unit);
            let features = direct.entry((package.name.clone(), package.version.clone())).or_default();
            features.extend(unit.features.iter().cloned());
        }
    }
    direct
}
