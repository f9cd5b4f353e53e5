//! What `lamina warm` says.

use schemars::JsonSchema;
use serde::Serialize;

use super::Answer;
use crate::report::warm::{self, Counts, Sent};
use crate::warm::Verdict;

/// What became of the units of a project.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Warm<'a> {
    /// The target folder.
    target_dir: String,
    /// How many units others could have compiled: all but the project's own.
    units: usize,
    /// How many were placed.
    placed: usize,
    /// How many were there before.
    there: usize,
    /// How many are left to cargo.
    missed: usize,
    /// How many bytes were received.
    received_bytes: u64,
    /// The processor time that the units which were placed had cost, in milliseconds, as far as it was measured.
    saved_cpu_ms: u64,
    /// Of how many of these it was not measured.
    unmeasured: usize,
    /// Where units were looked for, in order.
    sources: Vec<Source<'a>>,
    /// The units, in the order of the build.
    crates: Vec<Crate<'a>>,
}

/// A layer, or the project's own units.
#[derive(Debug, Serialize, JsonSchema)]
struct Source<'a> {
    /// The layer's name, or `the project`.
    name: &'a str,
    /// Its units in the registry; null where there are none.
    reference: Option<&'a str>,
    /// How many units came from it.
    placed: usize,
    /// Why it has none; null where it has some.
    missing: Option<&'a str>,
    /// What keeps the project from using its units, all or some.
    obstacles: Vec<Obstacle<'a>>,
}

/// What differs between the project's build and the one that the units came from.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "WarmObstacle")]
struct Obstacle<'a> {
    /// Its code.
    code: &'static str,
    /// What differs.
    text: &'a str,
    /// What to do.
    fix: &'a str,
}

/// A unit of the project that others could have compiled.
#[derive(Debug, Serialize, JsonSchema)]
struct Crate<'a> {
    /// Its package.
    name: &'a str,
    /// Its package's version.
    version: &'a str,
    /// What it is: `lib`, `proc-macro`, `build-script`, `build-script-run`, `bin`.
    kind: &'static str,
    /// What became of it.
    state: State,
    /// Where it lies in the target folder: `release/serde-04c2e949dadc8657`; null where it has to be compiled.
    place: Option<String>,
    /// Why it has to be compiled, as a code; null where it has not.
    reason: Option<&'static str>,
    /// The same as a sentence.
    text: Option<String>,
}

/// What became of a unit.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "UnitState")]
enum State {
    /// It was placed.
    Placed,
    /// It was there before.
    There,
    /// It has to be compiled.
    Missed,
}

impl Answer for Warm<'_> {
    const NAME: &'static str = "warm";
}

impl<'a> Warm<'a> {
    /// What became of these units.
    pub fn new(answer: &warm::Answer<'a>) -> Self {
        let warm::Answer { graph, folder, warmed, offers, sources } = *answer;
        let Counts { units, placed, there, missed, saved_ms, unmeasured, .. } = Counts::of(&warmed.verdicts);
        let source = |source: &'a warm::Source| {
            let offer = offers.iter().find(|offer| source.at.as_deref() == Some(&*offer.artifact.at.to_string()));
            let obstacles = offer.into_iter().flat_map(|offer| &offer.obstacles);
            Source {
                name: &source.name,
                reference: source.at.as_deref(),
                placed: warm::placed_from(source, answer),
                missing: source.missing.as_deref(),
                obstacles: obstacles
                    .map(|obstacle| Obstacle {
                        code: obstacle.hindrance.code(),
                        text: &obstacle.text,
                        fix: &obstacle.fix,
                    })
                    .collect(),
            }
        };
        let one = |at: usize| {
            let unit = &graph.units[at];
            let package = graph.package(unit);
            let (state, place, miss) = match &warmed.verdicts[at] {
                Verdict::Own => return None,
                Verdict::There(place) => (State::There, Some(place), None),
                Verdict::Take(take) => (State::Placed, Some(&take.place), None),
                Verdict::Miss(miss) => (State::Missed, None, Some(miss)),
            };
            Some(Crate {
                name: &package.name,
                version: &package.version,
                kind: unit.kind.word(),
                state,
                place: place.map(ToString::to_string),
                reason: miss.map(|miss| miss.code()),
                text: miss.map(warm::reason),
            })
        };
        Self {
            target_dir: folder.display().to_string(),
            units,
            placed,
            there,
            missed,
            received_bytes: warmed.received,
            saved_cpu_ms: saved_ms,
            unmeasured,
            sources: sources.iter().map(source).collect(),
            crates: graph.order().unwrap_or_default().into_iter().filter_map(one).collect(),
        }
    }
}

/// What was published.
#[derive(Debug, Serialize, JsonSchema)]
pub struct WarmPush<'a> {
    /// The layers, or the project.
    published: Vec<PublishedUnits<'a>>,
}

/// The units of a layer or a project.
#[derive(Debug, Serialize, JsonSchema)]
struct PublishedUnits<'a> {
    /// Its name.
    name: &'a str,
    /// Where the units are.
    reference: String,
    /// The digest of the artifact.
    digest: &'a str,
    /// How many units it has.
    units: usize,
    /// Their bytes, compressed.
    bytes: u64,
    /// How many were sent.
    sent: usize,
    /// The bytes of these.
    sent_bytes: u64,
    /// The units that can't be handed on.
    left_out: Vec<LeftOut<'a>>,
}

/// A unit that can't be handed on.
#[derive(Debug, Serialize, JsonSchema)]
struct LeftOut<'a> {
    /// Where it lies in the target folder.
    unit: String,
    /// Why.
    why: &'a str,
}

impl Answer for WarmPush<'_> {
    const NAME: &'static str = "warm-push";
    const COMMAND: &'static str = "warm";
}

impl<'a> WarmPush<'a> {
    /// What was published.
    pub fn new(sent: &[Sent<'a>]) -> Self {
        let one = |Sent { name, at, published }: &Sent<'a>| PublishedUnits {
            name,
            reference: at.to_string(),
            digest: published.digest.as_str(),
            units: published.units,
            bytes: published.bytes,
            sent: published.new,
            sent_bytes: published.new_bytes,
            left_out: published.left_out.iter().map(|(place, why)| LeftOut { unit: place.to_string(), why }).collect(),
        };
        Self { published: sent.iter().map(one).collect() }
    }
}
