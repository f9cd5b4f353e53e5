//! A project that something is suggested to: what its files say, what cargo would compile, what it is compiled in.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use super::super::error::CommandError;
use super::BuildArgs;
use crate::cargo::{Project, ProjectError, Targets};
use crate::suggest::{EXTENSIONS, LibraryNeed, Packages, Traits, libraries};
use crate::unit::{Environment, UnitGraph};

/// The entries of a project that are looked at for files of a sort, at most; and how deep folders may lie.
const MOST_ENTRIES: usize = 100_000;
const DEEPEST: usize = 16;

/// A project.
pub struct Subject {
    /// The folder, as it was named.
    pub folder: PathBuf,
    /// What stands in its files.
    pub project: Project,
    /// Its name.
    pub name: String,
    /// The packages of its lock that others can have compiled: name and version.
    packages: BTreeSet<(String, String)>,
    /// What it shows of itself besides.
    pub traits: Traits,
    /// What cargo plans by here, and would not in a container: files, each with a key.
    outside: Vec<(PathBuf, &'static str)>,
}

impl Subject {
    /// Opens a project. Outside of `here`, what this machine's environment and files above the workspace say of flags and
    /// profiles does not count: it is not there in a container.
    ///
    /// # Errors
    /// When it is none, or can't be read.
    pub fn open(folder: &Path, args: &BuildArgs) -> Result<Self, CommandError> {
        let failed = |error| CommandError::project(folder, error);
        let variables = std::env::vars_os().filter(|(name, _)| args.here || reaches_containers(name));
        let project = Project::open_in(folder, variables.collect()).map_err(failed)?;
        let outside = if args.here { Vec::new() } else { project.outside() };
        let project = if args.here { project } else { project.contained().map_err(failed)? };
        let of_lock = project.lock.packages.iter().filter(|package| package.source.is_some());
        let packages = of_lock.map(|package| (package.name.to_string(), package.version.to_string())).collect();
        let own = project.members.iter().find(|member| member.folder == project.root);
        let name = own.map(|member| member.name.clone());
        let name = name.or_else(|| Some(project.root.file_name()?.to_string_lossy().into_owned()));
        let traits = traits(&project, args.cargo.target.as_deref());
        Ok(Self { folder: folder.to_owned(), name: name.unwrap_or_default(), packages, traits, project, outside })
    }

    /// The packages of its lock that others can have compiled.
    pub fn packages(&self) -> Packages<'_> {
        self.packages.iter().map(|(name, version)| (name.as_str(), version.as_str())).collect()
    }

    /// The C libraries that its crates link, as far as the crates are on this machine; else as their names say.
    pub fn libraries(&self) -> Vec<LibraryNeed> {
        let mut links = BTreeMap::new();
        let sources = self.project.cargo_home().map(|home| home.join("registry/src"));
        let registries = sources.and_then(|sources| fs::read_dir(sources).ok()).into_iter().flatten();
        let registries: Vec<PathBuf> = registries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        for (name, version) in self.packages.iter().filter(|(name, _)| name.ends_with("-sys")) {
            let manifests = registries.iter().map(|registry| registry.join(format!("{name}-{version}/Cargo.toml")));
            let declared = manifests.filter_map(|path| fs::read_to_string(path).ok()).find_map(|text| {
                let table = text.parse::<toml::Table>().ok()?;
                Some(table.get("package")?.get("links")?.as_str()?.to_owned())
            });
            links.extend(declared.map(|library| ((name.clone(), version.clone()), library)));
        }
        libraries(&self.packages(), &links)
    }

    /// What cargo would compile.
    ///
    /// # Errors
    /// When cargo can't be asked, or has no answer.
    pub fn unit_graph(&self, args: &BuildArgs) -> Result<UnitGraph, ProjectError> {
        self.project.unit_graph(&args.cargo.options())
    }

