//! Graphs in the languages that draw them, and drawn. What is in a drawing is decided here, once for all of them.

mod dot;
mod layout;
mod mermaid;
mod svg;

use std::collections::{BTreeMap, BTreeSet};

pub use dot::dot;
pub use mermaid::{beyond_limits, mermaid};
pub use svg::svg;

use super::cascade::CascadeReport;
use super::{count, reason};
use crate::model::{EdgeKind, LayerName};
use crate::snapshot::Snapshot;

/// What is drawn: nodes in columns from left to right, and edges between them.
#[derive(Debug, Default)]
pub struct Drawing {
    /// What it shows, in a line.
    title: String,
    /// The nodes: external images first, then layers, each by name.
    nodes: Vec<Node>,
    /// The edges, by parent and child.
    edges: Vec<Line>,
    /// Whether nodes are marked at all.
    marks: bool,
}

/// A node.
#[derive(Debug)]
struct Node {
    /// The layer, or the image as people write it.
    label: String,
    /// Whether it is an external image.
    is_image: bool,
    /// The column it stands in, from 0.
    column: usize,
    /// What is said about it besides; may be empty.
    about: String,
    /// Whether it changed itself.
    changed: bool,
}

/// All edges between two nodes, which are indices.
#[derive(Debug)]
struct Line {
    from: usize,
    to: usize,
    kinds: BTreeSet<EdgeKind>,
}

impl Drawing {
    /// The whole graph: all layers, and the external images that they depend on.
    pub fn whole(snapshot: &Snapshot) -> Self {
        let mut drawing = Self::default();
        let images = snapshot.images();
        for image in images.keys() {
            drawing.add(image.familiar(), String::new(), 0, true);
        }
        let all: BTreeSet<LayerName> = snapshot.graph.names().cloned().collect();
        let waves = snapshot.graph.waves(&all);
        let first = usize::from(!images.is_empty());
        let nodes = drawing.add_layers(snapshot, &waves, first, |name| {
            snapshot.layer(name).map(|layer| layer.summary.clone()).unwrap_or_default()
        });
        let mut edges: BTreeMap<(usize, usize), BTreeSet<EdgeKind>> = BTreeMap::new();
        for (at, users) in images.values().enumerate() {
            for (child, kind) in users {
                edges.entry((at, nodes[child])).or_default().insert(*kind);
            }
        }
        drawing.connect(snapshot, &nodes, edges);
        drawing.title = format!("{} and {}", count(nodes.len(), "layer"), count(images.len(), "external image"));
        drawing
    }

    /// What a change makes stale, and nothing else: the whole graph is `lamina graph`.
    pub fn stale(report: &CascadeReport<'_>) -> Self {
        let mut drawing = Self { marks: true, ..Self::default() };
        let about = |name: &LayerName| reason::chain(report.cascade, name, false);
        let nodes = drawing.add_layers(report.snapshot, report.waves, 0, about);
        for (name, node) in &nodes {
            drawing.nodes[*node].changed = report.cascade.changed.contains_key(*name);
        }
        drawing.connect(report.snapshot, &nodes, BTreeMap::new());
        drawing.title = match nodes.len() {
            0 => "No layer is affected".to_owned(),
            affected => format!("{} affected, in {}", count(affected, "layer"), count(report.waves.len(), "wave")),
        };
        drawing
    }

    fn add(&mut self, label: String, about: String, column: usize, is_image: bool) {
        self.nodes.push(Node { label, is_image, column, about, changed: false });
    }

    fn add_layers<'a>(
        &mut self,
        snapshot: &'a Snapshot,
        waves: &[Vec<&LayerName>],
        first: usize,
        about: impl Fn(&LayerName) -> String,
    ) -> BTreeMap<&'a LayerName, usize> {
        let column: BTreeMap<&LayerName, usize> =
            waves.iter().enumerate().flat_map(|(at, wave)| wave.iter().map(move |name| (*name, at))).collect();
        let mut nodes = BTreeMap::new();
        for name in snapshot.graph.names() {
            if let Some(column) = column.get(name) {
                nodes.insert(name, self.nodes.len());
                self.add(name.to_string(), about(name), first + column, false);
            }
        }
        nodes
    }

    fn connect(
        &mut self,
        snapshot: &Snapshot,
        nodes: &BTreeMap<&LayerName, usize>,
        mut edges: BTreeMap<(usize, usize), BTreeSet<EdgeKind>>,
    ) {
        for (name, from) in nodes {
            for (child, kind) in snapshot.graph.children(name) {
                if let Some(to) = nodes.get(child) {
                    edges.entry((*from, *to)).or_default().insert(kind);
                }
            }
        }
        self.edges = edges.into_iter().map(|((from, to), kinds)| Line { from, to, kinds }).collect();
    }
}

/// The roles, where they are not the usual ones: a layer that others build in stands on what it builds on.
pub(super) fn role(kinds: &BTreeSet<EdgeKind>) -> String {
    let usual = BTreeSet::from([EdgeKind::Build, EdgeKind::Runtime]);
    if *kinds == usual {
        return String::new();
    }
    kinds.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
