//! `lamina suggest`: from projects to layers.

mod align;
mod fleet;
mod offers;
mod subject;
mod verify;

use std::path::PathBuf;
use std::thread;

use clap::ValueEnum;

use self::offers::Catalog;
use self::subject::Subject;
use super::cargo_args::CargoArgs;
use super::context::{Context, find_layer};
use super::engine::EngineArgs;
use super::error::CommandError;
use super::exit::Exit;
use super::images::RegistryArgs;
use crate::cargo::ProjectError;
use crate::model::LayerName;
use crate::report::json;
use crate::report::suggest::{AlignReport, SuggestReport};
use crate::snapshot::Snapshot;
use crate::suggest::{self, Advice, HeldPackages, LibraryAdvice, Stack, ToolAdvice, Units, Usable, Wanted};
use crate::unit::UnitGraph;

/// Say which layers save a project most, as cargo would reuse them
///
/// cargo says what it would compile, and every unit of that is looked up in what the layers hold: nothing is compiled,
/// and nothing written into the project. What makes reuse impossible comes first, with its fix. Registries are asked
/// only for what is not known on this machine yet.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lamina suggest --project layers/stratumiops --lock-only
  lamina suggest --project layers/fastembed --lock-only --format names
  lamina suggest --project layers/librosys --snippet dockerfile
  lamina suggest --project layers/librosys --align
  lamina suggest --project layers/librosys --layer librosys --verify
  lamina suggest --project layers/librosys --project layers/ontoref --propose")]
pub struct Args {
    /// The project: a folder with a Cargo.toml and a Cargo.lock, or one below it; several give one ranking for all
    #[arg(long, value_name = "DIR", default_value = ".")]
    project: Vec<PathBuf>,
    /// How often the project is built a day, in the order of the projects [default: once each]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    weight: Vec<u32>,
    /// Consider only this layer of the catalog; may be repeated
    #[arg(long, value_name = "LAYER")]
    layer: Vec<String>,
    /// Say which layer to add, cook again or split next
    #[arg(long, conflicts_with_all = ["lock_only", "snippet", "align"])]
    propose: bool,
    /// Compare names and versions alone, without cargo: an upper bound
    #[arg(long)]
    lock_only: bool,
    /// Print what to paste into the project to build in the best set of layers
    #[arg(long, value_name = "KIND", value_enum, conflicts_with = "format")]
    snippet: Option<SnippetKind>,
    /// Say which crates to move to the layers' versions, as far as semver allows it, and what each gains
    #[arg(long, conflicts_with_all = ["lock_only", "snippet"])]
    align: bool,
    /// Ask cargo itself, in a container of the best set, without compiling: predicted against confirmed
    #[arg(long, conflicts_with_all = ["lock_only", "snippet", "align", "propose", "here", "weight"])]
    verify: bool,
    /// Move them: write the project's Cargo.lock
    #[arg(long, requires = "align")]
    write: bool,
    #[command(flatten)]
    build: BuildArgs,
    /// For how many cores times by the clock are said [default: those of this machine]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    cores: Option<u16>,
    /// Leave out layers that save less: seconds of processor time (`20`), or a share of the whole (`5%`)
    #[arg(long, value_name = "SAVING", default_value = "0")]
    min_saving: Least,
    /// How the answer looks
    #[arg(long, value_enum, default_value_t)]
    format: SuggestFormat,
    #[command(flatten)]
    engine: EngineArgs,
    #[command(flatten)]
    registry: RegistryArgs,
}

/// What is built, and where.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "The build")]
pub struct BuildArgs {
    #[command(flatten)]
    pub cargo: CargoArgs,
    /// It is built on this machine, and not in a container of the layer
    #[arg(long)]
    pub here: bool,
}

/// How suggestions look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum SuggestFormat {
    /// Obstacles, then a layer a line, then the best set
    #[default]
    Text,
    /// For programs; the shape is described in docs/json.md
    Json,
    /// A comment on a pull request
    Markdown,
    /// A layer's name a line, the best set first
    Names,
}

/// Where layers are pasted into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum SnippetKind {
    /// A stage of a Dockerfile
    Dockerfile,
    /// A call of docker buildx
    Buildx,
    /// A job of GitHub Actions
    Github,
    /// A job of GitLab CI
    Gitlab,
}

/// What a layer has to save.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Least {
    Seconds(u64),
    Percent(f64),
}

