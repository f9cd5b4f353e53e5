use std::path::{Path, PathBuf};

use super::cone::ConeFormat;
use super::set::{self, Copy};
use super::source::{Known, cooked_of, fresh, locked, project_call};
use crate::cargo::Project;
use crate::commands::context::{Context, find_layer};
use crate::commands::error::CommandError;
use crate::commands::exit::Exit;
use crate::commands::ui::Ui;
use crate::crates::{self, Change, Section, Work, of_lock, sole};
use crate::model::{Cooked, RelPath};
use crate::report::crates::{Basis, Diff, provenance};
use crate::report::json;
use crate::snapshot::Snapshot;
use crate::tree::{GitTree, MAX_TEXT, Tree, WorkTree};

/// Say what the changes of locks since a revision have compiled again
///
/// Locks are compared by what they mean: a unit is compiled again where cargo would take no unit of before for it. Its
/// version, its features or something that it depends on changed; how the file's text changed does not matter.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lamina crates diff HEAD~1
  lamina crates diff origin/main --layer stratumiops --format markdown
  lamina crates diff HEAD~1 --project .")]
pub struct Args {
    /// The revision in git to compare with
    #[arg(value_name = "REV")]
    revision: String,
    /// The project whose Cargo.toml is in or above DIR, instead of layers
    #[arg(long, value_name = "DIR", conflicts_with = "layer")]
    pub project: Option<PathBuf>,
    /// With a project: the profile that it is built with
    #[arg(long, value_name = "PROFILE", default_value = "release", conflicts_with = "layer")]
    profile: String,
    /// The cooked set of a layer alone [default: every layer whose set changed]
    #[arg(long, value_name = "LAYER")]
    layer: Option<String>,
    /// How the answer looks
    #[arg(long, value_enum, default_value_t)]
    format: ConeFormat,
}

/// One side of a comparison: the graphs of the cooks.
type Side = Vec<Section>;

/// A set or a project, before and now.
struct Compared {
    subject: String,
    basis: Basis,
    changes: Vec<(String, Change)>,
    work: Work,
    whole: Work,
    guessed: usize,
}

pub fn run(context: &Context<'_>, args: &Args) -> Result<Exit, CommandError> {
    let new = context.snapshot()?;
    let known = Known::of(context, &new, None)?;
    if let Some(folder) = &args.project {
        return of_project(context.ui, folder, args, &known);
    }
    let mut compared = Vec::new();
    let old = context.unchecked_revision(&args.revision)?;
    let named = args.layer.as_ref().map(|layer| find_layer(&new, layer)).transpose()?;
    for loaded in new.layers().filter(|loaded| named.is_none_or(|(name, _)| *name == loaded.layer.name)) {
        if named.is_none() && loaded.layer.cooked.is_none() {
            continue;
        }
        let cooked = cooked_of(loaded)?;
        let before = old.layer(&loaded.layer.name).and_then(|layer| layer.cooked.as_ref());
        let is_same = before.is_some_and(|before| digest(&old, before) == digest(&new, cooked));
        if named.is_none() && is_same {
            continue;
        }
        let (basis, before, now) = layer(context, (&old, before), (&new, cooked))?;
        compared.push(Compared::new(loaded.layer.name.to_string(), basis, before, now, &known));
    }
    answer(context.ui, args, &compared)
}

/// The same for a project, which needs no catalog.
pub fn of_project(ui: &Ui, folder: &Path, args: &Args, known: &Known) -> Result<Exit, CommandError> {
    let (basis, old, now) = project(ui, folder, args)?;
    answer(ui, args, &[Compared::new(folder.display().to_string(), basis, old, now, known)])
}

fn answer(ui: &Ui, args: &Args, compared: &[Compared]) -> Result<Exit, CommandError> {
    let diffs: Vec<Diff<'_>> = compared.iter().map(Compared::diff).collect();
    let answer = match args.format {
        ConeFormat::Text => diffs.iter().map(Diff::text).collect(),
        ConeFormat::Markdown => diffs.iter().map(Diff::markdown).collect(),
        ConeFormat::Json => json::answer(json::crates::CratesDiff::new(&args.revision, &diffs)),
    };
    ui.answer(&answer)?;
    if args.format != ConeFormat::Json {
        for diff in &diffs {
            ui.remark(&provenance(diff.subject, diff.basis, diff.guessed, diff.whole));
        }
        if diffs.is_empty() {
            ui.remark(&format!("no cooked set changed since {}", args.revision));
        }
    }
    Ok(Exit::Success)
}

