//! `lamina warm`: units from the registry into a project's target folder.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use super::super::Format;
use super::super::context::{Context, Registries};
use super::super::error::CommandError;
use super::super::exit::Exit;
use super::super::images;
use super::{Args, cooked, failed, name, of_actor, open, own, target_dir, unnamed};
use crate::cargo::Project;
use crate::cooked::{self as layers, Missing, Store};
use crate::model::ImageRef;
use crate::registry::RegistryError;
use crate::report::json;
use crate::report::warm::{self as report, Source};
use crate::snapshot::Snapshot;
use crate::unit::{Conditions, Environment, Key, Manifest, UnitGraph, obstacles};
use crate::warm::{Artifact, Offer, Target, Wanted, area, nothing, of_layer, of_project, pull, rank, read};

pub fn run(context: &Context<'_>, args: &Args) -> Result<Exit, CommandError> {
    let snapshot = context.snapshot()?;
    let project = open(args)?;
    let folder = target_dir(args, &project)?;
    let options = args.build.options();
    let graph = project.unit_graph(&options).map_err(|error| failed(args, error))?;
    let keys = graph.keys();
    let wanted = Wanted { graph: &graph, keys: &keys };
    let environment = project.environment(options.target.as_deref(), []).map_err(|error| failed(args, error))?;
    let own = own(&snapshot)?;
    let session = args.who.session(&snapshot)?;
    let name = name(args, &project);
    let mine = of_actor(&own, &session);
    // What the actor has published, then what CI has.
    let mut itself = Vec::new();
    for from in [Some(&mine).filter(|mine| **mine != own), Some(&own)].into_iter().flatten() {
        itself.push(of_project(from, &name, &environment, &options.arguments()).map_err(unnamed)?);
    }
    let mut store = context.unit_store();
    let (warmed, sources, offers, errors) = context.ask(&args.registry, &snapshot, async |registry| {
        let (mut found, mut sources, mut errors) = (Vec::new(), Vec::new(), Vec::new());
        let asked = Asked { registry, snapshot: &snapshot, own: &own, itself: &itself };
        asked.offered(wanted, &mut store, &mut found, &mut sources, &mut errors).await?;
        let environment = full_environment(args, &project, &found)?;
        let conditions = Conditions::of(&graph, environment);
        let mut offers: Vec<Offer> = found.into_iter().map(|artifact| offer(&conditions, artifact)).collect();
        rank(wanted, &mut offers);
        if offers.iter().all(|offer| offer.artifact.entries.is_empty()) {
            return Ok((nothing(wanted, &offers), sources, offers, errors));
        }
        let profiles: BTreeSet<PathBuf> = areas(&graph);
        let target = Target::open(&folder, &profiles, &mut |lock| {
            context.ui.remark(&format!("waiting for {}: cargo or another lamina is at work", lock.display()));
        });
        let target = target.map_err(|error| CommandError::failure("the target folder can't be used", error))?;
        let variable = |name: &str| conditions.environment.variables.get(name).cloned().flatten();
        let warmed = pull(registry, wanted, &offers, &target, &variable, args.jobs.into()).await;
        Ok::<_, CommandError>((warmed, sources, offers, errors))
    })??;
    let answer = report::Answer { graph: &graph, folder: &folder, warmed: &warmed, offers: &offers, sources: &sources };
    context.ui.answer(&match args.format {
        Format::Text => report::text(&answer, context.verbose()),
        Format::Json => json::answer(json::warm::Warm::new(&answer)),
    })?;
    let errors: Vec<&RegistryError> = errors.iter().chain(&warmed.stopped).collect();
    match errors.is_empty() {
        true => Ok(Exit::Success),
        false if args.strict => Err(images::failed(context, errors.len(), &errors)),
        false => {
            let said: BTreeSet<String> = errors.iter().map(ToString::to_string).collect();
            said.iter().for_each(|error| context.ui.remark(&format!("warning: {error}; what is missing is compiled")));
            Ok(Exit::Success)
        }
    }
}

