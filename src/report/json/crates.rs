//! What `lamina crates` says.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::Answer;
use crate::crates::{self, Difference};
use crate::report::crates::{self as shown, AlignWhat, Basis, Cones, Diff, SetState, SnapshotState};

/// What new versions of crates have compiled again.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CratesCone<'a> {
    /// The layer's name, or the project's folder.
    subject: &'a str,
    /// How its graph is known.
    basis: Basis,
    /// All that is compiled of it.
    whole: Work,
    /// How many units cost a guess, because nobody has measured them.
    guessed: usize,
    /// The crates: as they were named, or the most expensive one first.
    crates: Vec<Bump<'a>>,
}

/// What the changes of locks have compiled again.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CratesDiff<'a> {
    /// The revision that was compared with.
    revision: &'a str,
    /// The sets that were compared, by name.
    sets: Vec<Set<'a>>,
}

/// The build-graph snapshots of cooked sets.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CratesSnapshot<'a> {
    /// The sets, by layer.
    sets: Vec<State<'a>>,
}

/// How much is compiled.
#[derive(Debug, Serialize, JsonSchema)]
struct Work {
    /// Packages.
    packages: usize,
    /// Units, of all cooks together.
    units: usize,
    /// Processor time in milliseconds.
    cpu_ms: u64,
}

/// A crate with its cone.
#[derive(Debug, Serialize, JsonSchema)]
struct Bump<'a> {
    /// Its name.
    name: &'a str,
    /// The versions that are there, all of which are taken for changed.
    versions: &'a [String],
    /// What is compiled again, the crate itself included.
    work: Work,
    /// The other packages that are compiled again, by name.
    reached: Vec<Reached<'a>>,
}

/// A package in a cone.
#[derive(Debug, Serialize, JsonSchema)]
struct Reached<'a> {
    /// Its name.
    name: &'a str,
    /// Its version.
    version: &'a str,
    /// The shortest way from it to the crate.
    chain: &'a str,
}

/// A set or a project, before and now.
#[derive(Debug, Serialize, JsonSchema)]
struct Set<'a> {
    /// The layer's name, or the project's folder.
    subject: &'a str,
    /// How the graphs are known.
    basis: Basis,
    /// What is compiled again.
    work: Work,
    /// All that is compiled of it.
    whole: Work,
    /// How many units cost a guess, because nobody has measured them.
    guessed: usize,
    /// The packages that moved, by name.
    packages: Vec<Step<'a>>,
}

/// What happened to a package.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Moved {
    /// It is new.
    Added,
    /// It is not needed any more.
    Removed,
    /// It has another version, or comes from elsewhere.
    Version,
    /// The version is the same, but features are others.
    Features,
}

/// A package that moved.
#[derive(Debug, Serialize, JsonSchema)]
struct Step<'a> {
    /// Its name.
    name: &'a str,
    /// Its version as it is now, or was.
    version: &'a str,
    /// What happened.
    moved: Moved,
    /// The version before, where that is what moved.
    was: Option<&'a str>,
    /// Features that came.
    on: &'a [String],
    /// Features that went.
    off: &'a [String],
    /// How many units are compiled again because of it.
    units: usize,
}

/// The build-graph snapshot of a layer.
#[derive(Debug, Serialize, JsonSchema)]
struct State<'a> {
    /// The layer.
    layer: &'a str,
    /// The file, relative to the catalog's root.
    file: &'a str,
    /// How it is doing.
    state: SnapshotState,
    /// How large the set is; null where that is not known.
    counts: Option<Counts>,
    /// The names with more than one version, with these.
    duplicates: BTreeMap<String, Vec<String>>,
    /// What is compiled although the layer below has it; null where the set stands on no other one.
    second_time: Option<Vec<Second<'a>>>,
}

