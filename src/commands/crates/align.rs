use std::collections::BTreeSet;

use super::side::{How, Op, Side};
use super::source::cooked_of;
use crate::commands::Format;
use crate::commands::context::{Context, find_layer};
use crate::commands::error::CommandError;
use crate::commands::exit::Exit;
use crate::crates::{self, Difference, Second};
use crate::model::EdgeKind;
use crate::report::crates::{Align, AlignStep};
use crate::report::{count, json};
use crate::snapshot::Snapshot;

/// Say what to declare so that a layer compiles nothing that the layer below it has
///
/// A crate is taken over where version and features are the same in both sets. What is missing is declared in the one
/// or the other, in copies, until cargo's graphs agree; the lines are those of the Cargo.toml then.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lamina crates align stratumiops stratumiops-ia
  lamina crates align stratumiops stratumiops-ia --format json")]
pub struct Args {
    /// The layer below
    #[arg(value_name = "PARENT")]
    parent: String,
    /// The layer that is cooked on top of it
    #[arg(value_name = "CHILD")]
    child: String,
    /// How the answer looks
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// A change can bring another difference to light; more rounds than this come to no end.
const ROUNDS: usize = 12;

/// The rounds in which only the uppermost differences are mended.
const FIRST_ROUNDS: usize = 6;

/// Both sets.
struct Pair<'a> {
    parent: Side<'a>,
    child: Side<'a>,
}

pub fn run(context: &Context<'_>, args: &Args) -> Result<Exit, CommandError> {
    let snapshot = context.snapshot()?;
    let pair = Pair::new(context, &snapshot, args)?;
    let before = pair.second(&BTreeSet::new())?;
    let mut after = before.clone();
    let mut ops: BTreeSet<Op> = BTreeSet::new();
    for round in 0..ROUNDS {
        let known = ops.len();
        // First what stands above the rest, which it may bring along; later all that is still different.
        ops.extend(after.iter().flat_map(|one| mend(one, round < FIRST_ROUNDS)));
        if ops.len() == known {
            break;
        }
        after = pair.second(&ops)?;
    }
    if after.is_empty() {
        ops = pair.short(pair.needed(ops))?;
    }
    let steps = pair.steps(&ops)?;
    let align = Align { parent: pair.parent.layer, child: pair.child.layer, before, steps: &steps, after };
    let answer = match args.format {
        Format::Text => align.text(),
        Format::Json => json::answer(json::crates::CratesAlign::new(&align)),
    };
    context.ui.answer(&answer)?;
    let (before, after) = (align.before.len(), &align.after);
    if after.is_empty() {
        let then = if before == 0 { "" } else { "; with this it compiles none, by cargo's graphs" };
        let units = count(before, "unit");
        context.ui.remark(&format!("{} compiles {units} of {} a second time{then}", align.child, align.parent));
        return Ok(Exit::Success);
    }
    let message = format!("{} of {before} units would still be compiled a second time", after.len());
    let mut error = CommandError::new(Exit::Failure, message);
    for one in after.iter().filter(|one| one.why.is_own()).take(5) {
        error = error.hint(one.sentence());
    }
    Err(error)
}

impl<'a> Pair<'a> {
    fn new(context: &Context<'_>, snapshot: &'a Snapshot, args: &Args) -> Result<Pair<'a>, CommandError> {
        let (parent, below) = find_layer(snapshot, &args.parent)?;
        let (child, above) = find_layer(snapshot, &args.child)?;
        let ancestors = |layer| snapshot.graph.ancestors(layer, &[EdgeKind::Build]);
        if parent == child || ancestors(parent).contains(&child) {
            let message = format!("{child} is not cooked on top of {parent}");
            let hint = match parent == child {
                true => "a layer is aligned with the one that its set is cooked on top of".to_owned(),
                false => format!("it is the other way round: `lamina crates align {child} {parent}`"),
            };
            return Err(CommandError::new(Exit::Usage, message).hint(hint));
        }
        let (its, own) = (cooked_of(below)?, cooked_of(above)?);
        if !ancestors(child).contains(&parent) || its.target_dir != own.target_dir {
            context.ui.remark(&format!(
                "{child} is not cooked on top of {parent} in the same target folder; this is what would hold if it were"
            ));
        }
        Ok(Pair { parent: Side::new(snapshot, parent, its)?, child: Side::new(snapshot, child, own)? })
    }

    /// What is compiled a second time with these changes.
    fn second(&self, ops: &BTreeSet<Op>) -> Result<Vec<Second>, CommandError> {
        Ok(crates::second_time(&self.child.graph(of(ops, true))?, &self.parent.graph(of(ops, false))?))
    }

    /// What these changes come to, for people.
    fn steps(&self, ops: &BTreeSet<Op>) -> Result<Vec<AlignStep>, CommandError> {
        let mut steps = self.parent.steps(&of(ops, false))?;
        steps.extend(self.child.steps(&of(ops, true))?);
        Ok(steps)
    }

    /// The changes without the features that others of the same crate turn on, if that makes no difference.
    fn short(&self, ops: BTreeSet<Op>) -> Result<BTreeSet<Op>, CommandError> {
        let mut short = BTreeSet::from_iter(self.parent.short(of(&ops, false))?);
        short.extend(self.child.short(of(&ops, true))?);
        Ok(if self.second(&short)?.is_empty() { short } else { ops })
    }

    /// The changes that are needed: what the others bring along anyway is left out.
    fn needed(&self, mut ops: BTreeSet<Op>) -> BTreeSet<Op> {
        for op in ops.clone() {
            ops.remove(&op);
            if !self.second(&ops).is_ok_and(|second| second.is_empty()) {
                ops.insert(op);
            }
        }
        ops
    }
}

/// Those changes that are made in one of the two.
fn of(ops: &BTreeSet<Op>, in_child: bool) -> Vec<Op> {
    ops.iter().filter(|op| op.in_child == in_child).cloned().collect()
}

/// What mends one difference, in the set that lacks something; with `uppermost`, nothing where something above it is to
/// be mended in the same set.
fn mend(one: &Second, uppermost: bool) -> Vec<Op> {
    let Second { package, place, why, .. } = one;
    let op = |in_child: bool, version: &str, how: How| Op {
        in_child,
        name: package.name.clone(),
        version: version.to_owned(),
        how,
    };
    let declare = |in_child: bool, features: &[String]| {
        let how = How::Declare { is_host: place == "host", features: features.to_vec() };
        let follows = if in_child { one.follows_below } else { one.follows };
        (!(uppermost && follows)).then(|| op(in_child, &package.version, how))
    };
    match why {
        Difference::Below => Vec::new(),
        Difference::Place { features } => Vec::from_iter(declare(false, features)),
        Difference::Features { missing, extra } => [(false, missing), (true, extra)]
            .into_iter()
            .filter(|(_, features)| !features.is_empty())
            .filter_map(|(in_child, features)| declare(in_child, features))
            .collect(),
        Difference::Version(version) => {
            let (mine, its) = (semver::Version::parse(&package.version), semver::Version::parse(version));
            match (mine, its) {
                (Ok(mine), Ok(its)) if mine > its => vec![op(false, version, How::Update(package.version.clone()))],
                _ => vec![op(true, &package.version, How::Update(version.clone()))],
            }
        }
    }
}
