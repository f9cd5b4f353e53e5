//! An update of pins.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::Answer;
use super::words::waves;
use crate::cascade::Estimate;
use crate::lock;
use crate::model::{Digest, ImageRef};
use crate::report::reason;
use crate::report::update::UpdateReport;
use crate::snapshot::Snapshot;

/// What an update moves, and what that makes stale.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Update<'a> {
    /// The lock file.
    lock: &'a str,
    /// Whether `--dry-run` was given, and so nothing was to be written.
    dry_run: bool,
    /// The images that move, by name.
    moves: Vec<Move<'a>>,
    /// The catalog's files that change, besides the lock.
    files: &'a [&'a str],
    /// The layers that become stale, in order of building.
    affected: Vec<Stale<'a>>,
    /// The same layers by wave: those of one can be built at the same time.
    waves: Vec<Vec<&'a str>>,
    /// How long building them takes.
    expected: Expected<'a>,
}

/// An image that moves: to another digest, and maybe to another tag.
#[derive(Debug, Serialize, JsonSchema)]
struct Move<'a> {
    /// The image as people write it.
    image: String,
    /// Its pin before, in full: `REGISTRY/REPOSITORY:TAG@DIGEST`; null for an image that is new.
    old: Option<String>,
    /// Its pin after; null for an image that goes.
    new: Option<String>,
    /// The manifests of the new index by platform; empty for a single manifest.
    platforms: BTreeMap<&'a str, &'a str>,
}

/// A layer that becomes stale.
#[derive(Debug, Serialize, JsonSchema)]
struct Stale<'a> {
    /// Its name.
    layer: &'a str,
    /// Its wave, from 1.
    wave: usize,
    /// The way from a change to it, in words.
    reason: String,
}

/// How long building takes, as far as the layers say.
#[derive(Debug, Serialize, JsonSchema)]
struct Expected<'a> {
    /// Minutes of all builds together.
    machine_min: u64,
    /// Minutes of the longest way from parent to child: with as many machines as can be used.
    wall_min: u64,
    /// The layers without a figure; while there are any, the minutes are a lower bound.
    without_figure: Vec<&'a str>,
}

impl Answer for Update<'_> {
    const NAME: &'static str = "update";
}

impl<'a> Update<'a> {
    /// What a report on an update has to say.
    pub fn new(report: &'a UpdateReport<'a>) -> Self {
        let cascade = &report.cascade;
        let numbered = cascade.waves.iter().zip(1..);
        let stale = numbered.flat_map(|(names, wave)| names.iter().map(move |name| (wave, *name)));
        let stale = stale.map(|(wave, name)| {
            let reason = reason::chain(cascade.cascade, name, false);
            Stale { layer: name.as_str(), wave, reason }
        });
        Self {
            lock: report.lock,
            dry_run: report.dry_run,
            moves: report.moves.iter().map(|moved| Move::new(moved, cascade.snapshot)).collect(),
            files: &report.files,
            affected: stale.collect(),
            waves: waves(cascade.waves),
            expected: Expected::new(&report.estimate),
        }
    }
}

impl<'a> Move<'a> {
    fn new(moved: &lock::Move<'_>, after: &'a Snapshot) -> Self {
        let pin = |(image, digest): (&ImageRef, &Digest)| format!("{image}@{digest}");
        let locked = moved.new.and_then(|(image, _)| after.lock.get(image));
        let platforms = locked.into_iter().flat_map(|locked| &locked.platforms);
        Self {
            image: moved.old.or(moved.new).map(|(image, _)| image.familiar()).unwrap_or_default(),
            old: moved.old.map(pin),
            new: moved.new.map(pin),
            platforms: platforms.map(|(at, digest)| (at.as_str(), digest.as_str())).collect(),
        }
    }
}

impl<'a> Expected<'a> {
    fn new(estimate: &Estimate<'a>) -> Self {
        Self {
            machine_min: estimate.machine_min,
            wall_min: estimate.wall_min,
            without_figure: estimate.without_figure.iter().map(|name| name.as_str()).collect(),
        }
    }
}
