//! What commands get their data from. Everything is made when it is first asked for.

use std::cell::{OnceCell, RefCell};
use std::fs;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use etcetera::BaseStrategy;

use super::error::CommandError;
use super::exit::Exit;
use super::images::RegistryArgs;
use super::ui::Ui;
use super::{GlobalArgs, WORKER_ARGUMENT};
use crate::catalog::eval::{Limits, Overlay, WorkerCommand};
use crate::catalog::{self, CATALOG_FILE, Cache, LoadedLayer, Options};
use crate::cooked::Store;
use crate::history::History;
use crate::lock::{self, Lock};
use crate::model::{Directives, LayerName, RelPath};
use crate::registry::{self, Client, Retry};
use crate::report::place::Located;
use crate::snapshot::Snapshot;
use crate::tree::{self, Files, GitTree, MAX_TEXT, Tree, WorkTree};

/// All registries that there are.
pub type Registries = Retry<Client>;

/// Where the lock is.
enum LockSource {
    /// In the catalog, under its own name.
    Catalog,
    /// In the file that `--lock` names.
    File(Overlay),
    /// In the file that `--lock` names, once it has been written.
    New(String),
}

/// What a command may use.
pub struct Context<'a> {
    /// Where answers and remarks go.
    pub ui: &'a Ui,
    args: &'a GlobalArgs,
    folder: PathBuf,
    root: PathBuf,
    options: Options,
    lock: LockSource,
    cache: RefCell<Cache>,
    registries: OnceCell<Registries>,
    /// The directives, once they were read.
    directives: OnceCell<Overlay>,
}

impl<'a> Context<'a> {
    /// Whether the command line names a catalog, or the current folder is in one.
    pub fn has_catalog(args: &GlobalArgs) -> bool {
        let here = || std::env::current_dir().is_ok_and(|folder| catalog::discover(&folder).is_some());
        args.catalog.is_some() || here()
    }

    /// Finds the catalog and reads what the command line names. A command that creates the lock does without one.
    /// `overlay` comes behind those that the command line names.
    ///
    /// # Errors
    /// When there is no catalog, or an overlay or the lock can't be read.
    pub fn new(
        args: &'a GlobalArgs,
        ui: &'a Ui,
        creates_lock: bool,
        overlay: Option<Overlay>,
    ) -> Result<Self, CommandError> {
        let folder =
            std::env::current_dir().map_err(|error| CommandError::failure("the current folder is gone", error))?;
        let root = match &args.catalog {
            Some(root) if root.join(CATALOG_FILE).is_file() => root.clone(),
            Some(root) => {
                let message = format!("{} holds no catalog", root.display());
                return Err(
                    CommandError::new(Exit::Usage, message).hint(format!("a catalog has {CATALOG_FILE} at its root"))
                );
            }
            None => catalog::discover(&folder).ok_or_else(|| {
                let message = format!("there is no catalog in {} or above it", folder.display());
                let error = CommandError::new(Exit::Usage, message);
                error
                    .hint(format!("a catalog has {CATALOG_FILE} at its root"))
                    .hint("name it with --catalog DIR or LAMINA_CATALOG")
            })?,
        };
        let root = root
            .canonicalize()
            .map_err(|error| CommandError::failure(format!("{} can't be opened", root.display()), error))?;
        let mut overlays = args.overlay.iter().map(|path| named_file(&root, path)).collect::<Result<Vec<_>, _>>()?;
        overlays.extend(overlay);
        let lock = match &args.lock {
            None => LockSource::Catalog,
            Some(path) if creates_lock && !path.exists() => LockSource::New(path.display().to_string()),
            Some(path) => LockSource::File(named_file(&root, path).map_err(|error| match path.exists() {
                true => error,
                false => error.hint("`lamina lock --lock FILE` writes it"),
            })?),
        };
        let program = std::env::current_exe()
            .map_err(|error| CommandError::failure("lamina's own program can't be found", error))?;
        let mut limits = Limits { time: Duration::from_secs(args.eval_timeout.into()), ..Limits::default() };
        limits.memory_mb = args.eval_memory.into();
        limits.workers = args.eval_workers.map_or(limits.workers, usize::from);
        let options =
            Options { overlays, limits, worker: WorkerCommand { program, args: vec![WORKER_ARGUMENT.to_owned()] } };
        let cache = match cache_folder() {
            Some(cache) if !args.no_cache => Cache::open(&cache, &root, &options.overlays),
            _ => Cache::disabled(),
        };
        let (cache, registries, directives) = (RefCell::new(cache), OnceCell::new(), OnceCell::new());
        Ok(Self { ui, args, folder, root, options, lock, cache, registries, directives })
    }

