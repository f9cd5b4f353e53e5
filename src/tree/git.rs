//! A revision in git, read by the git program: one `ls-tree` for the names, one `cat-file --batch` for the contents.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::{Mutex, PoisonError};

use super::{Entry, EntryKind, Hashed, Tree, TreeError, sha256};
use crate::host::process::{self, ProcessError};
use crate::model::RelPath;

/// The files of a catalog in one commit.
#[derive(Debug)]
pub struct GitTree {
    commit: String,
    blobs: BTreeMap<RelPath, Blob>,
    folders: BTreeMap<RelPath, Vec<Entry>>,
    contents: Mutex<Contents>,
}

#[derive(Debug)]
struct Blob {
    kind: EntryKind,
    executable: bool,
    id: String,
    size: u64,
}

/// Why a revision can't be read.
#[derive(Debug, thiserror::Error)]
pub enum RevisionError {
    /// The catalog does not lie in a git repository, or git can't be run.
    #[error(transparent)]
    Git(#[from] ProcessError),
    /// The repository has no such revision.
    #[error("git knows no revision `{revision}`")]
    Unknown {
        /// As it was asked for.
        revision: String,
        /// Whether the repository holds only a part of its history.
        shallow: bool,
    },
    /// Git's answer is not as documented.
    #[error("git's answer can't be read: {0}")]
    Answer(String),
}

impl GitTree {
    /// Reads the names of all files that the catalog at `root` has in `revision`.
    ///
    /// # Errors
    /// When git can't be run, or does not know the revision.
    pub fn open(root: &Path, revision: &str) -> Result<Self, RevisionError> {
        let line = |args: &[&str]| -> Result<String, ProcessError> {
            let mut command = process::git(root);
            command.args(args);
            Ok(String::from_utf8_lossy(&process::output(command)?).trim_end_matches('\n').to_owned())
        };
        let prefix = line(&["rev-parse", "--show-prefix"])?;
        let spec = format!("{revision}^{{commit}}");
        let commit = match line(&["rev-parse", "--verify", "--quiet", "--end-of-options", &spec]) {
            Ok(commit) => commit,
            Err(ProcessError::Failed { .. }) => {
                let shallow = line(&["rev-parse", "--is-shallow-repository"]).is_ok_and(|answer| answer == "true");
                return Err(RevisionError::Unknown { revision: revision.to_owned(), shallow });
            }
            Err(error) => return Err(error.into()),
        };
        let mut command = process::git(root);
        command.args(["ls-tree", "-r", "-z", "-l", "--full-tree", &commit]);
        if !prefix.is_empty() {
            command.args(["--", &prefix]);
        }
        let listing = process::output(command)?;
        let contents = Mutex::new(Contents { root: root.to_owned(), running: None });
        let mut tree = Self { commit, blobs: BTreeMap::new(), folders: BTreeMap::new(), contents };
        for line in listing.split(|byte| *byte == 0).filter(|line| !line.is_empty()) {
            tree.add(line, &prefix)?;
        }
        tree.folders.values_mut().for_each(|members| members.sort());
        Ok(tree)
    }

    /// The commit that was read.
    pub fn commit(&self) -> &str {
        &self.commit
    }

