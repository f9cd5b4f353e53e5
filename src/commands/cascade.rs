use clap::{ArgGroup, ValueEnum};

use super::changes::{Changes, UnknownPolicy};
use super::context::{Context, valid};
use super::error::CommandError;
use super::exit::Exit;
use crate::cascade::{Cascade, Only, Selection, Unreadable};
use crate::diag::Diagnostic;
use crate::report::cascade::{CascadeReport, Unaffecting};
use crate::report::drawing::{self, Drawing};
use crate::report::markdown;
use crate::report::pipeline::{Pipeline, github, gitlab};
use crate::snapshot::Snapshot;

/// Say which layers a change makes stale, in which order, and why
#[derive(Debug, clap::Args)]
#[command(group(ArgGroup::new("change").args(["changed", "since"]).required(true)))]
#[command(after_help = "Examples:
  lamina cascade --changed rust
  lamina cascade --changed layers/rust/Dockerfile schemas/workflow.ncl
  lamina cascade --changed rust:1.97.1-slim-trixie --format waves
  git diff --name-only origin/main | lamina cascade --changed -
  lamina cascade --since origin/main --format json
  lamina cascade --since HEAD~1 --until HEAD --only class=source-dep")]
pub struct Args {
    /// What has changed: layers, paths, external images; `-` reads paths from stdin
    #[arg(long, value_name = "X", num_args = 1.., conflicts_with = "since")]
    changed: Vec<String>,
    #[command(flatten)]
    revisions: RevisionArgs,
    /// Leave out the layers that changed themselves
    #[arg(long)]
    dependents_only: bool,
    /// Leave out layers that are further than N edges from a changed one
    #[arg(long, value_name = "N")]
    max_distance: Option<usize>,
    /// Leave out all layers but these: class=CLASS or name=GLOB; may be repeated
    #[arg(long, value_name = "CONDITION")]
    only: Vec<Only>,
    /// How the answer looks
    #[arg(long, value_enum, default_value_t)]
    format: CascadeFormat,
    /// End with exit code 4 when something is affected
    #[arg(long)]
    exit_code: bool,
}

/// Which revisions are compared.
#[derive(Debug, clap::Args)]
pub struct RevisionArgs {
    /// Compare with a git revision, by the layers' fingerprints
    #[arg(long, value_name = "REV")]
    pub since: Option<String>,
    /// Compare this revision with the one of --since, instead of the work tree
    #[arg(long, value_name = "REV", requires = "since")]
    pub until: Option<String>,
    /// What to do about a path that no layer claims, or a revision that can't be evaluated
    #[arg(long, value_name = "POLICY", value_enum, default_value_t)]
    pub unknown: UnknownPolicy,
}

/// How a cascade looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum CascadeFormat {
    /// A layer a line, with the way from the change to it
    #[default]
    Text,
    /// Everything, for programs; the shape is described in docs/json.md
    Json,
    /// A layer's name a line, in order of building
    Names,
    /// A wave a line: layers that can be built at the same time
    Waves,
    /// Matrices for GitHub Actions, in one line of JSON; described in docs/github.md
    GithubMatrix,
    /// A child pipeline for GitLab; described in docs/gitlab.md
    Gitlab,
    /// A comment on a pull request
    Markdown,
    /// What is stale, for Graphviz
    Dot,
    /// What is stale, for Mermaid, as GitHub and GitLab draw it
    Mermaid,
    /// What is stale, drawn
    Svg,
}

pub fn run(context: &Context<'_>, args: &Args) -> Result<Exit, CommandError> {
    let selection =
        Selection { dependents_only: args.dependents_only, max_distance: args.max_distance, only: args.only.clone() };
    let (old, snapshot, cascade, unaffecting) = match &args.revisions.since {
        Some(since) => {
            let (old, new, cascade) = compare(context, since, &args.revisions)?;
            (old, new, cascade, Unaffecting::default())
        }
        None => {
            let snapshot = context.snapshot()?;
            let mut changes = Changes::new(context, &snapshot, args.revisions.unknown);
            args.changed.iter().try_for_each(|word| changes.add(word))?;
            let (changed, unaffecting) = changes.finish()?;
            let cascade = Cascade::of(&snapshot, changed);
            (None, snapshot, cascade, unaffecting)
        }
    };
    let waves = cascade.waves(&snapshot, &selection);
    let report = CascadeReport {
        snapshot: &snapshot,
        old: old.as_ref(),
        cascade: &cascade,
        waves: &waves,
        unaffecting: &unaffecting,
        since: args.revisions.since.as_deref(),
        until: args.revisions.until.as_deref(),
        verbose: context.verbose(),
    };
    let answer = answer(&report, args.format);
    let (answer, limits) = match answer {
        Ok(answer) => answer,
        Err(Unanswered::Limit(error)) => return Err(*error),
        Err(Unanswered::Unbuildable(findings)) => {
            let mut error = CommandError::new(Exit::Invalid, "not every layer can be built");
            error.findings = Some((findings, Box::new(snapshot)));
            return Err(error);
        }
    };
    context.ui.answer(&answer)?;
    report.remarks().iter().chain(&limits).for_each(|remark| context.ui.remark(remark));
    let affected = !waves.is_empty();
    // The answer is out; taking down thousands of layers one by one would only cost time.
    std::mem::forget((old, snapshot, cascade));
    Ok(if args.exit_code && affected { Exit::Affected } else { Exit::Success })
}

