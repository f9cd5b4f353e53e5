//! What the layers of a catalog have to offer: their manifests, or the locks of those that were not cooked yet.

use std::collections::BTreeMap;
use std::sync::Arc;

use rayon::prelude::*;

use super::super::context::{Context, Registries};
use super::super::error::CommandError;
use super::super::exit::Exit;
use super::super::images::RegistryArgs;
use super::BuildArgs;
use super::subject::Subject;
use crate::cargo::Targets;
use crate::cooked::{self, Found, Missing, Store};
use crate::model::{Base, Layer, LayerName};
use crate::registry::{self, Registry};
use crate::report::suggest::{Snippet, Source};
use crate::snapshot::Snapshot;
use crate::suggest::{Costs, HeldPackages, HeldUnits, Holding, Image, Offer, Packages, Provision, Stack};
use crate::unit::{Conditions, Environment, Manifest, Obstacle, UnitGraph, obstacles};

/// The layers of a catalog, with what is known of their images.
pub struct Catalog<'s> {
    snapshot: &'s Snapshot,
    store: Store,
    layers: Vec<Known<'s>>,
    /// The layers that are considered; none where all are.
    only: Vec<&'s LayerName>,
}

/// A layer that has a cooked set.
struct Known<'s> {
    layer: &'s Layer,
    found: Result<Found, Missing>,
    /// Where cargo's plan is compared.
    manifest: Option<Arc<Manifest>>,
    /// The lock of one that was not cooked yet: name and version.
    lock: Vec<(String, String)>,
}

/// What the layers hold, in the forms that it is looked up in; in the order of the catalog's.
pub struct Held<'a> {
    units: Vec<Option<HeldUnits<'a>>>,
    packages: Vec<Option<HeldPackages<'a>>>,
}

impl Held<'_> {
    /// What all of it cost.
    pub fn costs(&self) -> Costs<'_> {
        let packages: Vec<_> = self.packages.iter().flatten().collect();
        let units: Vec<_> = self.units.iter().flatten().collect();
        Costs::of_packages(&packages).with_units(&units)
    }
}