/// Who is asked for what.
struct Asked<'a> {
    registry: &'a Registries,
    snapshot: &'a Snapshot,
    own: &'a str,
    /// The project's own units.
    itself: &'a [ImageRef],
}

impl Asked<'_> {
    /// All that the catalog's layers and the project itself have published. Of a layer that has nothing that the project
    /// needs, its manifest alone is read: it tells why.
    async fn offered(
        &self,
        wanted: Wanted<'_>,
        store: &mut Store,
        found: &mut Vec<Artifact>,
        sources: &mut Vec<Source>,
        errors: &mut Vec<RegistryError>,
    ) -> Result<(), CommandError> {
        let Self { registry, snapshot, own, itself } = *self;
        let names = cooked(snapshot);
        let known = layers::manifests(Some(registry), store, snapshot, &names).await;
        let needed: HashSet<Key> = wanted.keys.iter().copied().collect();
        let mut reads = Vec::new();
        for (layer, known) in names.iter().zip(known) {
            let (image, manifest) = match known {
                Ok((image, manifest)) => (image, manifest),
                Err(Missing::Registry(error)) => {
                    sources.push(Source::missing(layer.as_str(), error.kind.to_string()));
                    errors.push(error);
                    continue;
                }
                Err(missing) => {
                    sources.push(Source::missing(layer.as_str(), missing.to_string()));
                    continue;
                }
            };
            let at = of_layer(own, layer, &image.digest).map_err(unnamed)?;
            let keys = manifest.cooks.iter().flat_map(|cook| cook.graph.keys());
            reads.push((layer.as_str(), at, Some(manifest.clone()), keys.into_iter().any(|key| needed.contains(&key))));
        }
        reads.extend(itself.iter().map(|itself| ("the project", itself.clone(), None, true)));
        let answers = futures_util::future::join_all(reads.into_iter().map(async |(name, at, manifest, is_needed)| {
            let answer = if is_needed { read(registry, &at, manifest.clone()).await } else { Ok(None) };
            (name.to_owned(), at, manifest, is_needed, answer)
        }));
        for (name, at, manifest, is_needed, answer) in answers.await {
            match (answer, manifest) {
                (Ok(Some(artifact)), _) => {
                    sources.push(Source::found(&name, &at));
                    found.push(artifact);
                }
                (Ok(None), Some(manifest)) => {
                    let why = if is_needed { "its units are not published" } else { "it has nothing that is needed" };
                    sources.push(Source::missing(&name, why.to_owned()));
                    found.push(without_units(at, manifest));
                }
                (Ok(None), None) => sources.push(Source::missing(&name, "it has published nothing".to_owned())),
                (Err(error), _) => {
                    sources.push(Source::missing(&name, error.kind.to_string()));
                    errors.push(error);
                }
            }
        }
        Ok(())
    }
}

/// A layer that hands on nothing, but tells what it has.
fn without_units(at: ImageRef, manifest: Arc<Manifest>) -> Artifact {
    Artifact { at, manifest, entries: BTreeMap::new() }
}

fn offer(project: &Conditions, artifact: Artifact) -> Offer {
    let obstacles = obstacles(project, &artifact.manifest.conditions());
    Offer { artifact, obstacles }
}

/// The environment of a build here, with all variables that any unit watches.
fn full_environment(args: &Args, project: &Project, found: &[Artifact]) -> Result<Environment, CommandError> {
    let mut names = BTreeSet::new();
    for artifact in found {
        names.extend(artifact.manifest.environment.variables.keys());
        names.extend(artifact.entries.values().flat_map(|entry| entry.watched.keys()));
    }
    let target = args.build.cargo.target.as_deref();
    project.environment(target, names.into_iter().map(String::as_str)).map_err(|error| failed(args, error))
}

/// The folders below the target folder that a build writes to.
fn areas(graph: &UnitGraph) -> BTreeSet<PathBuf> {
    graph.units.iter().map(|unit| area(graph, unit).into()).collect()
}
