//! The graph: images, layers, edges, waves.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;

use super::Answer;
use super::words::{Base, Class, Edge, waves};
use crate::catalog::LoadedLayer;
use crate::model::{ImageRef, LayerName};
use crate::snapshot::Snapshot;

/// Who depends on whom.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Graph<'a> {
    /// The external images.
    images: Vec<Image<'a>>,
    /// The layers.
    layers: Vec<Layer<'a>>,
    /// The edges; each role is an edge of its own.
    edges: Vec<Dependency<'a>>,
    /// The order of building of all layers: the names by wave.
    waves: Vec<Vec<&'a str>>,
}

/// An external image.
#[derive(Debug, Serialize, JsonSchema)]
struct Image<'a> {
    /// Its full name.
    image: String,
    /// Its short name.
    name: String,
    /// Its digest from the lock; null where it is not locked.
    digest: Option<&'a str>,
}

/// A layer.
#[derive(Debug, Serialize, JsonSchema)]
struct Layer<'a> {
    /// Its name.
    layer: &'a str,
    /// Its class.
    class: Class,
    /// One line about it.
    summary: &'a str,
}

/// An edge.
#[derive(Debug, Serialize, JsonSchema)]
struct Dependency<'a> {
    /// What is depended on; an image by its full name.
    from: Base<'a>,
    /// The layer that depends on it.
    to: &'a str,
    /// In which role.
    edge: Edge,
}

impl Answer for Graph<'_> {
    const NAME: &'static str = "graph";
}

impl<'a> Graph<'a> {
    /// The graph of a snapshot.
    pub fn new(snapshot: &'a Snapshot) -> Self {
        let images = snapshot.images();
        let image = |image: &&ImageRef| Image {
            image: image.to_string(),
            name: image.familiar(),
            digest: snapshot.lock.get(image).map(|locked| locked.digest.as_str()),
        };
        let layer = |loaded: &'a LoadedLayer| Layer {
            layer: loaded.layer.name.as_str(),
            class: loaded.layer.class.into(),
            summary: &loaded.layer.summary,
        };
        let mut edges = Vec::new();
        for (image, users) in &images {
            for (child, kind) in users {
                let from = Base::Image(image.to_string());
                edges.push(Dependency { from, to: child.as_str(), edge: (*kind).into() });
            }
        }
        for name in snapshot.graph.names() {
            for (child, kind) in snapshot.graph.children(name) {
                edges.push(Dependency { from: Base::Layer(name.as_str()), to: child.as_str(), edge: kind.into() });
            }
        }
        let all: BTreeSet<LayerName> = snapshot.graph.names().cloned().collect();
        Self {
            images: images.keys().map(image).collect(),
            layers: snapshot.layers().map(layer).collect(),
            edges,
            waves: waves(&snapshot.graph.waves(&all)),
        }
    }
}
