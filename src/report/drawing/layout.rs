//! Where the nodes of a drawing stand.
//!
//! The columns are the waves that lamina answers with, so a drawing never contradicts the answer beside it. Crates that
//! lay out graphs rank anew; and layout-rs takes minutes for a thousand nodes, rust-sugiyama seconds. Here, a few
//! sweeps that put each node at the mean height of its neighbours are enough.

use std::collections::BTreeMap;

use super::Drawing;

/// A node's height, and that of a lane by which an edge passes a column.
const NODE: f64 = 30.0;
const LANE: f64 = 6.0;
/// What is left free below each of them.
const GAP: f64 = 14.0;
/// What is left free between two columns, for the edges.
const BETWEEN: f64 = 64.0;
/// The free space around.
pub const MARGIN: f64 = 16.0;
/// The width of a character, in a monospaced font of 13 pixels, and the space around a label.
const CHARACTER: f64 = 7.9;
const PADDING: f64 = 24.0;
/// An edge that passes more columns goes straight: lanes for all of them could be as many as the layers' square.
const LONGEST: usize = 8;
/// How often the columns are gone through, there and back.
const SWEEPS: usize = 4;

/// A drawing with places, in pixels.
#[derive(Debug, Default)]
pub struct Layout {
    /// The size of the drawing.
    pub width: f64,
    /// The size of the drawing.
    pub height: f64,
    /// The nodes, in the drawing's order.
    pub boxes: Vec<Place>,
    /// For each edge in the drawing's order: the points that it passes, two a column in between.
    pub ways: Vec<Vec<(f64, f64)>>,
}

/// Where a node stands.
#[derive(Clone, Copy, Debug, Default)]
pub struct Place {
    /// Its left upper corner.
    pub x: f64,
    /// Its left upper corner.
    pub y: f64,
    /// Its size.
    pub width: f64,
    /// Its size.
    pub height: f64,
}

/// What takes up room in a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Slot {
    /// A node.
    Node(usize),
    /// The edges of a node to columns that are further away.
    Lane(usize, usize),
}

impl Slot {
    fn height(self) -> f64 {
        if matches!(self, Slot::Node(_)) { NODE } else { LANE }
    }
}

/// Gives each node and edge its place. The same drawing has the same places on every machine.
pub fn layout(drawing: &Drawing) -> Layout {
    let columns = drawing.nodes.iter().map(|node| node.column + 1).max().unwrap_or(0);
    let mut slots: Vec<Vec<Slot>> = vec![Vec::new(); columns];
    for (at, node) in drawing.nodes.iter().enumerate() {
        slots[node.column].push(Slot::Node(at));
    }
    // All edges of a node share one lane in each column that they pass.
    let ways: Vec<Vec<Slot>> = drawing.edges.iter().map(|edge| way(drawing, edge.from, edge.to)).collect();
    for slot in ways.iter().flatten() {
        if let Slot::Lane(_, column) = slot {
            slots[*column].push(*slot);
        }
    }
    slots.iter_mut().for_each(|column| {
        column.sort();
        column.dedup();
    });
    let (mut before, mut behind): (Neighbours, Neighbours) = Default::default();
    for (from, to) in ways.iter().flat_map(|way| way.windows(2).map(|step| (step[0], step[1]))) {
        before.entry(to).or_default().push(from);
        behind.entry(from).or_default().push(to);
    }
    let mut heights = stack(&slots);
    for _ in 0..SWEEPS {
        for column in slots.iter_mut().skip(1) {
            order(column, &before, &mut heights);
        }
        for column in slots.iter_mut().rev().skip(1) {
            order(column, &behind, &mut heights);
        }
    }
    place(drawing, &slots, &ways)
}

type Neighbours = BTreeMap<Slot, Vec<Slot>>;

