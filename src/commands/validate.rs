use std::collections::BTreeSet;

use clap::ValueEnum;

use super::context::Context;
use super::error::CommandError;
use super::exit::Exit;
use super::explain;
use super::scope::{LeftOut, ScopeArgs};
use super::ui::Ui;
use crate::checks::{self, CHECKS, Check};
use crate::diag::{Code, Diagnostic, Severity};
use crate::model::LayerName;
use crate::report::json::findings::{Validate, ValidateExplain, ValidateList};
use crate::report::place::{Sources, Texts};
use crate::report::sarif::SarifReport;
use crate::report::{self, count, diagnostics, github, json};
use crate::snapshot::Snapshot;

/// Check the catalog: contracts, graph, Dockerfiles, decisions, pins
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lamina validate
  lamina validate --check-dag
  lamina validate --only dockerfile pins
  lamina validate --staged
  git diff --name-only origin/main | lamina validate --changed -
  lamina validate --format sarif > lamina.sarif
  lamina validate --explain from-undeclared")]
pub struct Args {
    /// Also read every build context, compute every fingerprint, and show the order of building
    #[arg(long)]
    check_dag: bool,
    /// Run these checks alone
    #[arg(long, value_name = "CHECK", num_args = 1..)]
    only: Vec<String>,
    #[command(flatten)]
    scope: ScopeArgs,
    /// List the checks with the findings they can have
    #[arg(long, conflicts_with_all = ["only", "check_dag", "explain", "changed", "staged"])]
    list: bool,
    /// Explain a finding's code, as `lamina explain` does
    #[arg(long, value_name = "CODE", conflicts_with_all = ["only", "check_dag", "changed", "staged"])]
    explain: Option<String>,
    /// How the answer looks
    #[arg(long, value_enum, default_value_t)]
    format: ValidateFormat,
    /// With --format sarif: the address of a copy of docs/checks.md, which rules then link to
    #[arg(long, value_name = "URL", value_parser = help_base)]
    help_base: Option<String>,
}

/// How findings look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum ValidateFormat {
    /// For people
    #[default]
    Text,
    /// For programs; the shape is described in docs/json.md
    Json,
    /// SARIF 2.1.0, for code scanning and editors
    Sarif,
    /// Workflow commands of GitHub Actions: annotations at the lines
    Github,
}

/// An address that an anchor can be added to.
fn help_base(text: &str) -> Result<String, String> {
    let is_address = ["https://", "http://"].iter().any(|scheme| text.len() > scheme.len() && text.starts_with(scheme));
    let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"<>\\^`{|}#".contains(&byte));
    if is_address && is_plain { Ok(text.to_owned()) } else { Err("write https://… without an anchor".to_owned()) }
}

impl Args {
    /// Whether the answer is the same for every catalog.
    pub fn needs_no_catalog(&self) -> bool {
        self.list || self.explain.is_some()
    }
}

/// Answers what needs no catalog.
pub fn describe(ui: &Ui, args: &Args) -> Result<Exit, CommandError> {
    let answer = match (&args.explain, args.format) {
        (Some(name), ValidateFormat::Text) => explain::text(explain::find(name)?),
        (Some(name), ValidateFormat::Json) => json::answer(ValidateExplain::from(explain::find(name)?)),
        (None, ValidateFormat::Text) => list_text(),
        (None, ValidateFormat::Json) => json::answer(ValidateList::all()),
        (_, ValidateFormat::Sarif | ValidateFormat::Github) => {
            return Err(CommandError::new(Exit::Usage, "checks and codes are told as text or JSON only"));
        }
    };
    ui.answer(&answer)?;
    Ok(Exit::Success)
}

fn list_text() -> String {
    let mut text = String::new();
    for check in CHECKS {
        let thorough = if check.thorough { " (with --check-dag)" } else { "" };
        text.push_str(&format!("{}: {}{thorough}\n", check.name, check.summary));
        let row = |code: &Code| {
            [format!("  {code}"), diagnostics::severity(code.severity()).to_owned(), code.summary().to_owned()]
        };
        text.push_str(&report::table(&check.codes.iter().map(row).collect::<Vec<_>>()));
    }
    text
}

