//! The cook: plan, take over from the donor, compile, find out what came of it, write it down, prune.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use crate::args::{Options, ProfileSpec};
use crate::cargo::{self, Built};
use crate::cpu::{Records, Runs, digits};
use crate::donor::{self, Seeded};
use crate::environment::{environment, kept, system};
use crate::failure::{Failure, Result};
use crate::files::{ProfileFolder, measure_all};
use crate::fingerprints::{Fingerprint, Fingerprints, forget_own};
use crate::graph::Planned;
use crate::manifest::{Cook, Environment, Kind, Manifest, Output, Package, Profile, UnitGraph};
use crate::prune::prune;
use crate::sccache::Sccache;

/// A place of a unit: the folder of its profile, and its own.
type Place = (PathBuf, String);

pub fn cook(options: &Options) -> Result<()> {
    let parents = Manifest::beside(&options.manifest)?;
    let mut manifest = Manifest::new(&options.layer, environment()?, system());
    if let Some(earlier) = Manifest::read(&options.manifest).map_err(Failure::Other)? {
        // By another compiler: nothing of it is left but what it names.
        if earlier.layer == manifest.layer && earlier.environment.rustc == manifest.environment.rustc {
            manifest.environment.variables = earlier.environment.variables.clone();
            manifest.cooks = earlier.cooks;
        }
    }
    if let Some(recipe) = &options.recipe {
        cargo::unpack(recipe)?;
    }
    let planned: Vec<Planned> =
        options.profiles.iter().map(|spec| cargo::plan(options, spec)).collect::<Result<_>>()?;
    let packages: BTreeSet<Package> =
        planned.iter().flat_map(|planned| planned.graph.packages.iter().cloned()).collect();
    let seeded = donor::seed(options, &manifest.environment, manifest.system.as_deref(), &packages);

    let mut kitchen = Kitchen {
        options,
        seeded,
        records: Records::new()?,
        known: HashMap::new(),
        runs: Runs::new(),
        counts: Counts::default(),
        sccache: Sccache::start(),
    };
    for earlier in parents.iter().chain(&kitchen.seeded.manifest).chain([&manifest]) {
        let costs = earlier.outputs().filter_map(|(_, output)| Some((output.folder.clone(), output.cpu_ms?)));
        kitchen.known.extend(costs);
        kitchen.runs.extend(earlier.runs());
    }
    for (spec, planned) in options.profiles.iter().zip(&planned) {
        let cook = kitchen.cook(spec, planned, &mut manifest.environment)?;
        manifest.add(cook);
    }
    kitchen.sccache.take().into_iter().for_each(Sccache::end);
    manifest.write(&options.manifest)?;
    let all: Vec<&Manifest> = parents.iter().chain([&manifest]).collect();
    let pruned = prune(&options.target_dir, &all)
        .map_err(|error| Failure::Other(format!("can't prune {}: {error}", options.target_dir.display())))?;
    kitchen.counts.say(pruned);
    repeated(options, &parents, &manifest)
}

/// What the cooks of a call share.
struct Kitchen<'a> {
    options: &'a Options,
    seeded: Seeded,
    records: Records,
    /// What units cost that were compiled before, by folder.
    known: HashMap<String, u64>,
    /// The runs of build scripts that units were compiled with, then or now.
    runs: Runs,
    counts: Counts,
    sccache: Option<Sccache>,
}

