//! One revision of a catalog, evaluated: layers, graph, lock, fingerprints. What `cascade` compares two of.

mod bases;
mod cooked;
mod probes;
mod recipe;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

pub use cooked::cook;
pub use probes::Probes;
pub use recipe::Recipe;

use rayon::prelude::*;

use crate::catalog::{CATALOG_FILE, Loaded, LoadedLayer};
use crate::diag::{Code, Diagnostic};
use crate::fingerprint::{self, ContextFolder, Inputs, NamedContext, Parent};
use crate::graph::Graph;
use crate::lock::Lock;
use crate::model::{
    Base, Edge, EdgeKind, Fingerprint, ImageRef, Layer, LayerName, NativeDep, NativeSource, RelPath, Tool,
};

/// One revision of a catalog.
#[derive(Debug)]
pub struct Snapshot {
    /// The catalog as far as it could be read.
    pub catalog: Loaded,
    /// The layers that can be used, and their edges.
    pub graph: Graph,
    /// The locked digests.
    pub lock: Lock,
    /// The lock file's name for findings; `None` where there is no such file.
    pub lock_file: Option<String>,
    /// The text of the lock file.
    pub lock_text: Option<Arc<str>>,
    /// Where the lock file lies in the catalog; `None` for one from elsewhere.
    pub lock_path: Option<RelPath>,
    /// What is wrong with the lock.
    pub lock_findings: Vec<Diagnostic>,
    fingerprints: OnceLock<Fingerprints>,
}

/// The fingerprints of a revision.
#[derive(Debug, Default)]
pub struct Fingerprints {
    layers: BTreeMap<LayerName, (Option<Fingerprint>, Inputs)>,
    /// Why a layer has none.
    pub findings: Vec<Diagnostic>,
}

/// Something that a layer inherits, and from where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inherited<'a, T> {
    /// The layer that declares it.
    pub from: &'a LayerName,
    /// What it declares.
    pub what: &'a T,
}

impl Snapshot {
    /// Puts a revision together, with a lock that is empty.
    pub fn new(catalog: Loaded) -> Self {
        let graph = Graph::new(catalog.layers.values().map(|loaded| &loaded.layer));
        Self {
            catalog,
            graph,
            lock: Lock::default(),
            lock_file: None,
            lock_text: None,
            lock_path: None,
            lock_findings: Vec::new(),
            fingerprints: OnceLock::new(),
        }
    }

    /// A layer that can be used.
    pub fn layer(&self, name: &LayerName) -> Option<&Layer> {
        self.catalog.layers.get(name).map(|loaded| &loaded.layer)
    }

    /// All layers that can be used, by name.
    pub fn layers(&self) -> impl ExactSizeIterator<Item = &LoadedLayer> {
        self.catalog.layers.values()
    }

    /// The names of all layers that exist, whether they can be used or not.
    pub fn names(&self) -> BTreeSet<&LayerName> {
        self.catalog.layers.keys().chain(&self.catalog.broken).collect()
    }

    /// What keeps the graph from being whole: what is wrong with the catalog and its layers, references to layers
    /// that don't exist, cycles. While it is not empty, no answer about the graph can be trusted.
    pub fn graph_findings(&self) -> Vec<Diagnostic> {
        let mut findings = self.catalog.findings.clone();
        findings.extend(self.unknown_layers());
        findings.extend(self.cycles());
        findings
    }

    fn unknown_layers(&self) -> Vec<Diagnostic> {
        let names = self.names();
        let mut findings = Vec::new();
        for loaded in self.layers() {
            for edge in loaded.layer.edges() {
                let Base::Layer(name) = edge.base else { continue };
                if !names.contains(name) {
                    let message =
                        format!("{} names `{name}` as its {}, which is no layer", loaded.layer.name, edge.kind);
                    let mut finding = at_field(loaded, Code::UnknownLayer, &format!("{}.layer", edge.field()), message);
                    if let Some(near) = crate::model::nearest(name.as_str(), names.iter().map(|name| name.as_str())) {
                        finding = finding.help(format!("did you mean `{near}`?"));
                    }
                    findings.push(finding.help("for an external image write { image = \"NAME:TAG\" }"));
                }
            }
        }
        findings
    }

    fn cycles(&self) -> Vec<Diagnostic> {
        let finding = |cycle: crate::graph::Cycle| {
            let mut circle = cycle.steps[0].child.to_string();
            for step in &cycle.steps {
                circle.push_str(&format!(" → {} ({})", step.parent, step.edge));
            }
            let mut finding = Diagnostic::new(Code::Cycle, format!("layers depend on each other: {circle}"));
            for step in &cycle.steps {
                let Some(loaded) = self.catalog.layers.get(&step.child) else { continue };
                let is_step = |edge: &Edge<'_>| edge.kind == step.edge && edge.base.as_layer() == Some(&step.parent);
                let field = loaded.layer.edges().find(is_step).map(|edge| edge.field());
                let span = field.and_then(|field| loaded.spans.find(&field)).unwrap_or(0..0);
                let message = format!("{} has {} as its {}", step.child, step.parent, step.edge);
                finding = finding.label(loaded.workflow.as_str(), span, message);
            }
            finding.layer(cycle.steps[0].child.as_str()).help("remove one of these edges")
        };
        self.graph.cycles().into_iter().map(finding).collect()
    }

    /// The external images of all layers, with the layers that depend on them directly.
    pub fn images(&self) -> BTreeMap<&ImageRef, Vec<(&LayerName, EdgeKind)>> {
        let mut images: BTreeMap<&ImageRef, Vec<(&LayerName, EdgeKind)>> = BTreeMap::new();
        for loaded in self.layers() {
            for (kind, image) in loaded.layer.images() {
                images.entry(image).or_default().push((&loaded.layer.name, kind));
            }
        }
        images
    }

