use std::collections::BTreeSet;

use super::Format;
use super::context::Context;
use super::error::CommandError;
use super::exit::Exit;
use super::explain;
use super::ui::Ui;
use crate::checks::{self, CHECKS, Check};
use crate::diag::{Code, Diagnostic, Severity};
use crate::model::LayerName;
use crate::report::json::findings::{Validate, ValidateExplain, ValidateList};
use crate::report::{self, count, diagnostics, json};
use crate::snapshot::Snapshot;

/// Check the catalog: contracts, graph, Dockerfiles, decisions, pins
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lamina validate
  lamina validate --check-dag
  lamina validate --only dockerfile pins
  lamina validate --explain from-undeclared")]
pub struct Args {
    /// Also read every build context, compute every fingerprint, and show the order of building
    #[arg(long)]
    check_dag: bool,
    /// Run these checks alone
    #[arg(long, value_name = "CHECK", num_args = 1..)]
    only: Vec<String>,
    /// List the checks with the findings they can have
    #[arg(long, conflicts_with_all = ["only", "check_dag", "explain"])]
    list: bool,
    /// Explain a finding's code, as `lamina explain` does
    #[arg(long, value_name = "CODE", conflicts_with_all = ["only", "check_dag"])]
    explain: Option<String>,
    /// How the answer looks
    #[arg(long, value_enum, default_value_t)]
    format: Format,
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
        (Some(name), Format::Text) => explain::text(explain::find(name)?),
        (Some(name), Format::Json) => json::answer(ValidateExplain::from(explain::find(name)?)),
        (None, Format::Text) => list_text(),
        (None, Format::Json) => json::answer(ValidateList::all()),
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
    let findings = diagnostics::sorted(ran.iter().flat_map(|check| check.run(&snapshot)).collect());
    let number = |wanted: Severity| findings.iter().filter(|finding| finding.severity == wanted).count();
    let (errors, warnings) = (number(Severity::Error), number(Severity::Warning));
    let waves = waves(&snapshot, args.check_dag && errors == 0);
    match args.format {
        Format::Text => {
            context.ui.answer(&text(context, &snapshot, &findings, &waves))?;
            let broken = snapshot.catalog.broken.len();
            let layers = snapshot.names().len();
            let problems = match (errors, warnings) {
                (0, 0) => "no problem".to_owned(),
                (0, warnings) => count(warnings, "warning"),
                (errors, 0) => count(errors, "error"),
                (errors, warnings) => format!("{}, {}", count(errors, "error"), count(warnings, "warning")),
            };
            let unusable = if broken == 0 { String::new() } else { format!(" ({broken} can't be used)") };
            context.ui.remark(&format!(
                "{}{unusable}, {}: {problems}",
                count(layers, "layer"),
                count(ran.len(), "check")
            ));
        }
        Format::Json => {
            let texts = |file: &str| context.text(&snapshot, file);
            let layers = snapshot.names().len();
            let answer = Validate::new(&ran, &findings, &texts, layers, &waves);
            context.ui.answer(&json::answer(answer))?;
        }
    }
    Ok(if errors == 0 { Exit::Success } else { Exit::Invalid })
}

fn text(context: &Context<'_>, snapshot: &Snapshot, findings: &[Diagnostic], waves: &[Vec<&LayerName>]) -> String {
    let texts = |file: &str| context.text(snapshot, file);
    let color = context.ui.answer_color();
    let mut text: String = findings.iter().map(|finding| diagnostics::text(finding, &texts, color) + "\n\n").collect();
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
