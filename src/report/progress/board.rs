//! What bars show, computed from events.

use std::collections::BTreeMap;
use std::time::Duration;

use super::shown;
use crate::event::{Event, Kind, Reader};
use crate::model::LayerName;
use crate::report::run::{State, Summary, is_instruction};

/// The longest text of a row, in characters: more fits no terminal.
const LONGEST: usize = 500;

/// A run at a moment.
#[derive(Clone, Debug, Default)]
pub struct Board {
    summary: Summary,
    rows: BTreeMap<LayerName, Row>,
}

/// How much of a run is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// How long the longest way through the unfinished layers takes.
    pub time: Duration,
    /// Whether it is more, because nobody knows how long some layer takes.
    pub at_least: bool,
}

/// A layer that is worked at.
#[derive(Clone, Debug, Default)]
struct Row {
    /// The steps that have begun and not ended, in order of beginning.
    steps: Vec<(u32, String)>,
    last_line: String,
}

impl Board {
    /// What is known of the run.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// How many layers have ended, and of how many.
    pub fn done(&self) -> (usize, usize) {
        let layers = &self.summary.layers;
        (layers.iter().filter(|layer| matches!(layer.state, State::Ended(_))).count(), layers.len())
    }

    /// What a running layer does: its step, and the last line that it wrote.
    pub fn row(&self, layer: &LayerName) -> Option<String> {
        let row = self.rows.get(layer)?;
        // An instruction tells more than what BuildKit does beside it.
        let instruction = row.steps.iter().rev().find(|(_, name)| is_instruction(name));
        let step = instruction.or(row.steps.last()).map_or("", |(_, name)| name);
        let parts: Vec<&str> = [step, &row.last_line].into_iter().filter(|part| !part.is_empty()).collect();
        Some(parts.join(" · ").chars().take(LONGEST).collect())
    }

    /// How much is left, as far as earlier runs tell.
    pub fn left(&self) -> Option<Left> {
        let now = self.summary.last?;
        let mut ways: BTreeMap<&LayerName, Duration> = BTreeMap::new();
        let (mut known, mut unknown) = (false, false);
        for layer in &self.summary.layers {
            if matches!(layer.state, State::Ended(_)) {
                continue;
            }
            let elapsed = layer.started.and_then(|started| Duration::try_from(now.duration_since(started)).ok());
            let expected = layer.planned.expected_ms.map(Duration::from_millis);
            known |= expected.is_some();
            unknown |= expected.is_none();
            let own = expected.unwrap_or_default().saturating_sub(elapsed.unwrap_or_default());
            // Parents stand before their children.
            let before = layer.planned.needs.iter().filter_map(|parent| ways.get(parent)).max();
            ways.insert(&layer.planned.layer, own.saturating_add(before.copied().unwrap_or_default()));
        }
        let time = ways.into_values().max()?;
        known.then_some(Left { time, at_least: unknown })
    }
}

impl Reader for Board {
    fn read(&mut self, event: &Event) {
        self.summary.read(event);
        let row = event.kind.layer().and_then(|layer| self.rows.get_mut(layer));
        match (&event.kind, row) {
            (Kind::LayerStarted { layer, .. }, _) => {
                self.rows.insert(layer.clone(), Row::default());
            }
            (Kind::LayerFinished { layer, .. }, _) => {
                self.rows.remove(layer);
            }
            (Kind::StepStarted { step, name, .. }, Some(row)) => {
                row.steps.push((*step, shown(name)));
                row.last_line.clear();
            }
            (Kind::StepFinished { step, .. }, Some(row)) => {
                row.steps.retain(|(begun, _)| begun != step);
                row.last_line.clear();
            }
            (Kind::Output { line, .. }, Some(row)) => {
                let line = shown(line);
                if !line.trim().is_empty() {
                    row.last_line = line;
                }
            }
            (Kind::Transfer { id, current, total, .. }, Some(row)) => {
                let mb = |bytes: u64| format!("{}.{}", bytes / 1_000_000, bytes / 100_000 % 10);
                row.last_line = match total {
                    0 => shown(id),
                    total => format!("{} {} of {} MB", shown(id), mb(*current), mb(*total)),
                };
            }
            (Kind::Retrying { reason, .. }, Some(row)) => {
                row.steps.clear();
                row.last_line = format!("waits for another attempt: {}", shown(reason));
            }
            (Kind::LayerBuilt { .. }, Some(row)) => {
                row.steps.clear();
                row.last_line = "proof".to_owned();
            }
            (Kind::Probed { probe, .. }, Some(row)) => row.last_line = format!("proof: {}", shown(&probe.what)),
            _ => {}
        }
    }
}
