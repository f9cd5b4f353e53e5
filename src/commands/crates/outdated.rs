use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use futures_util::future::join_all;
use semver::{Version, VersionReq};

use super::source::{Known, Source, cooked_of};
use crate::cargo::Project;
use crate::commands::Format;
use crate::commands::context::{Context, find_layer};
use crate::commands::error::CommandError;
use crate::commands::exit::Exit;
use crate::commands::images::RegistryArgs;
use crate::commands::ui::Ui;
use crate::crates::{self, Newer, Release, Wanted, Work, newer, releases, requirements};
use crate::model::{LayerName, RelPath};
use crate::registry::{self, CRATES_IO, CrateIndex, Options};
use crate::report::crates::{Old, outdated};
use crate::report::{count, json};
use crate::snapshot::Snapshot;

/// List the crates of cooked sets that are behind the index, each with its cone and the layers that it touches
///
/// The newest compatible version is one that the manifest allows, and that the catalog's Rust compiles. Versions that
/// were taken back or are not finished don't count.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lamina crates outdated librosys
  lamina crates outdated stratumiops --all --format json
  lamina crates outdated --project . --exit-code")]
pub struct Args {
    /// The layers [default: all that cook a set]
    #[arg(value_name = "LAYER", conflicts_with = "project")]
    layers: Vec<String>,
    /// The project whose Cargo.toml is in or above DIR, instead of layers
    #[arg(long, value_name = "DIR")]
    pub project: Option<PathBuf>,
    /// Look at all crates that are compiled [default: those that the manifests name]
    #[arg(long)]
    all: bool,
    /// End with exit code 4 when a crate is outdated
    #[arg(long)]
    exit_code: bool,
    /// How the answer looks
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// The sparse index that is asked
    #[arg(long, value_name = "URL", env = "LAMINA_CRATE_INDEX", hide = true, default_value = CRATES_IO)]
    registry_index: String,
    #[command(flatten)]
    registry: RegistryArgs,
}

/// A set or a project, with what its manifest asks for.
struct Set {
    layer: Option<LayerName>,
    source: Source,
    asked: BTreeMap<String, Vec<VersionReq>>,
}

pub fn run(context: &Context<'_>, args: &Args) -> Result<Exit, CommandError> {
    let snapshot = context.snapshot()?;
    let known = Known::of(context, &snapshot, None)?;
    let rust = snapshot.catalog.config.as_ref().and_then(|catalog| crates::rust(&catalog.rust_version));
    if let Some(folder) = &args.project {
        return of_project(context.ui, folder, args, &known, rust.as_ref());
    }
    let dependents = |layers: &[&LayerName]| {
        let reached = snapshot.graph.reach(layers.iter().copied());
        reached.into_keys().filter(|name| !layers.contains(&name)).collect()
    };
    answer(context.ui, args, &sets(context, &snapshot, args, &known)?, rust.as_ref(), &dependents)
}

/// The same for a project, which needs no catalog; `rust` is that of one, if there is one.
pub fn of_project(
    ui: &Ui,
    folder: &Path,
    args: &Args,
    known: &Known,
    rust: Option<&Version>,
) -> Result<Exit, CommandError> {
    let source = Source::of_project(ui, folder, "release", known)?;
    let mut asked: BTreeMap<String, Vec<VersionReq>> = BTreeMap::new();
    for member in Project::open(folder)?.members {
        for (name, requirements) in requirements(&member.manifest) {
            asked.entry(name).or_default().extend(requirements);
        }
    }
    answer(ui, args, &[Set { layer: None, source, asked }], rust, &|_| Vec::new())
}