/// How large a set is.
#[derive(Debug, Serialize, JsonSchema)]
struct Counts {
    /// Packages.
    packages: usize,
    /// Units, of all cooks together.
    units: usize,
    /// Packages of which there is another version.
    duplicates: usize,
}

/// A unit that is compiled a second time.
#[derive(Debug, Serialize, JsonSchema)]
struct Second<'a> {
    /// The package's name.
    name: &'a str,
    /// Its version.
    version: &'a str,
    /// Where it is for: `host`, `target` or a target triple.
    place: &'a str,
    /// Why, in words.
    why: String,
    /// Whether the reason lies in the unit itself, and not in what it depends on.
    own: bool,
}

impl Answer for CratesCone<'_> {
    const NAME: &'static str = "crates-cone";
    const COMMAND: &'static str = "crates cone";
}

impl Answer for CratesDiff<'_> {
    const NAME: &'static str = "crates-diff";
    const COMMAND: &'static str = "crates diff";
}

impl Answer for CratesSnapshot<'_> {
    const NAME: &'static str = "crates-snapshot";
    const COMMAND: &'static str = "crates snapshot";
}

impl From<crates::Work> for Work {
    fn from(work: crates::Work) -> Self {
        Self { packages: work.packages, units: work.units, cpu_ms: work.cpu_ms }
    }
}

impl<'a> CratesCone<'a> {
    /// The answer.
    pub fn new(cones: &Cones<'a>) -> Self {
        let bump = |bump: &'a crates::Bump| Bump {
            name: &bump.name,
            versions: &bump.versions,
            work: bump.work.into(),
            reached: bump
                .reached
                .iter()
                .map(|reached| Reached { name: &reached.name, version: &reached.version, chain: &reached.chain })
                .collect(),
        };
        let crates = cones.bumps.iter().map(bump).collect();
        Self { subject: cones.subject, basis: cones.basis, whole: cones.whole.into(), guessed: cones.guessed, crates }
    }
}

impl<'a> CratesDiff<'a> {
    /// The answer.
    pub fn new(revision: &'a str, diffs: &'a [Diff<'a>]) -> Self {
        let set = |diff: &'a Diff<'a>| Set {
            subject: diff.subject,
            basis: diff.basis,
            work: diff.work.into(),
            whole: diff.whole.into(),
            guessed: diff.guessed,
            packages: diff.steps().map(Step::new).collect(),
        };
        Self { revision, sets: diffs.iter().map(set).collect() }
    }
}

impl<'a> Step<'a> {
    fn new(step: &'a crates::Step) -> Self {
        let (moved, was, on, off): (_, Option<&str>, &[String], &[String]) = match &step.moved {
            crates::Moved::Added => (Moved::Added, None, &[], &[]),
            crates::Moved::Removed => (Moved::Removed, None, &[], &[]),
            crates::Moved::Version(was) => (Moved::Version, Some(was), &[], &[]),
            crates::Moved::Features { on, off } => (Moved::Features, None, on, off),
        };
        Self { name: &step.name, version: &step.version, moved, was, on, off, units: step.cone }
    }
}

impl<'a> CratesSnapshot<'a> {
    /// The answer.
    pub fn new(sets: &'a [SetState<'a>]) -> Self {
        let state = |set: &'a SetState<'a>| State {
            layer: set.layer.as_str(),
            file: &set.file,
            state: set.state,
            counts: set.graph.map(|graph| {
                let crates::Counts { packages, units, duplicates } = graph.counts();
                Counts { packages, units, duplicates }
            }),
            duplicates: set
                .graph
                .map(crates::BuildGraph::duplicates)
                .unwrap_or_default()
                .into_iter()
                .map(|one| (one.name, one.versions))
                .collect(),
            second_time: set.second.as_ref().map(|second| second.iter().map(Second::new).collect()),
        };
        Self { sets: sets.iter().map(state).collect() }
    }
}

