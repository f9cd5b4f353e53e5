//! A project: what stands in its files.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use cargo_lock::Lockfile;

use super::ProjectError;
use super::config::{self, Config};
use super::toolchain::{self, Toolchain};
use super::workspace::{self, Member};

/// The largest file of a project that is read, in bytes.
const MAX_BYTES: u64 = 32 << 20;

/// A Cargo workspace, or a package that is one of its own.
#[derive(Clone, Debug)]
pub struct Project {
    /// The folder that it was opened by, in which cargo runs.
    pub folder: PathBuf,
    /// The folder of the workspace's Cargo.toml and Cargo.lock.
    pub root: PathBuf,
    /// The Cargo.toml of the root.
    pub manifest: toml::Table,
    /// The packages of the workspace, by their folders.
    pub members: Vec<Member>,
    /// Its Cargo.lock.
    pub lock: Lockfile,
    /// Its toolchain file.
    pub toolchain: Option<Toolchain>,
    /// cargo's configuration, of all files that count for the folder.
    pub config: Config,
    /// The environment that cargo runs in.
    pub(super) variables: BTreeMap<OsString, OsString>,
}

impl Project {
    /// Opens the project that a folder belongs to, in the environment of this process.
    ///
    /// # Errors
    /// When there is no Cargo.toml or Cargo.lock, or a file can't be read or understood.
    pub fn open(folder: &Path) -> Result<Project, ProjectError> {
        Self::open_in(folder, std::env::vars_os().collect())
    }

    /// As [`Project::open`], in another environment.
    ///
    /// # Errors
    /// As those of [`Project::open`].
    pub fn open_in(folder: &Path, variables: BTreeMap<OsString, OsString>) -> Result<Project, ProjectError> {
        let unreadable = |source| ProjectError::Unreadable { path: folder.to_owned(), source };
        let folder = folder.canonicalize().map_err(unreadable)?;
        let (root, manifest) = workspace::root(&folder)?;
        let members = workspace::members(&root, &manifest)?;
        let path = root.join("Cargo.lock");
        if !path.exists() {
            return Err(ProjectError::NoLock(root));
        }
        let lock = read(&path)?.parse::<Lockfile>();
        let lock = lock.map_err(|error| ProjectError::Malformed { path, message: error.to_string() })?;
        let toolchain = toolchain::find(&folder)?;
        let home = cargo_home(&variables);
        let config = config::read(&folder, home.as_deref())?;
        Ok(Project { folder, root, manifest, members, lock, toolchain, config, variables })
    }

    /// The project as a container has it into which the workspace is copied and nothing else: without configuration and
    /// toolchain files that lie above it, or in CARGO_HOME. cargo itself, where it is asked, reads them all the same.
    ///
    /// # Errors
    /// When a file can't be read or understood.
    pub fn contained(mut self) -> Result<Project, ProjectError> {
        self.config = config::read_within(&self.folder, &self.root)?;
        self.toolchain = self.toolchain.filter(|toolchain| toolchain.path.starts_with(&self.root));
        Ok(self)
    }

    /// The folders outside of the workspace in which packages lie that its own depend on by `path`, in order.
    pub fn packages_outside(&self) -> Vec<PathBuf> {
        workspace::outside(&self.root, &self.members).into_iter().collect()
    }

    /// What files outside of the workspace say that changes cargo's plan, which no container has: each file with the
    /// first of its keys.
    pub fn outside(&self) -> Vec<(PathBuf, &'static str)> {
        let outside = self.config.files.iter().filter(|file| !file.starts_with(&self.root));
        let found = outside.filter_map(|file| {
            let table = read_toml(file).ok()?;
            let has = |key: &&str| match key.split_once('.') {
                Some((table_key, key)) => table.get(table_key).is_some_and(|inner| inner.get(key).is_some()),
                None => table.contains_key(*key),
            };
            let key = ["profile", "build.target", "patch", "paths", "resolver"].into_iter().find(has)?;
            Some((file.clone(), key))
        });
        found.collect()
    }

    /// A variable of the environment that cargo runs in.
    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(&OsString::from(name))?.to_str()
    }

    /// The path of CARGO_HOME.
    pub fn cargo_home(&self) -> Option<PathBuf> {
        cargo_home(&self.variables)
    }
}

/// CARGO_HOME, or `.cargo` in the home.
fn cargo_home(variables: &BTreeMap<OsString, OsString>) -> Option<PathBuf> {
    let get = |name: &str| variables.get(&OsString::from(name)).filter(|value| !value.is_empty());
    get("CARGO_HOME").map(PathBuf::from).or_else(|| Some(Path::new(get("HOME")?).join(".cargo")))
}

/// A file of a project, as text.
pub(super) fn read(path: &Path) -> Result<String, ProjectError> {
    let unreadable = |source| ProjectError::Unreadable { path: path.to_owned(), source };
    let mut text = String::new();
    let file = File::open(path).map_err(unreadable)?;
    let read = file.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(unreadable)?;
    match read as u64 > MAX_BYTES {
        true => Err(unreadable(io::Error::other(format!("it is larger than {} MiB", MAX_BYTES >> 20)))),
        false => Ok(text),
    }
}

/// A TOML file of a project.
pub(super) fn read_toml(path: &Path) -> Result<toml::Table, ProjectError> {
    let malformed = |error: toml::de::Error| ProjectError::Malformed {
        path: path.to_owned(),
        message: error.to_string().trim().to_owned(),
    };
    read(path)?.parse::<toml::Table>().map_err(malformed)
}
