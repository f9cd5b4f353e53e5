//! The workspace that a folder belongs to, and its packages.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use super::ProjectError;
use super::project::read_toml;

/// The packages that are read of a workspace at most.
const MAX_MEMBERS: usize = 10_000;

/// A package of a workspace.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    /// Its folder.
    pub folder: PathBuf,
    /// Its name.
    pub name: String,
    /// Its Cargo.toml.
    pub manifest: toml::Table,
}

/// The root of the workspace that a folder is in, with its Cargo.toml. A package that no workspace has is its own.
pub(super) fn root(folder: &Path) -> Result<(PathBuf, toml::Table), ProjectError> {
    let package = folder.ancestors().find(|folder| folder.join("Cargo.toml").is_file());
    let package = package.ok_or_else(|| ProjectError::NoManifest(folder.to_owned()))?;
    let manifest = read_toml(&package.join("Cargo.toml"))?;
    if manifest.contains_key("workspace") {
        return Ok((package.to_owned(), manifest));
    }
    // A package may say where its root is.
    if let Some(root) = text(&manifest, &["package", "workspace"]) {
        let root = plain(&package.join(root));
        let manifest = read_toml(&root.join("Cargo.toml"))?;
        return Ok((root, manifest));
    }
    for above in package.ancestors().skip(1) {
        let path = above.join("Cargo.toml");
        if !path.is_file() {
            continue;
        }
        let found = read_toml(&path)?;
        if found.contains_key("workspace") && !excludes(&found, above, package) {
            return Ok((above.to_owned(), found));
        }
    }
    Ok((package.to_owned(), manifest))
}

/// Whether a workspace leaves a folder out.
fn excludes(manifest: &toml::Table, root: &Path, folder: &Path) -> bool {
    list(manifest, &["workspace", "exclude"]).iter().any(|excluded| folder.starts_with(plain(&root.join(excluded))))
}

/// The packages of a workspace: the root's own, those of `members`, and those that these name by `path` below the root.
pub(super) fn members(root: &Path, manifest: &toml::Table) -> Result<Vec<Member>, ProjectError> {
    let mut waiting: BTreeSet<PathBuf> = BTreeSet::from([root.to_owned()]);
    for pattern in list(manifest, &["workspace", "members"]) {
        let pattern = format!("{}/{pattern}", glob::Pattern::escape(&root.to_string_lossy()));
        let malformed = |message: String| ProjectError::Malformed { path: root.join("Cargo.toml"), message };
        let found = glob::glob(&pattern).map_err(|error| malformed(format!("workspace.members: {error}")))?;
        let found = found.filter_map(Result::ok).filter(|folder| folder.join("Cargo.toml").is_file());
        waiting.extend(found.take(MAX_MEMBERS).map(|folder| plain(&folder)));
    }
    let mut members = BTreeMap::new();
    while let Some(folder) = waiting.pop_first() {
        let own;
        let content = match folder == root {
            true => manifest,
            false => {
                own = read_toml(&folder.join("Cargo.toml"))?;
                &own
            }
        };
        for path in paths(content) {
            let below = plain(&folder.join(path));
            if below.starts_with(root) && !members.contains_key(&below) && below.join("Cargo.toml").is_file() {
                waiting.insert(below);
            }
        }
        let name = text(content, &["package", "name"]).map(str::to_owned);
        let member = name.map(|name| Member { folder: folder.clone(), name, manifest: content.clone() });
        members.insert(folder, member);
        if members.len() > MAX_MEMBERS {
            break;
        }
    }
    let members = members.into_values().flatten();
    Ok(members.filter(|member| member.folder == root || !excludes(manifest, root, &member.folder)).collect())
}

/// The folders outside of a workspace in which packages lie that its own depend on.
pub(super) fn outside(root: &Path, members: &[Member]) -> BTreeSet<PathBuf> {
    let named = members
        .iter()
        .flat_map(|member| paths(&member.manifest).into_iter().map(|path| plain(&member.folder.join(path))));
    named.filter(|folder| !folder.starts_with(root)).collect()
}

/// The folders that dependencies are in.
fn paths(manifest: &toml::Table) -> Vec<String> {
    let targets = manifest.get("target").and_then(toml::Value::as_table).into_iter().flatten();
    let tables = targets.filter_map(|(_, target)| target.as_table()).chain([manifest]);
    let kinds = ["dependencies", "dev-dependencies", "build-dependencies"];
    let dependencies = tables.flat_map(|table| kinds.iter().filter_map(|kind| table.get(*kind)?.as_table()));
    let entries = dependencies.flat_map(toml::Table::values);
    entries.filter_map(|entry| Some(entry.get("path")?.as_str()?.to_owned())).collect()
}

/// A path without `.` and `..`, whatever is a link on it: as cargo sees paths.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                plain.pop();
            }
            part => plain.push(part),
        }
    }
    plain
}

fn text<'a>(table: &'a toml::Table, keys: &[&str; 2]) -> Option<&'a str> {
    table.get(keys[0])?.get(keys[1])?.as_str()
}

fn list(table: &toml::Table, keys: &[&str; 2]) -> Vec<String> {
    let list = table.get(keys[0]).and_then(|inner| inner.get(keys[1])).and_then(toml::Value::as_array);
    list.into_iter().flatten().filter_map(|entry| entry.as_str().map(str::to_owned)).collect()
}