    /// The environment of a build on this machine.
    ///
    /// # Errors
    /// When rustc can't be asked.
    pub fn environment<'v>(
        &self,
        args: &BuildArgs,
        watched: impl IntoIterator<Item = &'v str>,
    ) -> Result<Environment, ProjectError> {
        self.project.environment(args.cargo.target.as_deref(), watched)
    }

    /// The environment of a build in a container of a layer.
    pub fn inside(&self, args: &BuildArgs, layer: &Environment, targets: &mut Targets) -> Environment {
        self.project.inside(layer, args.cargo.target.as_deref(), targets)
    }

    /// What is said of configuration that cargo planned by and that no container has.
    pub fn outside(&self) -> impl Iterator<Item = String> {
        let remark = |(file, key): &(PathBuf, &str)| {
            let file = file.display();
            format!("{file} sets `{key}`: cargo plans by it on this machine, and would not in a container of a layer")
        };
        self.outside.iter().map(remark)
    }

    /// What is said where the lock alone was read: that settings of the project may make reuse impossible.
    pub fn own_profile(&self, profile: &str) -> Option<String> {
        let keys = self.project.profile_keys(profile);
        let keys: Vec<String> = keys.iter().map(|key| format!("{} = {}", key.key, key.value)).collect();
        (!keys.is_empty()).then(|| {
            format!(
                "the profile {profile} of {} sets {}: what a layer cooked with other settings is not reused",
                self.name,
                keys.join(", ")
            )
        })
    }
}

/// Whether a variable of this machine has its like in a container: not what flags, profiles and targets are set by.
fn reaches_containers(name: &OsString) -> bool {
    let name = name.to_string_lossy();
    let flags = ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "RUSTC", "RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER"];
    let starts = ["CARGO_BUILD_", "CARGO_PROFILE_", "CARGO_TARGET_", "CARGO_ENCODED_"];
    !flags.contains(&&*name) && !starts.iter().any(|start| name.starts_with(start))
}

fn traits(project: &Project, target: Option<&str>) -> Traits {
    let is_cdylib = |manifest: &toml::Table| {
        let kinds = manifest.get("lib").and_then(|lib| lib.get("crate-type")).and_then(toml::Value::as_array);
        kinds.is_some_and(|kinds| kinds.iter().any(|kind| kind.as_str() == Some("cdylib")))
    };
    let cdylibs = project.members.iter().filter(|member| is_cdylib(&member.manifest));
    let configured = project.config.words(&["build", "target"]).unwrap_or_default();
    let of_toolchain = project.toolchain.iter().flat_map(|toolchain| toolchain.targets.clone());
    let metadata = |table: &toml::Table, level: &str| {
        table
            .get(level)
            .and_then(|table| table.get("metadata"))
            .is_some_and(|metadata| metadata.get("leptos").is_some())
    };
    let leptos = project.members.iter().find(|member| metadata(&member.manifest, "package"));
    let leptos = leptos.map(|member| member.name.clone());
    let leptos = leptos.or_else(|| metadata(&project.manifest, "workspace").then(|| "the workspace".to_owned()));
    Traits {
        cdylibs: cdylibs.map(|member| member.name.clone()).collect(),
        targets: configured.into_iter().chain(of_toolchain).chain(target.map(str::to_owned)).collect(),
        leptos,
        files: files(&project.root),
    }
}

/// The files that a program is needed for, by their extensions. What is not the project's own is passed over: target
/// folders, and folders with a dot.
fn files(root: &Path) -> BTreeMap<&'static str, (usize, String)> {
    let mut found: BTreeMap<&'static str, (usize, String)> = BTreeMap::new();
    let mut folders = vec![(root.to_owned(), 0)];
    let mut left = MOST_ENTRIES;
    while let Some((folder, depth)) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        let mut entries: Vec<_> = entries.filter_map(Result::ok).take(left).collect();
        left -= entries.len();
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let (Ok(kind), name) = (entry.file_type(), entry.file_name()) else { continue };
            let name = name.to_string_lossy();
            if kind.is_dir() {
                let own = !name.starts_with('.') && name != "target" && name != "node_modules";
                folders.extend((own && depth < DEEPEST).then(|| (entry.path(), depth + 1)));
            } else if kind.is_file() {
                let extension = EXTENSIONS.iter().find(|(extension, _)| name.ends_with(&format!(".{extension}")));
                if let Some((extension, _)) = extension {
                    let path = entry.path();
                    let path = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
                    let (number, first) = found.entry(extension).or_insert_with(|| (0, path.clone()));
                    *number += 1;
                    // The order of folders is that of the disk.
                    *first = path.min(std::mem::take(first));
                }
            }
        }
    }
    found
}
