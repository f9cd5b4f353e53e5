//! What `lamina suggest` says.

use schemars::JsonSchema;
use serde::Serialize;

use super::Answer;
use super::words;
use crate::model::LayerName;
use crate::report::suggest::{SuggestReport, page};
use crate::suggest;
use crate::unit::{Hindrance, Leaves};

/// Which layers save a project how much.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Suggest<'a> {
    /// The project.
    project: Project<'a>,
    /// What keeps layers from saving anything, or more; the gravest first.
    obstacles: Vec<Obstacle<'a>>,
    /// The layers that save anything, the best first.
    layers: Vec<Layer<'a>>,
    /// The images that together save most; null where none does.
    set: Option<Set<'a>>,
    /// The programs that the project needs, as far as a layer has them.
    tools: Vec<Tool<'a>>,
    /// The C libraries that it links, as far as a layer has them.
    libraries: Vec<Library<'a>>,
}

/// A project.
#[derive(Debug, Serialize, JsonSchema)]
struct Project<'a> {
    /// Its name.
    name: &'a str,
    /// Its folder, as it was named.
    folder: &'a str,
    /// The profile it is built with.
    profile: &'a str,
    /// The target it is built for; null where none was named.
    target: Option<&'a str>,
    /// How good figures about cooked layers are.
    basis: Basis,
    /// How many units others could have compiled; packages where the basis is an upper bound.
    needed: usize,
    /// What these cost, in milliseconds of processor time.
    cpu_ms: u64,
    /// How long they take by the clock; null where the basis is an upper bound.
    wall: Option<Wall>,
    /// For how many cores times by the clock are.
    cores: usize,
}

/// How good a figure is.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Basis {
    /// Each unit was compared.
    Exact,
    /// Names and versions were compared: it can only be less.
    UpperBound,
    /// An upper bound of a layer that has not been cooked yet, by the lock of its set.
    NotCooked,
}

/// A range of time by the clock.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
struct Wall {
    /// The least, in milliseconds: the longest chain of units, or all of them spread over the cores.
    least_ms: u64,
    /// The most, in milliseconds, if no core waits while something could be compiled.
    most_ms: u64,
}

/// What keeps cargo from reusing what layers hold.
#[derive(Debug, Serialize, JsonSchema)]
struct Obstacle<'a> {
    /// Its code; `lamina explain` explains it.
    code: Hindrance,
    /// What it leaves.
    leaves: Leaves,
    /// What differs.
    text: &'a str,
    /// What to do.
    fix: &'a str,
    /// The page that explains it.
    page: String,
    /// The layers that it is about.
    layers: Vec<&'a str>,
}

/// What a layer saves.
#[derive(Debug, Serialize, JsonSchema)]
struct Layer<'a> {
    /// Its name.
    layer: &'a str,
    /// Its class.
    class: words::Class,
    /// How good the figures are.
    basis: Basis,
    /// What it saves, in milliseconds of processor time.
    saved_ms: u64,
    /// That as a share of what the project's dependencies cost, from 0 to 1.
    share: f64,
    /// What it would save if no obstacle stood between, in milliseconds of processor time.
    could_ms: u64,
    /// How many units it spares; packages where the basis is an upper bound.
    reused: usize,
    /// How long the rest takes by the clock; null where the basis is an upper bound.
    wall: Option<Wall>,
    /// The bytes of its image's compressed layers; null where that is not known.
    bytes: Option<u64>,
    /// Its image by digest; null where the registry has none, or was not asked.
    image: Option<String>,
}

/// The images that together save most.
#[derive(Debug, Serialize, JsonSchema)]
struct Set<'a> {
    /// The layer to build in.
    base: &'a str,
    /// The layers to copy crates from, in this order.
    donors: Vec<&'a str>,
    /// What each layer adds to those before it.
    gains: Vec<Gain<'a>>,
    /// What they save together, in milliseconds of processor time.
    saved_ms: u64,
    /// That as a share, from 0 to 1.
    share: f64,
    /// How long the rest takes by the clock; null where the basis is an upper bound.
    wall: Option<Wall>,
    /// The programs that are needed and not in the base.
    missing: &'a [&'static str],
    /// The packages to install beside the finished program.
    install: &'a [&'a str],
}

/// What a layer adds to a set.
#[derive(Debug, Serialize, JsonSchema)]
struct Gain<'a> {
    /// The layer.
    layer: &'a str,
    /// What it adds, in milliseconds of processor time.
    saved_ms: u64,
}

