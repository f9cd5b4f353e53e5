//! Which layers of a catalog save a project most: what it needs against what they hold, unit by unit where cargo's plan
//! of the project is known, by names and versions else. Pure: what it computes with is handed to it. Start at
//! [`Advice::of`].

mod align;
mod bound;
mod confirm;
mod cost;
mod exact;
mod fleet;
mod held;
mod needs;
mod set;
mod stack;

use std::cmp::Reverse;

pub use align::{Move, moves};
pub use bound::Packages;
pub use confirm::{Confirmation, Judged, Said, Score};
pub use cost::Costs;
pub use exact::{Saving, Units, Usable};
pub use fleet::{Action, Crew, FleetAdvice, FleetLayer, Proposal, fleet, propose};
pub use held::{HeldPackages, HeldUnits};
pub use needs::{EXTENSIONS, LibraryNeed, ToolNeed, Traits, is_library, libraries, tools};
pub use set::Pick;
pub use stack::{LibraryAdvice, Provision, Stack, ToolAdvice, natives, providers, stack};

use crate::model::{Class, Digest, LayerName};
use crate::unit::{Environment, Hindrance, Leaves, Obstacle, Wall};

/// A layer that may be suggested.
#[derive(Clone, Debug)]
pub struct Offer<'a> {
    /// Its name.
    pub layer: &'a LayerName,
    /// Its class.
    pub class: Class,
    /// What it holds.
    pub holding: Holding<'a>,
    /// Its image, where the registry has it.
    pub image: Option<Image>,
    /// What lies between it and the project, the gravest first.
    pub obstacles: Vec<Obstacle>,
    /// The variables that its build scripts watch and that have another value in the project.
    pub differing: Vec<&'a str>,
}

impl<'a> Offer<'a> {
    /// Its units, as far as the project can use them; `None` where they are not known, or none of them is of use.
    pub fn usable(&self) -> Option<Usable<'_, 'a>> {
        let Holding::Units(held) = self.holding else { return None };
        let usable = Usable { held, host_only: host_only(&self.obstacles), differing: &self.differing };
        (!leaves_nothing(&self.obstacles)).then_some(usable)
    }
}

/// The image of a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Its name: `ghcr.io/lamina/stratumiops`.
    pub name: String,
    /// Its digest.
    pub digest: Digest,
    /// The bytes of its compressed layers.
    pub bytes: Option<u64>,
}

/// What is known of what a layer holds.
#[derive(Clone, Debug)]
pub enum Holding<'a> {
    /// Its units, as they were cooked.
    Units(&'a HeldUnits<'a>),
    /// The packages that were cooked.
    Packages(&'a HeldPackages<'a>),
    /// The packages of its lock: it was not cooked yet, or by a version that wrote no manifest.
    Lock(Packages<'a>),
}

/// How good a figure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Basis {
    /// Each unit was compared.
    Exact,
    /// Names and versions were: it can only be less.
    UpperBound,
    /// As [`Basis::UpperBound`], and the layer has no manifest to compare with.
    NotCooked,
}

/// What a project needs of crates.
#[derive(Clone, Copy, Debug)]
pub enum Wanted<'u, 'a> {
    /// Its units.
    Units(&'u Units<'a>),
    /// The packages of its lock.
    Packages(&'u Packages<'a>),
}

/// What is advised.
#[derive(Clone, Debug)]
pub struct Advice<'a> {
    /// How good the figures of cooked layers are.
    pub basis: Basis,
    /// How many units, or else packages, others could have compiled.
    pub needed: usize,
    /// What these cost, in milliseconds of processor time.
    pub total_ms: u64,
    /// How long they take by the clock; nothing by names and versions.
    pub wall: Option<Wall>,
    /// The layers that hold anything of the project, the best first.
    pub layers: Vec<Ranked<'a>>,
    /// The layers that together save most, by their places in `layers`: the first to build in, the others to copy from.
    pub set: Vec<Pick>,
    /// How long the build takes by the clock with that set.
    pub set_wall: Option<Wall>,
}

