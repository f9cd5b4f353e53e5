//! What is told, and which event of a run tells it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::event::{Event, FailureKind, Kind, NotRun, Oom, Outcome, RunOutcome};
use crate::model::{Digest, Fingerprint, ImageRef, LayerName};

/// The version of the messages. It changes when a field changes its meaning or goes.
pub const VERSION: u32 = 1;

/// The longest text of a message, in characters: a message is to fit any server's bound.
const LONGEST: usize = 4000;

/// A message on NATS: what happened to a layer, or to a run as a whole, at the subject `<prefix>.<workspace>.build.<event>`.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Message {
    /// The version of the messages.
    #[schemars(extend("const" = 1))]
    pub version: u32,
    /// What happened; the last part of the subject.
    pub event: Name,
    /// The workspace; the second part of the subject.
    pub workspace: String,
    /// The run's name.
    pub run: String,
    /// The message's number in its run, from 0. A gap says that messages were lost.
    pub seq: u64,
    /// When it happened, as RFC 3339.
    pub at: String,
    /// The layer; null where it is about the run as a whole.
    #[schemars(with = "Option<String>")]
    pub layer: Option<LayerName>,
    /// The layer's fingerprint.
    #[schemars(with = "Option<String>")]
    pub fingerprint: Option<Fingerprint>,
    /// The image's name with the tag of the fingerprint; of a promotion, with the tag that was moved.
    #[schemars(with = "Option<String>")]
    pub image: Option<ImageRef>,
    /// The image in the registry, where there is one.
    #[schemars(with = "Option<String>")]
    pub digest: Option<Digest>,
    /// How often the layer has been begun, from 1.
    pub attempt: Option<u32>,
    /// Why: of a failure, a further attempt, a layer that was left out.
    pub reason: Option<String>,
    /// The kind of a layer's failure.
    pub failure: Option<FailureKind>,
    /// That memory ran out, where that is so.
    pub oom: Option<Oom>,
    /// How long the layer or the run took, in milliseconds.
    pub ms: Option<u64>,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Name {
    /// Work at the run or the layer begins.
    Started,
    /// The layer's image is in the registry and proven; or the run has succeeded.
    Completed,
    /// The layer or the run failed, or was cancelled.
    Failed,
    /// An attempt at the layer failed, and another one follows.
    Retried,
    /// The layer needs nothing, or was not begun.
    Skipped,
    /// A tag for people stands for the layer's image now.
    Promoted,
}

impl Name {
    /// All of them.
    pub const ALL: [Name; 6] =
        [Name::Started, Name::Completed, Name::Failed, Name::Retried, Name::Skipped, Name::Promoted];

    /// As the subject has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Name::Started => "started",
            Name::Completed => "completed",
            Name::Failed => "failed",
            Name::Retried => "retried",
            Name::Skipped => "skipped",
            Name::Promoted => "promoted",
        }
    }
}

/// What a run's events are about, remembered from one to the next: a function of the events alone.
#[derive(Clone, Debug)]
pub struct Subject {
    workspace: String,
    next: u64,
    layers: BTreeMap<LayerName, Known>,
}

/// What is known of a layer.
#[derive(Clone, Debug)]
struct Known {
    fingerprint: Fingerprint,
    image: ImageRef,
    attempt: Option<u32>,
}

impl Subject {
    /// Nothing has happened yet.
    pub fn new(workspace: &str) -> Self {
        Self { workspace: workspace.to_owned(), next: 0, layers: BTreeMap::new() }
    }

