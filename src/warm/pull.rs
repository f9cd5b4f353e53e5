//! What was chosen, from the registry into the target folder.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::SystemTime;

use futures_util::{StreamExt, stream};

use super::artifact;
use super::choose::{Contents, Miss, Offer, Take, Verdict, Wanted, choose};
use super::files::Present;
use super::place::Place;
use super::target::{Settled, Staged, Target, moment, stage};
use crate::model::Digest;
use crate::registry::{Registry, RegistryError, RegistryErrorKind};

/// What became of a project's units.
#[derive(Debug)]
pub struct Warmed {
    /// For each unit: [`Verdict::Take`] are those that were placed.
    pub verdicts: Vec<Verdict>,
    /// The bytes that were received.
    pub received: u64,
    /// Why the registry was not asked any further.
    pub stopped: Option<RegistryError>,
}

/// Takes the units that a project needs from what is offered, and puts them into its target folder: each after all
/// that it depends on, so that what is there is of use at any moment, also when this is ended.
///
/// `at_once` is how many units are under way at a time. A unit that can't be had is a miss, with all that depends on
/// it. A registry that can't be reached is not asked for the rest.
pub async fn pull(
    registry: &impl Registry,
    wanted: Wanted<'_>,
    offers: &[Offer],
    target: &Target,
    variable: &dyn Fn(&str) -> Option<String>,
    at_once: usize,
) -> Warmed {
    let seen = Seen { target, known: RefCell::default() };
    let chosen = choose(wanted, offers, &seen, variable);
    let stopped = RefCell::new(None);
    let verdicts = RefCell::new(chosen.clone());
    let order: Vec<usize> = wanted.graph.order().unwrap_or_default();
    let takes = order.iter().filter_map(|&at| match &chosen[at] {
        Verdict::Take(take) => Some((at, take)),
        _ => None,
    });
    let fetched = stream::iter(takes).map(async |(at, take)| {
        // One below it has failed meanwhile.
        if let Some(miss) = below(wanted, &verdicts.borrow(), at) {
            return (at, take, Err(miss));
        }
        if stopped.borrow().is_some() {
            return (at, take, Err(Miss::Failed("the registry was not asked any further".to_owned())));
        }
        let fetched = fetch(registry, offers, target, take).await;
        let fetched = fetched.map_err(|error| match error {
            Failure::Registry(error) => {
                let miss = Miss::Failed(error.kind.to_string());
                if ends(&error.kind) {
                    stopped.borrow_mut().get_or_insert(error);
                }
                miss
            }
            Failure::Archive(why) => Miss::Failed(why),
        });
        (at, take, fetched)
    });
    let mut received = 0;
    let mut times: Vec<Option<SystemTime>> = vec![None; chosen.len()];
    let mut fetched = fetched.buffered(at_once.max(1));
    // In their order: what a unit depends on has come before it.
    while let Some((at, take, staged)) = fetched.next().await {
        received += if staged.is_ok() { take.entry.size } else { 0 };
        let failed = below(wanted, &verdicts.borrow(), at);
        let settled = match (failed, staged) {
            (Some(miss), _) | (None, Err(miss)) => Err(miss),
            (None, Ok(staged)) => {
                let below = wanted.graph.units[at].dependencies.iter();
                let below = below.filter_map(|&below| match &chosen[below] {
                    Verdict::There(place) => seen.look(place).map(|present| present.newest),
                    _ => times[below],
                });
                let moment = moment(below);
                times[at] = Some(moment);
                settle(target, &staged, moment)
            }
        };
        match settled {
            Ok(Settled::Placed) => {}
            Ok(Settled::There) => verdicts.borrow_mut()[at] = Verdict::There(take.place.clone()),
            Ok(Settled::Needed) => verdicts.borrow_mut()[at] = Verdict::Miss(Miss::Needed),
            Err(miss) => verdicts.borrow_mut()[at] = Verdict::Miss(miss),
        }
    }
    drop(fetched);
    Warmed { verdicts: verdicts.into_inner(), received, stopped: stopped.into_inner() }
}

/// What becomes of a project's units where nothing is offered: nobody needs to look into its target folder.
pub fn nothing(wanted: Wanted<'_>, offers: &[Offer]) -> Warmed {
    struct Nowhere;
    impl Contents for Nowhere {
        fn has(&self, _: &Place) -> bool {
            false
        }

        fn content(&self, _: &Place) -> Option<Digest> {
            None
        }
    }
    Warmed { verdicts: choose(wanted, offers, &Nowhere, &|_| None), received: 0, stopped: None }
}

/// A target folder, each unit of which is looked at once.
struct Seen<'t> {
    target: &'t Target,
    known: RefCell<HashMap<Place, Option<Present>>>,
}

impl Seen<'_> {
    fn look(&self, place: &Place) -> Option<Present> {
        self.known.borrow_mut().entry(place.clone()).or_insert_with(|| self.target.present(place)).clone()
    }
}

impl Contents for Seen<'_> {
    fn has(&self, place: &Place) -> bool {
        self.target.has(place)
    }

    fn content(&self, place: &Place) -> Option<Digest> {
        self.look(place).map(|present| present.content)
    }
}

enum Failure {
    Registry(RegistryError),
    Archive(String),
}

async fn fetch(registry: &impl Registry, offers: &[Offer], target: &Target, take: &Take) -> Result<Staged, Failure> {
    let at = &offers[take.offer].artifact.at;
    let blob = artifact::blob(registry, at, &take.entry).await.map_err(Failure::Registry)?;
    let (folder, place, bytes) = (target.staging(&take.place), take.place.clone(), take.entry.bytes);
    let staging = tokio::task::spawn_blocking(move || stage(folder, place, &blob, bytes));
    match staging.await {
        Ok(staged) => staged.map_err(|error| Failure::Archive(error.to_string())),
        Err(error) => Err(Failure::Archive(error.to_string())),
    }
}

fn settle(target: &Target, staged: &Staged, moment: SystemTime) -> Result<Settled, Miss> {
    target.settle(staged, moment).map_err(|error| Miss::Failed(error.to_string()))
}

/// Whether something that a unit depends on is missing.
fn below(wanted: Wanted<'_>, verdicts: &[Verdict], at: usize) -> Option<Miss> {
    let dependencies = &wanted.graph.units[at].dependencies;
    let missing = dependencies.iter().find(|&&below| matches!(verdicts[below], Verdict::Miss(_)))?;
    Some(Miss::Below(wanted.graph.package(&wanted.graph.units[*missing]).name.clone()))
}

/// Whether the next unit would fail for the same reason, and take its time over it.
fn ends(kind: &RegistryErrorKind) -> bool {
    match kind {
        RegistryErrorKind::NotFound { .. }
        | RegistryErrorKind::WrongDigest { .. }
        | RegistryErrorKind::Malformed { .. } => false,
        RegistryErrorKind::Unreachable { .. }
        | RegistryErrorKind::Tls { .. }
        | RegistryErrorKind::Unauthorized { .. }
        | RegistryErrorKind::RateLimited { .. }
        | RegistryErrorKind::Server { .. }
        | RegistryErrorKind::Credentials { .. } => true,
    }
}
