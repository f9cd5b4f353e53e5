//! Where a graph comes from: of a layer its unit manifest, its committed snapshot, cargo, or the lock alone.

use std::path::Path;
use std::sync::Arc;

use super::set::{self, Call};
use crate::catalog::LoadedLayer;
use crate::commands::context::{Context, Registries, read_bytes};
use crate::commands::error::CommandError;
use crate::commands::exit::Exit;
use crate::commands::images::RegistryArgs;
use crate::commands::ui::Ui;
use crate::cooked;
use crate::crates::{BuildGraph, Section, joined, normalised, of_lock, sole};
use crate::model::{CookProfile, Cooked, LayerName};
use crate::report::crates::Basis;
use crate::snapshot::{Snapshot, cook};
use crate::tree::MAX_TEXT;
use crate::unit::{Costs, Manifest, costs};

/// A set or a project, with what its units cost.
pub struct Source {
    /// The layer's name, or the project's folder.
    pub subject: String,
    /// How the graphs are known.
    pub basis: Basis,
    /// The graphs.
    pub sections: Vec<Section>,
    /// What their units cost, section by section.
    pub costs: Vec<Costs>,
}

/// The unit manifests of the catalog's layers that are known on this machine, and that of one layer which the
/// registry may be asked for.
#[derive(Default)]
pub struct Known {
    manifests: Vec<(LayerName, Arc<Manifest>)>,
}

impl Known {
    /// What is known. Of `asked`, the registry is asked, if it may be.
    ///
    /// # Errors
    /// When there is no way to ask.
    pub fn of(
        context: &Context<'_>,
        snapshot: &Snapshot,
        asked: Option<(&LayerName, &RegistryArgs)>,
    ) -> Result<Known, CommandError> {
        let mut store = context.unit_store();
        let layers: Vec<&LayerName> =
            snapshot.layers().filter(|loaded| loaded.layer.cooked.is_some()).map(|loaded| &loaded.layer.name).collect();
        if let Some((layer, args)) = asked {
            let answer = context.ask(args, snapshot, async |registry| {
                cooked::manifests(Some(registry), &mut store, snapshot, &[layer]).await
            })?;
            for missing in answer.into_iter().filter_map(Result::err) {
                context.ui.detail(&format!("{layer}: {missing}"));
            }
        }
        let found = crate::registry::block_on(cooked::manifests(None::<&Registries>, &mut store, snapshot, &layers))?;
        let found = found.into_iter().flatten().filter(|(found, _)| found.current);
        Ok(Known { manifests: found.map(|(found, manifest)| (found.layer, manifest)).collect() })
    }

    /// The manifest of a layer.
    pub fn manifest(&self, layer: &LayerName) -> Option<&Manifest> {
        self.manifests.iter().find(|(name, _)| name == layer).map(|(_, manifest)| &**manifest)
    }

    /// What the units of graphs cost, section by section, by all that is known.
    pub fn costs(&self, sections: &[Section]) -> Vec<Costs> {
        let manifests: Vec<&Manifest> = self.manifests.iter().map(|(_, manifest)| &**manifest).collect();
        costs(sections.iter().map(|section| &section.graph), &manifests)
    }

    /// What was measured of all units of a build graph; none where one of them was not.
    pub fn measured(&self, layer: &LayerName, graph: &BuildGraph) -> Option<crate::crates::Measured> {
        crate::crates::measured(graph, &of_manifest(self.manifest(layer)?), self.manifest(layer)?)
    }
}

/// The graphs of a manifest, cook by cook.
fn of_manifest(manifest: &Manifest) -> Vec<Section> {
    let sections = manifest.cooks.iter().map(|cooked| {
        let profile = CookProfile { name: cooked.profile.clone(), settings: cooked.settings.clone() };
        normalised(&cook(&profile.to_string(), &cooked.arguments), &cooked.graph)
    });
    joined(sections.collect())
}

impl Source {
    fn new(subject: String, basis: Basis, sections: Vec<Section>, known: &Known) -> Source {
        let costs = known.costs(&sections);
        Source { subject, basis, sections, costs }
    }

