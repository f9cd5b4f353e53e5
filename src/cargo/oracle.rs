//! Cargo's own verdict on a target folder, unit by unit, without compiling anything.
//!
//! cargo decides what is fresh while it plans, before any rustc runs, and logs it. So a build is started with a wrapper
//! in rustc's place that answers cargo's questions about the compiler and refuses to compile. Of an empty folder, the
//! verdicts still say how each unit's folder is called, which is cargo's own hash of it.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::{BuildOptions, Project, ProjectError, call};
use crate::unit::{Kind, Unit, UnitGraph};

/// Answers `rustc -vV` and the questions that cargo asks with the crate name `___`; whatever else is a compilation.
pub(super) const WRAPPER: &str = "#!/bin/sh
for argument; do
  case $argument in
    -vV | ___) exec \"$@\" ;;
  esac
done
exit 1
";

/// The module of cargo that logs verdicts, by its old and its new name.
pub(super) const LOG: &str = "cargo::core::compiler::fingerprint=debug,cargo::compiler::fingerprint=debug";

/// What cargo said of all units.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Oracle {
    /// The units, in the order in which cargo looked at them.
    pub units: Vec<Verdict>,
}

/// What cargo said of one unit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Verdict {
    /// The folder in the target folder that it is in: `release`, `wasm32-unknown-unknown/debug`.
    pub area: String,
    /// Its folder in `.fingerprint`: `serde-04c2e949dadc8657`.
    pub folder: String,
    /// Its file in there, which says what it is: `lib-serde`, `run-build-script-build-script-build`.
    pub file: String,
    /// Its package's version.
    pub version: String,
    /// Whether it would be used as it is.
    pub fresh: bool,
    /// Why not, as cargo names it: `RustflagsChanged { … }`; absent for one that is not there at all.
    pub reason: Option<String>,
}

impl Oracle {
    /// Reads cargo's log about a target folder, which it names by its canonical path. Each unit begins with the place of
    /// its fingerprint; what follows is about it until the next.
    pub(super) fn parse(target: &Path, log: &str) -> Oracle {
        let mut oracle = Oracle::default();
        for line in log.lines() {
            let Some((before, message)) = line.split_once("fingerprint: ") else { continue };
            if let Some(place) = message.strip_prefix("fingerprint at: ") {
                oracle.units.extend(verdict(target, before, Path::new(place.trim())));
            } else if let Some(unit) = oracle.units.last_mut() {
                if message.starts_with("fingerprint error for") || message.starts_with("fingerprint dirty for") {
                    unit.fresh = false;
                } else if let Some(reason) = message.trim_start().strip_prefix("dirty: ") {
                    unit.reason = Some(reason.trim().to_owned());
                }
            }
        }
        oracle
    }

    /// The verdict on each unit of the same build's graph; `None` for all where the two are not of the same build.
    ///
    /// Cargo's log does not say which of several units a verdict is on, as those of one build script for the host and
    /// for the target. But cargo goes through a graph in the order of its lists, each unit before what it needs, and
    /// each once. Units that it does not look at, as documentation's tests, have no verdict.
    pub fn by_unit(&self, graph: &UnitGraph) -> Option<Vec<Option<&Verdict>>> {
        let mut verdicts = self.units.iter().peekable();
        let mut of_unit = vec![None; graph.units.len()];
        let mut seen = vec![false; graph.units.len()];
        let mut waiting: Vec<usize> = graph.roots.iter().rev().copied().collect();
        while let Some(place) = waiting.pop() {
            if std::mem::replace(&mut seen[place], true) {
                continue;
            }
            let unit = &graph.units[place];
            of_unit[place] = verdicts.next_if(|verdict| verdict.fits(graph, unit));
            waiting.extend(unit.dependencies.iter().rev());
        }
        let whole = verdicts.peek().is_none()
            && graph.units.iter().zip(&of_unit).all(|(unit, verdict)| {
                verdict.is_some() || !graph.is_shareable(unit) || unit.kind == Kind::BuildScriptRun
            });
        whole.then_some(of_unit)
    }
}