impl<'s> Catalog<'s> {
    /// Reads what the layers hold, or some of them: unit by unit, or how much of each package.
    ///
    /// # Errors
    /// When there is no way to ask registries.
    pub fn read(
        context: &Context<'_>,
        args: &RegistryArgs,
        snapshot: &'s Snapshot,
        only: &[&'s LayerName],
        with_units: bool,
    ) -> Result<Self, CommandError> {
        let layers = considered(snapshot, only);
        let layers: Vec<&Layer> = layers.filter(|layer| layer.cooked.is_some()).collect();
        let names: Vec<&LayerName> = layers.iter().map(|layer| &layer.name).collect();
        let mut store = context.unit_store();
        // Nobody is asked, and no connection prepared, where all is known.
        let mut answers = registry::block_on(ask(None::<&Registries>, &mut store, snapshot, &names, with_units))?;
        let is_open = |(found, _): &(Result<Found, Missing>, _)| match found {
            Ok(found) => !found.current || store.pull_bytes(&found.digest).is_none(),
            Err(missing) => matches!(missing, Missing::Offline),
        };
        if answers.iter().any(is_open) {
            answers = context.ask(args, snapshot, async |registry| {
                let answers = ask(Some(registry), &mut store, snapshot, &names, with_units).await;
                let found = answers.iter().filter_map(|(found, _)| found.as_ref().ok());
                cooked::sizes(registry, &mut store, &found.collect::<Vec<_>>()).await;
                answers
            })?;
        }
        let known = |(layer, (found, manifest)): (&'s Layer, (Result<Found, Missing>, _))| {
            let lock = if found.is_err() { lock(snapshot, layer) } else { Vec::new() };
            Known { layer, found, manifest, lock }
        };
        let layers = layers.into_iter().zip(answers).map(known).collect();
        Ok(Self { snapshot, store, layers, only: only.to_vec() })
    }

    /// What the layers hold; of packages, those with the names of a project's: with a thousand layers, most are of no
    /// concern.
    pub fn held(&self, wanted: &Packages<'_>) -> Held<'_> {
        let among = self.store.among(&wanted.iter().map(|(name, _)| *name).collect());
        let units = self.layers.par_iter().map(|known| known.manifest.as_deref().map(HeldUnits::of)).collect();
        let summaries = self.layers.iter().map(|known| self.store.summary(&known.found.as_ref().ok()?.digest));
        let packages = summaries.map(|summary| Some(summary?.packages(&among).collect())).collect();
        Held { units, packages }
    }

    /// The layers as they may be suggested to a project.
    pub fn offers<'a>(
        &'a self,
        held: &'a Held<'a>,
        subject: &'a Subject,
        args: &BuildArgs,
        graph: Option<&UnitGraph>,
    ) -> Vec<Offer<'a>> {
        let conditions = self.conditions();
        // Without a compiler the files alone say what there is to say.
        let here = args.here.then(|| {
            let layers = conditions.iter().flatten();
            let watched = layers.flat_map(|layer| layer.environment.variables.keys().map(String::as_str));
            subject.environment(args, watched).ok()
        });
        let mut targets = Targets::new(graph.is_some());
        let mut seen: BTreeMap<&Conditions, (Vec<Obstacle>, Vec<&str>)> = BTreeMap::new();
        let mut between = |layer: &'a Conditions| {
            let compared = || {
                let environment = match &here {
                    Some(Some(here)) => here.clone(),
                    // What is not known of this machine is in the way of nothing.
                    Some(None) => layer.environment.clone(),
                    None => subject.inside(args, &layer.environment, &mut targets),
                };
                let project = wanted(graph, environment, args);
                (obstacles(&project, layer), project.differing(&layer.environment).collect())
            };
            seen.entry(layer).or_insert_with(compared).clone()
        };
        let offer = |(place, known): (usize, &'a Known<'s>)| {
            let lock = || known.lock.iter().map(|(name, version)| (name.as_str(), version.as_str())).collect();
            let holding = match (&held.units[place], &held.packages[place]) {
                (Some(units), _) if graph.is_some() => Holding::Units(units),
                (_, Some(packages)) => Holding::Packages(packages),
                (Some(units), None) => Holding::Units(units),
                (None, None) => Holding::Lock(lock()),
            };
            let image = known.found.as_ref().ok().map(|found| Image {
                name: format!("{}/{}", found.image.registry(), found.image.repository()),
                digest: found.digest.clone(),
                bytes: self.store.pull_bytes(&found.digest),
            });
            // Of a layer without anything of the project's nothing is said.
            let of_interest = match &holding {
                Holding::Packages(packages) => !packages.is_empty(),
                _ => true,
            };
            let (obstacles, differing) =
                conditions[place].filter(|_| of_interest).map(&mut between).unwrap_or_default();
            Offer { layer: &known.layer.name, class: known.layer.class, holding, image, obstacles, differing }
        };
        self.layers.iter().enumerate().map(offer).collect()
    }

    /// What a project has to agree with, layer by layer.
    fn conditions(&self) -> Vec<Option<&Conditions>> {
        let of = |known: &Known<'s>| self.store.summary(&known.found.as_ref().ok()?.digest)?.conditions();
        self.layers.iter().map(of).collect()
    }

    /// What all layers provide besides crates.
    pub fn provisions(&self) -> Vec<Provision<'_>> {
        let provision = |layer: &'s Layer| {
            let tools = self
                .snapshot
                .tools(&layer.name)
                .into_iter()
                .map(|tool| (tool.what.name.as_str(), tool.what.version.as_deref(), *tool.from == layer.name));
            let install = self.snapshot.run_time_deps(&layer.name);
            Provision {
                layer: &layer.name,
                class: layer.class,
                tools: tools.collect(),
                libraries: layer.native_deps.iter().collect(),
                install: install.into_iter().map(|dep| dep.what.package.as_str()).collect(),
                foundation: self.foundation(layer),
            }
        };
        considered(self.snapshot, &self.only).map(provision).collect()
    }

    /// The layer at the bottom of a layer's image.
    fn foundation(&self, layer: &'s Layer) -> &'s LayerName {
        let mut lowest = layer;
        while let Base::Layer(name) = &lowest.runtime_base {
            match self.snapshot.layer(name) {
                Some(below) => lowest = below,
                None => break,
            }
        }
        &lowest.name
    }

    /// Makes sure that it is known of layers what they hold.
    ///
    /// # Errors
    /// When one of them has a cooked set, and its unit manifest could not be had.
    pub fn known(&self, layers: &[&LayerName]) -> Result<(), CommandError> {
        let known = |name: &&LayerName| self.layers.iter().find(|known| known.layer.name == **name);
        for known in layers.iter().filter_map(known) {
            if let Err(missing) = &known.found {
                let exit = match missing {
                    Missing::Registry(_) | Missing::NotBuilt => Exit::Registry,
                    _ => Exit::Failure,
                };
                let name = &known.layer.name;
                let error = CommandError::new(exit, format!("nothing can be predicted of {name}: {missing}"));
                return Err(match missing {
                    Missing::NotBuilt => error.hint(format!("`lamina build {name}` builds what is missing")),
                    _ => error,
                });
            }
        }
        Ok(())
    }

    /// The path of CARGO_HOME in the images of layers, where that is known.
    pub fn cargo_home(&self, layers: &[&LayerName]) -> Option<&str> {
        let mut known = self.layers.iter().filter(|known| layers.contains(&&known.layer.name));
        known.find_map(|known| Some(known.manifest.as_ref()?.environment.cargo_home.as_str()))
    }

    /// What is pasted into a project to build in these layers.
    ///
    /// # Errors
    /// When the registry has no image of one of them, or can't be asked.
    pub fn snippet(
        &self,
        context: &Context<'_>,
        args: &RegistryArgs,
        stack: &Stack<'_>,
        build: &BuildArgs,
    ) -> Result<Snippet, CommandError> {
        let source = |name: &LayerName| {
            let known = self.layers.iter().find(|known| known.layer.name == *name);
            let image = match known.and_then(|known| known.found.as_ref().ok()) {
                Some(found) => format!("{}/{}@{}", found.image.registry(), found.image.repository(), found.digest),
                None => self.pinned(context, args, name)?,
            };
            let cooked = known.and_then(|known| known.layer.cooked.as_ref());
            Ok::<_, CommandError>(Source {
                layer: name.to_string(),
                image,
                target_dir: cooked.map(|cooked| cooked.target_dir.clone()),
            })
        };
        let mut arguments = build.cargo.options().arguments();
        // As people write it.
        arguments
            .iter_mut()
            .filter(|word| *word == "--profile=release")
            .for_each(|word| *word = "--release".to_owned());
        Ok(Snippet {
            base: source(stack.base)?,
            donors: stack.donors.iter().map(|donor| source(donor)).collect::<Result<_, _>>()?,
            arguments,
            install: stack.install.iter().map(|package| (*package).to_owned()).collect(),
        })
    }

    /// The image of a layer's inputs as they are now, by digest.
    fn pinned(&self, context: &Context<'_>, args: &RegistryArgs, name: &LayerName) -> Result<String, CommandError> {
        let unnamed = || CommandError::new(Exit::Invalid, format!("the image of {name} has no name"));
        let image = self.snapshot.image(name).and_then(Result::ok).ok_or_else(unnamed)?;
        let digest = context.ask(args, self.snapshot, async |registry| registry.digest(&image).await)?;
        let digest = digest.map_err(|error| {
            let hint = format!("`lamina build {name}` builds what is missing");
            CommandError::new(Exit::Registry, error.to_string()).hint(hint)
        })?;
        Ok(format!("{}/{}@{digest}", image.registry(), image.repository()))
    }

    /// What is to be said of layers whose manifests could not be had, or are not of the inputs as they are now.
    pub fn remarks(&self) -> Vec<String> {
        let mut remarks = BTreeMap::<String, Vec<&LayerName>>::new();
        for known in &self.layers {
            match &known.found {
                Ok(found) if found.current => {}
                Ok(_) => remarks
                    .entry(
                        "the image is not of the layer's inputs as they are now; it is the last promoted one"
                            .to_owned(),
                    )
                    .or_default()
                    .push(&known.layer.name),
                Err(Missing::NotBuilt) => {}
                // What is the same for all images is said once.
                Err(Missing::Registry(error)) => {
                    remarks.entry(error.kind.to_string()).or_default().push(&known.layer.name)
                }
                Err(missing) => remarks.entry(missing.to_string()).or_default().push(&known.layer.name),
            }
        }
        let remark = |(why, layers): (String, Vec<&LayerName>)| {
            let names: Vec<String> = layers.iter().map(ToString::to_string).collect();
            format!("{}: {why}", names.join(", "))
        };
        remarks.into_iter().map(remark).collect()
    }
}

