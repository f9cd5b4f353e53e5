//! How long building takes, as far as the layers say.

use std::collections::BTreeSet;

use crate::model::LayerName;
use crate::snapshot::Snapshot;

/// Minutes that a set of layers takes to build, by their `build.resources.expected_min`.
///
/// A layer without a figure is named and adds nothing, so the minutes are a lower bound while there is one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Estimate<'a> {
    /// Minutes of all builds together: what the machines are paid for.
    pub machine_min: u64,
    /// Minutes of the longest way from parent to child: what passes with as many machines as can be used.
    pub wall_min: u64,
    /// The layers without a figure, by name.
    pub without_figure: Vec<&'a LayerName>,
}

impl<'a> Estimate<'a> {
    /// Estimates the building of a set of layers.
    pub fn of(snapshot: &'a Snapshot, set: &BTreeSet<LayerName>) -> Self {
        let figure = |name: &LayerName| snapshot.layer(name).and_then(|layer| layer.build.resources.expected_min);
        let members = || snapshot.graph.names().filter(|name| set.contains(*name));
        Self {
            machine_min: members().filter_map(figure).fold(0, u64::saturating_add),
            wall_min: snapshot.graph.heaviest_path(set, |name| figure(name).unwrap_or(0)),
            without_figure: members().filter(|name| figure(name).is_none()).collect(),
        }
    }

    /// Whether every layer has a figure.
    pub fn is_complete(&self) -> bool {
        self.without_figure.is_empty()
    }
}
