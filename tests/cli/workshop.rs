//! A temporary catalog to run lamina on.
//!
//! Output is compared exactly: what a test does not state is expected to be empty. Nothing of the machine reaches the
//! program but PATH, and nothing of the temporary folder's name reaches an expectation.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use regex::Regex;
use tempfile::TempDir;

/// The image that the workshop's lock pins.
pub const RUST: &str = "rust:1.97.1-slim-trixie";
/// An image that it does not pin.
pub const DEBIAN: &str = "debian:trixie-slim";

/// Longer than any run may take on a busy machine: a run that is not over by then hangs.
const HANGS: Duration = Duration::from_secs(180);

/// A catalog in a temporary folder, with a home and a cache of its own.
#[must_use]
pub struct Workshop {
    temp: TempDir,
    /// The git repository, once there is one.
    repository: PathBuf,
    /// The catalog's root.
    root: PathBuf,
}

/// What a program printed, and what it was expected to print.
#[must_use = "say how the run ends: success(), code() or snapshot()"]
pub struct Run {
    what: String,
    code: Option<i32>,
    stdout: String,
    stderr: String,
    expected_stdout: String,
    expected_stderr: Option<String>,
}

impl Workshop {
    /// An empty catalog with the schemas of this repository, and a lock that pins [`RUST`].
    pub fn new() -> Self {
        Self::nested("")
    }

    /// As [`Workshop::new`], in a folder of its repository.
    pub fn nested(folder: &str) -> Self {
        let shop = Self::bare(folder);
        for schema in fs::read_dir(manifest_folder().join("schemas")).unwrap() {
            let schema = schema.unwrap();
            if schema.path().is_dir() {
                continue;
            }
            let text = fs::read_to_string(schema.path()).unwrap();
            shop.file(&format!("schemas/{}", schema.file_name().to_str().unwrap()), &text);
        }
        shop.file("catalog/catalog.ncl", CATALOG).lock(&[RUST]);
        shop
    }

    /// A folder without a catalog.
    pub fn bare(folder: &str) -> Self {
        let temp = TempDir::new().unwrap();
        let repository = temp.path().canonicalize().unwrap().join("repository");
        let root = if folder.is_empty() { repository.clone() } else { repository.join(folder) };
        for folder in ["home", "cache", "repository"] {
            fs::create_dir(temp.path().join(folder)).unwrap();
        }
        fs::create_dir_all(&root).unwrap();
        Self { temp, repository, root }
    }

    /// The catalog of this repository itself.
    pub fn real() -> Self {
        let shop = Self::bare("");
        Self { root: manifest_folder().to_owned(), repository: manifest_folder().to_owned(), ..shop }
    }

    /// The catalog's root.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder of the evaluation cache.
    pub fn cache(&self) -> PathBuf {
        self.temp.path().join("cache/lamina")
    }

    /// The folder that holds all the rest: nothing in it belongs to the catalog.
    pub fn outside(&self) -> PathBuf {
        self.temp.path().canonicalize().unwrap()
    }

    /// A toolchain layer that builds and runs on `parent`, a layer or an image.
    pub fn layer(&self, name: &str, parent: &str) -> &Self {
        self.layer_with(name, parent, "")
    }

    /// As [`Workshop::layer`], with further fields.
    pub fn layer_with(&self, name: &str, parent: &str, fields: &str) -> &Self {
        let base = base(parent);
        self.workflow(name, &format!("build_base = {base},\n  runtime_base = {base},\n{}", indent(fields)))
            .dockerfile(name, &dockerfile(parent))
    }

    /// A layer's workflow with these fields, beside `layer`, `class` and `summary`.
    pub fn workflow(&self, name: &str, fields: &str) -> &Self {
        let mut head = format!("layer = \"{name}\",");
        for (field, value) in [("class", "'toolchain".to_owned()), ("summary", format!("\"The layer {name}\""))] {
            if !fields.contains(&format!("{field} =")) {
                head.push_str(&format!("\n  {field} = {value},"));
            }
        }
        let text = format!("{WORKFLOW}{{\n  {head}\n  {}\n}} | Workflow\n", fields.trim());
        self.file(&format!("layers/{name}/workflow.ncl"), &text)
    }

    /// A layer's Dockerfile.
    pub fn dockerfile(&self, name: &str, text: &str) -> &Self {
        self.file(&format!("layers/{name}/Dockerfile"), text)
    }

    /// `lamina.lock` with these images.
    pub fn lock(&self, images: &[&str]) -> &Self {
        self.file("lamina.lock", &lock(images))
    }

    /// Writes a file of the catalog.
    pub fn file(&self, path: &str, text: &str) -> &Self {
        self.bytes(path, text.as_bytes())
    }

    /// Writes a file that need not be text.
    pub fn bytes(&self, path: &str, bytes: &[u8]) -> &Self {
        let path = self.root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
        self
    }

