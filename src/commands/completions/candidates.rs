//! What can stand at a place of a command line. A value's candidates go by its name in the help: whatever is called
//! `LAYER` there is completed with layers, in every command.
//!
//! Names come from folders and from the lock. Nothing is evaluated; what layers say of themselves is told where the
//! evaluation cache has it, be it from a version before.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::ValueHint;
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate, PathCompleter, ValueCompleter};

use super::super::context::{cache_folder, state_folder};
use super::super::{help, man};
use crate::catalog::{self, ADRS, CATALOG_FILE, Cache, LAYERS};
use crate::checks::CHECKS;
use crate::diag::Code;
use crate::event::RunId;
use crate::history::History;
use crate::lock::{self, Lock};
use crate::model::{Class, LayerName, RelPath};
use crate::report::json::SHAPES;
use crate::runner::{Folder, Ledger, Record};
use crate::tree::{self, EntryKind, MAX_TEXT, Tree, WorkTree};

/// Where the candidates of a value come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Layers,
    Checks,
    Codes,
    Decisions,
    Images,
    Revisions,
    /// `class=CLASS` and `name=LAYER`.
    Conditions,
    /// Layers, images and paths.
    Changes,
    /// What `lamina help` explains.
    Topics,
    /// What has a page in the manual.
    Pages,
    /// The answers that have a schema.
    Answers,
    /// Recorded runs.
    Runs,
    /// Leases that are written down.
    Leases,
    Files,
    Folders,
}

/// By the name of a value. A value that is not here has the candidates that clap knows: those of an enum, or none.
const SOURCES: &[(&str, Source)] = &[
    ("LAYER", Source::Layers),
    ("PARENT", Source::Layers),
    ("CHILD", Source::Layers),
    ("CHECK", Source::Checks),
    ("CODE", Source::Codes),
    ("ID", Source::Decisions),
    ("IMAGE", Source::Images),
    ("REV", Source::Revisions),
    ("CONDITION", Source::Conditions),
    ("X", Source::Changes),
    ("TOPIC", Source::Topics),
    ("COMMAND", Source::Pages),
    ("ANSWER", Source::Answers),
    ("RUN", Source::Runs),
    ("LEASE", Source::Leases),
    ("FILE", Source::Files),
    ("DIR", Source::Folders),
];

/// More names than this help nobody.
const MOST: usize = 2000;

/// The line that is completed.
#[derive(Debug)]
pub struct Line {
    words: Vec<OsString>,
    folder: Option<PathBuf>,
}

impl Line {
    /// A line of these words.
    pub fn new(words: Vec<OsString>) -> Self {
        Self { words, folder: std::env::current_dir().ok() }
    }

    /// The current folder.
    pub fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// What the line gives an option, or else what a variable does.
    fn option(&self, name: &str, variable: &str) -> Option<PathBuf> {
        let with_value = format!("{name}=");
        let mut words = self.words.iter().skip(1);
        let mut found = None;
        while let Some(word) = words.next() {
            if word == name {
                found = words.next().map(PathBuf::from);
            } else if let Some(value) = word.to_str().and_then(|word| word.strip_prefix(&with_value)) {
                found = Some(value.into());
            }
        }
        let found = found.or_else(|| std::env::var_os(variable).map(PathBuf::from))?;
        // The shell has not touched the line yet.
        let home = || std::env::var_os("HOME").map(PathBuf::from);
        match found.strip_prefix("~") {
            Ok(below) => Some(home()?.join(below)),
            Err(_) => Some(found),
        }
    }

    /// The catalog's root.
    fn root(&self) -> Option<PathBuf> {
        match self.option("--catalog", "LAMINA_CATALOG") {
            Some(root) => root.join(CATALOG_FILE).is_file().then_some(root),
            None => catalog::discover(self.folder()?),
        }
    }

    fn tree(&self) -> Option<WorkTree> {
        WorkTree::open(&self.root()?).ok()
    }