    /// The external images without a digest in the lock.
    pub fn unlocked(&self) -> Vec<&ImageRef> {
        self.images().into_keys().filter(|image| self.lock.get(image).is_none()).collect()
    }

    /// The C libraries that a consumer of the layer has to install to run: its own, and those of all it builds on
    /// or copies from.
    pub fn run_time_deps(&self, name: &LayerName) -> Vec<Inherited<'_, NativeDep>> {
        let kinds = [EdgeKind::Build, EdgeKind::Runtime, EdgeKind::Donor];
        self.inherited(name, &kinds, |layer| &layer.native_deps)
            .into_iter()
            .filter(|inherited| inherited.what.needed.at_run_time() && inherited.what.source == NativeSource::Apt)
            .collect()
    }

    /// The programs that are in the layer's image: its own, and those of all that its image stands on. Of those with
    /// the same name the nearest one counts.
    pub fn tools(&self, name: &LayerName) -> Vec<Inherited<'_, Tool>> {
        let mut tools = self.inherited(name, &[EdgeKind::Runtime], |layer| &layer.tools);
        let mut seen = BTreeSet::new();
        tools.retain(|tool| seen.insert(&tool.what.name));
        tools
    }

    fn inherited<'a, T>(
        &'a self,
        name: &LayerName,
        kinds: &[EdgeKind],
        of: impl Fn(&'a Layer) -> &'a Vec<T>,
    ) -> Vec<Inherited<'a, T>> {
        let own = self.catalog.layers.get_key_value(name).map(|(name, _)| name);
        let layers = own.into_iter().chain(self.graph.ancestors(name, kinds));
        layers
            .filter_map(|from| Some((from, self.layer(from)?)))
            .flat_map(|(from, layer)| of(layer).iter().map(move |what| Inherited { from, what }))
            .collect()
    }

    /// The fingerprints of all layers; computed when first asked for.
    pub fn fingerprints(&self) -> &Fingerprints {
        self.fingerprints.get_or_init(|| self.compute_fingerprints())
    }

    fn compute_fingerprints(&self) -> Fingerprints {
        let mut fingerprints = Fingerprints::default();
        let own: Vec<_> =
            self.catalog.layers.par_iter().map(|(name, loaded)| (name, self.own_inputs(loaded))).collect();
        let mut inputs = BTreeMap::new();
        for (name, own) in own {
            match own {
                Ok(own) => drop(inputs.insert(name, own)),
                Err(finding) => fingerprints.findings.push(*finding),
            }
        }
        for name in self.graph.build_order() {
            let (Some(layer), Some(mut own)) = (self.layer(name), inputs.remove(name)) else { continue };
            let parents = layer.edges().map(|edge| {
                let parent = match edge.base {
                    Base::Image(image) => {
                        Parent::Image(image.clone(), self.lock.get(image).map(|locked| locked.digest.clone()))
                    }
                    // Without its parents' fingerprints a layer has none; the parents' findings say why.
                    Base::Layer(parent) => Parent::Layer(parent.clone(), fingerprints.get(parent)),
                };
                ((edge.kind, edge.arg.to_owned()), parent)
            });
            own.edges = parents.collect();
            fingerprints.layers.insert(name.clone(), (own.fingerprint(), own));
        }
        fingerprints
    }

    /// The inputs of a layer but for its edges.
    fn own_inputs(&self, loaded: &LoadedLayer) -> Result<Inputs, Box<Diagnostic>> {
        let layer = &loaded.layer;
        let files = &self.catalog.files;
        let dockerfile = files.require(&layer.build.dockerfile).map_err(|finding| {
            let message = format!("the Dockerfile of {} can't be read: {}", layer.name, finding.message);
            let code = if finding.code == Code::Import { Code::DockerfileMissing } else { finding.code };
            at_field(loaded, code, "build.dockerfile", message)
        })?;
        let Some(config) = &self.catalog.config else {
            let message = format!("{CATALOG_FILE} can't be used, so no layer has a fingerprint");
            return Err(Box::new(Diagnostic::new(Code::CatalogValue, message).file(CATALOG_FILE)));
        };
        let mut contexts = BTreeMap::new();
        for context in ContextFolder::named(layer) {
            let files = context.files(files, &loaded.workflow)?;
            let name = context.name.unwrap_or_default().to_owned();
            contexts.insert(name, NamedContext { folder: context.folder.clone(), files });
        }
        Ok(Inputs {
            fields: fingerprint::fields(layer, config),
            dockerfile: layer.build.dockerfile.clone(),
            dockerfile_hash: dockerfile.hash,
            context_folder: layer.build.context.clone(),
            context: ContextFolder::main(layer).files(files, &loaded.workflow)?,
            contexts,
            edges: BTreeMap::new(),
        })
    }
}

impl Fingerprints {
    /// A layer's fingerprint; none where an input of it, or of a parent, can't be read.
    pub fn get(&self, name: &LayerName) -> Option<Fingerprint> {
        self.layers.get(name).and_then(|(fingerprint, _)| *fingerprint)
    }

    /// What a layer's fingerprint was computed from.
    pub fn inputs(&self, name: &LayerName) -> Option<&Inputs> {
        self.layers.get(name).map(|(_, inputs)| inputs)
    }
}

/// A finding about a field of a layer, at its place.
pub fn at_field(loaded: &LoadedLayer, code: Code, field: &str, message: impl Into<String>) -> Diagnostic {
    let finding = Diagnostic::new(code, message).layer(loaded.layer.name.as_str()).field(field);
    let finding = finding.file(loaded.workflow.as_str());
    match loaded.spans.find(field) {
        Some(span) => finding.label(loaded.workflow.as_str(), span, ""),
        None => finding,
    }
}