impl std::str::FromStr for Least {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let error = || "write seconds (`20`) or a share (`5%`)".to_owned();
        match text.strip_suffix('%') {
            Some(share) => share.trim().parse().ok().filter(|share| (0.0..=100.0).contains(share)).map(Least::Percent),
            None => text.parse().ok().map(Least::Seconds),
        }
        .ok_or_else(error)
    }
}

impl Least {
    fn of(self, total_ms: u64) -> u64 {
        match self {
            Least::Seconds(seconds) => seconds.saturating_mul(1000),
            Least::Percent(share) => (total_ms as f64 * share / 100.0).ceil() as u64,
        }
    }
}

pub fn run(context: &Context<'_>, args: &Args) -> Result<Exit, CommandError> {
    let snapshot = context.snapshot()?;
    let only = only(args, &snapshot)?;
    let [folder] = &args.project[..] else {
        let error = CommandError::new(Exit::Usage, "--verify is about one project");
        return if args.verify { Err(error) } else { fleet::run(context, args, &snapshot, &only) };
    };
    if args.propose {
        return fleet::run(context, args, &snapshot, &only);
    }
    let subject = Subject::open(folder, &args.build)?;
    let engine = match args.verify {
        true => verify::is_whole(&subject).and_then(|()| args.engine.open(context)).map(Some)?,
        false => None,
    };
    // cargo plans while manifests are read and looked into.
    thread::scope(|scope| {
        let planning = (!args.lock_only).then(|| scope.spawn(|| subject.unit_graph(&args.build)));
        let catalog = Catalog::read(context, &args.registry, &snapshot, &only, !args.lock_only)?;
        let packages = subject.packages();
        let held = catalog.held(&packages);
        let costs = held.costs();
        let graph = planning.map(|planning| planning.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        let graph = planned(context, &subject, &args.build, graph)?;
        let units = graph.as_ref().map(|graph| Units::new(graph, &costs));
        let offers = catalog.offers(&held, &subject, &args.build, graph.as_ref());
        let wanted = units.as_ref().map_or(Wanted::Packages(&packages), Wanted::Units);
        let advice = Advice::of(wanted, offers, &costs, &packages, cores(args));
        if args.align {
            return aligned(context, args, &subject, &advice, &costs);
        }
        let Some(engine) = engine else { return answered(context, args, &subject, &catalog, &advice) };
        // What saves nothing is put to cargo as well, where it was asked for.
        let stack = besides(&subject, &catalog, &advice).stack.filter(|_| !advice.set.is_empty());
        let Some(stack) = stack.or_else(|| Stack::of(&only)) else {
            context.ui.remark("nothing is predicted to be reused; --layer LAYER names one to ask cargo about");
            return Ok(Exit::Nothing);
        };
        verify::run(context, args, &*engine, &subject, (&catalog, &held, &costs), &stack)
    })
}

fn cores(args: &Args) -> usize {
    args.cores.map_or_else(|| thread::available_parallelism().map_or(1, usize::from), usize::from)
}

/// What a project needs besides crates, and the layers that it is built in for all of that.
struct Besides<'a> {
    tools: Vec<ToolAdvice<'a>>,
    natives: Vec<LibraryAdvice<'a>>,
    stack: Option<Stack<'a>>,
}

fn besides<'a>(subject: &Subject, catalog: &'a Catalog<'_>, advice: &Advice<'a>) -> Besides<'a> {
    let provisions = catalog.provisions();
    let tools = suggest::providers(&suggest::tools(&subject.traits, &subject.packages()), &provisions);
    let natives = suggest::natives(&subject.libraries(), &provisions);
    let stack = suggest::stack(advice, &tools, &natives, &provisions);
    Besides { tools, natives, stack }
}

