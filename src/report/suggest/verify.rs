//! What was predicted of a build, and what cargo says of it, for people.

use super::super::{count, enumeration, table};
use super::{Snippet, escaped};
use crate::suggest::{Confirmation, Judged};

/// The longest reason that is shown, in characters: cargo writes down all that it compares.
const MAX_REASON: usize = 160;

/// A prediction with cargo's verdicts.
#[derive(Debug)]
pub struct VerifyReport<'a> {
    /// The project's name.
    pub project: &'a str,
    /// Its folder, as it was named.
    pub folder: String,
    /// The profile it is built with.
    pub profile: &'a str,
    /// The target it is built for, where one was named.
    pub target: Option<&'a str>,
    /// The cargo that was asked.
    pub cargo: &'a str,
    /// What it was asked in.
    pub snippet: &'a Snippet,
    /// The units.
    pub confirmation: &'a Confirmation<'a>,
}

impl VerifyReport<'_> {
    /// The figures, then the units that they differ on.
    pub fn text(&self) -> String {
        let mut text = format!("{}\n{}\n", self.head(), self.figures());
        let rows: Vec<[String; 4]> = self.confirmation.wrong().map(row).collect();
        if !rows.is_empty() {
            let heads = ["unit", "predicted", "cargo", "because"].map(str::to_owned);
            text.push_str(&format!("\n{}", table(&[&[heads], &rows[..]].concat())));
        }
        text
    }

    /// As a comment on a pull request, or a page of a wiki.
    pub fn markdown(&self) -> String {
        let (name, head) = (escaped(self.project), escaped(&self.head()));
        let mut text = format!("### Reuse in {name}, confirmed\n\n{head}  \n{}\n", escaped(&self.figures()));
        let rows: Vec<[String; 4]> = self.confirmation.wrong().map(row).collect();
        if !rows.is_empty() {
            text.push_str("\n| Unit | Predicted | cargo | Because |\n|--|--|--|--|\n");
            let line = |row: &[String; 4]| format!("| {} |\n", row.each_ref().map(|cell| escaped(cell)).join(" | "));
            text.extend(rows.iter().map(line));
        }
        text
    }

    fn head(&self) -> String {
        let target = self.target.map(|target| format!(" for {target}")).unwrap_or_default();
        let donors: Vec<&str> = self.snippet.donors.iter().map(|donor| donor.layer.as_str()).collect();
        let donors = if donors.is_empty() { String::new() } else { format!(" with {}", enumeration(&donors)) };
        let units = count(self.confirmation.units.len(), "unit");
        let cargo: Vec<&str> = self.cargo.split(' ').take(2).collect();
        format!(
            "{}, profile {}{target}: {units} of dependencies, by {} in {}{donors}",
            self.project,
            self.profile,
            cargo.join(" "),
            self.snippet.base.layer,
        )
    }

    fn figures(&self) -> String {
        let score = self.confirmation.score();
        format!(
            "predicted {}, confirmed {}, both {}: precision {}, recall {}",
            score.predicted,
            score.confirmed,
            score.both,
            exactly(score.precision()),
            exactly(score.recall()),
        )
    }
}

fn row(judged: &Judged<'_>) -> [String; 4] {
    let Judged { unit, package, predicted, said } = judged;
    let platform = unit.platform.as_ref().map(|platform| format!(" for {platform}")).unwrap_or_default();
    let word = |fresh: bool| if fresh { "reused" } else { "compiled" }.to_owned();
    let reason = said.reason.unwrap_or(if said.fresh { "" } else { "it is not there" });
    let short: String = reason.chars().take(MAX_REASON).collect();
    let dots = if short.len() < reason.len() { "…" } else { "" };
    [
        format!("{} {} {}{platform}", package.name, package.version, unit.kind.word()),
        word(*predicted),
        word(said.fresh),
        short + dots,
    ]
}

/// A share in tenths of a percent, never rounded up: only what is whole is 100 %.
fn exactly(share: f64) -> String {
    if share >= 1.0 { "100 %".to_owned() } else { format!("{:.1} %", (share * 1000.0).floor() / 10.0) }
}
