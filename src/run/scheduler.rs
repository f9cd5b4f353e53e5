//! Who may start when: a state machine without I/O, clock or tasks of its own.
//!
//! Whoever drives it asks [`Scheduler::next`] until it gives nothing, and says of each layer how it
//! [`finished`](Scheduler::finished). Layers that will never be begun are named by the call that made that certain, so
//! that every layer ends exactly once.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::event::{CancelReason, NotRun};
use crate::model::LayerName;

/// How often a layer is tried again on a larger runner after memory ran out. Who needs more has declared too little
/// (ADR 004).
pub const LARGER_RUNNERS: u32 = 1;

/// How a plan is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// The most layers at a time; at least one.
    pub jobs: usize,
    /// Whether a failed layer stops its descendants only. Otherwise what runs is finished, and nothing new is begun.
    pub keep_going: bool,
    /// How often a layer is tried in all; at least once.
    pub attempts: u32,
}

/// A layer to work at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Task {
    /// The layers that have to succeed before.
    pub needs: BTreeSet<LayerName>,
    /// How long it is expected to take.
    pub expected: Duration,
}

/// How work at a layer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is good.
    Succeeded,
    /// It failed.
    Failed,
    /// It was ended by request.
    Cancelled,
}

/// How a layer ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// It was worked at.
    Run(Verdict),
    /// It was not begun.
    NotRun(NotRun),
}

/// A layer that will not be begun.
pub type LeftOut = (LayerName, NotRun);

/// Tasks that can't be run in any order.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// A task needs what is no task.
    #[error("{layer} needs {missing}, which is not in the plan")]
    Missing {
        /// The task.
        layer: LayerName,
        /// What it needs.
        missing: LayerName,
    },
    /// Tasks need each other.
    #[error("{0} needs itself, by way of others")]
    Cycle(LayerName),
}

/// Who may start when.
#[derive(Clone, Debug)]
pub struct Scheduler {
    options: Options,
    nodes: BTreeMap<LayerName, Node>,
    /// The layers that may start: those with the longest way to the end of the run first, then by name.
    ready: BTreeSet<(Reverse<Duration>, LayerName)>,
    running: usize,
    cancelled: Option<CancelReason>,
}

#[derive(Clone, Debug)]
struct Node {
    needs: BTreeSet<LayerName>,
    children: Vec<LayerName>,
    /// How long it takes from this layer's start to the end of the last one that waits for it.
    path: Duration,
    attempts: u32,
    /// How many of them were on a larger runner.
    larger: u32,
    state: State,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// Some of its needs have not succeeded yet, or it waits for its turn.
    Waiting,
    Running,
    Ended(End),
}

impl Scheduler {
    /// Takes tasks by name.
    ///
    /// # Errors
    /// When a task needs what is no task, or tasks need each other.
    pub fn new(tasks: BTreeMap<LayerName, Task>, options: Options) -> Result<Self, ScheduleError> {
        let mut children: BTreeMap<LayerName, Vec<LayerName>> = BTreeMap::new();
        for (layer, task) in &tasks {
            if let Some(missing) = task.needs.iter().find(|need| !tasks.contains_key(*need)) {
                return Err(ScheduleError::Missing { layer: layer.clone(), missing: missing.clone() });
            }
            for need in &task.needs {
                children.entry(need.clone()).or_default().push(layer.clone());
            }
        }
        let paths = longest_paths(&tasks, &children)?;
        let mut ready = BTreeSet::new();
        let node = |(layer, task): (LayerName, Task)| {
            let path = paths[&layer];
            if task.needs.is_empty() {
                ready.insert((Reverse(path), layer.clone()));
            }
            let children = children.remove(&layer).unwrap_or_default();
            (layer, Node { needs: task.needs, children, path, attempts: 0, larger: 0, state: State::Waiting })
        };
        let nodes = tasks.into_iter().map(node).collect();
        Ok(Self { options, nodes, ready, running: 0, cancelled: None })
    }

    /// The layer to begin now, if there is one: from this moment on it runs.
    #[expect(clippy::should_implement_trait, reason = "it is no iterator: after nothing, something may come")]
    pub fn next(&mut self) -> Option<LayerName> {
        if self.cancelled.is_some() || self.running >= self.options.jobs.max(1) {
            return None;
        }
        let (_, layer) = self.ready.pop_first()?;
        let node = self.nodes.get_mut(&layer)?;
        node.state = State::Running;
        node.attempts = 1;
        self.running += 1;
        Some(layer)
    }

    /// Whether a running layer that failed is tried again, and which attempt that is. Work that was cancelled is not.
    pub fn retry(&mut self, layer: &LayerName) -> Option<u32> {
        if self.cancelled > Some(CancelReason::LayerFailed) {
            return None;
        }
        let node = self.nodes.get_mut(layer).filter(|node| node.state == State::Running)?;
        if node.attempts - node.larger >= self.options.attempts {
            return None;
        }
        node.attempts += 1;
        Some(node.attempts)
    }

    /// Whether a running layer whose memory ran out is tried again on a larger runner, and which attempt that is: once,
    /// and besides the attempts after other failures. Work that was cancelled is not.
    pub fn retry_larger(&mut self, layer: &LayerName) -> Option<u32> {
        if self.cancelled > Some(CancelReason::LayerFailed) {
            return None;
        }
        let node = self.nodes.get_mut(layer).filter(|node| node.state == State::Running)?;
        if node.larger >= LARGER_RUNNERS {
            return None;
        }
        node.larger += 1;
        node.attempts += 1;
        Some(node.attempts)
    }