/// What a layer saves.
#[derive(Clone, Debug)]
pub struct Ranked<'a> {
    /// The layer.
    pub offer: Offer<'a>,
    /// How good the figures are.
    pub basis: Basis,
    /// How many units, or else packages, it spares.
    pub reused: usize,
    /// Their processor time, in milliseconds.
    pub saved_ms: u64,
    /// What it would save if nothing stood between.
    pub could_ms: u64,
    /// How long the build takes by the clock with it; nothing by names and versions.
    pub wall: Option<Wall>,
}

impl<'a> Advice<'a> {
    /// Ranks layers for a project, on a machine with so many cores.
    pub fn of(
        wanted: Wanted<'_, 'a>,
        offers: Vec<Offer<'a>>,
        costs: &Costs<'_>,
        packages: &Packages<'a>,
        cores: usize,
    ) -> Self {
        let mut layers: Vec<Ranked<'a>> =
            offers.into_iter().map(|offer| rank(wanted, offer, costs, packages, cores)).collect();
        layers.retain(|ranked| ranked.could_ms > 0);
        let order = |ranked: &Ranked<'_>| {
            let bytes = ranked.offer.image.as_ref().and_then(|image| image.bytes).unwrap_or(u64::MAX);
            let rounded = |ms: u64| Reverse(ms / set::NOISE_MS);
            (ranked.basis == Basis::NotCooked, rounded(ranked.saved_ms), rounded(ranked.could_ms), bytes)
        };
        // By name where all else is equal: that is the order that they come in.
        layers.sort_by_key(order);
        let (basis, needed, total_ms, wall) = match wanted {
            Wanted::Units(units) => (Basis::Exact, units.needed(), units.total_ms(), Some(units.wall(&[], cores))),
            Wanted::Packages(packages) => (Basis::UpperBound, packages.len(), bound::total_ms(packages, costs), None),
        };
        let mut advice = Self { basis, needed, total_ms, wall, layers, set: Vec::new(), set_wall: None };
        advice.set = advice.best_set(wanted);
        if let Wanted::Units(units) = wanted {
            let set: Vec<usize> = advice.set.iter().map(|pick| pick.layer).collect();
            advice.set_wall = Some(units.wall(&advice.together(units, &set).units, cores));
        }
        advice
    }

    /// What a share of the total is, from 0 to 1.
    pub fn share(&self, saved_ms: u64) -> f64 {
        if self.total_ms == 0 { 0.0 } else { (saved_ms as f64 / self.total_ms as f64).min(1.0) }
    }

    /// What the set saves, in milliseconds of processor time.
    pub fn set_ms(&self) -> u64 {
        self.set.iter().map(|pick| pick.gain_ms).sum()
    }

    /// The layers that can stand in one target folder: those that one compiler made at one path, and nothing stands
    /// between them and the project.
    fn best_set(&self, wanted: Wanted<'_, 'a>) -> Vec<Pick> {
        let usable: Vec<usize> = (0..self.layers.len())
            .filter(|&place| self.layers[place].saved_ms > 0 && self.layers[place].basis != Basis::NotCooked)
            .collect();
        let environment = |place: usize| Some(self.layers[place].units()?.environment());
        let first = usable.first().and_then(|&first| environment(first));
        let fits = |place: &usize| match (first, environment(*place)) {
            (Some(first), Some(other)) => shares_folder(first, other),
            _ => true,
        };
        let usable: Vec<usize> = usable.into_iter().filter(fits).collect();
        let saved_ms = |places: &[usize]| {
            let places: Vec<usize> = places.iter().map(|&place| usable[place]).collect();
            match wanted {
                Wanted::Units(units) => self.together(units, &places).saved_ms,
                Wanted::Packages(packages) => {
                    let held = places.iter().filter_map(|&place| self.layers[place].packages());
                    bound::bound(packages, &held.collect::<Vec<_>>()).saved_ms
                }
            }
        };
        let alone: Vec<u64> = usable.iter().map(|&place| self.layers[place].saved_ms).collect();
        let picks = set::greedy(&alone, self.total_ms, saved_ms);
        picks.into_iter().map(|pick| Pick { layer: usable[pick.layer], ..pick }).collect()
    }

    /// Which units these layers together have, as far as nothing stands between. Those that are not ranked have none.
    pub fn predicted(&self, units: &Units<'_>, layers: &[&LayerName]) -> Vec<bool> {
        let wanted = |place: &usize| {
            let offer = &self.layers[*place].offer;
            layers.contains(&offer.layer) && !leaves_nothing(&offer.obstacles)
        };
        let places: Vec<usize> = (0..self.layers.len()).filter(wanted).collect();
        self.together(units, &places).units
    }

    /// What layers together save.
    fn together(&self, units: &Units<'_>, places: &[usize]) -> Saving {
        let usable: Vec<_> = places.iter().filter_map(|&place| self.layers[place].offer.usable()).collect();
        units.saving(&usable)
    }
}

