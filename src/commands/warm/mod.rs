//! `lamina warm`: what its three forms share.

mod publish;
mod pull;
mod push;

use std::path::{Path, PathBuf};

use super::Format;
use super::caching::{self, ActorArgs};
use super::cargo_args::CargoArgs;
use super::context::Context;
use super::engine::EngineArgs;
use super::error::CommandError;
use super::exit::Exit;
use super::images::RegistryArgs;
use crate::cache::{Access, Namespace, Session, Slot, decide};
use crate::cargo::{BuildOptions, Project, ProjectError};
use crate::model::LayerName;
use crate::snapshot::Snapshot;

/// Fill a project's target folder with compiled crates from the registry: those that it needs, one by one
///
/// What cargo would compile is compared with what the catalog's layers, and the project itself, have published. Units
/// that cargo would take are placed, all others are left to it: a build is never worse off. Where the registry can't be
/// asked, nothing is placed, and that is no failure.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lamina warm --project ../shop
  lamina warm --project ../shop --profile dev --tests --format json
  lamina warm --project ../shop --push
  lamina warm --publish stratumiops --actor ci")]
pub struct Args {
    /// The project's folder [default: the current folder]
    #[arg(long, value_name = "DIR")]
    project: Option<PathBuf>,
    /// The target folder [default: the one that cargo would use]
    #[arg(long, value_name = "DIR")]
    target_dir: Option<PathBuf>,
    /// The project's name for --push [default: that of its first package]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Publish the units of the target folder, after a `cargo build` with the same options
    #[arg(long, conflicts_with = "publish")]
    push: bool,
    /// Publish the units of the images of layers
    #[arg(long, value_name = "LAYER", num_args = 1.., conflicts_with_all = ["project", "target_dir", "name"])]
    publish: Vec<String>,
    /// How many units are under way at the same time
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u8).range(1..=64))]
    jobs: u8,
    /// Fail where the registry can't be asked
    #[arg(long)]
    strict: bool,
    /// How the answer looks
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    who: ActorArgs,
    #[command(flatten)]
    engine: EngineArgs,
    #[command(flatten)]
    build: BuildArgs,
    #[command(flatten)]
    registry: RegistryArgs,
}

/// What is built, as `cargo build` is told.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "The build")]
struct BuildArgs {
    #[command(flatten)]
    cargo: CargoArgs,
    /// Also what `cargo test` compiles
    #[arg(long)]
    tests: bool,
}

impl BuildArgs {
    fn options(&self) -> BuildOptions {
        BuildOptions { tests: self.tests, ..self.cargo.options() }
    }
}

pub fn run(context: &Context<'_>, args: &Args) -> Result<Exit, CommandError> {
    match () {
        () if !args.publish.is_empty() => publish::run(context, args),
        () if args.push => push::run(context, args),
        () => pull::run(context, args),
    }
}

/// The project that the command line names.
fn open(args: &Args) -> Result<Project, CommandError> {
    Project::open(folder(args)).map_err(|error| failed(args, error))
}

fn folder(args: &Args) -> &Path {
    args.project.as_deref().unwrap_or(Path::new("."))
}

/// A project that can't be read, or that cargo says nothing about.
fn failed(args: &Args, error: ProjectError) -> CommandError {
    CommandError::project(folder(args), error)
}

/// The folder that cargo compiles into: as it finds it itself, but for what a variable in it would stand for.
///
/// See <https://doc.rust-lang.org/cargo/reference/config.html#buildtarget-dir>; where a folder is set for what lies
/// between, that is where units are.
fn target_dir(args: &Args, project: &Project) -> Result<PathBuf, CommandError> {
    let named = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let configured = |key: &str| project.config.text(&["build", key]).map(PathBuf::from);
    let between = named("CARGO_BUILD_BUILD_DIR").or_else(|| configured("build-dir"));
    if args.target_dir.is_none() && between.as_ref().is_some_and(|path| path.to_string_lossy().contains('{')) {
        let message = "`build.build-dir` has a variable in it, which only cargo knows";
        return Err(CommandError::new(Exit::Usage, message).hint("name the folder with --target-dir DIR"));
    }
    let usual = || named("CARGO_TARGET_DIR").or_else(|| named("CARGO_BUILD_TARGET_DIR"));
    let found = match &args.target_dir {
        Some(folder) => {
            return std::path::absolute(folder).map_err(|error| CommandError::failure(folder.display(), error));
        }
        None => between.or_else(usual).or_else(|| configured("target-dir")),
    };
    // Relative ones begin where cargo runs, for configuration at the folder of its file: mostly the same.
    Ok(found.map_or_else(|| project.root.join("target"), |found| project.folder.join(found)))
}

/// The project's name, as its own units are called by.
fn name(args: &Args, project: &Project) -> String {
    let package = project.manifest.get("package").and_then(|package| package.get("name")?.as_str());
    let first = || project.members.iter().map(|member| member.name.as_str()).min();
    let name = args.name.as_deref().or(package).or_else(first);
    name.unwrap_or("unnamed").to_owned()
}

/// `REGISTRY/NAMESPACE` of the catalog.
fn own(snapshot: &Snapshot) -> Result<String, CommandError> {
    let config = snapshot.catalog.config.as_ref();
    let config = config.ok_or_else(|| CommandError::new(Exit::Invalid, "the catalog names no registry"))?;
    Ok(format!("{}/{}", config.registry, config.namespace))
}

/// Where an actor publishes the units of its projects, and before which it looks for them: with its caches, where it has
/// some of its own; with the layers' elsewhere.
fn of_actor(own: &str, session: &Session) -> String {
    match session.writes() {
        Namespace::Ci(_) => own.to_owned(),
        dev @ Namespace::Dev(..) => format!("{own}/cache/{dev}"),
    }
}

/// Refuses to publish units where an actor may not write: they are a cache as any other.
fn may_publish(session: &Session, namespace: Namespace, name: &str) -> Result<(), CommandError> {
    // What is no layer, nobody is granted.
    let layer = name.replace('_', "-").to_lowercase().parse().or_else(|_| "project".parse());
    let layer = layer.map_err(|error: crate::model::NameError| CommandError::new(Exit::Usage, error.to_string()))?;
    let slot = Slot { namespace, layer };
    decide(&session.actor, Access::Write, &slot, &session.grants).map_err(|error| caching::refused(&error))
}

/// The layers that compile crates ahead.
fn cooked(snapshot: &Snapshot) -> Vec<&LayerName> {
    let layers = snapshot.catalog.layers.iter().filter(|(_, loaded)| loaded.layer.cooked.is_some());
    layers.map(|(name, _)| name).collect()
}

/// A reference that can't be written: the catalog's names are at fault.
fn unnamed(error: crate::model::ImageError) -> CommandError {
    CommandError::failure("the units can't be named", error)
}
