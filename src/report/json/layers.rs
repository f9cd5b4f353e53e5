//! Layers: all in short, one in full.

use schemars::JsonSchema;
use serde::Serialize;

use super::Answer;
use super::words::{Base, Class, Edge, Link};
use super::workflow::{NativeSource, Workflow};
use crate::catalog::LoadedLayer;
use crate::model::{EdgeKind, ImageRef, LayerName, NativeDep, Tool};
use crate::snapshot::{Inherited, Snapshot};

/// The layers by name.
#[derive(Debug, Serialize, JsonSchema)]
pub struct List<'a> {
    /// The layers.
    layers: Vec<Brief<'a>>,
}

/// A layer in short.
#[derive(Debug, Serialize, JsonSchema)]
struct Brief<'a> {
    /// Its name.
    layer: &'a str,
    /// Its class.
    class: Class,
    /// One line about it.
    summary: &'a str,
    /// Its folder, relative to the catalog's root.
    path: &'a str,
    /// Its Dockerfile, relative to the catalog's root.
    dockerfile: &'a str,
    /// What it depends on: build base, runtime base, donors.
    edges: Vec<Dependency<'a>>,
    /// Its fingerprint; null where an input can't be read.
    fingerprint: Option<String>,
}

/// What a layer depends on; an image by its short name.
#[derive(Debug, Serialize, JsonSchema)]
struct Dependency<'a> {
    /// In which role.
    edge: Edge,
    #[serde(flatten)]
    on: Base<'a>,
}

/// Everything about one layer.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Show<'a> {
    #[serde(flatten)]
    brief: Brief<'a>,
    /// The external images that it depends on directly.
    images: Vec<Image<'a>>,
    /// The layers that it depends on directly, each with its role.
    parents: Vec<Link<'a>>,
    /// The layers that depend on it directly, each with the role of this layer for it.
    children: Vec<Link<'a>>,
    /// The Debian packages with C libraries that a consumer installs to run.
    consumers_install: Vec<Package<'a>>,
    /// The programs in its image.
    tools: Vec<Program<'a>>,
    /// The files that its workflow imports, directly or not, relative to the catalog's root.
    imports: Vec<&'a str>,
    /// Its evaluated workflow.
    workflow: Workflow<'a>,
}

/// An external image.
#[derive(Debug, Serialize, JsonSchema)]
struct Image<'a> {
    /// Its role.
    edge: Edge,
    /// Its full name.
    image: String,
    /// Its digest from the lock; null where it is not locked.
    digest: Option<&'a str>,
}

/// A Debian package with a C library.
#[derive(Debug, Serialize, JsonSchema)]
struct Package<'a> {
    /// The package's name.
    package: &'a str,
    /// The library's pkg-config name or file name.
    library: &'a str,
    /// Where it comes from.
    source: NativeSource,
    /// The layer that declares it.
    from: &'a str,
}

/// A program.
#[derive(Debug, Serialize, JsonSchema)]
struct Program<'a> {
    /// Its name on PATH.
    name: &'a str,
    /// What its probe has to say of its version; null where the layer does not declare it.
    version: Option<&'a str>,
    /// The layer that adds it.
    from: &'a str,
}

impl Answer for List<'_> {
    const NAME: &'static str = "list";
}

impl Answer for Show<'_> {
    const NAME: &'static str = "show";
}

impl<'a> List<'a> {
    /// Some layers of a snapshot.
    pub fn new(snapshot: &'a Snapshot, layers: &[&'a LoadedLayer]) -> Self {
        Self { layers: layers.iter().map(|loaded| Brief::new(snapshot, loaded)).collect() }
    }
}

impl<'a> Brief<'a> {
    fn new(snapshot: &'a Snapshot, loaded: &'a LoadedLayer) -> Self {
        let layer = &loaded.layer;
        let edges = layer.edges().map(|edge| Dependency { edge: edge.kind.into(), on: Base::familiar(edge.base) });
        Self {
            layer: layer.name.as_str(),
            class: layer.class.into(),
            summary: &layer.summary,
            path: loaded.folder.as_str(),
            dockerfile: layer.build.dockerfile.as_str(),
            edges: edges.collect(),
            fingerprint: snapshot.fingerprints().get(&layer.name).map(|fingerprint| fingerprint.to_string()),
        }
    }
}

impl<'a> Show<'a> {
    /// A layer of a snapshot.
    pub fn new(snapshot: &'a Snapshot, loaded: &'a LoadedLayer) -> Self {
        let layer = &loaded.layer;
        let links = |related: Vec<(&'a LayerName, EdgeKind)>| -> Vec<Link<'a>> {
            related.into_iter().map(|(name, kind)| Link::new(name, kind)).collect()
        };
        let image = |(kind, image): (EdgeKind, &'a ImageRef)| Image {
            edge: kind.into(),
            image: image.to_string(),
            digest: snapshot.lock.get(image).map(|locked| locked.digest.as_str()),
        };
        let package = |dep: Inherited<'a, NativeDep>| Package {
            package: &dep.what.package,
            library: &dep.what.library,
            source: dep.what.source.into(),
            from: dep.from.as_str(),
        };
        let program = |tool: Inherited<'a, Tool>| Program {
            name: &tool.what.name,
            version: tool.what.version.as_deref(),
            from: tool.from.as_str(),
        };
        Self {
            brief: Brief::new(snapshot, loaded),
            images: layer.images().map(image).collect(),
            parents: links(snapshot.graph.parents(&layer.name)),
            children: links(snapshot.graph.children(&layer.name)),
            consumers_install: snapshot.run_time_deps(&layer.name).into_iter().map(package).collect(),
            tools: snapshot.tools(&layer.name).into_iter().map(program).collect(),
            imports: loaded.imports.iter().map(|path| path.as_str()).collect(),
            workflow: Workflow::new(layer),
        }
    }
}