    /// The set of a layer, by the best that there is.
    ///
    /// # Errors
    /// When the layer has none, or its lock can't be read.
    pub fn of_layer(
        context: &Context<'_>,
        snapshot: &Snapshot,
        loaded: &LoadedLayer,
        known: &Known,
    ) -> Result<Source, CommandError> {
        let name = &loaded.layer.name;
        let cooked = cooked_of(loaded)?;
        let new = |basis, sections| Ok(Source::new(name.to_string(), basis, sections, known));
        if let Some(manifest) = known.manifest(name) {
            return new(Basis::Manifest, of_manifest(manifest));
        }
        if let Some(graph) = fresh(snapshot, cooked) {
            return new(Basis::Snapshot, graph.sections);
        }
        match set::build_graph(snapshot, cooked) {
            Ok(graph) => new(Basis::Cargo, graph.sections),
            Err(error) => {
                context.ui.detail(&format!("{name}: {}", error.message));
                new(Basis::Lock, vec![locked(snapshot, cooked)?])
            }
        }
    }

    /// A project, by cargo or by its lock alone. Its own packages are part of it.
    ///
    /// # Errors
    /// When there is no project, or its lock can't be read.
    pub fn of_project(ui: &Ui, folder: &Path, profile: &str, known: &Known) -> Result<Source, CommandError> {
        let call = project_call(profile)?;
        let subject = folder.display().to_string();
        match set::graph(folder, &call) {
            Ok(graph) => Ok(Source::new(subject, Basis::Cargo, vec![sole(&call.name, graph)], known)),
            Err(error) => {
                let path = folder.join("Cargo.lock");
                let Ok(text) = read_bytes(&path, 32 * MAX_TEXT) else { return Err(error) };
                ui.remark(&error.message);
                let graph = of_lock(&String::from_utf8_lossy(&text));
                let graph = graph.map_err(|error| CommandError::failure(path.display(), error))?;
                Ok(Source::new(subject, Basis::Lock, vec![sole("lock", graph)], known))
            }
        }
    }

    /// How many units cost a guess.
    pub fn guessed(&self) -> usize {
        self.costs.iter().map(|costs| costs.guessed).sum()
    }
}

/// The call that a project is looked at with.
pub fn project_call(profile: &str) -> Result<Call, CommandError> {
    let profile: CookProfile = profile.parse().map_err(|error| CommandError::new(Exit::Usage, format!("{error}")))?;
    Call::new(&profile, &[])
}

/// The dependency set of a layer.
///
/// # Errors
/// When it has none.
pub fn cooked_of(loaded: &LoadedLayer) -> Result<&Cooked, CommandError> {
    loaded.layer.cooked.as_ref().ok_or_else(|| {
        let message = format!("{} has no cooked set: {} has no field `cooked`", loaded.layer.name, loaded.workflow);
        CommandError::new(Exit::Usage, message).hint("`lamina crates snapshot` lists the layers that have one")
    })
}

/// The committed build graph of a set, if it fits it.
pub fn fresh(snapshot: &Snapshot, cooked: &Cooked) -> Option<BuildGraph> {
    let (_, file) = snapshot.build_graph(cooked).ok()??;
    let graph = BuildGraph::parse(&file.text).ok()?;
    (snapshot.cooked_inputs(cooked).ok()?.digest().ok()? == graph.inputs).then_some(graph)
}

/// The graph of a set by its lock alone, without the set itself.
///
/// # Errors
/// When it can't be read.
pub fn locked(snapshot: &Snapshot, cooked: &Cooked) -> Result<Section, CommandError> {
    let path = cooked.path.join("Cargo.lock").unwrap_or_default();
    let invalid = |message: String| CommandError::new(Exit::Invalid, message).hint("`lamina validate --only cooked`");
    let file = snapshot.catalog.files.require(&path).map_err(|finding| invalid(finding.message))?;
    let graph = of_lock(&file.text).map_err(|error| invalid(format!("{path}: {error}")))?;
    Ok(normalised("lock", &graph))
}