    /// The catalog's root.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// lamina's own program.
    pub fn program(&self) -> &Path {
        &self.options.worker.program
    }

    /// The current folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What earlier runs did.
    ///
    /// # Errors
    /// When nobody says where the home folder is.
    pub fn history(&self) -> Result<History, CommandError> {
        let state = state_folder().ok_or_else(|| {
            CommandError::new(Exit::Failure, "there is no folder for the history of runs")
                .hint("set HOME, or XDG_STATE_HOME")
        })?;
        Ok(History::new(&state, &self.root))
    }

    /// The unit manifests that this machine knows.
    pub fn unit_store(&self) -> Store {
        match cache_folder() {
            Some(cache) if !self.args.no_cache => Store::open(&cache),
            _ => Store::in_memory(),
        }
    }

    /// Whether everything is to be told.
    pub fn verbose(&self) -> bool {
        self.args.verbose
    }

    /// The work tree, with all that is wrong with it.
    ///
    /// # Errors
    /// When it can't be read at all.
    pub fn unchecked_snapshot(&self) -> Result<Snapshot, CommandError> {
        self.load(Box::new(self.work_tree()?), None)
    }

    /// The work tree, with a whole graph.
    ///
    /// # Errors
    /// When the catalog is invalid.
    pub fn snapshot(&self) -> Result<Snapshot, CommandError> {
        valid(self.unchecked_snapshot()?, "the catalog is invalid", Exit::Invalid)
    }

    /// The work tree, with a whole graph and decisions that can be read.
    ///
    /// # Errors
    /// When the catalog or a decision is invalid.
    pub fn decided_snapshot(&self) -> Result<Snapshot, CommandError> {
        let snapshot = self.snapshot()?;
        if snapshot.catalog.decision_findings.is_empty() {
            return Ok(snapshot);
        }
        let mut error = CommandError::new(Exit::Invalid, "not every decision can be read");
        error.findings = Some((snapshot.catalog.decision_findings.clone(), Box::new(snapshot)));
        Err(error)
    }

    /// A revision in git, with all that is wrong with it.
    ///
    /// # Errors
    /// When git does not know the revision, or it can't be read.
    pub fn unchecked_revision(&self, revision: &str) -> Result<Snapshot, CommandError> {
        let tree = GitTree::open(&self.root, revision)?;
        self.load(Box::new(tree), None)
    }

    /// The catalog of these files, with all that is wrong with it.
    ///
    /// # Errors
    /// When it can't be read at all.
    pub fn unchecked(&self, tree: Box<dyn Tree>) -> Result<Snapshot, CommandError> {
        self.load(tree, None)
    }

    /// The catalog of these files, with a whole graph, as it is with another lock.
    ///
    /// # Errors
    /// When the catalog is invalid.
    pub fn snapshot_with_lock(&self, tree: Box<dyn Tree>, lock: &str) -> Result<Snapshot, CommandError> {
        valid(self.load(tree, Some(lock.into()))?, "the catalog is invalid", Exit::Invalid)
    }

    /// The files of the work tree.
    ///
    /// # Errors
    /// When the catalog's root can't be opened.
    pub fn work_tree(&self) -> Result<WorkTree, CommandError> {
        WorkTree::open(&self.root)
            .map_err(|error| CommandError::failure(format!("{} can't be opened", self.root.display()), error))
    }