/// The layers that are considered, in the order of the catalog's.
fn considered<'s>(snapshot: &'s Snapshot, only: &[&'s LayerName]) -> impl Iterator<Item = &'s Layer> {
    let layers = snapshot.layers().map(|loaded| &loaded.layer);
    layers.filter(|layer| only.is_empty() || only.contains(&&layer.name))
}

/// The packages of a layer's lock that others can have compiled.
fn lock(snapshot: &Snapshot, layer: &Layer) -> Vec<(String, String)> {
    let path = layer.cooked.as_ref().and_then(|cooked| cooked.path.join("Cargo.lock").ok());
    let text = path.and_then(|path| snapshot.catalog.files.text(&path).ok().flatten());
    let lock = text.and_then(|file| file.text.parse::<cargo_lock::Lockfile>().ok());
    let packages = lock.into_iter().flat_map(|lock| lock.packages).filter(|package| package.source.is_some());
    packages.map(|package| (package.name.to_string(), package.version.to_string())).collect()
}

/// What is known, and what registries say where there are any.
async fn ask<R: Registry>(
    registry: Option<&R>,
    store: &mut Store,
    snapshot: &Snapshot,
    names: &[&LayerName],
    with_units: bool,
) -> Vec<(Result<Found, Missing>, Option<Arc<Manifest>>)> {
    if !with_units {
        let answers = cooked::summaries(registry, store, snapshot, names).await;
        return answers.into_iter().map(|answer| (answer, None)).collect();
    }
    let answers = cooked::manifests(registry, store, snapshot, names).await;
    let split = |answer: Result<(Found, Arc<Manifest>), Missing>| match answer {
        Ok((found, manifest)) => (Ok(found), Some(manifest)),
        Err(missing) => (Err(missing), None),
    };
    answers.into_iter().map(split).collect()
}

/// What holds for all units of a project. By the lock alone nothing is known of profiles, and of the target what was
/// named.
fn wanted(graph: Option<&UnitGraph>, environment: Environment, args: &BuildArgs) -> Conditions {
    match graph {
        Some(graph) => Conditions::of(graph, environment),
        None => {
            let platforms = args.cargo.target.iter().map(|target| Some(target.clone())).collect();
            Conditions { environment, platforms, ..Conditions::default() }
        }
    }
}