impl<'a> Second<'a> {
    fn new(second: &'a crates::Second) -> Self {
        Self {
            name: &second.package.name,
            version: &second.package.version,
            place: &second.place,
            why: second.sentence(),
            own: second.why != Difference::Below,
        }
    }
}

/// Crates that are behind the index.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CratesOutdated<'a> {
    /// How many crates were looked at; each version counts.
    looked_at: usize,
    /// Those that are behind, by name and version.
    crates: Vec<Old<'a>>,
}

/// A crate that is behind the index.
#[derive(Debug, Serialize, JsonSchema)]
struct Old<'a> {
    /// Its name.
    name: &'a str,
    /// The version that is compiled.
    version: &'a str,
    /// The newest version that the manifests allow; null where there is none.
    compatible: Option<&'a str>,
    /// The newest version of all; null where it is the compatible one.
    newest: Option<&'a str>,
    /// What a new version has compiled again: packages of the set where they are most, units and time of all together.
    work: Work,
    /// The layers that compile it.
    layers: Vec<&'a str>,
    /// The layers that depend on these, and are built again with them.
    dependents: Vec<&'a str>,
}

/// What to declare so that a layer compiles nothing that the one below it has.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CratesAlign<'a> {
    /// The layer below.
    parent: &'a str,
    /// The layer that is cooked on top of it.
    child: &'a str,
    /// What is compiled a second time as it is.
    before: Vec<Second<'a>>,
    /// What is to be changed, in order.
    steps: Vec<AlignStep<'a>>,
    /// What would be compiled a second time even so; cargo was asked.
    after: Vec<Second<'a>>,
}

/// Something to be changed.
#[derive(Debug, Serialize, JsonSchema)]
struct AlignStep<'a> {
    /// In which of the two layers.
    layer: &'a str,
    /// The table of its Cargo.toml; null for what is no line of it.
    table: Option<&'a str>,
    /// The line, in place of the one of the same name if there is one; null for what is no line.
    line: Option<&'a str>,
    /// A command to run in the folder of the set; null for what is none.
    command: Option<&'a str>,
    /// A file that has to be there, `build.rs`; null for what is none.
    file: Option<&'a str>,
}

impl Answer for CratesOutdated<'_> {
    const NAME: &'static str = "crates-outdated";
    const COMMAND: &'static str = "crates outdated";
}

impl Answer for CratesAlign<'_> {
    const NAME: &'static str = "crates-align";
    const COMMAND: &'static str = "crates align";
}

impl<'a> CratesOutdated<'a> {
    /// The answer.
    pub fn new(looked_at: usize, crates: &'a [shown::Old<'a>]) -> Self {
        let old = |old: &'a shown::Old<'a>| Old {
            name: old.name,
            version: &old.version,
            compatible: old.compatible.as_deref(),
            newest: old.newest.as_deref(),
            work: old.work.into(),
            layers: old.layers.iter().map(|layer| layer.as_str()).collect(),
            dependents: old.dependents.iter().map(|layer| layer.as_str()).collect(),
        };
        Self { looked_at, crates: crates.iter().map(old).collect() }
    }
}

impl<'a> CratesAlign<'a> {
    /// The answer.
    pub fn new(align: &'a shown::Align<'a>) -> Self {
        let step = |step: &'a shown::AlignStep| {
            let mut shown =
                AlignStep { layer: step.layer.as_str(), table: None, line: None, command: None, file: None };
            match &step.what {
                AlignWhat::Line { table, line } => {
                    (shown.table, shown.line) = (Some(table.as_str()), Some(line.as_str()));
                }
                AlignWhat::Command(command) => shown.command = Some(command),
                AlignWhat::BuildScript => shown.file = Some("build.rs"),
            }
            shown
        };
        Self {
            parent: align.parent.as_str(),
            child: align.child.as_str(),
            before: align.before.iter().map(Second::new).collect(),
            steps: align.steps.iter().map(step).collect(),
            after: align.after.iter().map(Second::new).collect(),
        }
    }
}