pub fn run(context: &Context<'_>, args: &Args) -> Result<Exit, CommandError> {
    let names = CHECKS.iter().map(|check| check.name);
    let mut wanted = BTreeSet::new();
    for name in &args.only {
        wanted.insert(checks::find(name).ok_or_else(|| CommandError::unknown("check", name, names.clone()))?.name);
    }
    let is_wanted = |check: &&Check| match wanted.is_empty() {
        true => args.check_dag || !check.thorough,
        false => wanted.contains(check.name),
    };
    let snapshot = context.unchecked_snapshot()?;
    let ran: Vec<&'static Check> = CHECKS.iter().filter(is_wanted).collect();
    let scope = args.scope.scope(context, &snapshot)?;
    let mut findings: Vec<Diagnostic> = ran.iter().flat_map(|check| check.run(&snapshot)).collect();
    let left_out = LeftOut::of(scope.as_ref(), &mut findings);
    let findings = diagnostics::sorted(findings);
    let number = |wanted: Severity| findings.iter().filter(|finding| finding.severity == wanted).count();
    let (errors, warnings) = (number(Severity::Error), number(Severity::Warning));
    let waves = waves(&snapshot, args.check_dag && errors + left_out.errors == 0);
    let texts = |file: &str| context.text(&snapshot, file);
    let sources = Sources { texts: &texts, locate: &|file| context.locate(file) };
    let touched = scope.as_ref().map(|scope| scope.count(snapshot.names().into_iter().map(LayerName::as_str)));
    let touched = touched.map(|touched| format!("{touched} of ")).unwrap_or_default();
    let summary = touched + &summary(&snapshot, &ran, errors, warnings);
    let answer = match args.format {
        ValidateFormat::Text => text(context, &findings, &texts, &waves),
        ValidateFormat::Json => {
            let layers = snapshot.names().len();
            let left_out = scope.as_ref().map(|_| (left_out.errors, left_out.warnings));
            json::answer(Validate::new(&ran, &findings, &texts, layers, &waves, left_out))
        }
        ValidateFormat::Sarif => {
            let folder = context.folder_in_repository();
            let help_base = args.help_base.as_deref();
            SarifReport { findings: &findings, sources, folder: &folder, help_base }.text()
        }
        ValidateFormat::Github => github::commands(&findings, sources, &summary),
    };
    context.ui.answer(&answer)?;
    if args.format == ValidateFormat::Text {
        context.ui.remark(&summary);
    }
    if args.format != ValidateFormat::Json {
        left_out.remark().iter().for_each(|remark| context.ui.remark(remark));
    }
    Ok(if errors == 0 { Exit::Success } else { Exit::Invalid })
}

/// How much was looked at, and what came of it, in a line.
fn summary(snapshot: &Snapshot, ran: &[&Check], errors: usize, warnings: usize) -> String {
    let problems = match (errors, warnings) {
        (0, 0) => "no problem".to_owned(),
        (0, warnings) => count(warnings, "warning"),
        (errors, 0) => count(errors, "error"),
        (errors, warnings) => format!("{}, {}", count(errors, "error"), count(warnings, "warning")),
    };
    let broken = snapshot.catalog.broken.len();
    let unusable = if broken == 0 { String::new() } else { format!(" ({broken} can't be used)") };
    let layers = count(snapshot.names().len(), "layer");
    format!("{layers}{unusable}, {}: {problems}", count(ran.len(), "check"))
}

fn text(context: &Context<'_>, findings: &[Diagnostic], texts: &Texts<'_>, waves: &[Vec<&LayerName>]) -> String {
    let color = context.ui.answer_color();
    let mut text: String = findings.iter().map(|finding| diagnostics::text(finding, texts, color) + "\n\n").collect();
    for (number, wave) in waves.iter().enumerate() {
        let names: Vec<&str> = wave.iter().map(|name| name.as_str()).collect();
        text.push_str(&format!("wave {}: {}\n", number + 1, names.join(" ")));
    }
    text
}

/// The order of building, where it was asked for and exists.
fn waves(snapshot: &Snapshot, wanted: bool) -> Vec<Vec<&LayerName>> {
    if !wanted {
        return Vec::new();
    }
    let all = snapshot.graph.names().cloned().collect();
    snapshot.graph.waves(&all)
}
