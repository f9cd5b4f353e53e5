//! Mermaid, as GitHub and GitLab draw it in Markdown.

use std::fmt::Write;

use super::{Drawing, Node, role};
use crate::model::EdgeKind;

/// The most edges that Mermaid draws where its settings are not changed (`maxEdges`).
const MAX_EDGES: usize = 500;

/// The most characters that Mermaid reads where its settings are not changed (`maxTextSize`).
const MAX_TEXT: usize = 50_000;

/// The drawing in Mermaid's language.
pub fn mermaid(drawing: &Drawing) -> String {
    let mut text = String::from("graph LR\n");
    // Names of layers are safe as ids but for dashes and a few words, among them `end`; images are numbered.
    let id = |at: usize, node: &Node| match node.is_image {
        true => format!("image{at}"),
        false => format!("layer_{}", node.label.replace('-', "_")),
    };
    let ids: Vec<String> = drawing.nodes.iter().enumerate().map(|(at, node)| id(at, node)).collect();
    for (node, id) in drawing.nodes.iter().zip(&ids) {
        let label = &node.label;
        let _ = match node.is_image {
            true => writeln!(text, "  {id}[/\"{label}\"/]"),
            false => writeln!(text, "  {id}[\"{label}\"]"),
        };
    }
    for edge in &drawing.edges {
        let (from, to) = (&ids[edge.from], &ids[edge.to]);
        let _ = match role(&edge.kinds).as_str() {
            "" => writeln!(text, "  {from} --> {to}"),
            role if edge.kinds.contains(&EdgeKind::Build) => writeln!(text, "  {from} -->|{role}| {to}"),
            role => writeln!(text, "  {from} -.->|{role}| {to}"),
        };
    }
    let changed = drawing.nodes.iter().zip(&ids).filter(|(node, _)| node.changed);
    let changed: Vec<&str> = changed.map(|(_, id)| id.as_str()).collect();
    if !changed.is_empty() {
        let _ = write!(text, "  classDef changed stroke-width:4px\n  class {} changed\n", changed.join(","));
    }
    text
}

/// What of Mermaid's limits the drawing does not keep.
pub fn beyond_limits(drawing: &Drawing, mermaid: &str) -> Option<String> {
    let (edges, size) = (drawing.edges.len(), mermaid.chars().count());
    (edges > MAX_EDGES || size > MAX_TEXT).then(|| {
        format!(
            "the drawing has {edges} edges and {size} characters, and Mermaid draws {MAX_EDGES} and {MAX_TEXT} by default"
        )
    })
}
