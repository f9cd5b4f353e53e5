//! `lamina suggest --align`: the project's lock moved towards what layers hold.

use std::collections::BTreeSet;

use super::super::error::CommandError;
use super::super::exit::Exit;
use super::super::images;
use super::BuildArgs;
use super::subject::Subject;
use crate::cargo::Project;
use crate::suggest::{Costs, HeldPackages, Move, Units, Usable, moves};

/// The crates that are tried at most: each is planned twice by cargo.
const MOST: usize = 40;

/// A lock that fits layers better.
pub struct Aligned {
    /// What is moved, each with what is lost if it is left out, in milliseconds of processor time; the dearest first.
    pub moves: Vec<(Move, u64)>,
    /// What is saved as it is, and aligned: units and milliseconds.
    pub before: (usize, u64),
    pub after: (usize, u64),
    /// The lock.
    lock: String,
}

/// What is compared with.
pub struct Layers<'a> {
    pub units: Vec<Usable<'a, 'a>>,
    pub packages: Vec<&'a HeldPackages<'a>>,
    pub costs: &'a Costs<'a>,
}

/// Tries what could be moved in a copy of the project, and keeps what gains anything.
///
/// # Errors
/// When cargo can't be asked about the copy.
pub fn align(subject: &Subject, args: &BuildArgs, layers: &Layers<'_>) -> Result<Aligned, CommandError> {
    let failed = |error| CommandError::project(&subject.folder, error);
    let copy = tempfile::Builder::new().prefix("lamina-align-").tempdir();
    let copy = copy.map_err(|error| CommandError::failure("there is no place for a copy of the project", error))?;
    subject.project.skeleton(copy.path()).map_err(failed)?;
    let open = || Project::open(copy.path()).map_err(failed);
    let project = open()?;
    let saving = || {
        let graph = open()?.unit_graph(&args.cargo.options()).map_err(failed)?;
        let units = Units::new(&graph, layers.costs);
        let saving = units.saving(&layers.units);
        Ok::<_, CommandError>((saving.units.iter().filter(|&&there| there).count(), saving.saved_ms))
    };
    let before = saving()?;
    let mut tried: Vec<Move> = Vec::new();
    for moved in moves(&subject.packages(), &layers.packages, MOST) {
        // What others don't allow stays.
        let place = format!("{}@{}", moved.name, moved.from);
        if project.update(&["-p", &place, "--precise", &moved.to]).is_ok() {
            tried.push(moved);
        }
    }
    // A move may have taken others along, or back.
    let is_there = |project: &Project, moved: &Move| {
        let has = |version: &str| {
            let mut packages = project.lock.packages.iter();
            packages.any(|package| package.name.as_str() == moved.name && package.version.to_string() == version)
        };
        has(&moved.to) && !has(&moved.from)
    };
    let now = open()?;
    tried.retain(|moved| is_there(&now, moved));
    let mut after = saving()?;
    let mut kept = Vec::new();
    for moved in tried {
        let there = format!("{}@{}", moved.name, moved.to);
        if project.update(&["-p", &there, "--precise", &moved.from]).is_err() {
            kept.push((moved, 0));
            continue;
        }
        let without = saving()?;
        if without.1 >= after.1 {
            // It gains nothing: it stays as it was.
            after = without;
            continue;
        }
        let back = format!("{}@{}", moved.name, moved.from);
        project.update(&["-p", &back, "--precise", &moved.to]).map_err(failed)?;
        kept.push((moved, after.1 - without.1));
    }
    let now = open()?;
    let mut seen = BTreeSet::new();
    kept.retain(|(moved, gain)| *gain > 0 && is_there(&now, moved) && seen.insert(moved.clone()));
    kept.sort_by_key(|(moved, gain)| (std::cmp::Reverse(*gain), moved.clone()));
    let lock = std::fs::read_to_string(copy.path().join("Cargo.lock"))
        .map_err(|error| CommandError::failure("the copy's lock can't be read", error))?;
    Ok(Aligned { moves: kept, before, after, lock })
}

impl Aligned {
    /// Writes the lock into the project, in one step.
    ///
    /// # Errors
    /// When the lock has changed meanwhile, or can't be written.
    pub fn write(&self, subject: &Subject) -> Result<(), CommandError> {
        let path = subject.project.root.join("Cargo.lock");
        let old = std::fs::read_to_string(&path)
            .map_err(|error| CommandError::failure(format!("{} can't be read", path.display()), error))?;
        // What was opened is what was aligned.
        let same = old.parse::<cargo_lock::Lockfile>().is_ok_and(|lock| lock == subject.project.lock);
        if !same {
            let message = format!("{} has changed meanwhile", path.display());
            return Err(CommandError::new(Exit::Failure, message).hint("run the command again"));
        }
        images::replace(&path, Some(&old), &self.lock)
    }
}