    /// Reads a file of the catalog.
    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.root.join(path)).unwrap()
    }

    /// Adds a text to the end of a file.
    pub fn append(&self, path: &str, text: &str) -> &Self {
        let old = self.read(path);
        self.file(path, &(old + text))
    }

    /// Replaces a part of a file, which has to be there.
    pub fn replace(&self, path: &str, old: &str, new: &str) -> &Self {
        let text = self.read(path);
        assert!(text.contains(old), "{path} does not hold {old:?}");
        self.file(path, &text.replace(old, new))
    }

    /// Removes a file or a folder.
    pub fn remove(&self, path: &str) -> &Self {
        let path = self.root.join(path);
        if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }.unwrap();
        self
    }

    /// Makes a file executable.
    pub fn executable(&self, path: &str) -> &Self {
        fs::set_permissions(self.root.join(path), fs::Permissions::from_mode(0o755)).unwrap();
        self
    }

    /// Makes a symbolic link.
    pub fn link(&self, path: &str, target: impl AsRef<Path>) -> &Self {
        let path = self.root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(target, path).unwrap();
        self
    }

    /// Makes a named pipe.
    pub fn fifo(&self, path: &str) -> &Self {
        let path = self.root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
        self
    }

    /// Commits all that is there; the first commit makes the repository.
    pub fn commit(&self, message: &str) -> &Self {
        if !self.repository.join(".git").exists() {
            self.git(&["init", "--quiet", "--initial-branch=main"]);
        }
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "-m", message]);
        self
    }

    /// Runs git in the repository; returns what it prints.
    pub fn git(&self, args: &[&str]) -> Vec<u8> {
        let mut command = self.command("git");
        let output = command.current_dir(&self.repository).args(args).output().unwrap();
        assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    /// Runs lamina at the catalog's root.
    pub fn run<const N: usize>(&self, args: [&str; N]) -> Run {
        self.run_with(&args, "", b"", &[])
    }

    /// As [`Workshop::run`], in a folder of the catalog.
    pub fn run_in<const N: usize>(&self, folder: &str, args: [&str; N]) -> Run {
        self.run_with(&args, folder, b"", &[])
    }

    /// As [`Workshop::run`], with something to read on stdin.
    pub fn run_reading<const N: usize>(&self, stdin: &[u8], args: [&str; N]) -> Run {
        self.run_with(&args, "", stdin, &[])
    }

    /// Runs lamina, with all that can be chosen.
    pub fn run_with(&self, args: &[&str], folder: &str, stdin: &[u8], env: &[(&str, &str)]) -> Run {
        self.run_program(env!("CARGO_BIN_EXE_lamina"), args, folder, stdin, env)
    }

    /// As [`Workshop::run_with`], with another program than the one that was built.
    pub fn run_program(&self, program: &str, args: &[&str], folder: &str, stdin: &[u8], env: &[(&str, &str)]) -> Run {
        let mut command = self.command(program);
        command.current_dir(self.root.join(folder)).args(args).envs(env.iter().copied());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let what = format!("lamina {}", args.join(" "));
        let mut child = command.spawn().unwrap();
        let process = rustix::process::Pid::from_child(&child);
        // A program that does not want to read may close its end.
        let _ = child.stdin.take().unwrap().write_all(stdin);
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || sender.send(child.wait_with_output()));
        let Ok(output) = receiver.recv_timeout(HANGS) else {
            let _ = rustix::process::kill_process(process, rustix::process::Signal::KILL);
            panic!("{what} hangs");
        };
        let output = output.unwrap();
        let text = |bytes: Vec<u8>| self.redact(&String::from_utf8(bytes).expect("output is UTF-8"));
        Run {
            what,
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
            expected_stdout: String::new(),
            expected_stderr: Some(String::new()),
        }
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env_clear();
        let people = ["AUTHOR", "COMMITTER"];
        for person in people {
            command
                .env(format!("GIT_{person}_NAME"), "A Tester")
                .env(format!("GIT_{person}_EMAIL"), "tester@example.org");
            command.env(format!("GIT_{person}_DATE"), "2026-01-01T00:00:00Z");
        }
        command
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.temp.path().join("home"))
            .env("XDG_CACHE_HOME", self.temp.path().join("cache"))
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_SYSTEM", "/dev/null")
            .env("NO_COLOR", "1");
        command
    }

    /// Takes out what differs from machine to machine and from run to run.
    fn redact(&self, text: &str) -> String {
        static COMMIT: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\b[0-9a-f]{40}\b").unwrap());
        let outside = self.outside();
        let text =
            text.replace(self.root.to_str().unwrap(), "[CATALOG]").replace(outside.to_str().unwrap(), "[OUTSIDE]");
        COMMIT.replace_all(&text, "[COMMIT]").into_owned()
    }
}

