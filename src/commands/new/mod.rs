//! `lamina new`: a layer that a project's dependencies are cooked into.

use std::fs;
use std::path::{Path, PathBuf};

use super::Format;
use super::context::{Context, find_layer};
use super::error::CommandError;
use super::exit::Exit;
use crate::cargo::{BuildOptions, Project, ProjectError};
use crate::model::{Base, Layer, LayerName};
use crate::report::json;
use crate::snapshot::Snapshot;

const DOCKERFILE: &str = include_str!("Dockerfile.template");
const WORKFLOW: &str = include_str!("workflow.template");
/// The program that the base of a cooked layer has.
const CHEF: &str = "cargo-chef";
/// Its version where no layer says one.
const CHEF_VERSION: &str = "0.1.78";

/// Write a layer that cooks the dependencies of a project: contract, Dockerfile, dependency set
///
/// The set depends on what the packages of the project's workspace depend on, in the versions of its lock and with the
/// features that cargo resolved, so that cargo reuses every unit.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lamina new service --from-project layers/librosys
  lamina new service --from-project layers/librosys --base leptos")]
pub struct Args {
    /// The new layer's name
    #[arg(value_name = "NEW")]
    layer: LayerName,
    /// The project: a folder with a Cargo.toml and a Cargo.lock
    #[arg(long, value_name = "DIR")]
    from_project: PathBuf,
    /// The layer that it is built on [default: the one that adds cargo-chef]
    #[arg(long, value_name = "LAYER")]
    base: Option<String>,
    /// How the answer looks
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub fn run(context: &Context<'_>, args: &Args) -> Result<Exit, CommandError> {
    let snapshot = context.snapshot()?;
    let folder = context.root().join("layers").join(args.layer.as_str());
    if folder.symlink_metadata().is_ok() {
        let message = format!("there is a layer `{}` already", args.layer);
        return Err(CommandError::new(Exit::Usage, message).hint("a layer's name is its folder's"));
    }
    let base = base(&snapshot, args)?;
    let files = files(context, args, &snapshot, base)?;
    let failed = |error: std::io::Error| CommandError::failure(format!("{} can't be written", folder.display()), error);
    // It is there as a whole, or not at all.
    let layers = folder.parent().unwrap_or(Path::new("."));
    let aside = tempfile::Builder::new().prefix(".lamina-").tempdir_in(layers).map_err(failed)?;
    for (path, text) in &files {
        let path = aside.path().join(path);
        fs::create_dir_all(path.parent().unwrap_or(aside.path())).map_err(failed)?;
        fs::write(path, text).map_err(failed)?;
    }
    let aside = aside.keep();
    fs::rename(&aside, &folder).map_err(|error| {
        drop(fs::remove_dir_all(&aside));
        failed(error)
    })?;
    let mut paths: Vec<String> = files.iter().map(|(path, _)| format!("layers/{}/{path}", args.layer)).collect();
    paths.sort();
    context.ui.answer(&match args.format {
        Format::Text => paths.iter().map(|path| format!("{path}\n")).collect(),
        Format::Json => json::answer(json::new::Written::new(&args.layer, &paths)),
    })?;
    Ok(Exit::Success)
}

/// What the layer is built on.
fn base<'s>(snapshot: &'s Snapshot, args: &Args) -> Result<&'s Layer, CommandError> {
    if let Some(base) = &args.base {
        return find_layer(snapshot, base).map(|(_, loaded)| &loaded.layer);
    }
    let adds = |layer: &&Layer| layer.tools.iter().any(|tool| tool.name == CHEF);
    snapshot.layers().map(|loaded| &loaded.layer).find(adds).ok_or_else(|| {
        let message = format!("no layer says in tools_provided that it adds {CHEF}");
        CommandError::new(Exit::Usage, message).hint("name the layer to build on: --base LAYER")
    })
}

/// The files of the layer.
fn files(
    context: &Context<'_>,
    args: &Args,
    snapshot: &Snapshot,
    base: &Layer,
) -> Result<Vec<(&'static str, String)>, CommandError> {
    let failed = |error: ProjectError| {
        let name = args.from_project.display();
        CommandError::failure(format!("no dependency set can be made from {name}"), error)
    };
    let project = Project::open(&args.from_project).map_err(failed)?;
    let graph = match project.unit_graph(&BuildOptions::default()) {
        Ok(graph) => Some(graph),
        Err(error) => {
            context.ui.remark(&format!("{error}: the features are those that are declared, which may not be all"));
            None
        }
    };
    if project.manifest.contains_key("patch") {
        context.ui.remark("the project's [patch] is left out: what it replaces is cooked as it was published");
    }
    for folder in project.packages_outside() {
        let folder = folder.display();
        context.ui.remark(&format!("{folder} lies outside of the workspace: what it alone depends on is left out"));
    }
    let manifest = project.dependency_set(&format!("{}-deps", args.layer), graph.as_ref());
    let lib = "//! Empty: the dependencies are what this crate is for.\n";
    let mut files = vec![("Cargo.toml", manifest), ("src/lib.rs", lib.to_owned())];
    if project.has_build_dependencies(graph.as_ref()) {
        files.push(("build.rs", "//! Empty: dependencies of build scripts need one.\n\nfn main() {}\n".to_owned()));
    }
    files.push(("Cargo.lock", lock(&project, &files).map_err(failed)?));
    let ignored: String =
        files.iter().map(|(path, _)| format!("!{}\n", path.split('/').next().unwrap_or(path))).collect();
    files.push((".dockerignore", format!("*\n{ignored}")));
    let mut lowest = base;
    let image = loop {
        match &lowest.build_base {
            Base::Image(image) => break image.familiar(),
            Base::Layer(name) => match snapshot.layer(name) {
                Some(below) => lowest = below,
                None => break String::new(),
            },
        }
    };
    let tools = snapshot.tools(&base.name);
    let chef = tools.iter().find(|tool| tool.what.name == CHEF).and_then(|tool| tool.what.version.as_deref());
    let name = project.root.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let own = project.members.iter().find(|member| member.folder == project.root);
    let name = own.map_or(name, |member| member.name.clone());
    // It stands between quotes, in two languages.
    let name: String = name.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.')).collect();
    let filled = |template: &str| {
        let words = [
            ("@LAYER@", args.layer.as_str()),
            ("@PROJECT@", &name),
            ("@BASE@", base.name.as_str()),
            ("@IMAGE@", &image),
            ("@CHEF@", chef.unwrap_or(CHEF_VERSION)),
        ];
        words.into_iter().fold(template.to_owned(), |text, (word, value)| text.replace(word, value))
    };
    files.push(("Dockerfile", filled(DOCKERFILE)));
    files.push(("workflow.ncl", filled(WORKFLOW)));
    Ok(files)
}

/// The project's lock, as far as the set needs it: cargo keeps what fits and takes out the rest.
fn lock(project: &Project, files: &[(&'static str, String)]) -> Result<String, ProjectError> {
    let folder = tempfile::Builder::new().prefix("lamina-new-").tempdir().map_err(ProjectError::Folder)?;
    for (path, text) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap_or(folder.path())).map_err(ProjectError::Folder)?;
        fs::write(path, text).map_err(ProjectError::Folder)?;
    }
    let path = folder.path().join("Cargo.lock");
    fs::copy(project.root.join("Cargo.lock"), &path).map_err(ProjectError::Folder)?;
    Project::open(folder.path())?.update(&["--workspace"])?;
    fs::read_to_string(&path).map_err(ProjectError::Folder)
}
