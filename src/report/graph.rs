//! The graph as a tree. The languages that draw it are in `drawing`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use super::drawing::role;
use crate::model::{EdgeKind, LayerName};
use crate::snapshot::Snapshot;

/// A node: an external image or a layer. Images come first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Node {
    Image(String),
    Layer(LayerName),
}

/// The edges by parent and child, with all roles between the two.
fn edges(snapshot: &Snapshot) -> BTreeMap<Node, BTreeMap<LayerName, BTreeSet<EdgeKind>>> {
    let mut edges: BTreeMap<Node, BTreeMap<LayerName, BTreeSet<EdgeKind>>> = BTreeMap::new();
    let mut add = |parent: Node, child: &LayerName, kind: EdgeKind| {
        edges.entry(parent).or_default().entry(child.clone()).or_default().insert(kind);
    };
    for (image, users) in snapshot.images() {
        users.into_iter().for_each(|(child, kind)| add(Node::Image(image.familiar()), child, kind));
    }
    for name in snapshot.graph.names() {
        let children = snapshot.graph.children(name);
        children.into_iter().for_each(|(child, kind)| add(Node::Layer(name.clone()), child, kind));
    }
    edges
}

/// A tree for people, from the external images down. A layer with several parents stands below each; what comes
/// below it is drawn once.
pub fn tree(snapshot: &Snapshot) -> String {
    let edges = edges(snapshot);
    let has_parent: BTreeSet<&LayerName> = edges.values().flat_map(BTreeMap::keys).collect();
    let lonely = snapshot.graph.names().filter(|name| !has_parent.contains(name)).cloned().map(Node::Layer);
    let images = edges.keys().filter(|node| matches!(node, Node::Image(_))).cloned();
    let mut text = String::new();
    let mut drawn = BTreeSet::new();
    // The roots with the largest trees come first, so that what hangs on them is drawn there.
    let mut roots: Vec<Node> = images.chain(lonely).collect();
    roots.sort_by_key(|root| std::cmp::Reverse(size(&edges, root)));
    for root in roots {
        let _ = writeln!(text, "{}", label(&root));
        branches(&edges, &root, "", &mut drawn, &mut text);
    }
    text
}

fn size(edges: &BTreeMap<Node, BTreeMap<LayerName, BTreeSet<EdgeKind>>>, root: &Node) -> usize {
    let mut seen = BTreeSet::new();
    let mut open = vec![root.clone()];
    while let Some(node) = open.pop() {
        for child in edges.get(&node).into_iter().flat_map(BTreeMap::keys) {
            if seen.insert(child) {
                open.push(Node::Layer(child.clone()));
            }
        }
    }
    seen.len()
}

fn label(node: &Node) -> String {
    match node {
        Node::Image(image) => image.clone(),
        Node::Layer(name) => name.to_string(),
    }
}

fn branches(
    edges: &BTreeMap<Node, BTreeMap<LayerName, BTreeSet<EdgeKind>>>,
    root: &Node,
    indent: &str,
    drawn: &mut BTreeSet<LayerName>,
    text: &mut String,
) {
    // An own stack: a chain of layers may be longer than the call stack allows.
    let rows = |node: &Node, indent: String| {
        let children: Vec<_> = edges.get(node).into_iter().flatten().collect();
        let last = children.len();
        let row = move |(index, (child, kinds)): (usize, (&LayerName, &BTreeSet<EdgeKind>))| {
            (child.clone(), role(kinds), indent.clone(), index + 1 == last)
        };
        children.into_iter().enumerate().map(row).rev().collect::<Vec<_>>()
    };
    let mut open = rows(root, indent.to_owned());
    while let Some((child, role, indent, is_last)) = open.pop() {
        let (branch, below) = if is_last { ("└── ", "    ") } else { ("├── ", "│   ") };
        let role = if role.is_empty() { role } else { format!(" ({role})") };
        let node = Node::Layer(child.clone());
        let is_new = drawn.insert(child.clone());
        let more = if !is_new && edges.contains_key(&node) { " …" } else { "" };
        let _ = writeln!(text, "{indent}{branch}{child}{role}{more}");
        if is_new {
            open.extend(rows(&node, format!("{indent}{below}")));
        }
    }
}