    /// The layers by the names of their folders, with their summaries as far as the cache has them.
    fn layers(&self) -> BTreeMap<LayerName, Option<String>> {
        let Some(tree) = self.tree() else { return BTreeMap::new() };
        let members = RelPath::new(LAYERS).ok().and_then(|layers| tree.members(&layers).ok()).unwrap_or_default();
        let folders = members.into_iter().filter(|entry| entry.kind == EntryKind::Folder).take(MOST);
        let mut summaries = match cache_folder() {
            Some(cache) => Cache::open(&cache, tree.root(), &[]).summaries(),
            None => BTreeMap::new(),
        };
        let name = |entry: tree::Entry| entry.path.file_name().parse::<LayerName>().ok();
        folders.filter_map(name).map(|name| (name.clone(), summaries.remove(&name))).collect()
    }

    /// The external images of the lock.
    fn images(&self) -> Vec<String> {
        let text = match self.option("--lock", "LAMINA_LOCK") {
            Some(path) => std::fs::metadata(&path)
                .is_ok_and(|file| file.is_file() && file.len() <= MAX_TEXT)
                .then(|| std::fs::read(path).ok())
                .flatten(),
            None => self.tree().and_then(|tree| tree.read(&RelPath::new(lock::FILE).ok()?, MAX_TEXT).ok()),
        };
        let text = text.and_then(|text| String::from_utf8(text).ok()).unwrap_or_default();
        let (lock, _) = Lock::parse(lock::FILE, &text);
        lock.iter().map(|(image, _)| image.familiar()).take(MOST).collect()
    }

    /// The decisions by the numbers that their files' names begin with, with the rest of the name.
    fn decisions(&self) -> Vec<(String, String)> {
        let Some(tree) = self.tree() else { return Vec::new() };
        let members = RelPath::new(ADRS).ok().and_then(|adrs| tree.members(&adrs).ok()).unwrap_or_default();
        let decision = |entry: tree::Entry| {
            let (id, title) = entry.path.file_name().strip_suffix(".ncl")?.split_once('-')?;
            let is_id = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit());
            is_id.then(|| (id.to_owned(), title.replace('-', " ")))
        };
        members.into_iter().filter_map(decision).take(MOST).collect()
    }

    /// Branches, tags and the current commit, with what they are.
    fn revisions(&self) -> Vec<(String, &'static str)> {
        let Some(folder) = self.root().or_else(|| self.folder.clone()) else { return Vec::new() };
        let head = ("HEAD".to_owned(), "the current commit");
        match tree::references(&folder, MOST) {
            Ok(references) => std::iter::once(head).chain(references).collect(),
            Err(_) => Vec::new(),
        }
    }

    /// The recorded runs, newest first.
    fn runs(&self) -> Vec<RunId> {
        let history = || Some(History::new(&state_folder()?, &self.root()?.canonicalize().ok()?));
        history().and_then(|history| history.runs().ok()).unwrap_or_default()
    }

    /// The leases that are written down, with their layers.
    fn leases(&self) -> Vec<(String, String)> {
        let leases = state_folder().and_then(|state| Folder::new(state.join("leases")).all().ok());
        let named = |record: Record| (record.lease.to_string(), format!("{} for {}", record.source, record.layer));
        leases.map(|(records, _)| records.into_iter().take(MOST).map(named).collect()).unwrap_or_default()
    }

    /// The candidates for a word that begins with `current`.
    fn candidates(&self, source: Source, current: &OsStr) -> Vec<CompletionCandidate> {
        let candidate =
            |value: String, help: Option<String>| CompletionCandidate::new(value).help(help.map(Into::into));
        let plain = |value: &str, help: &str| candidate(value.to_owned(), Some(help.to_owned()));
        let layers = |prefix: &str| {
            let layer = |(name, summary): (LayerName, _)| candidate(format!("{prefix}{name}"), summary);
            self.layers().into_iter().map(layer).collect::<Vec<_>>()
        };
        let images = || self.images().into_iter().map(|image| candidate(image, Some("external image".to_owned())));
        let mut found: Vec<CompletionCandidate> = match source {
            Source::Layers => layers(""),
            Source::Checks => CHECKS.iter().map(|check| plain(check.name, check.summary)).collect(),
            Source::Codes => Code::ALL.iter().map(|code| plain(code.as_str(), code.summary())).collect(),
            Source::Decisions => self.decisions().into_iter().map(|(id, title)| candidate(id, Some(title))).collect(),
            Source::Images => images().collect(),
            Source::Revisions => self.revisions().into_iter().map(|(name, what)| plain(&name, what)).collect(),
            Source::Conditions if current.as_encoded_bytes().starts_with(b"name=") => layers("name="),
            Source::Conditions => {
                let classes = Class::ALL.iter().map(|class| plain(&format!("class={class}"), "the layers of a class"));
                classes.chain([plain("name=", "the layers whose names match a glob")]).collect()
            }
            Source::Changes => {
                let paths = PathCompleter::any().complete(current);
                layers("").into_iter().chain(images()).chain(paths).collect()
            }
            Source::Topics => help::topics().into_iter().map(|(name, what)| candidate(name, Some(what))).collect(),
            Source::Pages => man::pages().into_iter().map(|(name, what)| candidate(name, Some(what))).collect(),
            Source::Answers => SHAPES.iter().map(|shape| plain(shape.name, &shape.summary())).collect(),
            Source::Runs if current.as_encoded_bytes().contains(&b'/') => PathCompleter::any().complete(current),
            Source::Runs => self.runs().into_iter().map(|run| candidate(run.to_string(), None)).collect(),
            Source::Leases => self.leases().into_iter().map(|(name, what)| plain(&name, &what)).collect(),
            Source::Files | Source::Folders => Vec::new(),
        };
        found.retain(|candidate| candidate.get_value().as_encoded_bytes().starts_with(current.as_encoded_bytes()));
        found
    }
}