    /// What is told of an event; nothing of most.
    pub fn messages(&mut self, event: &Event) -> Vec<Message> {
        match &event.kind {
            Kind::RunStarted { layers, skipped, .. } => {
                self.next = 0;
                let known = layers.iter().map(|planned| {
                    let (fingerprint, image) = (planned.fingerprint, planned.image.clone());
                    (planned.layer.clone(), Known { fingerprint, image, attempt: None })
                });
                self.layers = known.collect();
                let mut messages = vec![self.message(event, Name::Started, None)];
                for skipped in skipped {
                    let mut message = self.message(event, Name::Skipped, Some(&skipped.layer));
                    message.fingerprint = Some(skipped.fingerprint);
                    message.digest.clone_from(&skipped.digest);
                    message.reason = Some(shortened(&skipped.reason));
                    messages.push(message);
                }
                messages
            }
            Kind::LayerStarted { layer, attempt, .. } => {
                if let Some(known) = self.layers.get_mut(layer) {
                    known.attempt = Some(*attempt);
                }
                match attempt {
                    1 => vec![self.message(event, Name::Started, Some(layer))],
                    // That it is begun again was told as what follows a failure.
                    _ => Vec::new(),
                }
            }
            Kind::Retrying { layer, reason, oom, .. } => {
                let mut message = self.message(event, Name::Retried, Some(layer));
                (message.reason, message.oom) = (Some(shortened(reason)), oom.clone());
                vec![message]
            }
            Kind::LayerFinished { layer, outcome, ms } => vec![self.ended(event, layer, outcome, *ms)],
            Kind::Promoted { layer, tag, digest, .. } => {
                let mut message = self.message(event, Name::Promoted, Some(layer));
                (message.image, message.digest) = (Some(tag.clone()), Some(digest.clone()));
                vec![message]
            }
            Kind::RunFinished { outcome, ms } => {
                let (name, reason) = match outcome {
                    RunOutcome::Succeeded => (Name::Completed, None),
                    RunOutcome::Failed => (Name::Failed, Some("not every layer is good")),
                    RunOutcome::Cancelled => (Name::Failed, Some("the run was cancelled")),
                };
                let mut message = self.message(event, name, None);
                (message.reason, message.ms) = (reason.map(str::to_owned), Some(*ms));
                vec![message]
            }
            _ => Vec::new(),
        }
    }

    fn ended(&mut self, event: &Event, layer: &LayerName, outcome: &Outcome, ms: u64) -> Message {
        let mut message = match outcome {
            Outcome::Succeeded { built } => {
                let mut message = self.message(event, Name::Completed, Some(layer));
                message.digest = Some(built.digest.clone());
                message
            }
            Outcome::Failed { failure } => {
                let mut message = self.message(event, Name::Failed, Some(layer));
                message.reason = Some(shortened(&failure.message));
                (message.failure, message.oom) = (Some(failure.kind), failure.oom.clone());
                message
            }
            Outcome::Cancelled => {
                let mut message = self.message(event, Name::Failed, Some(layer));
                message.reason = Some("it was cancelled".to_owned());
                message
            }
            Outcome::NotRun { why } => {
                let mut message = self.message(event, Name::Skipped, Some(layer));
                message.reason = Some(match why {
                    NotRun::ParentFailed { parent } => format!("{parent} is not good"),
                    NotRun::RunFailed { layer } => format!("{layer} failed before it was begun"),
                    NotRun::Cancelled => "the run was cancelled before".to_owned(),
                });
                return message;
            }
        };
        message.ms = Some(ms);
        message
    }

    fn message(&mut self, event: &Event, name: Name, layer: Option<&LayerName>) -> Message {
        let known = layer.and_then(|layer| self.layers.get(layer));
        let message = Message {
            version: VERSION,
            event: name,
            workspace: self.workspace.clone(),
            run: event.run.to_string(),
            seq: self.next,
            at: event.at.to_string(),
            layer: layer.cloned(),
            fingerprint: known.map(|known| known.fingerprint),
            image: known.map(|known| known.image.clone()),
            digest: None,
            attempt: known.and_then(|known| known.attempt),
            reason: None,
            failure: None,
            oom: None,
            ms: None,
        };
        self.next += 1;
        message
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(LONGEST).collect()
}