/// The slots that an edge passes, both ends included.
fn way(drawing: &Drawing, from: usize, to: usize) -> Vec<Slot> {
    let between = drawing.nodes[from].column + 1..drawing.nodes[to].column;
    let mut way = vec![Slot::Node(from)];
    if between.len() <= LONGEST {
        way.extend(between.map(|column| Slot::Lane(from, column)));
    }
    way.push(Slot::Node(to));
    way
}

/// The middle of each slot, where columns are centred on zero.
fn stack(slots: &[Vec<Slot>]) -> BTreeMap<Slot, f64> {
    let mut heights = BTreeMap::new();
    slots.iter().for_each(|column| restack(column, &mut heights));
    heights
}

fn restack(column: &[Slot], heights: &mut BTreeMap<Slot, f64>) {
    let all: f64 = column.iter().map(|slot| slot.height() + GAP).sum();
    let mut y = -all / 2.0;
    for slot in column {
        heights.insert(*slot, y + slot.height() / 2.0);
        y += slot.height() + GAP;
    }
}

/// Sorts a column by the mean height of the neighbours on one side. What has none stays where it is.
fn order(column: &mut [Slot], neighbours: &Neighbours, heights: &mut BTreeMap<Slot, f64>) {
    #[expect(clippy::cast_precision_loss, reason = "a number of neighbours is small")]
    let wanted = |slot: &Slot| match neighbours.get(slot) {
        Some(others) => others.iter().map(|other| heights[other]).sum::<f64>() / others.len() as f64,
        None => heights[slot],
    };
    let mut sorted: Vec<(f64, Slot)> = column.iter().map(|slot| (wanted(slot), *slot)).collect();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    for (place, (_, slot)) in column.iter_mut().zip(sorted) {
        *place = slot;
    }
    restack(column, heights);
}

fn place(drawing: &Drawing, slots: &[Vec<Slot>], ways: &[Vec<Slot>]) -> Layout {
    #[expect(clippy::cast_precision_loss, reason = "a label is short")]
    let width = |label: &str| (label.chars().count() as f64 * CHARACTER + PADDING).round();
    let heights = stack(slots);
    let full = |column: &Vec<Slot>| column.iter().map(|slot| slot.height() + GAP).sum::<f64>();
    let height = slots.iter().map(full).fold(0.0, f64::max) - GAP;
    let mut layout = Layout { boxes: vec![Place::default(); drawing.nodes.len()], ..Layout::default() };
    let mut x = MARGIN;
    let mut columns = Vec::new();
    for column in slots {
        let mut widest: f64 = 0.0;
        for slot in column {
            if let Slot::Node(node) = slot {
                let own = width(&drawing.nodes[*node].label);
                widest = widest.max(own);
                let y = MARGIN + (height + GAP) / 2.0 + heights[slot] - NODE / 2.0;
                layout.boxes[*node] = Place { x, y, width: own, height: NODE };
            }
        }
        columns.push((x, x + widest));
        x += widest + BETWEEN;
    }
    let middle = |slot: &Slot| MARGIN + (height + GAP) / 2.0 + heights[slot];
    for way in ways {
        let mut points = Vec::new();
        for (at, slot) in way.iter().enumerate() {
            match slot {
                Slot::Node(node) if at == 0 => {
                    let place = layout.boxes[*node];
                    // From the column's edge on, so that edges don't cross the boxes beside.
                    points.extend([
                        (place.x + place.width, middle(slot)),
                        (columns[drawing.nodes[*node].column].1, middle(slot)),
                    ]);
                }
                Slot::Node(node) => points.push((layout.boxes[*node].x, middle(slot))),
                Slot::Lane(_, column) => {
                    points.extend([(columns[*column].0, middle(slot)), (columns[*column].1, middle(slot))]);
                }
            }
        }
        layout.ways.push(points);
    }
    layout.width = (x - BETWEEN + MARGIN).max(2.0 * MARGIN);
    layout.height = height.max(0.0) + 2.0 * MARGIN;
    layout
}
