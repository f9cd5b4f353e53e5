//! What `lamina suggest` says of several projects.

use schemars::JsonSchema;
use serde::Serialize;

use super::Answer;
use crate::report::suggest::FleetReport;
use crate::suggest::{self, Action};

/// Which layers save a fleet of projects how much.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Fleet<'a> {
    /// The projects.
    projects: Vec<Project<'a>>,
    /// What the dependencies of all projects cost a day, in milliseconds of processor time.
    cpu_ms_a_day: u64,
    /// The layers that save anything, the best first.
    layers: Vec<Layer<'a>>,
    /// The layers that together save most, with what each adds.
    set: Vec<Gain<'a>>,
    /// What would save most next, each by itself, the best first; null without `--propose`.
    proposals: Option<Vec<Proposal<'a>>>,
}

/// A project of a fleet.
#[derive(Debug, Serialize, JsonSchema)]
struct Project<'a> {
    /// Its name.
    name: &'a str,
    /// How often it is built a day.
    weight: u64,
}

/// What a layer saves a fleet.
#[derive(Debug, Serialize, JsonSchema)]
struct Layer<'a> {
    /// Its name.
    layer: &'a str,
    /// What it saves a day, in milliseconds of processor time.
    saved_ms_a_day: u64,
    /// What it saves each project in one build, in milliseconds of processor time, in the order of `projects`.
    saved_ms: &'a [u64],
}

/// What a layer adds to a set.
#[derive(Debug, Serialize, JsonSchema)]
struct Gain<'a> {
    /// The layer.
    layer: &'a str,
    /// What it adds a day, in milliseconds of processor time.
    saved_ms_a_day: u64,
}

/// What could be done next.
#[derive(Debug, Serialize, JsonSchema)]
struct Proposal<'a> {
    /// What.
    action: Verb,
    /// The project whose lock a new layer is made from; null for another action.
    project: Option<&'a str>,
    /// The other projects that a new layer helps.
    also: Vec<&'a str>,
    /// The layer that is cooked again or split; null for a new one.
    layer: Option<&'a str>,
    /// What that saves a day at most, in milliseconds of processor time.
    saved_ms_a_day: u64,
    /// The bytes that a new layer adds before compression, or that a split takes out of each pull.
    bytes: u64,
}

/// What is done to a layer.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Verb {
    /// A layer is added.
    Add,
    /// A layer is cooked again, with other versions.
    Recook,
    /// A layer is divided.
    Split,
}

impl Answer for Fleet<'_> {
    const NAME: &'static str = "suggest-fleet";
    const COMMAND: &'static str = "suggest";
}

impl<'a> Fleet<'a> {
    /// All that is suggested.
    pub fn new(report: &'a FleetReport<'a>) -> Self {
        let advice = report.advice;
        let shown = advice.layers.iter().filter(|layer| layer.saved_ms >= report.least_ms.max(1));
        let layer = |layer: &'a suggest::FleetLayer<'a>| Layer {
            layer: layer.layer.as_str(),
            saved_ms_a_day: layer.saved_ms,
            saved_ms: &layer.projects,
        };
        let gain =
            |(layer, gain): &(&'a crate::model::LayerName, u64)| Gain { layer: layer.as_str(), saved_ms_a_day: *gain };
        let proposals = report.proposals.map(|proposals| proposals.iter().map(Proposal::new).collect());
        Self {
            projects: report.projects.iter().map(|(name, weight)| Project { name, weight: *weight }).collect(),
            cpu_ms_a_day: advice.total_ms,
            layers: shown.map(layer).collect(),
            set: advice.set.iter().map(gain).collect(),
            proposals,
        }
    }
}

impl<'a> Proposal<'a> {
    fn new(proposal: &'a suggest::Proposal<'a>) -> Self {
        let (action, project, also, layer) = match &proposal.action {
            Action::Add { project, also } => (Verb::Add, Some(*project), also.clone(), None),
            Action::Recook { layer, .. } => (Verb::Recook, None, Vec::new(), Some(layer.as_str())),
            Action::Split { layer, .. } => (Verb::Split, None, Vec::new(), Some(layer.as_str())),
        };
        Self { action, project, also, layer, saved_ms_a_day: proposal.saved_ms, bytes: proposal.bytes }
    }
}