    /// Takes how a running layer ended; returns the layers that won't be begun because of it, in order of their names.
    /// Of a layer that does not run it changes nothing.
    pub fn finished(&mut self, layer: &LayerName, verdict: Verdict) -> Vec<LeftOut> {
        let Some(node) = self.nodes.get_mut(layer).filter(|node| node.state == State::Running) else {
            return Vec::new();
        };
        node.state = State::Ended(End::Run(verdict));
        self.running -= 1;
        match verdict {
            Verdict::Succeeded => {
                for child in node.children.clone() {
                    self.satisfy(&child, layer);
                }
                Vec::new()
            }
            Verdict::Failed => {
                let mut left_out = self.leave_out_below(layer, || NotRun::ParentFailed { parent: layer.clone() });
                if !self.options.keep_going {
                    self.raise(CancelReason::LayerFailed);
                    left_out.extend(self.leave_out_all(|| NotRun::RunFailed { layer: layer.clone() }));
                    left_out.sort_by(|(a, _), (b, _)| a.cmp(b));
                }
                left_out
            }
            Verdict::Cancelled => self.leave_out_below(layer, || NotRun::Cancelled),
        }
    }

    /// Nothing new is begun from now on; returns the layers that won't be begun because of it. What runs is ended by
    /// whoever drives this. Only a graver reason than the last one replaces it.
    pub fn cancel(&mut self, reason: CancelReason) -> Vec<LeftOut> {
        self.raise(reason);
        self.leave_out_all(|| NotRun::Cancelled)
    }

    /// Why the run ends early, if it does.
    pub fn cancelled(&self) -> Option<CancelReason> {
        self.cancelled
    }

    /// How many layers run.
    pub fn running(&self) -> usize {
        self.running
    }

    /// Whether every layer has ended.
    pub fn is_done(&self) -> bool {
        self.nodes.values().all(|node| matches!(node.state, State::Ended(_)))
    }

    /// How the layers ended that have.
    pub fn ends(&self) -> BTreeMap<&LayerName, &End> {
        let end = |(layer, node)| match node {
            &Node { state: State::Ended(ref end), .. } => Some((layer, end)),
            _ => None,
        };
        self.nodes.iter().filter_map(end).collect()
    }

    fn raise(&mut self, reason: CancelReason) {
        self.cancelled = self.cancelled.max(Some(reason));
    }

    /// A need of a layer is met; with the last one it may start.
    fn satisfy(&mut self, layer: &LayerName, need: &LayerName) {
        let Some(node) = self.nodes.get_mut(layer) else { return };
        node.needs.remove(need);
        if node.needs.is_empty() && node.state == State::Waiting {
            self.ready.insert((Reverse(node.path), layer.clone()));
        }
    }

    fn leave_out_below(&mut self, layer: &LayerName, why: impl Fn() -> NotRun) -> Vec<LeftOut> {
        let mut open = self.nodes.get(layer).map(|node| node.children.clone()).unwrap_or_default();
        let mut left_out = BTreeMap::new();
        while let Some(layer) = open.pop() {
            // What was left out before has left out its descendants.
            if let Some(node) = self.nodes.get_mut(&layer).filter(|node| node.state == State::Waiting) {
                node.state = State::Ended(End::NotRun(why()));
                open.extend(node.children.iter().cloned());
                left_out.insert(layer, why());
            }
        }
        left_out.into_iter().collect()
    }

    fn leave_out_all(&mut self, why: impl Fn() -> NotRun) -> Vec<LeftOut> {
        self.ready.clear();
        let waiting = self.nodes.iter_mut().filter(|(_, node)| node.state == State::Waiting);
        let leave_out = |(layer, node): (&LayerName, &mut Node)| {
            node.state = State::Ended(End::NotRun(why()));
            (layer.clone(), why())
        };
        waiting.map(leave_out).collect()
    }
}

/// For each task, how long it takes from its start to the end of the last one that waits for it.
fn longest_paths(
    tasks: &BTreeMap<LayerName, Task>,
    children: &BTreeMap<LayerName, Vec<LayerName>>,
) -> Result<BTreeMap<LayerName, Duration>, ScheduleError> {
    let mut open: BTreeMap<&LayerName, usize> =
        tasks.keys().map(|layer| (layer, children.get(layer).map_or(0, Vec::len))).collect();
    let mut leaves: Vec<&LayerName> = tasks.keys().filter(|layer| open[layer] == 0).collect();
    let mut paths = BTreeMap::new();
    while let Some(layer) = leaves.pop() {
        let below = children.get(layer).into_iter().flatten().map(|child| paths[child]).max().unwrap_or_default();
        // Estimates may come from a file: their sum must not overflow.
        paths.insert(layer.clone(), tasks[layer].expected.saturating_add(below));
        open.remove(layer);
        for need in &tasks[layer].needs {
            if let Some(count) = open.get_mut(need) {
                *count -= 1;
                if *count == 0 {
                    leaves.push(need);
                }
            }
        }
    }
    match open.into_keys().next() {
        Some(layer) => Err(ScheduleError::Cycle(layer.clone())),
        None => Ok(paths),
    }
}
