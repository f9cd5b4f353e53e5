//! The graph of layers: who depends on whom, in which role. Immutable once built.
//!
//! petgraph stays in this file; what comes out are names. Every answer is in a fixed order.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use petgraph::Direction::{Incoming, Outgoing};
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;

use crate::model::{EdgeKind, Layer, LayerName, Via};

/// The layers of a catalog and their edges, from parent to child.
#[derive(Debug)]
pub struct Graph {
    inner: DiGraph<LayerName, EdgeKind>,
    index: BTreeMap<LayerName, NodeIndex>,
    /// Parents before children; without the layers that stand on a cycle or behind one.
    order: Vec<NodeIndex>,
}

/// A circle of layers: each step says which layer depends on which, and in which role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cycle {
    /// The steps; the last one's parent is the first one's child.
    pub steps: Vec<CycleStep>,
}

/// `child` depends on `parent` as its `edge`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CycleStep {
    /// The dependent layer.
    pub child: LayerName,
    /// In which role.
    pub edge: EdgeKind,
    /// What it depends on.
    pub parent: LayerName,
}

/// How a layer is reached from a set of others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reached {
    /// The number of edges from the nearest one; 0 for a member of the set.
    pub distance: usize,
    /// All its parents that are in the set or are reached themselves, nearest first.
    pub via: Vec<Via>,
}