/// What decides a graph; none where it can't be read.
fn digest(snapshot: &Snapshot, cooked: &Cooked) -> Option<String> {
    snapshot.cooked_inputs(cooked).ok()?.digest().ok()
}

/// A layer's set, before and now, both by the same means.
fn layer(
    context: &Context<'_>,
    (old, before): (&Snapshot, Option<&Cooked>),
    (new, now): (&Snapshot, &Cooked),
) -> Result<(Basis, Side, Side), CommandError> {
    let Some(before) = before else {
        let graph = fresh(new, now).map_or_else(|| set::build_graph(new, now), Ok)?;
        return Ok((Basis::Cargo, Vec::new(), graph.sections));
    };
    if let (Some(before), Some(now)) = (fresh(old, before), fresh(new, now)) {
        return Ok((Basis::Snapshot, before.sections, now.sections));
    }
    match (set::build_graph(old, before), set::build_graph(new, now)) {
        (Ok(before), Ok(now)) => Ok((Basis::Cargo, before.sections, now.sections)),
        (Err(error), _) | (_, Err(error)) => {
            context.ui.detail(&error.message);
            Ok((Basis::Lock, vec![locked(old, before)?], vec![locked(new, now)?]))
        }
    }
}

/// A project, before and now.
fn project(ui: &Ui, folder: &Path, args: &Args) -> Result<(Basis, Side, Side), CommandError> {
    let call = project_call(&args.profile)?;
    let root = Project::open(folder)?.root;
    let old = GitTree::open(&root, &args.revision)?;
    let unreadable = |error| CommandError::failure(format!("{} can't be opened", root.display()), error);
    let new = WorkTree::open(&root).map_err(unreadable)?;
    let graph = |tree: &dyn Tree| Copy::of(tree, &RelPath::root())?.graph(&call);
    match (graph(&old), graph(&new)) {
        (Ok(before), Ok(now)) => Ok((Basis::Cargo, vec![sole(&call.name, before)], vec![sole(&call.name, now)])),
        (Err(error), _) | (_, Err(error)) => {
            ui.remark(&error.message);
            let lock = RelPath::new("Cargo.lock").unwrap_or_default();
            let side = |tree: &dyn Tree| {
                let failed = |error: &dyn std::fmt::Display| CommandError::failure("the lock can't be read", error);
                let bytes = tree.read(&lock, 32 * MAX_TEXT).map_err(|error| failed(&error))?;
                let graph = of_lock(&String::from_utf8_lossy(&bytes)).map_err(|error| failed(&error))?;
                Ok::<_, CommandError>(vec![sole("lock", graph)])
            };
            Ok((Basis::Lock, side(&old)?, side(&new)?))
        }
    }
}

/// The graph of the same cook; else, where the calls changed, that of one with the same profile.
fn counterpart<'s>(old: &'s Side, cook: &str) -> Option<&'s Section> {
    let profile = |cook: &str| cook.split(' ').next().unwrap_or_default().to_owned();
    let same = old.iter().find(|before| before.cooks.iter().any(|other| other == cook));
    same.or_else(|| old.iter().find(|before| before.cooks.iter().any(|other| profile(other) == profile(cook))))
}

impl Compared {
    fn new(subject: String, basis: Basis, old: Side, new: Side, known: &Known) -> Compared {
        let costs = known.costs(&new);
        let nothing = Section::default();
        let mut changes = Vec::new();
        let mut work = Work::default();
        let mut packages = std::collections::BTreeSet::new();
        for (section, costs) in new.iter().zip(&costs) {
            for cook in &section.cooks {
                let before = counterpart(&old, cook).unwrap_or(&nothing);
                let change = crates::difference(&before.graph, &section.graph);
                work.units += change.compiled.len();
                work.cpu_ms += change.compiled.iter().map(|&unit| costs.cpu_ms[unit]).sum::<u64>();
                packages.extend(change.compiled.iter().map(|&unit| section.graph.package(&section.graph.units[unit])));
                changes.push((cook.clone(), change));
            }
        }
        work.packages = packages.len();
        let whole = crates::whole(&new, &costs);
        let guessed = costs.iter().map(|costs| costs.guessed).sum();
        Compared { subject, basis, changes, work, whole, guessed }
    }

    fn diff(&self) -> Diff<'_> {
        let Compared { subject, basis, changes, work, whole, guessed } = self;
        Diff { subject, basis: *basis, changes, work: *work, whole: *whole, guessed: *guessed }
    }
}
