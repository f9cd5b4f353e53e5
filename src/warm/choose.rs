//! Which units of a project are taken from where. Pure: what registries have and what is in the target folder comes as
//! values.

use std::collections::{BTreeMap, HashMap};

use super::artifact::{Artifact, Entry};
use super::pack::hidden;
use super::place::Place;
use crate::model::Digest;
use crate::unit::{Hindrance, Key, Kind, Leaves, Obstacle, Package, Unit, UnitGraph};

/// A project, as cargo sees it.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Its units.
    pub graph: &'a UnitGraph,
    /// Their keys.
    pub keys: &'a [Key],
}

/// Units that a registry has, and what lies between them and the project.
#[derive(Clone, Debug)]
pub struct Offer {
    /// The units.
    pub artifact: Artifact,
    /// What keeps the project from using them, all or some.
    pub obstacles: Vec<Obstacle>,
}

/// What becomes of a unit of the project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is the project's own: nobody else has it.
    Own,
    /// It is in the target folder.
    There(Place),
    /// It is taken from an offer.
    Take(Take),
    /// It has to be compiled.
    Miss(Miss),
}

/// A unit in an offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Take {
    /// The offer.
    pub offer: usize,
    /// Where it goes.
    pub place: Place,
    /// What it is in the registry.
    pub entry: Entry,
    /// The processor time of its compilation, in milliseconds, where it was measured.
    pub cpu_ms: Option<u64>,
}

/// Why a unit has to be compiled.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Miss {
    /// Nobody has this crate.
    Crate,
    /// Others have other versions of it: one of them.
    Version(String),
    /// Others have it with other features.
    Features,
    /// Others have it with another profile, or for another target.
    Profile,
    /// Others have it with other versions or features of what it depends on.
    Dependencies,
    /// Others have it, but the environment differs.
    Environment(Hindrance),
    /// Others have it, with another value of this variable.
    Variable(String),
    /// Others have it, but could not hand it on.
    Unpublished,
    /// What it depends on has to be compiled: this crate.
    Below(String),
    /// What it depends on is there, but is not what it was made with: this crate.
    Differs(String),
    /// Others that are in the target folder were made with another one.
    Needed,
    /// It could not be had: why.
    Failed(String),
}

impl Miss {
    /// Its name for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Miss::Crate => "crate",
            Miss::Version(_) => "version",
            Miss::Features => "features",
            Miss::Profile => "profile",
            Miss::Dependencies => "dependencies",
            Miss::Environment(_) => "environment",
            Miss::Variable(_) => "variable",
            Miss::Unpublished => "unpublished",
            Miss::Below(_) => "below",
            Miss::Differs(_) => "differs",
            Miss::Needed => "needed",
            Miss::Failed(_) => "failed",
        }
    }
}

/// What is in a target folder.
pub trait Contents {
    /// Whether a unit is there, whole or not.
    fn has(&self, place: &Place) -> bool;

    /// The content of a unit that is there and whole. It is asked for where something is made with the unit.
    fn content(&self, place: &Place) -> Option<Digest>;
}

/// A unit in an offer, by its places there.
struct Found<'a> {
    unit: &'a Unit,
    place: Place,
    entry: Option<&'a Entry>,
}

/// Decides for each unit of a project. Units in the target folder stay; of several offers, the first that has a unit
/// with all that it was made with gives it.
///
/// A unit is only taken where what it depends on is there or taken, with the very content that it was made with. cargo
/// would compile it anew after a dependency that is compiled; and rustc refuses crates that were made with another
/// build of the same crate.
///
/// `variable` is the environment that cargo will see.
pub fn choose(
    wanted: Wanted<'_>,
    offers: &[Offer],
    folder: &dyn Contents,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Vec<Verdict> {
    let Wanted { graph, keys } = wanted;
    let held: Vec<HashMap<Key, Found<'_>>> = offers.iter().map(held).collect();
    let shareable = graph.shareable();
    let names = Names::of(offers);
    let mut verdicts = vec![Verdict::Own; graph.units.len()];
    for at in graph.order().unwrap_or_default() {
        if !shareable[at] {
            continue;
        }
        let unit = &graph.units[at];
        let mut why = None;
        let mut verdict = None;
        for (number, found) in held.iter().enumerate() {
            let Some(found) = found.get(&keys[at]) else { continue };
            if let Some(obstacle) = hindered(&offers[number].obstacles, unit) {
                why.get_or_insert(Miss::Environment(obstacle));
                continue;
            }
            if folder.has(&found.place) {
                verdict = Some(Verdict::There(found.place.clone()));
                break;
            }
            let content = |below: usize| held[number].get(&keys[below])?.entry.map(|entry| &entry.content);
            match usable(wanted, at, found, (&verdicts, folder), &content, variable) {
                Ok(entry) => {
                    let cpu_ms = found.unit.output.as_ref().and_then(|output| output.cpu_ms);
                    let (place, entry) = (found.place.clone(), entry.clone());
                    verdict = Some(Verdict::Take(Take { offer: number, place, entry, cpu_ms }));
                    break;
                }
                Err(miss) => drop(why.get_or_insert(miss)),
            }
        }
        verdicts[at] = verdict.unwrap_or_else(|| Verdict::Miss(why.unwrap_or_else(|| names.nearest(graph, unit))));
    }
    verdicts
}

/// Puts the offers that have most of a project's units first.
pub fn rank(wanted: Wanted<'_>, offers: &mut [Offer]) {
    let usable = |offer: &Offer| {
        let held = held(offer);
        let units = wanted.keys.iter().zip(&wanted.graph.units);
        units.filter(|(key, unit)| held.contains_key(key) && hindered(&offer.obstacles, unit).is_none()).count()
    };
    offers.sort_by_cached_key(|offer| std::cmp::Reverse(usable(offer)));
}

/// The units of an offer by their keys.
fn held(offer: &Offer) -> HashMap<Key, Found<'_>> {
    let mut held = HashMap::new();
    for graph in offer.artifact.manifest.cooks.iter().map(|cook| &cook.graph) {
        for (unit, key) in graph.units.iter().zip(graph.keys()) {
            let Some(place) = Place::of(graph, unit) else { continue };
            let entry = offer.artifact.entries.get(&place);
            held.entry(key).or_insert(Found { unit, place, entry });
        }
    }
    held
}

