//! cargo's configuration: `.cargo/config.toml` in a folder and all above it, and in CARGO_HOME.
//!
//! Merged by cargo's rules (<https://doc.rust-lang.org/cargo/reference/config.html>): the nearer file wins, lists are
//! joined with the nearer one's part last. Variables of the environment are asked by [`Config::value`]'s callers.

use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::ProjectError;
use super::project::read_toml;

/// How deep files may include each other.
const MAX_DEPTH: usize = 8;

/// All configuration that counts for a folder.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// The files, the nearest first.
    pub files: Vec<PathBuf>,
    /// What they say together.
    pub table: Table,
}

/// Reads the files that count for a folder.
pub(super) fn read(folder: &Path, home: Option<&Path>) -> Result<Config, ProjectError> {
    // cargo reads a home on the way upwards only once.
    read_all(folder.ancestors().map(|folder| folder.join(".cargo")).chain(home.map(Path::to_owned)))
}

/// Reads the files that count for a folder, up to one above it.
pub(super) fn read_within(folder: &Path, root: &Path) -> Result<Config, ProjectError> {
    let inside = folder.ancestors().take_while(|folder| folder.starts_with(root));
    read_all(inside.map(|folder| folder.join(".cargo")))
}

fn read_all(folders: impl Iterator<Item = PathBuf>) -> Result<Config, ProjectError> {
    let mut config = Config::default();
    for folder in folders {
        // The form without an ending is older, and wins where both are.
        let file = ["config", "config.toml"].map(|name| folder.join(name)).into_iter().find(|path| path.is_file());
        if let Some(file) = file.filter(|file| !config.files.contains(file)) {
            let table = load(&file, MAX_DEPTH)?;
            merge(&mut config.table, table);
            config.files.push(file);
        }
    }
    Ok(config)
}

/// One file, with those that it includes.
fn load(path: &Path, depth: usize) -> Result<Table, ProjectError> {
    let mut table = read_toml(path)?;
    let folder = path.parent().unwrap_or(Path::new("/"));
    // Programs with a slash lie relative to the folder that `.cargo` is in.
    let base = folder.parent().unwrap_or(Path::new("/"));
    let targets = table.get_mut("target").and_then(Value::as_table_mut);
    for (_, target) in targets.into_iter().flat_map(|targets| targets.iter_mut()) {
        if let Some(Value::String(linker)) = target.get_mut("linker")
            && linker.contains('/')
        {
            *linker = base.join(linker.as_str()).to_string_lossy().into_owned();
        }
    }
    for included in table.remove("include").iter().flat_map(included) {
        if depth > 0 && folder.join(included).is_file() {
            let below = load(&folder.join(included), depth - 1)?;
            merge(&mut table, below);
        }
    }
    Ok(table)
}

/// `include = "file"`, a list of these, or of tables with a `path`.
fn included(value: &Value) -> Vec<&str> {
    match value {
        Value::String(path) => vec![path],
        Value::Array(list) => list.iter().flat_map(included).collect(),
        table => table.get("path").and_then(Value::as_str).into_iter().collect(),
    }
}

/// Adds what a farther file says.
fn merge(near: &mut Table, far: Table) {
    for (key, value) in far {
        match (near.get_mut(&key), value) {
            (None, value) => {
                near.insert(key, value);
            }
            (Some(Value::Table(near)), Value::Table(far)) => merge(near, far),
            (Some(Value::Array(near)), Value::Array(mut far)) => {
                far.append(near);
                *near = far;
            }
            _ => {}
        }
    }
}

impl Config {
    /// What stands at a place: `["build", "target"]`.
    pub fn value(&self, keys: &[&str]) -> Option<&Value> {
        let (first, rest) = keys.split_first()?;
        rest.iter().try_fold(self.table.get(*first)?, |value, key| value.get(*key))
    }

    /// A text at a place.
    pub fn text(&self, keys: &[&str]) -> Option<&str> {
        self.value(keys)?.as_str()
    }

    /// A list of words at a place, which may be written as one text.
    pub fn words(&self, keys: &[&str]) -> Option<Vec<String>> {
        match self.value(keys)? {
            Value::String(text) => Some(text.split_whitespace().map(str::to_owned).collect()),
            Value::Array(list) => Some(list.iter().filter_map(|word| Some(word.as_str()?.to_owned())).collect()),
            _ => None,
        }
    }
}