/// Why there is no answer.
enum Unanswered {
    /// Layers can't be built.
    Unbuildable(Vec<Diagnostic>),
    /// The CI system can't take it.
    Limit(Box<CommandError>),
}

/// The answer, and what is said of the limits of those it is for.
fn answer(report: &CascadeReport<'_>, format: CascadeFormat) -> Result<(String, Vec<String>), Unanswered> {
    let pipeline = || Pipeline::new(report).map_err(Unanswered::Unbuildable);
    let limit = |error: CommandError| Unanswered::Limit(Box::new(error));
    let answer = match format {
        CascadeFormat::Text => report.text(),
        CascadeFormat::Json => report.json(),
        CascadeFormat::Names => report.names(),
        CascadeFormat::Waves => report.wave_lines(),
        CascadeFormat::GithubMatrix => github::line(&pipeline()?).map_err(|error| {
            let hint = "build a part at a time: --only class=CLASS, --only name=GLOB or --max-distance N";
            limit(CommandError::new(Exit::Failure, error.to_string()).hint(hint))
        })?,
        CascadeFormat::Gitlab => {
            let pipeline = pipeline()?;
            let yaml = gitlab::yaml(&pipeline).map_err(|error| {
                limit(CommandError::new(Exit::Failure, error.to_string()).hint("write it in one line"))
            })?;
            let limits = gitlab::beyond_limits(&pipeline, &yaml);
            return Ok((yaml, limits));
        }
        CascadeFormat::Markdown => markdown::markdown(report),
        CascadeFormat::Dot => drawing::dot(&Drawing::stale(report)),
        CascadeFormat::Mermaid => {
            let drawing = Drawing::stale(report);
            let mermaid = drawing::mermaid(&drawing);
            let limits = drawing::beyond_limits(&drawing, &mermaid).into_iter().collect();
            return Ok((mermaid, limits));
        }
        CascadeFormat::Svg => drawing::svg(&Drawing::stale(report)),
    };
    Ok((answer, Vec::new()))
}

/// Evaluates both revisions and compares them. What can't be evaluated of the older one follows the policy.
pub fn compare(
    context: &Context<'_>,
    since: &str,
    revisions: &RevisionArgs,
) -> Result<(Option<Snapshot>, Snapshot, Cascade), CommandError> {
    let new = match &revisions.until {
        Some(until) => {
            let message = format!("the catalog in {until} can't be evaluated");
            valid(context.unchecked_revision(until)?, &message, Exit::Unknown)?
        }
        None => context.snapshot()?,
    };
    let fingerprints = new.fingerprints();
    if !fingerprints.findings.is_empty() {
        let mut error = CommandError::new(Exit::Invalid, "not every layer has a fingerprint");
        error.findings = Some((fingerprints.findings.clone(), Box::new(new)));
        return Err(error);
    }
    let old = context.unchecked_revision(since).and_then(|old| {
        let mut broken = old.graph_findings();
        broken.extend(old.lock_findings.iter().cloned());
        broken.extend(old.fingerprints().findings.iter().cloned());
        if broken.is_empty() || revisions.unknown != UnknownPolicy::Error {
            return Ok(old);
        }
        let mut error = CommandError::new(Exit::Unknown, format!("the catalog in {since} can't be evaluated"));
        error.findings = Some((broken, Box::new(old)));
        Err(error)
    });
    let unreadable = match revisions.unknown {
        UnknownPolicy::Ignore => Unreadable::IsUnchanged,
        _ => Unreadable::IsChanged,
    };
    match old {
        Ok(old) => {
            let cascade = Cascade::between(&old, &new, unreadable);
            Ok((Some(old), new, cascade))
        }
        Err(error) if revisions.unknown == UnknownPolicy::Error => {
            Err(error.hint("--unknown=all takes what can't be compared as changed, --unknown=ignore as unchanged"))
        }
        Err(error) => {
            context.ui.remark(&format!("{}: nothing can be compared", error.message));
            let cascade = Cascade::without_old(&new, unreadable);
            Ok((None, new, cascade))
        }
    }
}