impl Run {
    /// Expects this on stdout, exactly.
    pub fn stdout(self, text: &str) -> Self {
        Self { expected_stdout: text.to_owned(), ..self }
    }

    /// Expects this on stderr, exactly.
    pub fn stderr(self, text: &str) -> Self {
        Self { expected_stderr: Some(text.to_owned()), ..self }
    }

    /// What is said on stderr is another test's subject.
    pub fn any_stderr(self) -> Self {
        Self { expected_stderr: None, ..self }
    }

    /// Expects exit code 0.
    #[track_caller]
    pub fn success(self) {
        self.code(0);
    }

    /// Expects an exit code.
    #[track_caller]
    pub fn code(self, code: i32) {
        let expected_stderr = self.expected_stderr.as_ref().unwrap_or(&self.stderr);
        let expected = (Some(code), &self.expected_stdout, expected_stderr);
        if (self.code, &self.stdout, &self.stderr) != expected {
            let expected = show(Some(code), &self.expected_stdout, expected_stderr);
            let found = show(self.code, &self.stdout, &self.stderr);
            let diff = similar::TextDiff::from_lines(&expected, &found);
            panic!("{}\n{}", self.what, diff.unified_diff().context_radius(3).header("expected", "found"));
        }
    }

    /// Stdout, however the run ended.
    pub fn any_code(self) -> String {
        self.stdout
    }

    /// The exit code alone; none after a signal.
    pub fn exit_code(self) -> Option<i32> {
        self.code
    }

    /// Exit code, stdout and stderr in one text, with fingerprints taken out.
    #[track_caller]
    pub fn snapshot(self) -> String {
        static FINGERPRINT: LazyLock<Regex> = LazyLock::new(|| {
            Regex::new(
                r#"(fingerprint[":a-z ]*\s+(?:was |is )?"?|, is |"(?:old|new)": ")(?:[0-9a-f]{64}|[0-9a-f]{20})\b"#,
            )
            .unwrap()
        });
        let text = show(self.code, &self.stdout, &self.stderr);
        FINGERPRINT.replace_all(&text, "${1}[FINGERPRINT]").into_owned()
    }

    /// Stdout of a run that ended with this code.
    #[track_caller]
    pub fn answer(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "{}\n{}{}", self.what, self.stdout, self.stderr);
        self.stdout
    }

    /// Stdout of a run that ended with this code, as JSON.
    #[track_caller]
    pub fn json(self, code: i32) -> serde_json::Value {
        let what = self.what.clone();
        let answer = self.answer(code);
        serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{what}: {error}\n{answer}"))
    }
}

fn show(code: Option<i32>, stdout: &str, stderr: &str) -> String {
    let code = code.map_or("none: a signal".to_owned(), |code| code.to_string());
    let mut text = format!("exit code: {code}\n");
    for (name, content) in [("stdout", stdout), ("stderr", stderr)] {
        if !content.is_empty() {
            text.push_str(&format!("----- {name}\n{content}"));
        }
    }
    text
}

/// The head of a workflow.
pub const WORKFLOW: &str = "let { Workflow, .. } = import \"../../schemas/workflow.ncl\" in\n";

/// The workshop's catalog.
pub const CATALOG: &str = r#"let { Catalog, .. } = import "../schemas/catalog.ncl" in
{
  name | default = "workshop",
  rust.version | default = "1.97.1",
  debian.release | default = "trixie",
  images = {
    toolchain | default = "rust:%{rust.version}-slim-%{debian.release}",
    runtime | default = "debian:%{debian.release}-slim",
  },
  registry | default = "localhost:5000",
  namespace | default = "workshop",
  platforms | default = ["linux/amd64"],
} | Catalog
"#;

/// A Dockerfile for a layer that builds and runs on one base.
pub fn dockerfile(parent: &str) -> String {
    let default = if parent.contains(':') { parent } else { RUST };
    format!("ARG BUILD_BASE={default}\nFROM ${{BUILD_BASE}}\n")
}

/// The text of a lock with made-up digests.
pub fn lock(images: &[&str]) -> String {
    let entry = |image: &&str| format!("\n[[image]]\nreference = \"{image}@{}\"\n", digest(1));
    format!("version = 1\n{}", images.iter().map(entry).collect::<String>())
}

/// A made-up digest.
pub fn digest(number: u8) -> String {
    format!("sha256:{}", format!("{number:02x}").repeat(32))
}

/// A base as Nickel.
pub fn base(parent: &str) -> String {
    let kind = if parent.contains(':') { "image" } else { "layer" };
    format!("{{ {kind} = \"{parent}\" }}")
}

fn indent(fields: &str) -> String {
    fields.trim().lines().map(|line| format!("  {line}\n")).collect()
}

/// This repository.
pub fn manifest_folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