/// The command with the candidates of all its values.
pub fn attach(command: clap::Command, line: &Arc<Line>) -> clap::Command {
    let add = |arg: clap::Arg| {
        let source = source(&arg);
        match source {
            None => arg,
            Some(Source::Files) => arg.value_hint(ValueHint::FilePath),
            Some(Source::Folders) => arg.value_hint(ValueHint::DirPath),
            Some(source) => {
                let line = Arc::clone(line);
                arg.add(ArgValueCompleter::new(move |current: &OsStr| line.candidates(source, current)))
            }
        }
    };
    command.mut_args(add).mut_subcommands(|subcommand| attach(subcommand, line))
}

/// The command without options, save where nothing else can stand: who wants one begins with a dash.
pub fn without_options(command: clap::Command) -> clap::Command {
    let hide = |arg: clap::Arg| if arg.is_positional() { arg } else { arg.hide(true) };
    command.mut_args(hide).mut_subcommands(without_options)
}

fn source(arg: &clap::Arg) -> Option<Source> {
    let names = arg.get_value_names()?;
    SOURCES.iter().find(|(name, _)| names.first().is_some_and(|first| first == name)).map(|(_, source)| *source)
}

#[cfg(test)]
mod tests {
    use super::source;

    /// Values that nobody completes: numbers, an address, a digest, places of secrets, crates, what takes an evaluation.
    const FREE: &[&str] = &[
        "N",
        "MIB",
        "SECONDS",
        "URL",
        "SHA256",
        "FACTOR",
        "SECRET",
        "SSH",
        "SAVING",
        "NAME",
        "NEW",
        "CRATE",
        "PROFILE",
        "FEATURES",
        "TRIPLE",
        "PACKAGE",
        "SIZE",
        "ACTOR",
        "WORKSPACE",
        "NAMESPACE",
        "DAYS",
        "HOURS",
        // Rows of the catalog, which takes an evaluation.
        "RUNNER",
        "SIZE",
    ];

    fn check(command: &clap::Command) {
        for arg in command.get_arguments().filter(|arg| arg.get_action().takes_values()) {
            let name = arg.get_value_names().and_then(|names| names.first()).map_or("", |name| name.as_str());
            let known = source(arg).is_some() || !arg.get_possible_values().is_empty() || FREE.contains(&name);
            let place = format!("{} {arg}", command.get_name());
            assert!(known, "{place}: where do the candidates of {name} come from? Add it to SOURCES, or to FREE");
        }
        command.get_subcommands().for_each(check);
    }

    #[test]
    fn each_value_has_candidates_or_is_free() {
        let mut command = super::super::super::command();
        command.build();
        check(&command);
    }
}
