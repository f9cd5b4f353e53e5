//! What was predicted of a build against what cargo says of it, unit by unit.

use crate::unit::{Package, Unit, UnitGraph};

/// What cargo says of a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Said<'a> {
    /// Whether it takes it as it is.
    pub fresh: bool,
    /// Why not, in cargo's words; absent where there is none.
    pub reason: Option<&'a str>,
}

/// A unit that others could have compiled.
#[derive(Clone, Debug)]
pub struct Judged<'a> {
    /// The unit.
    pub unit: &'a Unit,
    /// Its package.
    pub package: &'a Package,
    /// Whether it was predicted to be there.
    pub predicted: bool,
    /// What cargo says.
    pub said: Said<'a>,
}

/// All units that others could have compiled, by package, target and platform.
#[derive(Clone, Debug, Default)]
pub struct Confirmation<'a> {
    /// The units.
    pub units: Vec<Judged<'a>>,
}

/// How often a prediction was right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Score {
    /// The units that were predicted to be there.
    pub predicted: usize,
    /// Those that cargo takes.
    pub confirmed: usize,
    /// Those that are both.
    pub both: usize,
}

impl<'a> Confirmation<'a> {
    /// Puts predictions and verdicts, each in the order of the graph's units, side by side. Units that cargo does not
    /// look at, as a build script's run that configuration stands in for, have no verdict and are left out.
    pub fn new(graph: &'a UnitGraph, predicted: &[bool], said: &[Option<Said<'a>>]) -> Self {
        let shareable = graph.shareable();
        let all = graph.units.iter().zip(predicted).zip(said).zip(shareable).filter(|(_, shareable)| *shareable);
        let judged = all.filter_map(|(((unit, &predicted), said), _)| {
            Some(Judged { unit, package: graph.package(unit), predicted, said: (*said)? })
        });
        let mut units: Vec<Judged<'a>> = judged.collect();
        units.sort_by_key(|judged| {
            let Judged { unit, package, .. } = judged;
            (*package, unit.kind, &unit.target, &unit.platform, &unit.features)
        });
        Self { units }
    }

    /// How often the prediction was right.
    pub fn score(&self) -> Score {
        let count = |is: fn(&Judged<'_>) -> bool| self.units.iter().filter(|judged| is(judged)).count();
        Score {
            predicted: count(|judged| judged.predicted),
            confirmed: count(|judged| judged.said.fresh),
            both: count(|judged| judged.predicted && judged.said.fresh),
        }
    }

    /// The units that it was wrong about.
    pub fn wrong(&self) -> impl Iterator<Item = &Judged<'a>> {
        self.units.iter().filter(|judged| judged.predicted != judged.said.fresh)
    }
}

impl Score {
    /// The share of what was predicted that cargo takes, from 0 to 1; 1 where nothing was.
    pub fn precision(self) -> f64 {
        share(self.both, self.predicted)
    }

    /// The share of what cargo takes that was predicted, from 0 to 1; 1 where it takes nothing.
    pub fn recall(self) -> f64 {
        share(self.both, self.confirmed)
    }
}

fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 { 1.0 } else { part as f64 / whole as f64 }
}
