use std::path::PathBuf;

use clap::ValueEnum;

use super::source::{Known, Source};
use crate::commands::context::{Context, find_layer};
use crate::commands::error::CommandError;
use crate::commands::exit::Exit;
use crate::commands::images::RegistryArgs;
use crate::commands::ui::Ui;
use crate::crates::{self, Bump, Wanted};
use crate::report::crates::{Cones, provenance};
use crate::report::json;

/// Say what a new version of a crate has compiled again: packages, units, processor time, and why
///
/// A layer's graph comes from the unit manifest of its image, else from its committed snapshot, else from cargo, else
/// from Cargo.lock alone; a project's from cargo, else from Cargo.lock. The answer says which.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lamina crates cone libc tokio --layer stratumiops
  lamina crates cone hashbrown@0.15.5 --layer stratumiops
  lamina crates cone --all --layer librosys --format markdown
  lamina crates cone libc --project . --profile dev")]
pub struct Args {
    /// The crates: NAME for all versions that there are, NAME@VERSION for one
    #[arg(value_name = "CRATE", required_unless_present = "all")]
    crates: Vec<String>,
    /// The project whose Cargo.toml is in or above DIR [default: the current folder]
    #[arg(long, value_name = "DIR", conflicts_with = "layer")]
    project: Option<PathBuf>,
    /// With a project: the profile that it is built with
    #[arg(long, value_name = "PROFILE", default_value = "release", conflicts_with = "layer")]
    profile: String,
    /// The cooked set of a layer
    #[arg(long, value_name = "LAYER")]
    layer: Option<String>,
    /// Rank all crates, the most expensive first
    #[arg(long, conflicts_with = "crates")]
    all: bool,
    /// Don't ask the registry for the unit manifest of the layer's image
    #[arg(long)]
    offline: bool,
    /// How the answer looks
    #[arg(long, value_enum, default_value_t)]
    format: ConeFormat,
    #[command(flatten)]
    registry: RegistryArgs,
}

/// How answers look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ConeFormat {
    /// For people
    #[default]
    Text,
    /// For programs; the shape is described in docs/json.md
    Json,
    /// A table for a comment
    Markdown,
}

pub fn run(context: &Context<'_>, args: &Args) -> Result<Exit, CommandError> {
    let snapshot = context.snapshot()?;
    let Some(layer) = &args.layer else {
        return of_project(context.ui, args, &Known::of(context, &snapshot, None)?);
    };
    let (name, loaded) = find_layer(&snapshot, layer)?;
    let asked = (!args.offline).then_some((name, &args.registry));
    let known = Known::of(context, &snapshot, asked)?;
    answer(context.ui, args, &Source::of_layer(context, &snapshot, loaded, &known)?)
}

/// The same for a project, which needs no catalog.
pub fn of_project(ui: &Ui, args: &Args, known: &Known) -> Result<Exit, CommandError> {
    let gone = |error| CommandError::failure("the current folder is gone", error);
    let folder = args.project.clone().map_or_else(std::env::current_dir, Ok).map_err(gone)?;
    answer(ui, args, &Source::of_project(ui, &folder, &args.profile, known)?)
}

impl Args {
    /// Whether it is about a project, and not about a layer.
    pub fn is_of_project(&self) -> bool {
        self.layer.is_none()
    }
}

fn answer(ui: &Ui, args: &Args, source: &Source) -> Result<Exit, CommandError> {
    let bumps = match args.all {
        true => crates::ranked(&source.sections, &source.costs),
        false => args.crates.iter().map(|wanted| find(source, wanted)).collect::<Result<Vec<Bump>, _>>()?,
    };
    let whole = crates::whole(&source.sections, &source.costs);
    let cones =
        Cones { subject: &source.subject, basis: source.basis, whole, guessed: source.guessed(), bumps: &bumps };
    let answer = match args.format {
        ConeFormat::Text if args.all => cones.ranking(),
        ConeFormat::Text => cones.text(),
        ConeFormat::Markdown => cones.markdown(),
        ConeFormat::Json => json::answer(json::crates::CratesCone::new(&cones)),
    };
    ui.answer(&answer)?;
    if args.format != ConeFormat::Json {
        ui.remark(&provenance(&source.subject, source.basis, source.guessed(), whole));
    }
    Ok(Exit::Success)
}

fn find(source: &Source, typed: &str) -> Result<Bump, CommandError> {
    let bump = |wanted: &Wanted| crates::bump(&source.sections, &source.costs, wanted);
    let wanted = Wanted::new(typed);
    bump(&wanted).ok_or_else(|| {
        let message = format!("{} compiles no crate `{typed}`", source.subject);
        let other = wanted.version.as_ref().and_then(|_| bump(&Wanted { version: None, ..wanted.clone() }));
        if let Some(other) = other {
            return CommandError::new(Exit::Usage, message).hint(format!(
                "of {} it has {}",
                other.name,
                other.versions.join(", ")
            ));
        }
        let packages = source.sections.iter().flat_map(|section| &section.graph.packages);
        let names = packages.map(|package| package.name.as_str());
        CommandError { message, ..CommandError::unknown("crate", &wanted.name, names) }
    })
}
