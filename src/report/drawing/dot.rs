//! Graphviz: `lamina graph --format dot | dot -Tsvg`.

use std::fmt::Write;

use super::Drawing;
use crate::model::EdgeKind;

/// The drawing in Graphviz's language.
pub fn dot(drawing: &Drawing) -> String {
    let mut text = String::from("digraph lamina {\n  rankdir = LR;\n  node [shape = box, style = rounded];\n");
    for node in &drawing.nodes {
        let style = match (node.is_image, node.changed) {
            (true, _) => "shape = folder, style = \"\"".to_owned(),
            (false, true) => format!("style = \"rounded,bold,filled\", tooltip = {}", quote(&node.about)),
            (false, false) => format!("tooltip = {}", quote(&node.about)),
        };
        let _ = writeln!(text, "  {} [{style}];", quote(&node.label));
    }
    for edge in &drawing.edges {
        let style = match edge.kinds.first() {
            Some(EdgeKind::Build) | None => "solid",
            Some(EdgeKind::Runtime) => "dashed",
            Some(EdgeKind::Donor) => "dotted",
        };
        let names: Vec<&str> = edge.kinds.iter().map(|kind| kind.as_str()).collect();
        let (from, to) = (&drawing.nodes[edge.from].label, &drawing.nodes[edge.to].label);
        let tooltip = quote(&names.join(", "));
        let _ = writeln!(text, "  {} -> {} [style = {style}, tooltip = {tooltip}];", quote(from), quote(to));
    }
    text + "}\n"
}

fn quote(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