    /// Where the lock is, or will be.
    pub fn lock_path(&self) -> PathBuf {
        self.args.lock.clone().unwrap_or_else(|| self.root.join(lock::FILE))
    }

    /// Asks registries. The catalog says by which hosts they are reached; it is asked once, for connections that are open
    /// and logins that were found serve all that a command asks.
    ///
    /// # Errors
    /// When there is no way to ask: a certificate can't be read, a mirror is no host.
    pub fn ask<T>(
        &self,
        args: &RegistryArgs,
        snapshot: &Snapshot,
        question: impl AsyncFnOnce(&Registries) -> T,
    ) -> Result<T, CommandError> {
        let registries = match self.registries.get() {
            Some(registries) => registries,
            None => {
                let options = match &snapshot.catalog.config {
                    Some(catalog) => registry::Options::for_catalog(catalog, |name| std::env::var_os(name)),
                    None => registry::Options::default(),
                };
                let opened = registry::open(&args.apply(options))?;
                self.registries.get_or_init(|| opened)
            }
        };
        Ok(registry::block_on(question(registries))?)
    }

    fn load(&self, tree: Box<dyn Tree>, lock: Option<Arc<str>>) -> Result<Snapshot, CommandError> {
        let files = Files::new(tree);
        let mut cache = self.cache.borrow_mut();
        let loaded = catalog::load(files, &self.options, &mut cache)?;
        if let Err(error) = cache.save() {
            self.ui.detail(&format!("the evaluation cache can't be written: {error}"));
        }
        let mut snapshot = Snapshot::new(loaded);
        let default = RelPath::new(lock::FILE).unwrap_or_default();
        let (name, path, text) = match &self.lock {
            LockSource::File(lock) => (lock.name.clone(), lock.path.clone(), Ok(Some(Arc::clone(&lock.text)))),
            LockSource::New(name) => (name.clone(), None, Ok(None)),
            LockSource::Catalog => {
                let text = snapshot.catalog.files.text(&default).map(|file| file.map(|file| file.text));
                (lock::FILE.to_owned(), Some(default), text)
            }
        };
        snapshot.lock_path = path;
        match lock.map_or(text, |text| Ok(Some(text))) {
            Ok(Some(text)) => {
                (snapshot.lock, snapshot.lock_findings) = Lock::parse(&name, &text);
                snapshot.lock_file = Some(name);
                snapshot.lock_text = Some(text);
            }
            Ok(None) => {}
            Err(finding) => snapshot.lock_findings.push(*finding),
        }
        Ok(snapshot)
    }

    /// A caller's directives in a file, which may lie anywhere.
    ///
    /// # Errors
    /// When it can't be read, or says nothing that can be done.
    pub fn directives(&self, file: &Path) -> Result<Directives, CommandError> {
        let file = named_file(&self.root, file)?;
        let file = Overlay { name: catalog::directives_place(&file).to_string(), ..file };
        let files = Files::new(Box::new(self.work_tree()?));
        match catalog::directives(&files, &file, &self.options)? {
            Ok(directives) => Ok(directives),
            Err(findings) => {
                let snapshot = self.unchecked_snapshot()?;
                self.directives.get_or_init(|| file);
                let mut error = CommandError::new(Exit::Invalid, "the directives are invalid");
                error.findings = Some((findings, Box::new(snapshot)));
                Err(error)
            }
        }
    }

    /// The text of a file that a finding names.
    pub fn text(&self, snapshot: &Snapshot, file: &str) -> Option<Arc<str>> {
        let named = self.named_files().find(|named| named.name == file);
        named.map(|named| Arc::clone(&named.text)).or_else(|| snapshot.catalog.files.known_text(file))
    }

    /// The files that the command line names.
    fn named_files(&self) -> impl Iterator<Item = &Overlay> {
        let lock = match &self.lock {
            LockSource::File(lock) => Some(lock),
            _ => None,
        };
        self.options.overlays.iter().chain(lock).chain(self.directives.get())
    }

