//! A catalog of tiny layers, with a namespace of its own in the registry.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use lamina::model::ImageRef;
use lamina::registry::{self, Options, Registry};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// Longer than anything may take on a busy machine: what is not over by then hangs.
pub const HANGS: Duration = Duration::from_secs(600);

/// A catalog in a temporary folder.
pub struct Shop {
    temp: TempDir,
    /// The registry's host.
    pub registry: String,
    /// A word that nobody else has: the namespace in the registry.
    pub unique: String,
    pub env: BTreeMap<OsString, OsString>,
}

/// How a run ended.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Shop {
    /// An empty catalog; none, and a word about it, where there is no engine or no registry.
    pub fn new(test: &str) -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let registry = std::env::var("LAMINA_LAB_REGISTRY").ok();
        let (Some(registry), Some(_)) = (registry, std::env::var_os("DOCKER_HOST")) else {
            eprintln!("{test} is skipped: DOCKER_HOST and LAMINA_LAB_REGISTRY name no engine and no registry");
            return None;
        };
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos();
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let unique = format!("test-build-{}-{number}-{now}", std::process::id());
        let temp = TempDir::new().unwrap();
        let mut env: BTreeMap<OsString, OsString> = std::env::vars_os()
            .filter(|(name, _)| {
                ["PATH", "DOCKER_HOST", "DOCKER_CONFIG", "BUILDKIT_HOST"].iter().any(|known| name == known)
            })
            .collect();
        for (name, folder) in
            [("HOME", "home"), ("XDG_CACHE_HOME", "cache"), ("XDG_STATE_HOME", "state"), ("TMPDIR", "tmp")]
        {
            fs::create_dir(temp.path().join(folder)).unwrap();
            env.insert(name.into(), temp.path().join(folder).into());
        }
        env.insert("NO_COLOR".into(), "1".into());
        let shop = Self { temp, registry: registry.clone(), unique, env };
        let schemas = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas");
        for schema in fs::read_dir(schemas).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_file()) {
            let text = fs::read_to_string(schema.path()).unwrap();
            shop.file(&format!("schemas/{}", schema.file_name().to_str().unwrap()), &text);
        }
        shop.catalog(&registry);
        Some(shop)
    }

    /// Has images pushed to another registry.
    pub fn catalog(&self, registry: &str) {
        let Self { registry: lab, unique, .. } = self;
        let text = format!(
            "let {{ Catalog, .. }} = import \"../schemas/catalog.ncl\" in\n{{\n  name = \"mini\",\n  rust.version = \"1\",\n  \
             debian.release = \"trixie\",\n  registry = \"{registry}\",\n  namespace = \"{unique}\",\n  \
             platforms = [\"linux/amd64\"],\n  plain_http = [\"{lab}\", \"{registry}\"],\n}} | Catalog\n"
        );
        self.file("catalog/catalog.ncl", &text);
    }

    pub fn root(&self) -> PathBuf {
        self.temp.path().join("catalog")
    }

    /// A folder beside the catalog.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.temp.path().join(name)
    }

    pub fn file(&self, path: &str, text: &str) -> &Self {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    /// A layer on busybox (`parent` empty) or on another layer. Its Dockerfile copies a file that no other test has, so
    /// that no step is in anybody's cache, and then has these lines. `fields` are further ones of its workflow.
    pub fn layer(&self, name: &str, parent: &str, lines: &str, fields: &str) -> &Self {
        let base = match parent {
            "" => format!("{{ image = \"{}/library/busybox:stable\" }}", self.registry),
            parent => format!("{{ layer = \"{parent}\" }}"),
        };
        let workflow = format!(
            "let {{ Workflow, .. }} = import \"../../schemas/workflow.ncl\" in\n{{\n  layer = \"{name}\",\n  class = \
             'toolchain,\n  summary = \"The layer {name}\",\n  build_base = {base},\n  runtime_base = {base},\n  {fields}\n}} \
             | Workflow\n"
        );
        self.file(&format!("layers/{name}/workflow.ncl"), &workflow)
            .file(&format!("layers/{name}/stamp"), &format!("{} {name}\n", self.unique))
            .file(
                &format!("layers/{name}/Dockerfile"),
                &format!("ARG BUILD_BASE=busybox:stable\nFROM ${{BUILD_BASE}}\nCOPY stamp /stamp-{name}\n{lines}\n"),
            )
    }

    /// Pins what the layers stand on, with lamina itself.
    pub fn lock(&self) -> &Self {
        let ran = self.run(&["lock"]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        self
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lamina"));
        command.args(args).current_dir(self.root()).env_clear().envs(&self.env);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs lamina to its end.
    pub fn run(&self, args: &[&str]) -> Ran {
        Running::of(self.command(args)).end()
    }

    /// Starts lamina.
    pub fn start(&self, args: &[&str]) -> Running {
        Running::of(self.command(args))
    }

    /// The answer of `build --format json`, and how it ended.
    pub fn build(&self, args: &[&str]) -> (Option<i32>, Value) {
        let mut all = vec!["build", "--format", "json", "--progress", "plain"];
        all.extend(args);
        let ran = self.run(&all);
        let answer = serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
        (ran.code, answer)
    }

    /// The events of the last run that was written down; none where there was none.
    pub fn events(&self) -> Vec<Value> {
        let Ok(catalogs) = fs::read_dir(self.beside("state/lamina")) else { return Vec::new() };
        let runs =
            catalogs.flat_map(|catalog| fs::read_dir(catalog.unwrap().path().join("runs")).into_iter().flatten());
        let Some(last) = runs.map(|run| run.unwrap().path()).max() else { return Vec::new() };
        let text = fs::read_to_string(last.join("events.jsonl")).unwrap_or_default();
        // The last line may be half written.
        text.lines().map_while(|line| serde_json::from_str(line).ok()).collect()
    }

    /// What a tag of a layer stands for.
    pub fn digest(&self, layer: &str, tag: &str) -> Option<String> {
        let image: ImageRef = format!("{}/{}/{layer}:{tag}", self.registry, self.unique).parse().unwrap();
        self.ask(async |registry| registry.digest(&image).await.ok().map(|digest| digest.to_string()))
    }

    /// The tags of a layer.
    pub fn tags(&self, layer: &str) -> Vec<String> {
        let image: ImageRef = format!("{}/{}/{layer}:any", self.registry, self.unique).parse().unwrap();
        let mut tags = self.ask(async |registry| registry.tags(&image).await.unwrap_or_default());
        tags.sort();
        tags
    }

    /// The bytes of an image's configuration: its history and its environment are in it.
    pub fn config(&self, layer: &str, tag: &str) -> String {
        let image: ImageRef = format!("{}/{}/{layer}:{tag}", self.registry, self.unique).parse().unwrap();
        self.ask(async |registry| {
            let manifest: Value = serde_json::from_slice(&registry.raw(&image, None).await.unwrap().bytes).unwrap();
            let digest = manifest["config"]["digest"].as_str().unwrap().parse().unwrap();
            String::from_utf8(registry.blob(&image, &digest, 1 << 20).await.unwrap()).unwrap()
        })
    }

    pub fn ask<T>(&self, question: impl AsyncFnOnce(&registry::Retry<registry::Client>) -> T) -> T {
        let options = Options { plain_http: [self.registry.clone()].into(), ..Options::default() };
        let registries = registry::open(&options).unwrap();
        registry::block_on(question(&registries)).unwrap()
    }
}

/// lamina while it runs. It is killed with this value.
pub struct Running {
    child: Child,
    readers: Vec<thread::JoinHandle<String>>,
}

impl Running {
    fn of(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let mut stdout = child.stdout.take().unwrap();
        let mut stderr = child.stderr.take().unwrap();
        let readers = vec![
            thread::spawn(move || {
                let mut text = String::new();
                stdout.read_to_string(&mut text).unwrap();
                text
            }),
            thread::spawn(move || {
                let mut text = String::new();
                stderr.read_to_string(&mut text).unwrap();
                text
            }),
        ];
        Self { child, readers }
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    pub fn is_over(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits for the end.
    pub fn end(mut self) -> Ran {
        until("lamina ends", || self.is_over());
        let code = self.child.wait().unwrap().code();
        let mut texts = std::mem::take(&mut self.readers).into_iter().map(|reader| reader.join().unwrap());
        Ran { code, stdout: texts.next().unwrap(), stderr: texts.next().unwrap() }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until something is so.
#[track_caller]
pub fn until(what: &str, mut is: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is() {
        assert!(begun.elapsed() < HANGS, "waited for too long: {what}");
        thread::sleep(Duration::from_millis(30));
    }
}

/// The argument lists of all processes of this machine that can be seen.
pub fn command_lines() -> Vec<Vec<u8>> {
    let mut lines = Vec::new();
    for process in fs::read_dir("/proc").unwrap().map_while(Result::ok) {
        // A process may be gone by now; and what has ended has no arguments.
        lines.extend(fs::read(process.path().join("cmdline")));
    }
    lines
}

/// Whether a process of this machine has a word in its arguments. Steps of a build are processes of this machine, too.
pub fn runs(word: &str) -> bool {
    let is_word = |line: &Vec<u8>| line.split(|byte| *byte == 0).any(|arg| arg == word.as_bytes());
    command_lines().iter().any(is_word)
}

/// Of a report: the layer by its name.
#[track_caller]
pub fn layer<'a>(report: &'a Value, name: &str) -> &'a Value {
    let layers = report["layers"].as_array().unwrap();
    layers.iter().find(|layer| layer["layer"] == name).unwrap_or_else(|| panic!("{name}: {report:#}"))
}
