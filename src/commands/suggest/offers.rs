//! What the layers of a catalog have to offer: their manifests, or the locks of those that were not cooked yet.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use futures_util::future::join_all;

use super::super::context::{Context, Registries, cache_folder};
use super::super::error::CommandError;
use super::super::exit::Exit;
use super::super::images::RegistryArgs;
use super::BuildArgs;
use super::subject::{Subject, root_alone};
use crate::cooked::{self, Found, Missing, Store};
use crate::model::{Base, Digest, Layer, LayerName};
use crate::registry::{Content, Registry, parse_content};
use crate::report::suggest::{Snippet, Source};
use crate::snapshot::Snapshot;
use crate::suggest::{
    Costs, HeldPackages, HeldUnits, Holding, Image, Offer, Packages, Provision, Stack, at_most, packages,
};
use crate::unit::{Manifest, UnitGraph, obstacles};

/// Of how many layers obstacles are looked for where only locks are compared: of those that hold most.
const LOOKED_AT: usize = 3;

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
    bytes: Option<u64>,
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
        let mut store = cache_folder().map_or_else(Store::in_memory, |cache| Store::open(&cache));
        let (answers, sizes) = context.ask(args, snapshot, async |registry| {
            let answers: Vec<(_, Option<Arc<Manifest>>)> = if with_units {
                let answers = cooked::manifests(Some(registry), &mut store, snapshot, &names).await;
                let split = |answer: Result<(Found, Arc<Manifest>), Missing>| match answer {
                    Ok((found, manifest)) => (Ok(found), Some(manifest)),
                    Err(missing) => (Err(missing), None),
                };
                answers.into_iter().map(split).collect()
            } else {
                let answers = cooked::summaries(Some(registry), &mut store, snapshot, &names).await;
                answers.into_iter().map(|answer| (answer, None)).collect()
            };
            let found = answers.iter().filter_map(|(found, _)| found.as_ref().ok());
            let sizes = sizes(registry, &found.collect::<Vec<_>>()).await;
            (answers, sizes)
        })?;
        let known = |(layer, (found, manifest)): (&'s Layer, (Result<Found, Missing>, _))| {
            let bytes = found.as_ref().ok().and_then(|found| sizes.get(&found.digest).copied());
            let lock = if found.is_err() { lock(snapshot, layer) } else { Vec::new() };
            Known { layer, found, manifest, bytes, lock }
        };
        let layers = layers.into_iter().zip(answers).map(known).collect();
        Ok(Self { snapshot, store, layers, only: only.to_vec() })
    }

    /// What the layers hold; where a project's names are given, as far as these go: with a thousand layers, most of it is
    /// of no concern.
    pub fn held(&self, names: Option<&HashSet<&str>>) -> Held<'_> {
        let units = self.layers.iter().map(|known| known.manifest.as_deref().map(HeldUnits::of)).collect();
        let packages = self.layers.iter().map(|known| self.packages(known, names)).collect();
        Held { units, packages }
    }

    fn packages<'a>(&'a self, known: &'a Known<'_>, names: Option<&HashSet<&str>>) -> Option<HeldPackages<'a>> {
        if let Some(manifest) = &known.manifest {
            return Some(packages(manifest));
        }
        let summary = self.store.summary(&known.found.as_ref().ok()?.digest)?;
        let cooks = summary.cooks().map(|cook| {
            let packages = cook
                .packages()
                .filter(|package| package.source.is_some() && names.is_none_or(|names| names.contains(package.name)));
            let packages = packages.map(|package| ((package.name, package.version), package.cpu_ms));
            ((cook.profile(), cook.settings()), packages)
        });
        Some(at_most(cooks))
    }

    /// The layers as they may be suggested to a project.
    pub fn offers<'a>(
        &'a self,
        held: &'a Held<'a>,
        subject: &'a Subject,
        args: &BuildArgs,
        graph: Option<&UnitGraph>,
        wanted: &Packages<'_>,
    ) -> Vec<Offer<'a>> {
        let obstacles = self.obstacles(held, subject, args, graph, wanted);
        let offer = |(place, known): (usize, &'a Known<'s>)| {
            let lock = || known.lock.iter().map(|(name, version)| (name.as_str(), version.as_str())).collect();
            let holding = match (&held.units[place], &held.packages[place]) {
                (Some(units), _) => Holding::Units(units),
                (None, Some(packages)) => Holding::Packages(packages),
                (None, None) => Holding::Lock(lock()),
            };
            let image = known.found.as_ref().ok().map(|found| Image {
                name: format!("{}/{}", found.image.registry(), found.image.repository()),
                digest: found.digest.clone(),
                bytes: known.bytes,
            });
            let obstacles = obstacles.get(&place).cloned().unwrap_or_default();
            Offer { layer: &known.layer.name, class: known.layer.class, holding, image, obstacles }
        };
        self.layers.iter().enumerate().map(offer).collect()
    }

    /// What lies between the project and the layers, by their places.
    fn obstacles(
        &self,
        held: &Held<'_>,
        subject: &Subject,
        args: &BuildArgs,
        graph: Option<&UnitGraph>,
        wanted: &Packages<'_>,
    ) -> HashMap<usize, Vec<crate::unit::Obstacle>> {
        let manifests: Vec<(usize, Arc<Manifest>)> = match graph {
            Some(_) => {
                let manifests = self.layers.iter().map(|known| known.manifest.clone()).enumerate();
                manifests.filter_map(|(place, manifest)| Some((place, manifest?))).collect()
            }
            None => {
                let shared =
                    |held: &HeldPackages<'_>| wanted.iter().filter_map(|package| held.get(package)).sum::<u64>();
                let places = held.packages.iter().enumerate();
                let mut places: Vec<(u64, usize)> =
                    places.filter_map(|(place, held)| Some((shared(held.as_ref()?), place))).collect();
                places.sort_by_key(|&(shared, place)| (std::cmp::Reverse(shared), place));
                let best = places.into_iter().take(LOOKED_AT).filter(|(shared, _)| *shared > 0);
                best.filter_map(|(_, place)| Some((place, self.manifest(place)?))).collect()
            }
        };
        let watched: BTreeSet<&str> = manifests
            .iter()
            .flat_map(|(_, manifest)| manifest.environment.variables.keys().map(String::as_str))
            .collect();
        // Without a compiler the files alone say what there is to say.
        let here = match graph.is_some() || args.here {
            true => subject.environment(args, watched.iter().copied()).ok(),
            false => None,
        };
        let of = |(place, manifest): (usize, Arc<Manifest>)| {
            let environment = match &here {
                Some(here) if args.here => here.clone(),
                here => subject.inside(here.as_ref(), &manifest.environment),
            };
            let found = match graph {
                Some(graph) => obstacles(graph, &environment, &manifest),
                None => {
                    // By the lock alone nothing is known of profiles.
                    let cooked = manifest.cooks.first().map(|cook| &cook.graph);
                    let root = cooked.and_then(|graph| Some(&graph.units[*graph.roots.first()?]));
                    let profile = cooked.zip(root).map(|(graph, root)| graph.profile(root).clone());
                    let platform = args.cargo.target.clone().or_else(|| root.and_then(|root| root.platform.clone()));
                    profile
                        .map(|profile| obstacles(&root_alone(profile, platform), &environment, &manifest))
                        .unwrap_or_default()
                }
            };
            (place, found)
        };
        manifests.into_iter().map(of).collect()
    }

    /// The manifest of a layer.
    pub fn manifest(&self, place: usize) -> Option<Arc<Manifest>> {
        let known = &self.layers[place];
        known.manifest.clone().or_else(|| self.store.manifest(&known.found.as_ref().ok()?.digest))
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

/// The bytes of the compressed layers of images, as far as registries say.
async fn sizes(registry: &Registries, found: &[&Found]) -> HashMap<Digest, u64> {
    let size = async |found: &Found| {
        let mut raw = registry.raw(&found.image, Some(&found.digest)).await.ok()?;
        if let Ok(Content::Index { platforms }) = parse_content(&raw.bytes) {
            // Of the platforms, that of this machine, or else any: they hold the same.
            let arch = match std::env::consts::ARCH {
                "x86_64" => "amd64",
                "aarch64" => "arm64",
                other => other,
            };
            let here = platforms.iter().find(|(platform, _)| platform.to_string().contains(arch));
            let (_, digest) = here.or_else(|| platforms.first_key_value())?;
            raw = registry.raw(&found.image, Some(digest)).await.ok()?;
        }
        match parse_content(&raw.bytes) {
            Ok(Content::Manifest { layers, .. }) => {
                let bytes = layers.iter().fold(0, |sum: u64, layer| sum.saturating_add(layer.size));
                Some((found.digest.clone(), bytes))
            }
            _ => None,
        }
    };
    join_all(found.iter().map(|found| size(found))).await.into_iter().flatten().collect()
}