    /// Takes a line of `ls-tree -l`: mode, type, object, size, a tab, the path.
    fn add(&mut self, line: &[u8], prefix: &str) -> Result<(), RevisionError> {
        let malformed = || RevisionError::Answer(String::from_utf8_lossy(line).into_owned());
        let tab = line.iter().position(|byte| *byte == b'\t').ok_or_else(malformed)?;
        let head = std::str::from_utf8(&line[..tab]).map_err(|_| malformed())?;
        let name = line[tab + 1..].strip_prefix(prefix.as_bytes()).ok_or_else(malformed)?;
        let [mode, _, id, size] = head.split_whitespace().collect::<Vec<_>>()[..] else { return Err(malformed()) };
        let is_named = std::str::from_utf8(name).is_ok();
        let path = RelPath::new(&String::from_utf8_lossy(name)).map_err(|_| malformed())?;
        let (kind, executable) = match mode {
            _ if !is_named => (EntryKind::Unnamed, false),
            "120000" => (EntryKind::Link, false),
            "160000" => (EntryKind::Special, false),
            mode => (EntryKind::File, mode == "100755"),
        };
        let size = size.parse().unwrap_or(0);
        self.blobs.insert(path.clone(), Blob { kind, executable, id: id.to_owned(), size });
        let mut member = Entry { path, kind };
        while let Some(folder) = member.path.parent() {
            let is_new = !self.folders.contains_key(&folder);
            self.folders.entry(folder.clone()).or_default().push(member);
            if !is_new {
                break;
            }
            member = Entry { path: folder, kind: EntryKind::Folder };
        }
        Ok(())
    }

    /// The regular file at a path.
    fn file(&self, path: &RelPath) -> Result<&Blob, TreeError> {
        match self.blobs.get(path) {
            Some(blob) if blob.kind == EntryKind::File => Ok(blob),
            Some(blob) if blob.kind == EntryKind::Link => Err(TreeError::Linked(path.clone())),
            Some(_) => Err(TreeError::NotAFile(path.clone())),
            None if self.folders.contains_key(path) => Err(TreeError::NotAFile(path.clone())),
            None if self.leads_through_link(path) => Err(TreeError::Linked(path.clone())),
            None => Err(TreeError::Missing(path.clone())),
        }
    }

    fn leads_through_link(&self, path: &RelPath) -> bool {
        let is_link = |part: &RelPath| self.blobs.get(part).is_some_and(|blob| blob.kind == EntryKind::Link);
        std::iter::successors(Some(path.clone()), RelPath::parent).any(|part| is_link(&part))
    }

    fn content(&self, path: &RelPath, blob: &Blob, limit: u64) -> Result<Vec<u8>, TreeError> {
        if blob.size > limit {
            return Err(TreeError::TooLarge { path: path.clone(), limit });
        }
        // A poisoned lock means that another thread failed between request and answer: the pipe is out of step.
        let mut contents = self.contents.lock().unwrap_or_else(|poisoned: PoisonError<_>| {
            let mut contents = poisoned.into_inner();
            contents.running = None;
            contents
        });
        contents.get(&blob.id).map_err(|source| TreeError::Io { path: path.clone(), source })
    }
}

impl Tree for GitTree {
    fn members(&self, folder: &RelPath) -> Result<Vec<Entry>, TreeError> {
        match self.folders.get(folder) {
            Some(members) => Ok(members.clone()),
            None if self.leads_through_link(folder) => Err(TreeError::Linked(folder.clone())),
            None => Ok(Vec::new()),
        }
    }

    fn read(&self, path: &RelPath, limit: u64) -> Result<Vec<u8>, TreeError> {
        self.content(path, self.file(path)?, limit)
    }

    fn copy(&self, path: &RelPath, limit: u64, to: &mut dyn Write) -> Result<Hashed, TreeError> {
        let blob = self.file(path)?;
        let content = self.content(path, blob, limit)?;
        to.write_all(&content).map_err(|source| TreeError::Io { path: path.clone(), source })?;
        Ok(Hashed { hash: sha256(&content), length: blob.size, executable: blob.executable })
    }

