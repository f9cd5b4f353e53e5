//! How long a plan takes.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Action, Plan};
use crate::model::LayerName;

/// How long the builds of a plan take, as far as earlier runs or the layers say. Proofs are not counted.
///
/// A build without a figure is named and adds nothing, so the times are a lower bound while there is one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Estimate<'a> {
    /// All builds together.
    pub machine: Duration,
    /// The longest way through the plan, from parent to child: what passes with as many machines as can be used.
    pub wall: Duration,
    /// The layers on that way, parents first.
    pub critical: Vec<&'a LayerName>,
    /// The builds without a figure, in order of building.
    pub without_figure: Vec<&'a LayerName>,
}

impl Plan {
    /// How long it takes.
    pub fn estimate(&self) -> Estimate<'_> {
        let mut estimate = Estimate::default();
        // By layer: when it ends, and which layer it waited for longest.
        let mut ends: BTreeMap<&LayerName, (Duration, Option<&LayerName>)> = BTreeMap::new();
        for step in &self.steps {
            let known = |name| ends.get(name).map(|(end, _)| (*end, std::cmp::Reverse(name)));
            let before = step.needs.iter().filter_map(known).max();
            let start = before.map(|(end, _)| end).unwrap_or_default();
            let own = step.expected.unwrap_or_default();
            let end = start.saturating_add(own);
            ends.insert(&step.layer, (end, before.map(|(_, name)| name.0)));
            estimate.machine = estimate.machine.saturating_add(own);
            if step.action == Action::Build && step.expected.is_none() {
                estimate.without_figure.push(&step.layer);
            }
        }
        let last = ends.iter().max_by_key(|(name, (end, _))| (*end, std::cmp::Reverse(**name)));
        let mut at = last.filter(|(_, (end, _))| !end.is_zero()).map(|(name, _)| *name);
        estimate.wall = last.map(|(_, (end, _))| *end).unwrap_or_default();
        while let Some(name) = at {
            estimate.critical.push(name);
            at = ends.get(name).and_then(|(_, before)| *before);
        }
        estimate.critical.reverse();
        estimate
    }
}