    /// Where a file that a finding names lies.
    pub fn locate(&self, file: &str) -> Located {
        let named = self.named_files().any(|named| named.name == file);
        let path = if named { self.folder.join(file) } else { self.root.join(file) };
        // A file that does not exist is looked for where it should be.
        let path = path.canonicalize().unwrap_or(path);
        let repository = tree::repository(&self.root).unwrap_or(&self.root);
        match path.strip_prefix(repository).ok().and_then(Path::to_str) {
            Some(inside) => Located::Inside(inside.to_owned()),
            None => Located::Outside(path),
        }
    }

    /// The catalog's folder in the git repository; empty where it is the root.
    pub fn folder_in_repository(&self) -> String {
        let repository = tree::repository(&self.root).unwrap_or(&self.root);
        self.root.strip_prefix(repository).map(|folder| folder.to_string_lossy().into_owned()).unwrap_or_default()
    }
}

/// The snapshot, if its graph is whole.
///
/// # Errors
/// All that is wrong with it.
pub fn valid(snapshot: Snapshot, message: &str, exit: Exit) -> Result<Snapshot, CommandError> {
    let mut findings = snapshot.graph_findings();
    findings.extend(snapshot.lock_findings.iter().cloned());
    if findings.is_empty() {
        return Ok(snapshot);
    }
    let mut error = CommandError::new(exit, message);
    error.findings = Some((findings, Box::new(snapshot)));
    Err(error)
}

/// A layer by the name that was typed.
///
/// # Errors
/// When there is none, with the name that was most likely meant.
pub fn find_layer<'s>(snapshot: &'s Snapshot, typed: &str) -> Result<(&'s LayerName, &'s LoadedLayer), CommandError> {
    let layers = &snapshot.catalog.layers;
    layers
        .get_key_value(typed)
        .ok_or_else(|| CommandError::unknown("layer", typed, layers.keys().map(LayerName::as_str)))
}

/// A file that the command line names, and where it lies in the catalog, if it does.
fn named_file(root: &Path, path: &Path) -> Result<Overlay, CommandError> {
    let text = read_text(path)?;
    let inside = path.canonicalize().ok().and_then(|path| path.strip_prefix(root).ok().map(Path::to_owned));
    let inside = inside.and_then(|path| RelPath::new(path.to_str()?).ok());
    Ok(Overlay { name: path.display().to_string(), path: inside, text: text.into() })
}

/// A file that the command line names: regular, UTF-8, of bounded size.
fn read_text(path: &Path) -> Result<String, CommandError> {
    String::from_utf8(read_bytes(path, MAX_TEXT)?).map_err(|cause| {
        let cause = format!("it is not UTF-8 at offset {}", cause.utf8_error().valid_up_to());
        CommandError::failure(format!("{} can't be read", path.display()), cause)
    })
}

/// A file that the command line names: regular, of at most so many bytes.
///
/// # Errors
/// When it is none, or can't be read.
pub fn read_bytes(path: &Path, limit: u64) -> Result<Vec<u8>, CommandError> {
    let error =
        |cause: &dyn std::fmt::Display| CommandError::failure(format!("{} can't be read", path.display()), cause);
    // Opening a pipe without a writer must not block.
    let nonblock = rustix::fs::OFlags::NONBLOCK.bits();
    let flags = i32::try_from(nonblock).unwrap_or_default();
    let file = fs::OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(|cause| error(&cause))?;
    if !file.metadata().is_ok_and(|metadata| metadata.is_file()) {
        return Err(error(&"it is not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes).map_err(|cause| error(&cause))?;
    if bytes.len() as u64 > limit {
        return Err(error(&format!("it has more than {limit} bytes")));
    }
    Ok(bytes)
}

/// `$XDG_STATE_HOME/lamina`, or `~/.local/state/lamina`.
pub fn state_folder() -> Option<PathBuf> {
    let base = etcetera::choose_base_strategy().ok()?;
    Some(base.state_dir()?.join("lamina"))
}

/// `$XDG_CACHE_HOME/lamina`, or `~/.cache/lamina`.
pub fn cache_folder() -> Option<PathBuf> {
    etcetera::choose_base_strategy().ok().map(|base| base.cache_dir().join("lamina"))
}
