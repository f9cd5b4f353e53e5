//! A place to cook in: a project, crates from a folder that stands in for crates.io, and a root with `/cooked`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

/// Paths and contents.
type Files<'a> = &'a [(&'a str, &'a str)];

/// The crates: name, version, what Cargo.toml has besides, files.
const CRATES: &[(&str, &str, &str, Files<'_>)] = &[
    ("leaf", "0.1.0", "[features]\nmore = []\n", &[("src/lib.rs", "pub fn leaf() -> u32 { 1 }\n")]),
    ("leaf", "0.1.1", "[features]\nmore = []\n", &[("src/lib.rs", "pub fn leaf() -> u32 { 2 }\n")]),
    ("deep", "0.1.0", "", &[("src/lib.rs", "pub fn deep() -> u32 { 1 }\n")]),
    ("deep", "0.1.1", "", &[("src/lib.rs", "pub fn deep() -> u32 { 2 }\n")]),
    ("other", "0.1.0", "", &[("src/lib.rs", "pub fn other() -> u32 { 3 }\n")]),
    ("testing", "0.1.0", "", &[("src/lib.rs", "pub fn testing() {}\n")]),
    (
        "derived",
        "0.1.0",
        "[lib]\nproc-macro = true\n[dependencies]\ndeep = \"0.1\"\n",
        &[(
            "src/lib.rs",
            "use proc_macro::TokenStream;\n\
             #[proc_macro]\npub fn deep(_: TokenStream) -> TokenStream { deep::deep().to_string().parse().unwrap() }\n",
        )],
    ),
    (
        "scripted",
        "0.1.0",
        "[build-dependencies]\nleaf = \"0.1\"\n",
        &[
            ("src/lib.rs", "include!(concat!(env!(\"OUT_DIR\"), \"/made.rs\"));\n"),
            (
                "build.rs",
                "fn main() {\n\
                 println!(\"cargo::rerun-if-env-changed=SCRIPTED_FLAG\");\n\
                 println!(\"cargo::rerun-if-env-changed=SCRIPTED_TOKEN\");\n\
                 println!(\"cargo::rerun-if-env-changed=SCRIPTED_UNSET\");\n\
                 let made = format!(\"pub fn scripted() -> u32 {{ {} }}\\n\", leaf::leaf());\n\
                 assert!(std::env::vars().all(|(_, value)| !value.contains(\"pen-sesame\")));\n\
                 std::fs::write(std::env::var(\"OUT_DIR\").unwrap() + \"/made.rs\", made).unwrap();\n}\n",
            ),
        ],
    ),
    (
        "hosted",
        "0.1.0",
        "[lib]\nproc-macro = true\n[dependencies]\nscripted = \"0.1\"\n",
        &[(
            "src/lib.rs",
            "use proc_macro::TokenStream;\n\
             #[proc_macro]\npub fn hosted(_: TokenStream) -> TokenStream { scripted::scripted().to_string().parse().unwrap() }\n",
        )],
    ),
    (
        "middle",
        "0.1.0",
        "[dependencies]\ndeep = \"0.1\"\n",
        &[("src/lib.rs", "pub fn middle() -> u32 { deep::deep() }\n")],
    ),
    (
        "top",
        "0.1.0",
        "[dependencies]\nmiddle = \"0.1\"\nderived = \"0.1\"\nscripted = \"0.1\"\n",
        &[("src/lib.rs", "pub fn top() -> u32 { middle::middle() + derived::deep!() + scripted::scripted() }\n")],
    ),
];

/// What a call of the program has done.
pub struct Outcome {
    pub code: Option<i32>,
    pub stderr: String,
}

impl Outcome {
    #[track_caller]
    pub fn success(self) -> Outcome {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
        self
    }

    #[track_caller]
    pub fn says(self, text: &str) -> Outcome {
        assert!(self.stderr.contains(text), "`{text}` is not said:\n{}", self.stderr);
        self
    }

    /// The crates that cargo has compiled, by its own words.
    pub fn compiled(&self) -> BTreeSet<&str> {
        let lines = self.stderr.lines().filter_map(|line| line.trim().strip_prefix("Compiling "));
        lines.filter_map(|line| line.split(' ').next()).filter(|name| *name != "project").collect()
    }
}

pub struct Shop {
    folder: TempDir,
    variables: Vec<(String, String)>,
}

impl Shop {
    pub fn new() -> Shop {
        let shop = Shop { folder: TempDir::new().expect("a folder"), variables: Vec::new() };
        for (name, version, more, files) in CRATES {
            let place = format!("vendor/{name}-{version}");
            let manifest = format!("[package]\nname = \"{name}\"\nversion = \"{version}\"\nedition = \"2021\"\n{more}");
            shop.write(&format!("{place}/Cargo.toml"), &manifest);
            shop.write(&format!("{place}/.cargo-checksum.json"), "{\"files\":{}}");
            files.iter().for_each(|(path, text)| shop.write(&format!("{place}/{path}"), text));
        }
        shop.write(
            ".cargo/config.toml",
            "[source.crates-io]\nreplace-with = \"vendor\"\n[source.vendor]\ndirectory = \"vendor\"\n",
        );
        shop.project("project", "top = \"0.1\"\nother = \"0.1\"\nleaf = \"=0.1.0\"\n", "0.1.0");
        shop
    }

    pub fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(path, text).expect("a file");
    }

    pub fn variable(&mut self, name: &str, value: &str) {
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    /// A project with these dependencies and this version of `deep`.
    pub fn project(&self, name: &str, dependencies: &str, deep: &str) {
        let manifest = format!(
            "[package]\nname = \"project\"\nversion = \"0.1.0\"\nedition = \"2021\"\n[dependencies]\n{dependencies}\
             deep = \"={deep}\"\n[dev-dependencies]\ntesting = \"0.1\"\n"
        );
        self.write(&format!("{name}/Cargo.toml"), &manifest);
        self.write(&format!("{name}/src/lib.rs"), "");
        drop(fs::remove_file(self.path(&format!("{name}/Cargo.lock"))));
        self.cargo(name, &["generate-lockfile", "--offline"]);
    }

    /// What cargo writes, called in a project.
    pub fn cargo(&self, project: &str, words: &[&str]) -> String {
        let mut command = Command::new(env!("CARGO"));
        command.current_dir(self.path(project)).args(words).env_remove("CARGO_TARGET_DIR");
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        let said = command.output().expect("cargo runs");
        assert!(said.status.success(), "cargo {words:?}: {}", String::from_utf8_lossy(&said.stderr));
        String::from_utf8(said.stdout).expect("a text")
    }

    pub fn target(&self) -> PathBuf {
        self.path("root/cooked/target")
    }

    pub fn manifest_path(&self, layer: &str) -> PathBuf {
        self.path(&format!("root/cooked/{layer}.units.json"))
    }

    /// Cooks a project as a layer, with more words for the program and cargo.
    pub fn cook(&self, layer: &str, project: &str, words: &[&str]) -> Outcome {
        let (target, manifest) = (self.target(), self.manifest_path(layer));
        let all = ["--layer", layer, "--target-dir", target.to_str().expect("a text"), "--manifest"];
        self.call(project, &[&all[..], &[manifest.to_str().expect("a text")], words].concat())
    }

    /// Calls the program in a project.
    pub fn call(&self, project: &str, words: &[&str]) -> Outcome {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lamina-cook"));
        command.current_dir(self.path(project)).env_remove("CARGO_TARGET_DIR").env("CARGO", env!("CARGO")).args(words);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        let said = command.output().expect("the program runs");
        Outcome { code: said.status.code(), stderr: String::from_utf8_lossy(&said.stderr).into_owned() }
    }

    pub fn manifest(&self, layer: &str) -> Value {
        let text = fs::read_to_string(self.manifest_path(layer)).expect("a manifest");
        serde_json::from_str(&text).expect("JSON")
    }

    /// Makes what was cooked a donor: the root of an image that has it at the same paths. `/cooked` is empty again.
    pub fn make_donor(&self, name: &str) -> PathBuf {
        let donor = self.path(name);
        let cooked = donor.join(self.path("root").strip_prefix("/").expect("an absolute path"));
        fs::create_dir_all(&cooked).expect("a folder");
        fs::rename(self.path("root/cooked"), cooked.join("cooked")).expect("a folder");
        donor
    }
}

/// The units of a cook that came of something: folder → digest, and crate's name.
pub fn units(manifest: &Value, cook: usize) -> BTreeMap<String, (String, String)> {
    let graph = &manifest["cooks"][cook]["graph"];
    let unit = |unit: &Value| {
        let output = unit.get("output")?;
        let package = usize::try_from(unit["package"].as_u64()?).ok()?;
        let text = |value: &Value| value.as_str().map(str::to_owned);
        Some((text(&output["folder"])?, (text(&output["sha256"])?, text(&graph["packages"][package]["name"])?)))
    };
    graph["units"].as_array().expect("units").iter().filter_map(unit).collect()
}

/// All files below a folder.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => found.push(path),
        }
    }
    found.sort();
    found
}