impl Kitchen<'_> {
    /// Compiles one profile; what came of it.
    fn cook(&mut self, spec: &ProfileSpec, planned: &Planned, environment: &mut Environment) -> Result<Cook> {
        let target_dir = &self.options.target_dir;
        forget_own(target_dir, &planned.graph)?;
        let before = Fingerprints::read(target_dir)?.moments();
        let built = cargo::build(self.options, spec, &self.records, self.sccache.as_ref())?;
        let fingerprints = Fingerprints::read(target_dir)?;
        self.runs.extend(built.runs.clone());
        let found = fingerprints.of_units(target_dir, planned, &self.runs)?;
        agree(&planned.graph, &found, &built)?;
        for print in &found {
            let variables = print.variables().map(|(name, value)| (name.to_owned(), value.map(|it| kept(name, it))));
            environment.variables.extend(variables);
        }
        if let Some(&root) = planned.graph.roots.first() {
            environment.rustflags = found[root].rustflags().to_vec();
        }
        let after = fingerprints.moments();
        let shareable = planned.graph.units.iter().zip(&found).filter(|(unit, _)| planned.graph.is_shareable(unit));
        let all: BTreeSet<Place> = shareable.map(|(_, print)| print.place()).collect();
        let compiled: BTreeSet<Place> =
            all.iter().filter(|place| before.get(place) != after.get(place)).cloned().collect();
        let shared = self.sccache.is_some();
        let graph = measured(&planned.graph, &found, |place, kind| match compiled.contains(place) {
            false => self.known.get(&place.1).copied(),
            true => {
                let measured = digits(&place.1).and_then(|digits| built.costs.get(digits).copied());
                // What sccache had compiled cost what it did when somebody compiled it, where that is known.
                let measured = measured.or_else(|| self.known.get(&place.1).copied().filter(|_| shared));
                // A run that ended between two looks at it took next to nothing.
                measured.or((kind == Kind::BuildScriptRun).then_some(0))
            }
        })?;
        for output in graph.units.iter().filter_map(|unit| unit.output.as_ref()) {
            self.known.extend(output.cpu_ms.map(|cost| (output.folder.clone(), cost)));
        }
        say_cost(spec, &graph);
        self.counts.seeded.extend(self.seeded.units.intersection(&all).cloned());
        self.counts.all.extend(all);
        self.counts.compiled.extend(compiled);
        Ok(Cook {
            profile: spec.name.clone(),
            settings: spec.settings.clone(),
            target_dir: target_dir.to_string_lossy().into_owned(),
            arguments: self.options.arguments.clone(),
            graph,
        })
    }
}

/// Whether cargo's own words and the folders that were found name the same units.
fn agree(graph: &UnitGraph, found: &[&Fingerprint], built: &Built) -> Result<()> {
    let shareable = graph.units.iter().zip(found).filter(|(unit, _)| graph.is_shareable(unit));
    let mut places = BTreeMap::new();
    for (_, print) in shareable {
        let named = digits(&print.folder).map(|digits| (print.profile_folder.clone(), digits.to_owned()));
        let known = named.map(|named| places.insert(named, &print.folder));
        if !matches!(known, Some(None)) {
            return Err(Failure::Mismatch(format!("{} stands for two units", print.folder)));
        }
    }
    let missing = places.iter().find(|(place, _)| !built.units.contains(place));
    if let Some((_, folder)) = missing {
        return Err(Failure::Mismatch(format!("cargo did not name {folder}, which its unit graph leads to")));
    }
    if let Some((folder, digits)) = built.units.iter().find(|place| !places.contains_key(place)) {
        let text = format!("cargo named a unit …-{digits} in {}, which is not in its graph", folder.display());
        return Err(Failure::Mismatch(text));
    }
    Ok(())
}