impl Verdict {
    /// Whether it can be on a unit, as far as it says.
    fn fits(&self, graph: &UnitGraph, unit: &Unit) -> bool {
        let package = graph.package(unit);
        let (name, _) = self.folder.rsplit_once('-').unwrap_or((&self.folder, ""));
        let start = match unit.kind {
            Kind::Lib | Kind::ProcMacro => "lib-",
            Kind::BuildScript => "build-script-",
            Kind::BuildScriptRun => "run-build-script-",
            Kind::Bin | Kind::Check => "",
        };
        name == package.name
            && self.version == package.version
            && self.file.starts_with(start)
            && self.file.replace('-', "_").ends_with(&unit.target)
            && self.area.ends_with(&graph.profile(unit).folder)
            && self.area.contains('/') == unit.platform.is_some()
    }
}

/// Asks cargo about a target folder. It must be a copy (and not of links), for cargo marks what it finds stale in it,
/// and build scripts in it are made unable to run.
///
/// # Errors
/// When the folder can't be used, or cargo fails before it comes to a verdict.
pub fn oracle(project: &Project, options: &BuildOptions, target: &Path) -> Result<Oracle, ProjectError> {
    let aside = tempfile::Builder::new().prefix("lamina-oracle-").tempdir().map_err(ProjectError::Folder)?;
    let wrapper = aside.path().join("refuse");
    fs::write(&wrapper, WRAPPER).map_err(ProjectError::Folder)?;
    fs::set_permissions(&wrapper, Permissions::from_mode(0o700)).map_err(ProjectError::Folder)?;
    disarm(target).map_err(ProjectError::Folder)?;
    // cargo knows the folder by its canonical path.
    let target = target.canonicalize().map_err(ProjectError::Folder)?;
    let ask = |network: bool| {
        let mut command = project.cargo(&target);
        command.args(options.arguments()).arg("--message-format=json");
        command.env("RUSTC_WRAPPER", &wrapper).env_remove("RUSTC_WORKSPACE_WRAPPER").env("CARGO_LOG", LOG);
        if !network {
            command.arg("--offline");
        }
        let ended = call::run(command)?;
        let found = Oracle::parse(&target, &String::from_utf8_lossy(&ended.stderr));
        match found.units.is_empty() {
            true => Err(call::failure("cargo", &ended)),
            false => Ok(found),
        }
    };
    match ask(false) {
        Err(ProjectError::Unfetched(_) | ProjectError::Failed { .. }) if !options.offline => ask(true),
        answer => answer,
    }
}

/// Takes from build scripts the right to run: a stale one would be run anew, with all that it likes to do.
fn disarm(target: &Path) -> io::Result<()> {
    // `release/build/NAME-HASH/build-script-build`, below the triple for some.
    let pattern = format!("{}/**/build/*/build?script?*", glob::Pattern::escape(&target.to_string_lossy()));
    let found = glob::glob(&pattern).map_err(io::Error::other)?;
    for path in found.filter_map(Result::ok) {
        let data = path.symlink_metadata()?;
        if data.is_file() {
            fs::set_permissions(&path, Permissions::from_mode(data.permissions().mode() & !0o111))?;
        }
    }
    Ok(())
}

/// A unit by the path of its file, `TARGET/release/.fingerprint/serde-04c2e949dadc8657/lib-serde`, and by cargo's
/// words for its package, `package_id=serde v1.0.229 target="serde"`.
fn verdict(target: &Path, words: &str, place: &Path) -> Option<Verdict> {
    let text = |path: &Path| path.to_str().map(str::to_owned);
    let folder = place.parent()?;
    let area = folder.parent()?.parent()?.strip_prefix(target).ok()?;
    let version = words.split_once("package_id=")?.1.split_once(" v")?.1;
    Some(Verdict {
        area: text(area)?,
        folder: text(Path::new(folder.file_name()?))?,
        file: text(Path::new(place.file_name()?))?,
        version: version.split([' ', '}']).next()?.to_owned(),
        fresh: true,
        reason: None,
    })
}