/// What keeps a unit from being used at all.
fn hindered(obstacles: &[Obstacle], unit: &Unit) -> Option<Hindrance> {
    let hinders = |obstacle: &&Obstacle| match obstacle.hindrance {
        // These are in the key of each unit.
        Hindrance::OtherProfile | Hindrance::OtherTarget => false,
        // Each unit says which ones it depends on.
        Hindrance::WatchedVariable => false,
        _ => match obstacle.leaves {
            Leaves::Nothing => true,
            Leaves::HostUnits => unit.platform.is_some(),
            Leaves::Most => false,
        },
    };
    obstacles.iter().find(hinders).map(|obstacle| obstacle.hindrance)
}

/// A unit of an offer, if cargo and rustc will take it.
fn usable<'a>(
    Wanted { graph, .. }: Wanted<'_>,
    at: usize,
    found: &Found<'a>,
    (verdicts, folder): (&[Verdict], &dyn Contents),
    offered: &dyn Fn(usize) -> Option<&'a Digest>,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<&'a Entry, Miss> {
    let entry = found.entry.ok_or(Miss::Unpublished)?;
    let differs = |(name, value): &(&String, &Option<String>)| variable(name).map(|now| hidden(&now)) != **value;
    if let Some((name, _)) = entry.watched.iter().find(differs) {
        return Err(Miss::Variable(name.clone()));
    }
    for &below in &graph.units[at].dependencies {
        let name = || graph.package(&graph.units[below]).name.clone();
        let is_same = match &verdicts[below] {
            Verdict::Own | Verdict::Miss(_) => return Err(Miss::Below(name())),
            // A program that was run leaves nothing of itself in what depends on the run.
            _ if graph.units[below].kind == Kind::BuildScript => true,
            Verdict::Take(take) => offered(below) == Some(&take.entry.content),
            Verdict::There(place) => {
                offered(below).is_some_and(|content| folder.content(place).as_ref() == Some(content))
            }
        };
        if !is_same {
            return Err(Miss::Differs(name()));
        }
    }
    Ok(entry)
}

/// All units that are offered, by the name of their package, to say in what a unit differs from them.
struct Names<'a>(BTreeMap<&'a str, Vec<(&'a UnitGraph, &'a Unit)>>);

impl<'a> Names<'a> {
    fn of(offers: &'a [Offer]) -> Self {
        let mut names: BTreeMap<&str, Vec<_>> = BTreeMap::new();
        for graph in offers.iter().flat_map(|offer| &offer.artifact.manifest.cooks).map(|cook| &cook.graph) {
            for unit in &graph.units {
                names.entry(&graph.package(unit).name).or_default().push((graph, unit));
            }
        }
        Self(names)
    }

    /// Why nobody has a unit: by the one that is most like it.
    fn nearest(&self, graph: &UnitGraph, unit: &Unit) -> Miss {
        let Package { name, version, source } = graph.package(unit);
        let there = self.0.get(name.as_str()).map(Vec::as_slice).unwrap_or_default();
        let of_kind = there.iter().filter(|(_, other)| other.kind == unit.kind && other.target == unit.target);
        let missed = of_kind.map(|(theirs, other)| {
            let package = theirs.package(other);
            match () {
                () if package.version != *version || package.source != *source => {
                    Miss::Version(package.version.clone())
                }
                () if other.features != unit.features => Miss::Features,
                () if theirs.profile(other) != graph.profile(unit) || other.platform != unit.platform => Miss::Profile,
                () => Miss::Dependencies,
            }
        });
        // In their order, each one is nearer than those before it; of versions the highest text, always the same one.
        missed.max().unwrap_or(Miss::Crate)
    }
}
