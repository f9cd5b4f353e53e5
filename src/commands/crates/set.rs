//! A cooked set, or a project, in a folder of its own: as cargo needs it to say what it would compile.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::Path;

use tempfile::TempDir;

use crate::cargo::{BuildOptions, Project};
use crate::commands::error::CommandError;
use crate::commands::exit::Exit;
use crate::crates::{BuildGraph, Inputs, Section, joined, normalised};
use crate::model::{CookProfile, Cooked, RelPath};
use crate::snapshot::{Snapshot, cook};
use crate::tree::{self, EntryKind, MAX_TEXT, Tree};
use crate::unit::UnitGraph;

/// A copy of what cargo reads, which may be changed.
pub struct Copy {
    folder: TempDir,
}

/// A cook as it is told to cargo.
#[derive(Clone, Debug)]
pub struct Call {
    /// What a snapshot calls it.
    pub name: String,
    profile: CookProfile,
    options: BuildOptions,
}

impl Copy {
    /// Copies the manifests, the lock and cargo's configuration of a folder, and puts empty files for its sources:
    /// from where they lie cargo takes which targets there are, and nothing is compiled.
    ///
    /// # Errors
    /// When a file can't be read, or the copy not be written.
    pub fn of(tree: &dyn Tree, root: &RelPath) -> Result<Copy, CommandError> {
        let failed = |error: &dyn std::fmt::Display| CommandError::failure("the manifests can't be copied", error);
        let is_content = |path: &str| {
            let name = path.rsplit('/').next().unwrap_or(path);
            Inputs::is_text(path)
                || matches!(path, "rust-toolchain" | "rust-toolchain.toml")
                || matches!(name, "config.toml" | "config") && path.split('/').rev().nth(1) == Some(".cargo")
        };
        let skip = |path: &str, kind: EntryKind| match kind {
            EntryKind::Folder => path.ends_with("target") || path == ".git" || path.ends_with("node_modules"),
            EntryKind::File => !is_content(path) && !path.ends_with(".rs"),
            _ => true,
        };
        let found = tree::walk(tree, root, &skip).map_err(|error| failed(&error))?;
        let folder = tempfile::Builder::new().prefix("lamina-crates-").tempdir().map_err(|error| failed(&error))?;
        for entry in found {
            let path = entry.path.below(root).unwrap_or_default();
            let content = if is_content(path) { tree.read(&entry.path, 32 * MAX_TEXT) } else { Ok(Vec::new()) };
            write(folder.path(), path, &content.map_err(|error| failed(&error))?).map_err(|error| failed(&error))?;
        }
        Ok(Copy { folder })
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// What cargo would compile.
    ///
    /// # Errors
    /// When cargo gives no answer.
    pub fn graph(&self, call: &Call) -> Result<UnitGraph, CommandError> {
        graph(self.path(), call)
    }

    /// The graphs of all cooks.
    ///
    /// # Errors
    /// When cargo gives no answer.
    pub fn sections(&self, calls: &[Call]) -> Result<Vec<Section>, CommandError> {
        let sections = calls.iter().map(|call| Ok(normalised(&call.name, &self.graph(call)?)));
        Ok(joined(sections.collect::<Result<_, CommandError>>()?))
    }
}

/// What cargo would compile of the project in a folder.
///
/// # Errors
/// When cargo gives no answer.
pub fn graph(folder: &Path, call: &Call) -> Result<UnitGraph, CommandError> {
    let mut variables: BTreeMap<OsString, OsString> = std::env::vars_os().collect();
    let screaming = |text: &str| text.to_uppercase().replace('-', "_");
    for (key, value) in &call.profile.settings {
        // Cargo takes any setting of a profile from its environment.
        let name = format!("CARGO_PROFILE_{}_{}", screaming(&call.profile.name), screaming(key));
        variables.insert(name.into(), value.into());
    }
    let project = Project::open_in(folder, variables)?;
    Ok(project.unit_graph(&call.options)?)
}

fn write(folder: &Path, path: &str, content: &[u8]) -> std::io::Result<()> {
    let path = folder.join(path);
    path.parent().map_or(Ok(()), fs::create_dir_all)?;
    fs::write(path, content)
}

/// The cooks of a set.
///
/// # Errors
/// When a call has an argument that is not known here.
pub fn calls(cooked: &Cooked) -> Result<Vec<Call>, CommandError> {
    cooked.cooks().map(|(profile, arguments)| Call::new(profile, arguments)).collect()
}

impl Call {
    /// A call of `cargo build` with these arguments, of which those that decide a graph are understood.
    ///
    /// # Errors
    /// When an argument is not known here.
    pub fn new(profile: &CookProfile, arguments: &[String]) -> Result<Call, CommandError> {
        let mut options = BuildOptions { profile: profile.name.clone(), ..BuildOptions::default() };
        let mut words = arguments.iter().map(String::as_str);
        while let Some(word) = words.next() {
            let (option, value) = word.split_once('=').map_or((word, None), |(option, value)| (option, Some(value)));
            let mut value = || value.or_else(|| words.next()).unwrap_or_default().to_owned();
            match option {
                "--no-default-features" => options.no_default_features = true,
                "--all-features" => options.all_features = true,
                "--features" | "-F" => options.features.push(value()),
                "--package" | "-p" => options.packages.push(value()),
                "--target" => options.target = Some(value()),
                // They change nothing in the graph.
                "--locked" | "--frozen" | "--offline" => {}
                _ => {
                    let message =
                        format!("`{word}` in cooked.calls is no argument that a build graph can be computed with");
                    let known = "--features, --no-default-features, --all-features, --package, --target, --locked";
                    return Err(CommandError::new(Exit::Invalid, message).hint(format!("there are: {known}")));
                }
            }
        }
        Ok(Call { name: cook(&profile.to_string(), arguments), profile: profile.clone(), options })
    }

    /// The same, of a copy whose lock cargo may bring up to date.
    pub fn unlocked(mut self) -> Call {
        self.options.unlocked = true;
        self
    }
}

/// The build graph of a set by cargo.
///
/// # Errors
/// When a file can't be read, or cargo gives no answer.
pub fn build_graph(snapshot: &Snapshot, cooked: &Cooked) -> Result<BuildGraph, CommandError> {
    if (std::env::consts::ARCH, std::env::consts::OS) != ("x86_64", "linux") {
        let message = format!("a build graph for {} can only be computed on such a machine", BuildGraph::HOST);
        return Err(CommandError::new(Exit::Failure, message));
    }
    let inputs = snapshot.cooked_inputs(cooked).map_err(|finding| CommandError::new(Exit::Invalid, finding.message))?;
    let inputs = inputs.digest().map_err(|error| CommandError::new(Exit::Invalid, error.to_string()))?;
    let copy = Copy::of(snapshot.catalog.files.tree(), &cooked.path)?;
    let sections = copy.sections(&calls(cooked)?)?;
    Ok(BuildGraph { inputs, measured: None, sections })
}
