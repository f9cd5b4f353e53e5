//! A real registry, an empty catalog that names it, and a small real project.

use std::collections::BTreeSet;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;
use tempfile::TempDir;

/// A catalog, a project, a registry.
pub struct Shop {
    temp: TempDir,
    /// The registry's host.
    pub host: String,
    process: Option<Child>,
    namespace: String,
}

/// How a run of lamina ended.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Shop {
    /// None, and a word about it, where there is no registry or no crates.
    pub fn new(test: &str) -> Option<Self> {
        let temp = TempDir::new().unwrap();
        let (host, process) = match std::env::var("LAMINA_LAB_REGISTRY") {
            Ok(host) => (host, None),
            Err(_) => {
                let Some((host, process)) = (0..5).find_map(|_| start(temp.path())) else {
                    eprintln!(
                        "{test} is skipped: LAMINA_LAB_REGISTRY names no registry, and docker-registry is not on PATH"
                    );
                    return None;
                };
                (host, Some(process))
            }
        };
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos();
        let namespace = format!("test-warm-{}-{now}", std::process::id());
        let shop = Self { temp, host, process, namespace };
        let schemas = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas");
        for schema in fs::read_dir(schemas).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_file()) {
            let text = fs::read_to_string(schema.path()).unwrap();
            shop.file(&format!("catalog/schemas/{}", schema.file_name().to_str().unwrap()), &text);
        }
        shop.catalog(&shop.host.clone());
        shop.dependencies("anyhow = \"1\"\nitoa = \"1\"\nserde = { version = \"1\", features = [\"derive\"] }\n");
        shop.file(
            "project/src/main.rs",
            "#[derive(serde::Serialize)]\nstruct One(u8);\nfn main() -> anyhow::Result<()> {\n    \
             println!(\"{}\", itoa::Buffer::new().format(One(1).0));\n    Ok(())\n}\n",
        );
        let locked = shop.cargo(&["generate-lockfile", "--offline"]).or_else(|| shop.cargo(&["generate-lockfile"]));
        if locked.is_none() {
            eprintln!("{test} is skipped: cargo can't get crates from crates.io");
            return None;
        }
        Some(shop)
    }

    /// Has units in another registry.
    pub fn catalog(&self, host: &str) {
        let text = format!(
            "let {{ Catalog, .. }} = import \"../schemas/catalog.ncl\" in\n{{\n  name = \"mini\",\n  rust.version = \"1\",\n  \
             debian.release = \"trixie\",\n  registry = \"{host}\",\n  namespace = \"{}\",\n  \
             platforms = [\"linux/amd64\"],\n  plain_http = [\"{host}\"],\n}} | Catalog\n",
            self.namespace
        );
        self.file("catalog/catalog/catalog.ncl", &text);
    }

    /// The project's manifest with these dependencies.
    pub fn dependencies(&self, lines: &str) {
        let text = format!(
            "[package]\nname = \"shop\"\nversion = \"0.1.0\"\nedition = \"2021\"\n\n[dependencies]\n{lines}\n[workspace]\n"
        );
        self.file("project/Cargo.toml", &text);
    }

    pub fn file(&self, path: &str, text: &str) {
        let path = self.temp.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub fn target(&self) -> PathBuf {
        self.temp.path().join("project/target")
    }

    fn command(&self, program: &str, folder: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.temp.path().join(folder));
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            let bends = ["LAMINA_", "CARGO_TARGET", "CARGO_BUILD", "CARGO_PROFILE", "CARGO_PKG"]
                .iter()
                .any(|start| text.starts_with(start));
            if bends || ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_MANIFEST_DIR"].contains(&&*text) {
                command.env_remove(&name);
            }
        }
        command.env("XDG_CACHE_HOME", self.temp.path().join("cache")).env("NO_COLOR", "1");
        command
    }

    /// cargo in the project's folder; what it wrote on stdout, where it did well.
    pub fn cargo(&self, args: &[&str]) -> Option<String> {
        let output = self.command("cargo", "project").args(args).output().unwrap();
        if !output.status.success() {
            eprintln!("{}", String::from_utf8_lossy(&output.stderr));
        }
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
    }

    /// `cargo build`; returns the packages that were compiled, or whose build scripts were run.
    pub fn build(&self) -> BTreeSet<String> {
        let told = self.cargo(&["build", "--locked", "--message-format=json"]).expect("the project compiles");
        let messages = told.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let artifacts =
            messages.filter(|message| message["reason"] == "compiler-artifact" && message["fresh"] == false);
        artifacts
            .map(|artifact| artifact["target"]["name"].as_str().unwrap().to_owned() + "@" + package(&artifact))
            .collect()
    }

    /// `lamina warm` for the project; its answer.
    pub fn warm(&self, args: &[&str]) -> Value {
        let ran = self.lamina(args);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        serde_json::from_str(&ran.stdout).unwrap()
    }

    pub fn lamina(&self, args: &[&str]) -> Ran {
        self.start(args).wait_with_output().map(ran).unwrap()
    }

    pub fn start(&self, args: &[&str]) -> Child {
        let mut command = self.command(env!("CARGO_BIN_EXE_lamina"), "catalog");
        command.args(["warm", "--project", "../project", "--profile", "dev", "--format", "json"]).args(args);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }
}

pub fn ran(output: std::process::Output) -> Ran {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// The package of a message of cargo's: `registry+https://…#serde@1.0.0`, `path+file:///…/shop#0.1.0`.
fn package(message: &Value) -> &str {
    let id = message["package_id"].as_str().unwrap();
    let (source, name) = id.rsplit_once('#').unwrap();
    match name.split_once('@') {
        Some((name, _)) => name,
        None => source.rsplit_once('/').unwrap().1,
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// Debian's registry on a port of its own, with its files in a folder.
fn start(folder: &Path) -> Option<(String, Child)> {
    let host = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let config = folder.join("registry.yml");
    let storage = folder.join("storage");
    let text = format!(
        "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp:\n  addr: {host}\n",
        storage.display()
    );
    fs::write(&config, text).unwrap();
    let mut program = Command::new("docker-registry");
    program.arg("serve").arg(config).stdout(Stdio::null()).stderr(Stdio::null());
    let mut process = program.spawn().ok()?;
    let begun = Instant::now();
    while TcpStream::connect(&host).is_err() {
        if process.try_wait().unwrap().is_some() || begun.elapsed() > Duration::from_secs(60) {
            let _ = process.kill();
            let _ = process.wait();
            return None;
        }
        thread::sleep(Duration::from_millis(10));
    }
    Some((host, process))
}