impl<'a> Ranked<'a> {
    /// Its units, where they are known.
    fn units(&self) -> Option<&'a HeldUnits<'a>> {
        match self.offer.holding {
            Holding::Units(units) => Some(units),
            _ => None,
        }
    }

    /// Its packages, where these alone are known.
    fn packages(&self) -> Option<&'a HeldPackages<'a>> {
        match self.offer.holding {
            Holding::Packages(packages) => Some(packages),
            _ => None,
        }
    }
}

fn rank<'a>(
    wanted: Wanted<'_, 'a>,
    offer: Offer<'a>,
    costs: &Costs<'_>,
    packages: &Packages<'a>,
    cores: usize,
) -> Ranked<'a> {
    let nothing = leaves_nothing(&offer.obstacles);
    match (&offer.holding, wanted) {
        (Holding::Lock(lock), _) => {
            let bound = bound::of_lock(packages, lock, costs);
            let (reused, saved_ms) = (bound.packages.len(), bound.saved_ms);
            Ranked { offer, basis: Basis::NotCooked, reused, saved_ms, could_ms: saved_ms, wall: None }
        }
        (Holding::Packages(held), _) => {
            let bound = bound::bound(packages, &[held]);
            let (reused, could_ms) = (bound.packages.len(), bound.saved_ms);
            let (reused, saved_ms) = if nothing { (0, 0) } else { (reused, could_ms) };
            Ranked { offer, basis: Basis::UpperBound, reused, saved_ms, could_ms, wall: None }
        }
        (Holding::Units(held), Wanted::Units(units)) => {
            let could_ms = units.could_save(held);
            let saving = offer.usable().map(|usable| units.saving(&[usable])).unwrap_or_default();
            let reused = saving.units.iter().filter(|&&there| there).count();
            let wall = Some(units.wall(&saving.units, cores));
            let saved_ms = saving.saved_ms;
            Ranked { offer, basis: Basis::Exact, reused, saved_ms, could_ms: could_ms.max(saved_ms), wall }
        }
        (Holding::Units(held), Wanted::Packages(_)) => {
            let of_packages: HeldPackages<'_> = held.manifest().packages().into_iter().collect();
            let bound = bound::bound(packages, &[&of_packages]);
            let (reused, could_ms) = (bound.packages.len(), bound.saved_ms);
            let (reused, saved_ms) = if nothing { (0, 0) } else { (reused, could_ms) };
            Ranked { offer, basis: Basis::UpperBound, reused, saved_ms, could_ms, wall: None }
        }
    }
}

/// Whether an obstacle that is not in the units' keys leaves nothing.
pub fn leaves_nothing(obstacles: &[Obstacle]) -> bool {
    obstacles.iter().any(|obstacle| obstacle.leaves == Leaves::Nothing && !in_keys(obstacle.hindrance))
}

/// Whether an obstacle that is not in the units' keys leaves what is compiled for the host, and no more.
fn host_only(obstacles: &[Obstacle]) -> bool {
    obstacles.iter().any(|obstacle| obstacle.leaves == Leaves::HostUnits && !in_keys(obstacle.hindrance))
}

/// Whether units differ by what an obstacle is about, so that their keys say all that there is to say.
fn in_keys(hindrance: Hindrance) -> bool {
    matches!(hindrance, Hindrance::OtherProfile | Hindrance::OtherTarget)
}

/// Whether what two layers hold can stand in one target folder.
fn shares_folder(one: &Environment, other: &Environment) -> bool {
    one.rustc == other.rustc
        && one.cargo_home == other.cargo_home
        && one.rustflags == other.rustflags
        && one.config == other.config
}