/// A program that a project needs.
#[derive(Debug, Serialize, JsonSchema)]
struct Tool<'a> {
    /// The program.
    tool: &'a str,
    /// The version that it must have; null where any will do.
    version: Option<&'a str>,
    /// What shows that it is needed.
    because: &'a str,
    /// The layers that add it.
    layers: Vec<&'a str>,
    /// The version that they add, where another one is needed; null where none is.
    other_version: Option<&'a str>,
}

/// A C library that a crate links.
#[derive(Debug, Serialize, JsonSchema)]
struct Library<'a> {
    /// The library.
    library: &'a str,
    /// The crate.
    package: &'a str,
    /// Its version.
    version: &'a str,
    /// The layer that has it.
    layer: &'a str,
    /// The packages that are installed in the layer for it.
    build: &'a [&'a str],
    /// The packages to install beside the finished program.
    install: &'a [&'a str],
}

impl Answer for Suggest<'_> {
    const NAME: &'static str = "suggest";
}

impl<'a> Suggest<'a> {
    /// All that is suggested.
    pub fn new(report: &'a SuggestReport<'a>) -> Self {
        let advice = report.advice;
        let name = |layer: &&'a LayerName| layer.as_str();
        let layer = |ranked: &'a suggest::Ranked<'a>| Layer {
            layer: ranked.offer.layer.as_str(),
            class: ranked.offer.class.into(),
            basis: ranked.basis.into(),
            saved_ms: ranked.saved_ms,
            share: share(advice, ranked.saved_ms),
            could_ms: ranked.could_ms,
            reused: ranked.reused,
            wall: ranked.wall.map(Wall::from),
            bytes: ranked.offer.image.as_ref().and_then(|image| image.bytes),
            image: ranked.offer.image.as_ref().map(|image| format!("{}@{}", image.name, image.digest)),
        };
        let obstacle = |(obstacle, layers): (&'a crate::unit::Obstacle, Vec<&'a LayerName>)| Obstacle {
            code: obstacle.hindrance,
            leaves: obstacle.leaves,
            text: &obstacle.text,
            fix: &obstacle.fix,
            page: page(obstacle.hindrance),
            layers: layers.iter().map(name).collect(),
        };
        let gain = |pick: &suggest::Pick| Gain {
            layer: advice.layers[pick.layer].offer.layer.as_str(),
            saved_ms: pick.gain_ms,
        };
        let set = |stack: &'a suggest::Stack<'a>| Set {
            base: stack.base.as_str(),
            donors: stack.donors.iter().map(name).collect(),
            gains: advice.set.iter().map(gain).collect(),
            saved_ms: advice.set_ms(),
            share: share(advice, advice.set_ms()),
            wall: advice.set_wall.map(Wall::from),
            missing: &stack.missing,
            install: &stack.install,
        };
        let tool = |tool: &'a suggest::ToolAdvice<'a>| Tool {
            tool: tool.need.tool,
            version: tool.need.version.as_deref(),
            because: &tool.need.because,
            layers: tool.layers.iter().map(name).collect(),
            other_version: tool.other_version,
        };
        let library = |native: &'a suggest::LibraryAdvice<'a>| Library {
            library: &native.need.library,
            package: &native.need.package,
            version: &native.need.version,
            layer: native.layer.as_str(),
            build: &native.build,
            install: &native.install,
        };
        Self {
            project: Project {
                name: report.project,
                folder: &report.folder,
                profile: report.profile,
                target: report.target,
                basis: advice.basis.into(),
                needed: advice.needed,
                cpu_ms: advice.total_ms,
                wall: advice.wall.map(Wall::from),
                cores: report.cores,
            },
            obstacles: report.obstacles().into_iter().map(obstacle).collect(),
            layers: report.shown().map(layer).collect(),
            set: report.stack.map(set),
            tools: report.tools.iter().map(tool).collect(),
            libraries: report.natives.iter().map(library).collect(),
        }
    }
}

/// A share with four decimals: more would only be noise.
fn share(advice: &suggest::Advice<'_>, saved_ms: u64) -> f64 {
    (advice.share(saved_ms) * 10_000.0).round() / 10_000.0
}

impl From<suggest::Basis> for Basis {
    fn from(basis: suggest::Basis) -> Self {
        match basis {
            suggest::Basis::Exact => Basis::Exact,
            suggest::Basis::UpperBound => Basis::UpperBound,
            suggest::Basis::NotCooked => Basis::NotCooked,
        }
    }
}

impl From<crate::unit::Wall> for Wall {
    fn from(wall: crate::unit::Wall) -> Self {
        Self { least_ms: wall.least_ms, most_ms: wall.most_ms }
    }
}
