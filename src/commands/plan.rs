use super::Format;
use super::context::Context;
use super::error::CommandError;
use super::exit::Exit;
use super::images::RegistryArgs;
use super::planning::{PlanArgs, Planned};
use crate::report::json;
use crate::report::plan::PlanReport;

/// Say what a build would do, and why: which layers it would build, prove or leave alone
///
/// A layer is up to date when the registry has an image of its fingerprint, and the proof that it is good.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lamina plan --all
  lamina plan leptos
  lamina plan rust --dependents --force
  lamina plan --since origin/main
  lamina plan --changed layers/wasm/Dockerfile --only class=toolchain
  lamina plan --all --frozen --format json > plan.json")]
pub struct Args {
    #[command(flatten)]
    plan: PlanArgs,
    /// How the answer looks
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    registry: RegistryArgs,
}

pub fn run(context: &Context<'_>, args: &Args) -> Result<Exit, CommandError> {
    let Planned { snapshot, plan, frozen } = args.plan.plan(context, &args.registry)?;
    let report = PlanReport { snapshot: &snapshot, plan: &plan, frozen, verbose: context.verbose() };
    context.ui.answer(&match args.format {
        Format::Text => report.text(),
        Format::Json => json::answer(json::plan::Plan::new(&report)),
    })?;
    report.remarks().iter().for_each(|remark| context.ui.remark(remark));
    // The answer is out; taking down thousands of layers one by one would only cost time.
    std::mem::forget((snapshot, plan));
    Ok(Exit::Success)
}