/// The graph, with what came of each unit that others can have.
fn measured(
    graph: &UnitGraph,
    found: &[&Fingerprint],
    cost: impl Fn(&Place, Kind) -> Option<u64>,
) -> Result<UnitGraph> {
    let mut graph = graph.clone();
    let shareable: Vec<usize> = (0..graph.units.len()).filter(|&unit| graph.is_shareable(&graph.units[unit])).collect();
    let places: Vec<Place> = shareable.iter().map(|&unit| found[unit].place()).collect();
    let mut folders = BTreeMap::new();
    for (folder, _) in &places {
        if !folders.contains_key(folder) {
            folders.insert(folder.clone(), ProfileFolder::read(folder).map_err(Failure::file("read", folder))?);
        }
    }
    let measured = measure_all(&folders, &places)
        .map_err(|error| Failure::Other(format!("can't read what was compiled: {error}")))?;
    for ((unit, place), measured) in shareable.into_iter().zip(places).zip(measured) {
        let cpu_ms = cost(&place, graph.units[unit].kind);
        let watched: BTreeSet<&str> = found[unit].variables().map(|(name, _)| name).collect();
        graph.units[unit].output = Some(Output {
            folder: place.1,
            cpu_ms,
            bytes: measured.bytes,
            sha256: Some(measured.sha256),
            watches: watched.into_iter().map(str::to_owned).collect(),
        });
    }
    Ok(graph)
}

fn say_cost(spec: &ProfileSpec, graph: &UnitGraph) {
    let outputs = graph.units.iter().filter_map(|unit| unit.output.as_ref());
    let (count, bytes, cpu) = outputs.fold((0, 0, 0), |(count, bytes, cpu), output| {
        (count + 1, bytes + output.bytes, cpu + output.cpu_ms.unwrap_or_default())
    });
    eprintln!(
        "lamina-cook: {spec}: {count} units, {} MB, {}.{} CPU s",
        bytes / 1_000_000,
        cpu / 1000,
        cpu % 1000 / 100
    );
}

/// What became of the units of all cooks of this call.
#[derive(Default)]
struct Counts {
    all: BTreeSet<Place>,
    compiled: BTreeSet<Place>,
    seeded: BTreeSet<Place>,
}

impl Counts {
    fn say(&self, pruned: usize) {
        eprintln!(
            "lamina-cook: seeded {} of {} units from the donor, compiled {}",
            self.seeded.difference(&self.compiled).count(),
            self.all.len(),
            self.compiled.len()
        );
        if pruned > 0 {
            eprintln!("lamina-cook: pruned {pruned} units that nothing needs");
        }
    }
}

/// Says how many units of parents were compiled again, with other features or dependencies; more than allowed fail.
fn repeated(options: &Options, parents: &[Manifest], manifest: &Manifest) -> Result<()> {
    if parents.is_empty() {
        return Ok(());
    }
    /// What a unit is, but for its features and what it depends on.
    type Meaning<'a> = (PathBuf, &'a Package, Kind, &'a str, &'a Profile);
    fn meanings<'a>(manifest: &'a Manifest) -> impl Iterator<Item = (Meaning<'a>, &'a str)> {
        manifest.cooks.iter().flat_map(|cook| {
            let graph = &cook.graph;
            graph.units.iter().filter_map(move |unit| {
                let folder = graph.folder(Path::new(&cook.target_dir), unit);
                let meaning = (folder, graph.package(unit), unit.kind, &*unit.target, graph.profile(unit));
                Some((meaning, &*unit.output.as_ref()?.folder))
            })
        })
    }
    let mut theirs: BTreeMap<Meaning<'_>, BTreeSet<&str>> = BTreeMap::new();
    for (meaning, folder) in parents.iter().flat_map(meanings) {
        theirs.entry(meaning).or_default().insert(folder);
    }
    let repeated: BTreeSet<&str> = meanings(manifest)
        .filter(|(meaning, folder)| theirs.get(meaning).is_some_and(|known| !known.contains(folder)))
        .map(|(_, folder)| folder)
        .collect();
    let names: Vec<&str> = repeated.iter().copied().take(20).collect();
    let dots = if repeated.len() > names.len() { ", …" } else { "" };
    let list = if names.is_empty() { String::new() } else { format!(": {}{dots}", names.join(", ")) };
    let text = format!("{} units of a parent compiled a second time{list}", repeated.len());
    if options.max_repeated.is_some_and(|most| repeated.len() > most) {
        return Err(Failure::Repeated(text));
    }
    eprintln!("lamina-cook: {text}");
    Ok(())
}
