//! SVG: one file that needs nothing else, for light and dark pages, and for people who have it read to them.

use std::fmt::Write;

use super::layout::{Layout, layout};
use super::{Drawing, role};
use crate::model::EdgeKind;

/// Colours follow the page's scheme; what changed differs by its border and weight too, not by colour alone.
const STYLE: &str = r#"
  svg { color-scheme: light dark; }
  text { font: 13px ui-monospace, 'SFMono-Regular', 'DejaVu Sans Mono', monospace; fill: #1f2328; }
  rect { fill: #f6f8fa; stroke: #59636e; }
  .image rect { fill: #ffffff; stroke-dasharray: 4 3; }
  .changed rect { fill: #fff1e5; stroke: #bc4c00; stroke-width: 3; }
  .changed text { font-weight: bold; }
  path { fill: none; stroke: #59636e; }
  .runtime { stroke-dasharray: 7 4; }
  .donor { stroke-dasharray: 2 3; }
  #head path { fill: #59636e; stroke: none; }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc; }
    rect { fill: #151b23; stroke: #9198a1; }
    .image rect { fill: #0d1117; }
    .changed rect { fill: #3d1300; stroke: #ffa657; }
    path { stroke: #9198a1; }
    #head path { fill: #9198a1; }
  }
"#;

/// The drawing as SVG.
pub fn svg(drawing: &Drawing) -> String {
    let layout = layout(drawing);
    let (width, height) = (number(layout.width), number(layout.height));
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\" role=\"img\" aria-labelledby=\"title description\">\n\
         <title id=\"title\">{}</title>\n<desc id=\"description\">{}</desc>\n<style>{STYLE}</style>\n",
        escaped(&drawing.title),
        escaped(&description(drawing)),
    );
    text.push_str(
        "<defs><marker id=\"head\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"8\" markerHeight=\"8\" \
         orient=\"auto\"><path d=\"M0 0 8 4 0 8z\"/></marker></defs>\n",
    );
    edges(drawing, &layout, &mut text);
    nodes(drawing, &layout, &mut text);
    text + "</svg>\n"
}

/// What the drawing shows, for those who don't see it.
fn description(drawing: &Drawing) -> String {
    let mut text = String::from(
        "Layers from left to right, in the order of building. A solid edge leads to a layer that builds on another \
         one, a dashed edge to one that only stands on it, a dotted edge to one that only copies from it.",
    );
    let named = |filter: fn(&super::Node) -> bool| {
        let labels: Vec<&str> = drawing.nodes.iter().filter(|node| filter(node)).map(|node| &*node.label).collect();
        labels.join(", ")
    };
    if drawing.marks && !drawing.nodes.is_empty() {
        let _ = write!(text, " Changed themselves: {}. Stale because of these: ", named(|node| node.changed));
        let others = named(|node| !node.changed);
        let _ = write!(text, "{}.", if others.is_empty() { "none" } else { &others });
    }
    text
}

fn edges(drawing: &Drawing, layout: &Layout, text: &mut String) {
    for (edge, way) in drawing.edges.iter().zip(&layout.ways) {
        let class = match edge.kinds.first() {
            Some(EdgeKind::Build) | None => "build",
            Some(EdgeKind::Runtime) => "runtime",
            Some(EdgeKind::Donor) => "donor",
        };
        let mut path = String::new();
        for (at, (x, y)) in way.iter().enumerate() {
            let _ = match at.checked_sub(1).map(|before| way[before]) {
                None => write!(path, "M{} {}", number(*x), number(*y)),
                Some(before) if before == (*x, *y) => Ok(()),
                Some((_, before)) if (before - y).abs() < 0.05 => write!(path, "H{}", number(*x)),
                Some((before, other)) => {
                    let middle = number(f64::midpoint(before, *x));
                    write!(path, "C{middle} {} {middle} {} {} {}", number(other), number(*y), number(*x), number(*y))
                }
            };
        }
        let (from, to) = (&drawing.nodes[edge.from].label, &drawing.nodes[edge.to].label);
        let role = match role(&edge.kinds) {
            usual if usual.is_empty() => String::new(),
            role => format!(" ({role})"),
        };
        let title = escaped(&format!("{from} → {to}{role}"));
        let _ = writeln!(
            text,
            "<path class=\"{class}\" d=\"{path}\" marker-end=\"url(#head)\"><title>{title}</title></path>"
        );
    }
}

fn nodes(drawing: &Drawing, layout: &Layout, text: &mut String) {
    for (node, place) in drawing.nodes.iter().zip(&layout.boxes) {
        let class = match (node.is_image, node.changed) {
            (true, _) => "image",
            (false, true) => "changed",
            (false, false) => "layer",
        };
        let about = match node.about.as_str() {
            "" => node.label.clone(),
            about => format!("{}: {about}", node.label),
        };
        let _ = writeln!(
            text,
            "<g class=\"{class}\"><title>{}</title><rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"{}\"/>\
             <text x=\"{}\" y=\"{}\">{}</text></g>",
            escaped(&about),
            number(place.x),
            number(place.y),
            number(place.width),
            number(place.height),
            if node.is_image { 0 } else { 6 },
            number(place.x + 12.0),
            number(place.y + 20.0),
            escaped(&node.label),
        );
    }
}

/// A number with at most one digit behind the point.
fn number(number: f64) -> String {
    // Adding zero makes a negative zero a plain one.
    let text = format!("{:.1}", (number * 10.0).round() / 10.0 + 0.0);
    text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
}

/// Text between tags or in an attribute. What XML 1.0 has no place for, escaped or not, is replaced.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            c if c.is_control() => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}
