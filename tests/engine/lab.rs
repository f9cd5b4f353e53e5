//! Engines, a registry, and folders to build from.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};
use std::{env, fs, process};

use lamina::engine::{self, ClientChoice, Engine, Environment, Options, Output, Progress, Solve, SolveError, Solved};
use lamina::model::{Digest, ImageRef};
use lamina::registry::{self, Registry};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// An engine, and the registry that it pushes to.
pub struct Lab {
    pub name: &'static str,
    pub engine: Box<dyn Engine>,
    pub registry: String,
    /// How it was opened, for who wants to open it otherwise.
    pub options: Options,
    /// Names that no other test, engine or run has.
    unique: String,
}

/// What a build said, and how it ended.
pub struct Built {
    pub result: Result<Solved, SolveError>,
    pub progress: Vec<Progress>,
}

/// Options for a client of this process' environment.
pub fn options(client: ClientChoice) -> Options {
    Options {
        client: Some(client),
        env: Environment::of_process(),
        lamina: Some(PathBuf::from(env!("CARGO_BIN_EXE_lamina"))),
        ..Options::default()
    }
}

/// Tries something with each client whose engine the environment names: the plugin of docker by itself, docker with its
/// plugin, and buildctl.
pub fn on_each(test: &str, try_it: impl Fn(&Lab)) {
    let Ok(registry) = env::var("LAMINA_LAB_REGISTRY") else {
        eprintln!("{test} is skipped: LAMINA_LAB_REGISTRY names no registry");
        return;
    };
    let hidden = folder();
    let mut through_docker = options(ClientChoice::Buildx);
    through_docker.env = with(&[("DOCKER_CONFIG", &hide_plugin(hidden.path()))]);
    for (name, variable, options) in [
        ("buildx", "DOCKER_HOST", options(ClientChoice::Buildx)),
        ("docker", "DOCKER_HOST", through_docker),
        ("buildctl", "BUILDKIT_HOST", options(ClientChoice::Buildctl)),
    ] {
        if env::var_os(variable).is_none() {
            eprintln!("{test} is skipped for {name}: {variable} names no engine");
            continue;
        }
        let engine = engine::open(&options).unwrap_or_else(|error| panic!("{name}: {error}"));
        let program = &engine.command(&Solve::default())[0];
        if name == "docker" && !program.ends_with("/docker") {
            eprintln!("{test} is skipped for {name}: {program} is found without it");
            continue;
        }
        try_it(&Lab { name, engine, registry: registry.clone(), options, unique: unique() });
    }
}

/// A configuration of docker by which it finds its plugin where lamina does not look.
fn hide_plugin(folder: &Path) -> String {
    let own = env::var_os("DOCKER_CONFIG").map(PathBuf::from);
    let own = own.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".docker"))).unwrap();
    let config = serde_json::json!({ "cliPluginsExtraDirs": [own.join("cli-plugins")] });
    fs::write(folder.join("config.json"), config.to_string()).unwrap();
    folder.display().to_string()
}

/// This process' environment with other values for some variables.
pub fn with(variables: &[(&str, &str)]) -> Environment {
    let changed = variables.iter().map(|(name, value)| (name.into(), value.into()));
    env::vars_os().chain(changed).collect()
}

/// A word that stands nowhere else.
pub fn unique() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos();
    format!("{}-{}-{now}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

impl Lab {
    /// The image that everything starts from.
    pub fn busybox(&self) -> String {
        format!("{}/library/busybox:stable", self.registry)
    }

    /// A name of an image of this test's own.
    pub fn image(&self, name: &str) -> ImageRef {
        format!("{}/lamina-engine-test/{}/{name}:t", self.registry, self.unique).parse().unwrap()
    }

    /// A build of a Dockerfile that starts from busybox; nothing of it has been run before.
    pub fn solve(&self, folder: &Path, steps: &str) -> Solve {
        let text = format!("FROM {}\nENV UNIQUE={}\n{steps}", self.busybox(), self.unique);
        self.solve_of(folder, &text)
    }

    /// A build of a whole Dockerfile.
    pub fn solve_of(&self, folder: &Path, text: &str) -> Solve {
        fs::write(folder.join("Dockerfile"), text).unwrap();
        Solve { dockerfile: folder.join("Dockerfile"), context: folder.to_owned(), ..Solve::default() }
    }

    pub fn build(&self, solve: &Solve) -> Built {
        self.build_until(solve, &CancellationToken::new())
    }

    pub fn build_until(&self, solve: &Solve, cancel: &CancellationToken) -> Built {
        build_with(&*self.engine, solve, cancel)
    }

    /// A build that fails.
    pub fn fails(&self, solve: &Solve) -> SolveError {
        let error = self.build(solve).result.expect_err("it fails");
        assert!(!error.cancelled && !error.message.is_empty() && !error.message.contains('\n'), "{error:?}");
        error
    }

    /// What the registry has under a name.
    pub fn digest(&self, image: &ImageRef) -> Option<Digest> {
        let options = registry::Options { plain_http: [self.registry.clone()].into(), ..registry::Options::default() };
        let registries = registry::open(&options).unwrap();
        registry::block_on(registries.digest(image)).unwrap().ok()
    }
}

pub fn build_with(engine: &dyn Engine, solve: &Solve, cancel: &CancellationToken) -> Built {
    let mut progress = Vec::new();
    let result = {
        let mut keep = |step| progress.push(step);
        registry::block_on(engine.solve(solve, &mut keep, cancel)).unwrap()
    };
    Built { result, progress }
}

impl Built {
    /// The lines that steps wrote.
    pub fn output(&self) -> Vec<&str> {
        let lines = self.progress.iter().filter_map(|progress| match progress {
            Progress::Output { line, .. } => Some(line.as_str()),
            _ => None,
        });
        lines.collect()
    }

    pub fn warnings(&self) -> Vec<&str> {
        let warnings = self.progress.iter().filter_map(|progress| match progress {
            Progress::Warning(text) => Some(text.as_str()),
            _ => None,
        });
        warnings.collect()
    }
}

pub fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

pub fn push(image: &ImageRef) -> Output {
    Output::Push(image.clone())
}

/// Whether a process of this machine has a word in its arguments. Steps of a build are processes of this machine, too.
pub fn runs(word: &str) -> bool {
    let own = process::id().to_string();
    fs::read_dir("/proc").unwrap().flatten().any(|entry| {
        let name = entry.file_name();
        let is_process = name.to_string_lossy().bytes().all(|byte| byte.is_ascii_digit()) && *name != *own;
        let dead = || {
            let state = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
            state.rsplit(") ").next().is_none_or(|rest| rest.starts_with('Z'))
        };
        let args = || fs::read(entry.path().join("cmdline")).unwrap_or_default();
        is_process && String::from_utf8_lossy(&args()).contains(word) && !dead()
    })
}

/// Waits until something is so; panics when it takes too long.
pub fn until(what: &str, mut is: impl FnMut() -> bool) {
    for _ in 0..600 {
        if is() {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("{what}: not within 30 s");
}