impl Graph {
    /// Builds the graph. An edge to a layer that is not among `layers` is left out: finding it is validation's work.
    pub fn new<'a>(layers: impl Iterator<Item = &'a Layer> + Clone) -> Self {
        let mut inner = DiGraph::new();
        let names: BTreeSet<&LayerName> = layers.clone().map(|layer| &layer.name).collect();
        let index: BTreeMap<_, _> =
            names.into_iter().map(|name| (name.clone(), inner.add_node(name.clone()))).collect();
        for layer in layers {
            for edge in layer.edges() {
                if let Some(parent) = edge.base.as_layer().and_then(|name| index.get(name)) {
                    inner.add_edge(*parent, index[&layer.name], edge.kind);
                }
            }
        }
        let order = topological_order(&inner);
        Self { inner, index, order }
    }

    /// All layers, by name.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &LayerName> {
        self.index.keys()
    }

    /// Whether the layer is in the graph.
    pub fn contains(&self, name: &LayerName) -> bool {
        self.index.contains_key(name)
    }

    /// What a layer depends on directly, by name and role.
    pub fn parents(&self, name: &LayerName) -> Vec<(&LayerName, EdgeKind)> {
        self.neighbours(name, Incoming)
    }

    /// What depends on a layer directly, by name and role.
    pub fn children(&self, name: &LayerName) -> Vec<(&LayerName, EdgeKind)> {
        self.neighbours(name, Outgoing)
    }

    fn neighbours(&self, name: &LayerName, direction: petgraph::Direction) -> Vec<(&LayerName, EdgeKind)> {
        let Some(&node) = self.index.get(name) else { return Vec::new() };
        let mut found: Vec<_> = self
            .inner
            .edges_directed(node, direction)
            .map(|edge| {
                let other = if direction == Incoming { edge.source() } else { edge.target() };
                (&self.inner[other], *edge.weight())
            })
            .collect();
        found.sort();
        found
    }

    /// All layers in an order of building: parents before children, otherwise by name.
    /// Layers on a cycle, or behind one, have no place in it.
    pub fn build_order(&self) -> impl Iterator<Item = &LayerName> {
        self.order.iter().map(|&node| &self.inner[node])
    }

    /// What each layer stands on through any number of edges of `kinds`, nearest first.
    pub fn ancestors(&self, name: &LayerName, kinds: &[EdgeKind]) -> Vec<&LayerName> {
        let Some(&start) = self.index.get(name) else { return Vec::new() };
        let mut seen = BTreeSet::from([start]);
        let mut queue = VecDeque::from([start]);
        let mut found = Vec::new();
        while let Some(node) = queue.pop_front() {
            for (parent, kind) in self.neighbours(&self.inner[node], Incoming) {
                let parent_node = self.index[parent];
                if kinds.contains(&kind) && seen.insert(parent_node) {
                    found.push(parent);
                    queue.push_back(parent_node);
                }
            }
        }
        found
    }

    /// The members of `set` in waves: all of a wave can be built at the same time, once the waves before are done.
    /// Two members that are connected through layers outside of the set stay in order.
    pub fn waves(&self, set: &BTreeSet<LayerName>) -> Vec<Vec<&LayerName>> {
        let mut level = vec![0; self.inner.node_count()];
        let mut waves: Vec<Vec<&LayerName>> = Vec::new();
        for &node in &self.order {
            let before = |parent: NodeIndex| level[parent.index()] + usize::from(set.contains(&self.inner[parent]));
            let own = self.inner.neighbors_directed(node, Incoming).map(before).max().unwrap_or(0);
            level[node.index()] = own;
            if set.contains(&self.inner[node]) {
                if waves.len() <= own {
                    waves.resize_with(own + 1, Vec::new);
                }
                waves[own].push(&self.inner[node]);
            }
        }
        waves.iter_mut().for_each(|wave| wave.sort());
        waves
    }

    /// For each member of `set`, those that have to be built right before it: its parents in the set, and those that
    /// it depends on through layers outside of the set alone.
    pub fn needs(&self, set: &BTreeSet<LayerName>) -> BTreeMap<&LayerName, BTreeSet<&LayerName>> {
        let mut nearest: BTreeMap<NodeIndex, BTreeSet<&LayerName>> = BTreeMap::new();
        for &node in &self.order {
            let mut found = BTreeSet::new();
            for parent in self.inner.neighbors_directed(node, Incoming) {
                if set.contains(&self.inner[parent]) {
                    found.insert(&self.inner[parent]);
                } else if let Some(through) = nearest.get(&parent) {
                    found.extend(through);
                }
            }
            nearest.insert(node, found);
        }
        let named = nearest.into_iter().map(|(node, needs)| (&self.inner[node], needs));
        named.filter(|(name, _)| set.contains(*name)).collect()
    }

    /// The weight of the heaviest way through the members of `set`, from parent to child: how long all of them take
    /// where nothing but their order holds them back. As in [`Graph::waves`], members that are connected through
    /// layers outside of the set stay in order.
    pub fn heaviest_path(&self, set: &BTreeSet<LayerName>, weight: impl Fn(&LayerName) -> u64) -> u64 {
        let mut heaviest = vec![0_u64; self.inner.node_count()];
        for &node in &self.order {
            let name = &self.inner[node];
            let before = self.inner.neighbors_directed(node, Incoming).map(|parent| heaviest[parent.index()]).max();
            let own = if set.contains(name) { weight(name) } else { 0 };
            heaviest[node.index()] = before.unwrap_or(0).saturating_add(own);
        }
        heaviest.into_iter().max().unwrap_or(0)
    }

    /// Everything that depends on a member of `from`, and the members themselves.
    pub fn reach<'a>(&self, from: impl Iterator<Item = &'a LayerName>) -> BTreeMap<LayerName, Reached> {
        let mut distance = vec![usize::MAX; self.inner.node_count()];
        let mut queue: VecDeque<NodeIndex> = from.filter_map(|name| self.index.get(name).copied()).collect();
        queue.iter().for_each(|node| distance[node.index()] = 0);
        let mut reached = Vec::new();
        while let Some(node) = queue.pop_front() {
            reached.push(node);
            for child in self.inner.neighbors(node) {
                if distance[child.index()] == usize::MAX {
                    distance[child.index()] = distance[node.index()] + 1;
                    queue.push_back(child);
                }
            }
        }
        let entry = |&node: &NodeIndex| {
            let mut parents: Vec<_> = self
                .inner
                .edges_directed(node, Incoming)
                .filter(|edge| distance[edge.source().index()] != usize::MAX)
                .map(|edge| (distance[edge.source().index()], *edge.weight(), &self.inner[edge.source()]))
                .collect();
            parents.sort();
            let via = parents.into_iter().map(|(_, edge, parent)| Via { parent: parent.clone(), edge }).collect();
            (self.inner[node].clone(), Reached { distance: distance[node.index()], via })
        };
        reached.iter().map(entry).collect()
    }

    /// The shortest circle through the first layer of each knot of layers that depend on each other.
    pub fn cycles(&self) -> Vec<Cycle> {
        let mut cycles = Vec::new();
        for knot in petgraph::algo::tarjan_scc(&self.inner) {
            let members: BTreeSet<NodeIndex> = knot.into_iter().collect();
            let Some(&start) = members.iter().min_by_key(|&&node| &self.inner[node]) else { continue };
            cycles.extend(self.shortest_cycle(start, &members));
        }
        cycles.sort_by(|a, b| a.steps[0].child.cmp(&b.steps[0].child));
        cycles
    }

    /// Searches from child to parent, so that the steps read as "a builds on b, b builds on …".
    fn shortest_cycle(&self, start: NodeIndex, members: &BTreeSet<NodeIndex>) -> Option<Cycle> {
        let mut came_from: BTreeMap<NodeIndex, (NodeIndex, EdgeKind)> = BTreeMap::new();
        let mut queue = VecDeque::from([start]);
        while let Some(node) = queue.pop_front() {
            let mut edges: Vec<_> = self
                .inner
                .edges_directed(node, Incoming)
                .filter(|edge| members.contains(&edge.source()))
                .map(|edge| (&self.inner[edge.source()], *edge.weight(), edge.source()))
                .collect();
            edges.sort();
            for (_, kind, parent) in edges {
                if parent == start {
                    let step = |child: NodeIndex, edge, parent: NodeIndex| CycleStep {
                        child: self.inner[child].clone(),
                        edge,
                        parent: self.inner[parent].clone(),
                    };
                    let mut steps = vec![step(node, kind, start)];
                    let mut at = node;
                    while at != start {
                        let (child, edge) = came_from[&at];
                        steps.push(step(child, edge, at));
                        at = child;
                    }
                    steps.reverse();
                    return Some(Cycle { steps });
                }
                if let std::collections::btree_map::Entry::Vacant(entry) = came_from.entry(parent) {
                    entry.insert((node, kind));
                    queue.push_back(parent);
                }
            }
        }
        None
    }
}

/// Kahn's algorithm with the ready layers in order of their nodes, which are numbered by name.
fn topological_order(graph: &DiGraph<LayerName, EdgeKind>) -> Vec<NodeIndex> {
    let mut missing: Vec<usize> = graph.node_indices().map(|n| graph.edges_directed(n, Incoming).count()).collect();
    let mut ready: BTreeSet<NodeIndex> = graph.node_indices().filter(|n| missing[n.index()] == 0).collect();
    let mut order = Vec::with_capacity(graph.node_count());
    while let Some(node) = ready.pop_first() {
        order.push(node);
        for child in graph.neighbors(node) {
            missing[child.index()] -= 1;
            if missing[child.index()] == 0 {
                ready.insert(child);
            }
        }
    }
    order
}