/// Says what is advised.
fn answered(
    context: &Context<'_>,
    args: &Args,
    subject: &Subject,
    catalog: &Catalog<'_>,
    advice: &Advice<'_>,
) -> Result<Exit, CommandError> {
    let Besides { tools, natives, stack } = besides(subject, catalog, advice);
    let report = SuggestReport {
        project: &subject.name,
        folder: subject.folder.display().to_string(),
        profile: &args.build.cargo.profile,
        target: args.build.cargo.target.as_deref(),
        cores: cores(args),
        advice,
        least_ms: args.min_saving.of(advice.total_ms),
        tools: &tools,
        natives: &natives,
        stack: stack.as_ref(),
    };
    if let Some(kind) = args.snippet {
        let Some(stack) = &stack else {
            context.ui.remark("nothing to suggest");
            return Ok(Exit::Nothing);
        };
        let snippet = catalog.snippet(context, &args.registry, stack, &args.build)?;
        context.ui.answer(&match kind {
            SnippetKind::Dockerfile => snippet.dockerfile(),
            SnippetKind::Buildx => snippet.buildx(),
            SnippetKind::Github => snippet.github(),
            SnippetKind::Gitlab => snippet.gitlab(),
        })?;
        return Ok(Exit::Success);
    }
    context.ui.answer(&match args.format {
        SuggestFormat::Text => report.text(),
        SuggestFormat::Json => json::answer(json::suggest::Suggest::new(&report)),
        SuggestFormat::Markdown => report.markdown(),
        SuggestFormat::Names => report.names(),
    })?;
    catalog.remarks().iter().for_each(|remark| context.ui.remark(remark));
    subject.outside().filter(|_| !args.lock_only).for_each(|remark| context.ui.remark(&remark));
    let suggests = advice.suggests(report.least_ms, &tools, &natives);
    Ok(if suggests { Exit::Success } else { Exit::Nothing })
}

/// The layers that are considered alone, as they were named; none where all are.
///
/// # Errors
/// When there is no such layer.
fn only<'s>(args: &Args, snapshot: &'s Snapshot) -> Result<Vec<&'s LayerName>, CommandError> {
    let mut only = Vec::new();
    for typed in &args.layer {
        let (name, _) = find_layer(snapshot, typed)?;
        if !only.contains(&name) {
            only.push(name);
        }
    }
    Ok(only)
}

/// Moves the lock towards the best set, or else towards the layer that could save most.
fn aligned(
    context: &Context<'_>,
    args: &Args,
    subject: &Subject,
    advice: &Advice<'_>,
    costs: &suggest::Costs<'_>,
) -> Result<Exit, CommandError> {
    let set: Vec<usize> = advice.set.iter().map(|pick| pick.layer).collect();
    let free = |place: &usize| !suggest::leaves_nothing(&advice.layers[*place].offer.obstacles);
    let towards: Vec<usize> = match set.is_empty() {
        true => (0..advice.layers.len()).filter(free).take(1).collect(),
        false => set,
    };
    let ranked = || towards.iter().map(|&place| &advice.layers[place]);
    let units: Vec<Usable<'_, '_>> = ranked().filter_map(|ranked| ranked.offer.usable()).collect();
    if units.is_empty() {
        context.ui.answer("nothing to align\n")?;
        return Ok(Exit::Nothing);
    }
    let packages: Vec<HeldPackages<'_>> =
        units.iter().map(|units| units.held.manifest().packages().into_iter().collect()).collect();
    let layers = align::Layers { packages: packages.iter().collect(), units, costs };
    let found = align::align(subject, &args.build, &layers)?;
    let written = args.write && !found.moves.is_empty();
    if written {
        found.write(subject)?;
    }
    let names: Vec<_> = ranked().map(|ranked| ranked.offer.layer).collect();
    let report = AlignReport {
        project: &subject.name,
        layers: &names,
        moves: &found.moves,
        before: found.before,
        after: found.after,
        written,
    };
    context.ui.answer(&match args.format {
        SuggestFormat::Json => json::answer(json::align::Align::new(&report)),
        SuggestFormat::Markdown => format!("```\n{}```\n", report.text()),
        SuggestFormat::Text | SuggestFormat::Names => report.text(),
    })?;
    if written {
        context.ui.remark(&format!("{} was written", subject.project.root.join("Cargo.lock").display()));
    }
    Ok(if found.moves.is_empty() { Exit::Nothing } else { Exit::Success })
}

/// Cargo's plan, where there is one; where there is none, why, unless nobody asked.
fn planned(
    context: &Context<'_>,
    subject: &Subject,
    args: &BuildArgs,
    graph: Option<Result<UnitGraph, ProjectError>>,
) -> Result<Option<UnitGraph>, CommandError> {
    let why = match graph {
        Some(Ok(graph)) => return Ok(Some(graph)),
        Some(Err(error @ (ProjectError::NoCargo | ProjectError::NoToolchain(_) | ProjectError::Unfetched(_)))) => {
            Some(error)
        }
        Some(Err(error)) => {
            let error = CommandError::project(&subject.folder, error);
            return Err(error.hint("--lock-only does without cargo: it compares names and versions alone"));
        }
        None => None,
    };
    if let Some(error) = why {
        context.ui.remark(&format!("{error}: names and versions alone are compared"));
    }
    if let Some(remark) = subject.own_profile(&args.cargo.profile) {
        context.ui.remark(&remark);
    }
    Ok(None)
}