    fn link(&self, path: &RelPath) -> Result<Vec<u8>, TreeError> {
        match self.blobs.get(path) {
            Some(blob @ Blob { kind: EntryKind::Link, .. }) => self.content(path, blob, 4096),
            _ => Err(TreeError::Missing(path.clone())),
        }
    }
}

/// A running `git cat-file --batch`.
#[derive(Debug)]
struct Contents {
    root: PathBuf,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    child: Child,
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Contents {
    fn get(&mut self, id: &str) -> io::Result<Vec<u8>> {
        let running = match &mut self.running {
            Some(running) => running,
            none => none.insert(Running::start(&self.root)?),
        };
        let answer = running.ask(id);
        if answer.is_err() {
            self.running = None;
        }
        answer
    }
}

impl Running {
    fn start(root: &Path) -> io::Result<Self> {
        let mut command = process::git(root);
        command.args(["cat-file", "--batch"]).stdin(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(|error| io::Error::other(process::start_error("git", error)))?;
        let pipe = || io::Error::other("git has no pipe");
        let requests = child.stdin.take().ok_or_else(pipe)?;
        let answers = BufReader::new(child.stdout.take().ok_or_else(pipe)?);
        Ok(Self { child, requests: Some(requests), answers })
    }

    fn ask(&mut self, id: &str) -> io::Result<Vec<u8>> {
        let requests = self.requests.as_mut().ok_or_else(|| io::Error::other("git has ended"))?;
        requests.write_all(format!("{id}\n").as_bytes())?;
        let mut head = String::new();
        self.answers.read_line(&mut head)?;
        let size = head.trim_end().strip_prefix(id).and_then(|rest| rest.strip_prefix(" blob ")).map(str::parse);
        let Some(Ok(size)) = size else {
            return Err(io::Error::other(format!("git has no object {id}: {}", head.trim_end())));
        };
        let size: usize = size;
        let mut content = vec![0; size + 1];
        self.answers.read_exact(&mut content)?;
        content.pop();
        Ok(content)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Without requests the program ends by itself.
        self.requests = None;
        let _ = self.child.wait();
    }
}

/// The folder of the git repository that `root` lies in, found by its `.git`, without running git.
pub fn repository(root: &Path) -> Option<&Path> {
    root.ancestors().find(|folder| folder.join(".git").exists())
}

/// The paths that the next commit changes, removed ones too: separated by NUL, relative to the repository's root.
///
/// # Errors
/// When the folder does not lie in a git repository, or git can't be run.
pub fn staged(root: &Path) -> Result<Vec<u8>, RevisionError> {
    // Outside of a repository, `git diff` answers with all its options.
    let mut command = process::git(root);
    command.args(["rev-parse", "--is-inside-work-tree"]);
    process::output(command)?;
    let mut command = process::git(root);
    // Both names of what was renamed, and no setting of the user's that changes the form of the answer.
    command.args(["diff", "--cached", "--name-only", "-z", "--no-renames", "--no-relative", "--no-ext-diff"]);
    Ok(process::output(command)?)
}

/// The commit that a folder is at, where it is in a repository and nothing in the repository differs from it.
pub fn clean_revision(folder: &Path) -> Option<String> {
    let run = |args: &[&str]| {
        let mut command = process::git(folder);
        command.args(args);
        process::output(command).ok()
    };
    let is_clean = run(&["status", "--porcelain"])?.is_empty();
    let commit = String::from_utf8(run(&["rev-parse", "HEAD"])?).ok()?;
    is_clean.then(|| commit.trim().to_owned())
}

/// Branches and tags, each with what it is; at most so many, in git's order.
///
/// # Errors
/// When the folder does not lie in a git repository, or git can't be run.
pub fn references(folder: &Path, most: usize) -> Result<Vec<(String, &'static str)>, RevisionError> {
    let mut command = process::git(folder);
    command.args(["for-each-ref", "--format=%(refname)", &format!("--count={most}")]);
    command.args(["refs/heads", "refs/tags", "refs/remotes"]);
    let listing = process::output(command)?;
    let kinds = [("refs/heads/", "branch"), ("refs/tags/", "tag"), ("refs/remotes/", "remote branch")];
    let named = |line: &str| {
        let (name, kind) = kinds.iter().find_map(|(prefix, kind)| Some((line.strip_prefix(prefix)?, kind)))?;
        Some((name.to_owned(), *kind))
    };
    Ok(String::from_utf8_lossy(&listing).lines().filter_map(named).collect())
}