/// Asks the index and tells what is behind. `dependents` are the layers that depend on some.
fn answer(
    ui: &Ui,
    args: &Args,
    sets: &[Set],
    rust: Option<&Version>,
    dependents: &dyn Fn(&[&LayerName]) -> Vec<LayerName>,
) -> Result<Exit, CommandError> {
    // By name and version: the sets that have it.
    let mut used: BTreeMap<(&str, Version), Vec<&Set>> = BTreeMap::new();
    for set in sets {
        let packages: BTreeSet<_> = set.source.sections.iter().flat_map(|section| &section.graph.packages).collect();
        for package in packages {
            let is_asked = args.all || set.asked.contains_key(&package.name);
            let is_registry = package.source.as_ref().is_some_and(|source| source.starts_with("registry+"));
            if let (true, true, Ok(version)) = (is_asked, is_registry, package.version.parse()) {
                used.entry((&package.name, version)).or_default().push(set);
            }
        }
    }
    let names: BTreeSet<&str> = used.keys().map(|(name, _)| *name).collect();
    let known = ask(ui, args, &names)?;
    let mut old = Vec::new();
    for ((name, version), sets) in &used {
        let Some(releases) = known.get(name) else { continue };
        let Newer { compatible, newest } = newer(releases, version, &requirement(name, version, sets), rust);
        if compatible.is_none() && newest.is_none() {
            continue;
        }
        let wanted = Wanted { name: (*name).to_owned(), version: Some(version.to_string()) };
        let mut work = Work::default();
        for set in sets {
            if let Some(bump) = crates::bump(&set.source.sections, &set.source.costs, &wanted) {
                work.packages = work.packages.max(bump.work.packages);
                work.units += bump.work.units;
                work.cpu_ms += bump.work.cpu_ms;
            }
        }
        let layers: Vec<&LayerName> = sets.iter().filter_map(|set| set.layer.as_ref()).collect();
        let dependents = dependents(&layers);
        let text = |version: Option<Version>| version.map(|version| version.to_string());
        let (compatible, newest) = (text(compatible), text(newest));
        old.push(Old { name, version: version.to_string(), compatible, newest, work, layers, dependents });
    }
    let answer = match args.format {
        Format::Text => outdated(&old),
        Format::Json => json::answer(json::crates::CratesOutdated::new(used.len(), &old)),
    };
    ui.answer(&answer)?;
    let verb = if old.len() == 1 { "is" } else { "are" };
    ui.remark(&format!("{} of {} {verb} outdated", old.len(), count(used.len(), "crate")));
    Ok(if args.exit_code && !old.is_empty() { Exit::Affected } else { Exit::Success })
}

/// The sets that are looked at.
fn sets(context: &Context<'_>, snapshot: &Snapshot, args: &Args, known: &Known) -> Result<Vec<Set>, CommandError> {
    let mut names = Vec::new();
    for typed in &args.layers {
        names.push(find_layer(snapshot, typed)?);
    }
    if names.is_empty() {
        names.extend(snapshot.catalog.layers.iter().filter(|(_, loaded)| loaded.layer.cooked.is_some()));
    }
    let set = |(name, loaded): (&LayerName, _)| {
        let cooked = cooked_of(loaded)?;
        let manifest: RelPath = cooked.path.join("Cargo.toml").unwrap_or_default();
        let manifest = snapshot.catalog.files.text(&manifest).ok().flatten();
        let asked = manifest.and_then(|file| file.text.parse().ok());
        let asked = asked.map(|manifest| requirements(&manifest)).unwrap_or_default();
        Ok(Set { layer: Some(name.clone()), source: Source::of_layer(context, snapshot, loaded, known)?, asked })
    };
    names.into_iter().map(set).collect()
}

/// What the index says of crates, as many at the same time as the options allow.
fn ask<'a>(ui: &Ui, args: &Args, names: &BTreeSet<&'a str>) -> Result<BTreeMap<&'a str, Vec<Release>>, CommandError> {
    let index = CrateIndex::open(&args.registry.apply(Options::default()), &args.registry_index)?;
    let asked = names.iter().map(async |name| (*name, index.file(name).await));
    let mut known = BTreeMap::new();
    for (name, answer) in registry::block_on(join_all(asked))? {
        match answer {
            Ok(Some(file)) => drop(known.insert(name, releases(&file))),
            Ok(None) => ui.remark(&format!("{name}: the index does not know it")),
            Err(error) => {
                let error = CommandError::new(Exit::Registry, format!("the index of crates gave no answer: {error}"));
                return Err(error.hint("`lamina crates cone` and `lamina crates diff` need no index"));
            }
        }
    }
    Ok(known)
}

/// What the manifests allow of a crate: what all that name it directly ask for; else what cargo takes for compatible.
fn requirement(name: &str, version: &Version, sets: &[&Set]) -> VersionReq {
    let asked = sets.iter().filter_map(|set| set.asked.get(name)).flatten();
    let own: Vec<_> = asked.filter(|requirement| requirement.matches(version)).collect();
    let comparators: Vec<_> = own.iter().flat_map(|requirement| requirement.comparators.clone()).collect();
    match own.is_empty() {
        true => VersionReq::parse(&format!("^{version}")).unwrap_or(VersionReq::STAR),
        false => VersionReq { comparators },
    }
}
