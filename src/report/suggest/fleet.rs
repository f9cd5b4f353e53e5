//! What layers save many projects, for people.

use super::{percent, seconds};
use crate::report::units::size;
use crate::report::{count, enumeration, table};
use crate::suggest::{Action, FleetAdvice, Proposal};

/// A fleet with what a report on it needs.
#[derive(Debug)]
pub struct FleetReport<'a> {
    /// The projects, each with how often it is built a day.
    pub projects: &'a [(&'a str, u64)],
    /// What is advised.
    pub advice: &'a FleetAdvice<'a>,
    /// What a layer has to save a day to be shown, in milliseconds of processor time.
    pub least_ms: u64,
    /// What would save most next; absent where nobody asked.
    pub proposals: Option<&'a [Proposal<'a>]>,
}

impl FleetReport<'_> {
    /// A layer a line, with what it saves a day and each project a build.
    pub fn text(&self) -> String {
        let advice = self.advice;
        let builds = self.projects.iter().map(|(_, weight)| weight).sum::<u64>();
        let mut text = format!(
            "{}, {} a day: {} of processor time a day for dependencies\n",
            count(self.projects.len(), "project"),
            count(builds, "build"),
            seconds(advice.total_ms)
        );
        let rows = advice.layers.iter().filter(|layer| layer.saved_ms >= self.least_ms.max(1)).map(|layer| {
            let projects = self.projects.iter().zip(&layer.projects).filter(|(_, saved)| **saved > 0);
            let projects: Vec<String> =
                projects.map(|((name, _), saved)| format!("{name} {}", seconds(*saved))).collect();
            [
                layer.layer.to_string(),
                format!("{} a day ({})", seconds(layer.saved_ms), self.share(layer.saved_ms)),
                projects.join(", "),
            ]
        });
        let rows: Vec<[String; 3]> = rows.collect();
        match rows.is_empty() {
            true => text.push_str("\nno layer saves anything\n"),
            false => text.push_str(&format!("\n{}", table(&rows))),
        }
        if advice.set.len() > 1 {
            let set: Vec<String> =
                advice.set.iter().map(|(layer, gain)| format!("{layer} (+{})", seconds(*gain))).collect();
            let together = advice.set.iter().map(|(_, gain)| gain).sum();
            text.push_str(&format!(
                "\ntogether: {}; {} a day ({})\n",
                enumeration(&set),
                seconds(together),
                self.share(together)
            ));
        }
        for proposal in self.proposals.into_iter().flatten() {
            text.push_str(&format!("\n{}", self.proposal(proposal)));
        }
        if self.proposals.is_some_and(<[_]>::is_empty) {
            text.push_str("\nnothing to propose\n");
        }
        text
    }

    /// The layers, a name a line.
    pub fn names(&self) -> String {
        let shown = self.advice.layers.iter().filter(|layer| layer.saved_ms >= self.least_ms.max(1));
        shown.map(|layer| format!("{}\n", layer.layer)).collect()
    }

    fn share(&self, saved_ms: u64) -> String {
        let total = self.advice.total_ms.max(1) as f64;
        percent(saved_ms as f64 / total)
    }

    fn proposal(&self, proposal: &Proposal<'_>) -> String {
        let saves = format!("at most {} a day ({})", seconds(proposal.saved_ms), self.share(proposal.saved_ms));
        let bytes = size(proposal.bytes);
        match &proposal.action {
            Action::Add { project, also } => {
                let also = if also.is_empty() {
                    String::new()
                } else {
                    format!(", which helps {} as well", enumeration(also))
                };
                format!(
                    "add a layer from the lock of {project}{also}: {saves}, {bytes}\n  lamina new LAYER --from-project DIR\n"
                )
            }
            Action::Recook { layer, packages } => {
                let what = count(*packages, "package");
                format!("cook {layer} again with the versions of the projects, for {what}: {saves}\n")
            }
            Action::Split { layer, used, units } => {
                format!("split {layer}: {used} of its {units} units are used by a project, {bytes} by none\n")
            }
        }
    }
}
