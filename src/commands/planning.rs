//! From a command line to a plan: what `plan` and `build` share.

use std::path::Path;

use super::context::{Context, read_bytes};
use super::error::CommandError;
use super::exit::Exit;
use super::images::{self, RegistryArgs};
use super::selection::{Selected, SelectionArgs};
use crate::diag::Diagnostic;
use crate::plan::{self, MAX_DOCUMENT, Past, Plan, PlanError, Saved, SavedError, StateError, Wanted};
use crate::snapshot::Snapshot;

/// What is to be planned, and how.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct PlanArgs {
    #[command(flatten)]
    pub selection: SelectionArgs,
    /// Fail where a layer outside of the selection is needed and not there, instead of building it as well
    #[arg(long)]
    pub no_ancestors: bool,
    /// Build the named layers even where the registry has their images, and the selected layers on top of them
    #[arg(long)]
    pub force: bool,
    /// Fail when an external image that a build needs has no digest in the lock
    #[arg(long)]
    pub frozen: bool,
}

/// A plan with the catalog that it is of.
pub struct Planned {
    /// The catalog.
    pub snapshot: Snapshot,
    /// The plan.
    pub plan: Plan,
    /// Whether unlocked external images were refused.
    pub frozen: bool,
}

impl PlanArgs {
    /// Selects, asks the registry, and plans.
    ///
    /// # Errors
    /// When nothing can be planned, or what is planned can't be built as it is.
    pub fn plan(&self, context: &Context<'_>, registry: &RegistryArgs) -> Result<Planned, CommandError> {
        let (snapshot, Selected { layers, named, causes }) = self.selection.select(context)?;
        let forced = if self.force { named } else { Default::default() };
        let wanted = Wanted { selected: layers, forced, ancestors: !self.no_ancestors, causes };
        let asked = plan::asked(&snapshot, &wanted.selected);
        let images = match asked.is_empty() {
            true => Default::default(),
            false => {
                let state = context
                    .ask(registry, &snapshot, async |registry| plan::state(registry, &snapshot, &asked).await)?;
                match state {
                    Ok(images) => images,
                    Err(error) => return Err(no_state(context, snapshot, error)),
                }
            }
        };
        let past = past(context, &snapshot);
        match Plan::of(&snapshot, &wanted, &images, &past) {
            Ok(plan) => checked(context, Planned { snapshot, plan, frozen: self.frozen }),
            Err(PlanError::Unbuildable(findings)) => Err(unbuildable(snapshot, findings)),
            Err(error @ PlanError::Ancestors(_)) => Err(CommandError::new(Exit::Failure, error.to_string())
                .hint("leave out --no-ancestors to have them built or proven as well")),
            Err(error) => Err(CommandError::new(Exit::Failure, error.to_string())),
        }
    }
}

/// The plan that a file holds, if the catalog is what it was when the plan was made.
///
/// # Errors
/// When the file holds no plan, or the catalog has moved.
pub fn saved(context: &Context<'_>, file: &Path) -> Result<Planned, CommandError> {
    let name = file.display();
    let refused =
        |error: SavedError| CommandError::new(Exit::Failure, format!("the plan in {name} can't be used: {error}"));
    let saved = Saved::read(&read_bytes(file, MAX_DOCUMENT)?).map_err(refused)?;
    let frozen = saved.frozen;
    let snapshot = context.snapshot()?;
    match saved.plan(&snapshot) {
        Ok(plan) => checked(context, Planned { snapshot, plan, frozen }),
        Err(SavedError::Unbuildable(findings)) => Err(unbuildable(snapshot, findings)),
        Err(error @ (SavedError::Moved(_) | SavedError::Elsewhere { .. })) => {
            let error = CommandError::new(Exit::Invalid, format!("the plan in {name} can't be run: {error}"));
            Err(error.hint("make another plan: `lamina plan --format json`"))
        }
        Err(error) => Err(refused(error)),
    }
}

/// The plan, if what its builds stand on is good.
fn checked(context: &Context<'_>, planned: Planned) -> Result<Planned, CommandError> {
    let Planned { snapshot, plan, frozen } = &planned;
    let unpinned = plan.unpinned(snapshot);
    if *frozen && !unpinned.is_empty() {
        let message = "--frozen was given, and not every external image has a digest in the lock";
        return Err(with_findings(planned.snapshot, unpinned, message));
    }
    let lacking = plan.lacking_platforms(snapshot);
    if !lacking.is_empty() {
        let message = "not every base is there for all platforms that are wanted";
        return Err(with_findings(planned.snapshot, lacking, message));
    }
    let mut told: Vec<&str> = unpinned.iter().map(|finding| finding.message.as_str()).collect();
    told.sort_unstable();
    told.dedup();
    told.iter().for_each(|message| context.ui.remark(&format!("{message}: its tag may move between two builds")));
    Ok(planned)
}

/// Why it is not known what the registry has.
pub fn no_state(context: &Context<'_>, snapshot: Snapshot, error: StateError) -> CommandError {
    match error {
        StateError::Unbuildable(findings) => unbuildable(snapshot, findings),
        StateError::Registry { asked, errors } => images::failed(context, asked, &errors.iter().collect::<Vec<_>>()),
    }
}

/// What earlier runs on this machine say of the layers.
pub fn past(context: &Context<'_>, snapshot: &Snapshot) -> Past {
    // Nobody needs it to be right, so that there is none is no error.
    context.history().map(|history| Past::of(snapshot, &history.layers())).unwrap_or_default()
}

fn unbuildable(snapshot: Snapshot, findings: Vec<Diagnostic>) -> CommandError {
    with_findings(snapshot, findings, "not every layer can be built")
}

fn with_findings(snapshot: Snapshot, findings: Vec<Diagnostic>, message: &str) -> CommandError {
    let mut error = CommandError::new(Exit::Invalid, message);
    error.findings = Some((findings, Box::new(snapshot)));
    error
}
