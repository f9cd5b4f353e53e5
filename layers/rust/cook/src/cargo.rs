//! Calls of cargo.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Deserialize;

use crate::args::{Options, ProfileSpec};
use crate::cpu::{self, Costs, Records, Runs};
use crate::failure::{Failure, Result};
use crate::files::artifact_digits;
use crate::graph::Planned;
use crate::sccache::Sccache;

/// What a build has said of itself.
#[derive(Debug, Default)]
pub struct Built {
    /// The profiles' folders and digits of all units of registries and git.
    pub units: BTreeSet<(PathBuf, String)>,
    /// The processor time of what was compiled, by digits.
    pub costs: Costs,
    /// The runs of build scripts that units were compiled with.
    pub runs: Runs,
}

fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// cargo as the cook calls it: the same words for the plan and for the build.
fn cooking(options: &Options, spec: &ProfileSpec) -> Command {
    let mut command = cargo();
    command.args(spec.command()).arg("--locked").arg("--target-dir").arg(&options.target_dir).args(&options.arguments);
    command
}

/// Unpacks a recipe into the current folder: the project without its code.
pub fn unpack(recipe: &Path) -> Result<()> {
    let mut command = cargo();
    command.args(["chef", "cook", "--no-build", "--recipe-path"]).arg(recipe);
    let status = command.status().map_err(|error| Failure::Other(format!("can't run cargo: {error}")))?;
    match status.success() {
        true => Ok(()),
        false => Err(Failure::Cargo(format!("cargo chef could not unpack {}", recipe.display()))),
    }
}

/// What a command writes, where it succeeds.
pub fn output(program: &str, words: &[&str]) -> Result<String> {
    let mut command = match program {
        "cargo" => cargo(),
        "rustc" => Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into())),
        other => Command::new(other),
    };
    command.args(words).stderr(Stdio::piped());
    if words.contains(&"-Zunstable-options") {
        command.env("RUSTC_BOOTSTRAP", "1");
    }
    let said = command.output().map_err(|error| Failure::Other(format!("can't run {program}: {error}")))?;
    if !said.status.success() {
        let text = String::from_utf8_lossy(&said.stderr);
        return Err(Failure::Cargo(format!("`{program} {}` failed: {}", words.join(" "), text.trim())));
    }
    String::from_utf8(said.stdout).map_err(|_| Failure::Other(format!("{program} writes what is no text")))
}

/// What cargo would compile.
pub fn plan(options: &Options, spec: &ProfileSpec) -> Result<Planned> {
    let mut command = cooking(options, spec);
    // Only this call: build scripts that watch the variable would be others afterwards.
    command.args(["--unit-graph", "-Zunstable-options"]).env("RUSTC_BOOTSTRAP", "1").stderr(Stdio::inherit());
    let said = command.output().map_err(|error| Failure::Other(format!("can't run cargo: {error}")))?;
    if !said.status.success() {
        return Err(Failure::Cargo(format!("cargo can't plan the profile {spec}")));
    }
    let lock = fs::read_to_string("Cargo.lock").unwrap_or_default();
    Planned::parse(&said.stdout, &lock).map_err(|error| Failure::Other(format!("cargo's unit graph: {error}")))
}

/// This program, which takes the place of rustc.
fn itself() -> Result<PathBuf> {
    std::env::current_exe().map_err(|error| Failure::Other(format!("can't find itself: {error}")))
}

/// Runs a command, whose calls of rustc go through sccache where settings are mounted; its exit code.
pub fn run(words: &[String]) -> Result<ExitCode> {
    let Some((program, arguments)) = words.split_first() else { return Ok(ExitCode::SUCCESS) };
    let mut command = Command::new(program);
    command.args(arguments);
    let sccache = Sccache::start();
    let records = Records::new()?;
    if let Some(sccache) = &sccache {
        command.env("RUSTC_WRAPPER", itself()?).env(cpu::RECORDS, records.path());
        sccache.pass_on(&mut command);
    }
    let status = command.status().map_err(|error| Failure::Other(format!("can't run {program}: {error}")))?;
    sccache.into_iter().for_each(Sccache::end);
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from))
}

/// Compiles.
pub fn build(options: &Options, spec: &ProfileSpec, records: &Records, sccache: Option<&Sccache>) -> Result<Built> {
    let this = itself()?;
    let this = this.to_str().ok_or_else(|| Failure::Other("its own path is no text".to_owned()))?;
    let mut command = cooking(options, spec);
    // By an argument and not by RUSTC_WRAPPER: a build script that watches that variable sees what others will.
    command.arg("--config").arg(format!("build.rustc-wrapper={}", serde_json::Value::from(this)));
    let variables = ["RUSTC_WRAPPER", "CARGO_BUILD_RUSTC_WRAPPER"];
    if let Some(next) = variables.into_iter().find_map(std::env::var_os) {
        command.env(cpu::NEXT, next);
    }
    for variable in variables {
        command.env_remove(variable);
    }
    command.env(cpu::RECORDS, records.path());
    if let Some(sccache) = sccache {
        sccache.pass_on(&mut command);
    }
    command.args(["--message-format", "json-render-diagnostics"]).stdout(Stdio::piped());
    let mut child = command.spawn().map_err(|error| Failure::Other(format!("can't run cargo: {error}")))?;
    let mut built = Built::default();
    let is_over = AtomicBool::new(false);
    let stdout = child.stdout.take();
    let (read, costs) = std::thread::scope(|scope| {
        let watching = scope.spawn(|| cpu::watch(&options.target_dir, &is_over));
        let read = stdout.into_iter().flat_map(|stdout| BufReader::new(stdout).lines()).try_for_each(|line| {
            built.hear(&line.map_err(|error| Failure::Other(format!("can't read what cargo says: {error}")))?);
            Ok(())
        });
        let status = child.wait().map_err(|error| Failure::Other(format!("can't wait for cargo: {error}")));
        is_over.store(true, Ordering::Relaxed);
        (read.and(status), watching.join().unwrap_or_default())
    });
    if !read?.success() {
        return Err(Failure::Cargo(format!("cargo failed to compile the profile {spec}")));
    }
    (built.costs, built.runs) = records.take();
    built.costs.extend(costs);
    Ok(built)
}

/// A line of `--message-format json`, see <https://doc.rust-lang.org/cargo/reference/external-tools.html>.
#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    package_id: String,
    #[serde(default)]
    filenames: Vec<PathBuf>,
    out_dir: Option<PathBuf>,
}

impl Built {
    fn hear(&mut self, line: &str) {
        let Ok(message) = serde_json::from_str::<Message>(line) else { return };
        if message.package_id.starts_with("path+") {
            return;
        }
        // `PROFILE/deps/libNAME-HASH.rlib`, `PROFILE/build/NAME-HASH/build-script-build`, `PROFILE/build/NAME-HASH/out`
        let paths = message.filenames.iter().chain(message.out_dir.as_ref());
        self.units.extend(paths.filter_map(|path| {
            let folder = path.parent()?;
            let name = |path: &Path| path.file_name()?.to_str().map(str::to_owned);
            let (unit, profile) = match folder.file_name()?.to_str()? {
                "deps" => (name(path)?, folder.parent()?),
                _ => (name(folder)?, folder.parent()?.parent()?),
            };
            Some((profile.to_owned(), artifact_digits(&unit)?.to_owned()))
        }));
    }
}
