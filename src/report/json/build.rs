//! What a run came to, as JSON: the answer of `build`, of `report`, and the list of runs.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::Answer;
use crate::event::{
    self, Action, FailureKind, NotRun, OomVerdict, Origin, RunOutcome, SccacheUse, SkippedLayer, StepFailure,
};
use crate::report::run::{self, LayerSummary, State, Summary};

/// The answer of `lamina build`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Build<'a> {
    /// What was built, and for where.
    workspace: Workspace<'a>,
    /// The run's name; null where it was cut off before it began.
    run: Option<&'a str>,
    /// The command that ran: `build` or `verify`.
    ran: Option<&'a str>,
    /// The version of lamina that ran.
    lamina: Option<&'a str>,
    /// How it ended.
    outcome: RunState,
    /// When it began, in UTC.
    #[schemars(with = "Option<String>")]
    started: Option<Timestamp>,
    /// How long it took, in milliseconds.
    ms: u64,
    /// What built: client and endpoint.
    engine: Option<&'a str>,
    /// The most layers at a time.
    jobs: Option<u32>,
    /// How many layers had which outcome.
    totals: Totals,
    /// All selected layers: those of the plan in order of building, then those that needed nothing.
    layers: Vec<Layer<'a>>,
    /// What became of the tags for people.
    promotion: Promotion<'a>,
    /// What was worth a warning, in order of time.
    warnings: Vec<Warning<'a>>,
}

/// The answer of `lamina report`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct Report<'a>(Build<'a>);

/// The answer of `lamina report --list`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ReportList<'a> {
    /// The runs, newest first.
    runs: Vec<Run<'a>>,
}

/// A catalog, and where its images are.
#[derive(Debug, Serialize, JsonSchema)]
struct Workspace<'a> {
    /// The catalog's name.
    catalog: Option<&'a str>,
    /// The registry that images are pushed to.
    registry: Option<&'a str>,
    /// The path in the registry before a layer's name.
    namespace: Option<&'a str>,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum RunState {
    /// Every layer is good.
    Succeeded,
    /// A layer failed.
    Failed,
    /// It was ended by request.
    Cancelled,
    /// It has not ended.
    Running,
    /// It has no end: lamina was killed, or the machine went down.
    CutOff,
}

/// How many layers had which outcome.
#[derive(Debug, Default, Serialize, JsonSchema)]
struct Totals {
    /// Built or found, and proven.
    succeeded: usize,
    /// Failed.
    failed: usize,
    /// Ended by request, or cut off, or still worked at.
    not_finished: usize,
    /// Not begun.
    not_started: usize,
    /// Selected and in need of nothing.
    up_to_date: usize,
}

/// What became of a layer.
#[derive(Debug, Serialize, JsonSchema)]
struct Layer<'a> {
    /// Its name.
    layer: &'a str,
    /// How it ended.
    outcome: LayerState,
    /// What was to be done; null for a layer that needed nothing.
    action: Option<Action>,
    /// Why, or why not, in words.
    reason: &'a str,
    /// Its fingerprint.
    fingerprint: String,
    /// The image's name, with the tag of the fingerprint.
    image: String,
    /// The image's digest; null where the registry has none.
    digest: Option<&'a str>,
    /// Who built the image; null where there is none, or for a layer that needed nothing.
    origin: Option<Origin>,
    /// The bytes of the image's compressed layers, its bases' included; null where that was not looked up.
    size: Option<u64>,
    /// How long it took, retries included, in milliseconds; null for a layer that was not begun or has not ended.
    ms: Option<u64>,
    /// How long it was expected to take, in milliseconds.
    expected_ms: Option<u64>,
    /// How often it was begun.
    attempts: u32,
    /// Why it was tried again, attempt by attempt.
    retries: &'a [String],
    /// The attempts for which memory ran out, in order. The next one after the first of them had a larger runner.
    oom: Vec<Oom<'a>>,
    /// How many instructions of its Dockerfile were run.
    steps_run: u32,
    /// How many instructions of its Dockerfile were in a cache.
    steps_cached: u32,
    /// The earlier image that its build could take compiled crates from; null where its Dockerfile takes none.
    donor: Option<Donor<'a>>,
    /// What sccache did in the last attempt, all steps together; null where no step has said it.
    sccache: Option<Sccache<'a>>,
    /// What came out of its probes.
    probes: Vec<Probe<'a>>,
    /// Why it was not begun.
    not_started: Option<NotStarted<'a>>,
    /// Why it failed.
    failure: Option<Failure<'a>>,
}

/// What sccache did.
#[derive(Debug, Serialize, JsonSchema)]
struct Sccache<'a> {
    /// Where it keeps compiled crates: `s3`, `redis`, `webdav`, `local`, `other`.
    backend: &'a str,
    /// How many it had.
    hits: u64,
    /// How many it had not, and compiled.
    misses: u64,
    /// How often its storage failed it.
    errors: u64,
    /// Why the rest was compiled without it; null where it was not.
    off: Option<&'a str>,
}

/// An attempt for which memory ran out.
#[derive(Debug, Serialize, JsonSchema)]
struct Oom<'a> {
    /// Which one, from 1.
    attempt: u32,
    /// How sure that is.
    verdict: OomVerdict,
    /// What says so, as text.
    evidence: &'a str,
}

/// An earlier image of the layer as donor of its build.
#[derive(Debug, Serialize, JsonSchema)]
struct Donor<'a> {
    /// The tag that it was found under; null where there was none.
    tag: Option<String>,
    /// Its digest; null where there was none.
    digest: Option<&'a str>,
    /// Why there was none.
    why_none: Option<&'a str>,
}

/// How a layer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum LayerState {
    /// Its image is in the registry and is proven.
    Succeeded,
    /// It failed.
    Failed,
    /// It was ended by request, or cut off, or is still worked at.
    NotFinished,
    /// It was not begun.
    NotStarted,
    /// It needed nothing.
    UpToDate,
}

/// Why a layer was not begun.
#[derive(Debug, Serialize, JsonSchema)]
struct NotStarted<'a> {
    /// What kind of reason: `parent-failed`, `run-failed`, `cancelled`.
    code: &'static str,
    /// The layer that failed, where one did.
    layer: Option<&'a str>,
    /// The reason in words.
    text: String,
}

/// Why a layer failed.
#[derive(Debug, Serialize, JsonSchema)]
struct Failure<'a> {
    /// What kind of failure.
    kind: FailureKind,
    /// What failed and why, in a line.
    message: &'a str,
    /// What to do about it.
    hints: &'a [String],
    /// The step that failed, where one did.
    step: Option<Step<'a>>,
    /// The file with all that the build wrote, on the machine that built.
    log: Option<String>,
}

/// The step that failed.
#[derive(Debug, Serialize, JsonSchema)]
struct Step<'a> {
    /// What BuildKit calls it.
    name: &'a str,
    /// The Dockerfile, relative to the catalog's root.
    dockerfile: Option<&'a str>,
    /// The lines of the Dockerfile around it.
    lines: Vec<Line<'a>>,
    /// The command's exit code.
    exit_code: Option<i32>,
    /// The last lines that it wrote, with secrets masked.
    output: &'a [String],
}

/// A line of a Dockerfile.
#[derive(Debug, Serialize, JsonSchema)]
struct Line<'a> {
    /// Its number, from 1.
    number: u32,
    /// The line.
    text: &'a str,
    /// Whether it belongs to the step that failed.
    failed: bool,
}

/// What came out of a probe.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Probe<'a> {
    /// What was proven: a tool's name, or an artifact's path.
    what: &'a str,
    /// The layer that declares it: the layer itself, or one that its image stands on.
    declared_by: &'a str,
    /// The platform.
    platform: &'a str,
    /// The command that was run; empty for an artifact.
    command: &'a [String],
    /// The text that its output has to hold.
    expected: Option<&'a str>,
    /// The last lines that it wrote.
    output: &'a [String],
    /// Why it is wrong; null where it is right.
    wrong: Option<&'a str>,
}

/// What became of the tags for people.
#[derive(Debug, Serialize, JsonSchema)]
struct Promotion<'a> {
    /// The tags that were moved.
    tags: Vec<Promoted<'a>>,
    /// Why none was, where that was said.
    skipped: Option<&'a str>,
}

/// A tag that was moved.
#[derive(Debug, Serialize, JsonSchema)]
struct Promoted<'a> {
    /// The layer.
    layer: &'a str,
    /// The image's name with the tag.
    tag: String,
    /// The digest that it stands for now.
    digest: &'a str,
    /// The digest that it stood for before.
    before: Option<&'a str>,
}

/// Something that did not stop anything.
#[derive(Debug, Serialize, JsonSchema)]
struct Warning<'a> {
    /// The layer that it is about.
    layer: Option<&'a str>,
    /// What.
    message: &'a str,
}

/// A run of the list.
#[derive(Debug, Serialize, JsonSchema)]
struct Run<'a> {
    /// Its name.
    run: &'a str,
    /// The command that ran: `build` or `verify`; null where it was cut off before it began.
    ran: Option<&'a str>,
    /// How it ended.
    outcome: RunState,
    /// When it began, in UTC.
    #[schemars(with = "Option<String>")]
    started: Option<Timestamp>,
    /// How long it took, in milliseconds.
    ms: u64,
    /// How many layers had which outcome.
    totals: Totals,
}

impl<'a> Sccache<'a> {
    fn new(used: &'a SccacheUse) -> Self {
        let SccacheUse { backend, hits, misses, errors, off } = used;
        Self { backend, hits: *hits, misses: *misses, errors: *errors, off: off.as_deref() }
    }
}

impl<'a> Oom<'a> {
    fn new((attempt, oom): &'a (u32, event::Oom)) -> Self {
        Self { attempt: *attempt, verdict: oom.verdict, evidence: &oom.evidence }
    }
}

impl<'a> Donor<'a> {
    fn new(donor: &'a run::Donor) -> Self {
        Self {
            tag: donor.tag.as_ref().map(ToString::to_string),
            digest: donor.digest.as_ref().map(|digest| digest.as_str()),
            why_none: donor.why_none.as_deref(),
        }
    }
}

impl Answer for Build<'_> {
    const NAME: &'static str = "build";
}

impl Answer for Report<'_> {
    const NAME: &'static str = "report";
}

impl Answer for ReportList<'_> {
    const NAME: &'static str = "report-list";
    const COMMAND: &'static str = "report";
}

impl<'a> Build<'a> {
    /// What a run came to; `running` where somebody still writes it down.
    pub fn new(summary: &'a Summary, running: bool) -> Self {
        let start = summary.start.as_ref();
        let promoted = |promoted: &'a run::Promoted| Promoted {
            layer: promoted.layer.as_str(),
            tag: promoted.tag.to_string(),
            digest: promoted.digest.as_str(),
            before: promoted.before.as_ref().map(|digest| digest.as_str()),
        };
        let warning = |warning: &'a run::Warning| Warning {
            layer: warning.layer.as_ref().map(|layer| layer.as_str()),
            message: &warning.message,
        };
        let skipped = summary.skipped.iter().map(|skipped| Layer::skipped(skipped, summary));
        Self {
            workspace: Workspace {
                catalog: start.map(|start| start.catalog.as_str()),
                registry: start.map(|start| start.registry.as_str()),
                namespace: start.map(|start| start.namespace.as_str()),
            },
            run: start.map(|start| start.run.as_str()),
            ran: start.map(|start| start.command.as_str()),
            lamina: start.map(|start| start.lamina.as_str()),
            outcome: RunState::new(summary, running),
            started: start.map(|start| start.at),
            ms: ms(summary.took()),
            engine: start.map(|start| start.engine.as_str()),
            jobs: start.map(|start| start.jobs),
            totals: Totals::new(summary),
            layers: summary.layers.iter().map(Layer::planned).chain(skipped).collect(),
            promotion: Promotion {
                tags: summary.promoted.iter().map(promoted).collect(),
                skipped: summary.not_promoted.as_deref(),
            },
            warnings: summary.warnings.iter().map(warning).collect(),
        }
    }
}

impl<'a> Report<'a> {
    /// What a run came to; `running` where somebody still writes it down.
    pub fn new(summary: &'a Summary, running: bool) -> Self {
        Self(Build::new(summary, running))
    }
}

impl<'a> ReportList<'a> {
    /// Runs with what they came to, and whether somebody still writes them down.
    pub fn new(runs: &'a [(event::RunId, Summary, bool)]) -> Self {
        let run = |(run, summary, running): &'a (event::RunId, Summary, bool)| Run {
            run: run.as_str(),
            ran: summary.start.as_ref().map(|start| start.command.as_str()),
            outcome: RunState::new(summary, *running),
            started: summary.start.as_ref().map(|start| start.at),
            ms: ms(summary.took()),
            totals: Totals::new(summary),
        };
        Self { runs: runs.iter().map(run).collect() }
    }
}

impl RunState {
    fn new(summary: &Summary, running: bool) -> Self {
        match summary.outcome() {
            Some(RunOutcome::Succeeded) => RunState::Succeeded,
            Some(RunOutcome::Failed) => RunState::Failed,
            Some(RunOutcome::Cancelled) => RunState::Cancelled,
            None if running => RunState::Running,
            None => RunState::CutOff,
        }
    }
}

impl Totals {
    fn new(summary: &Summary) -> Self {
        let mut totals = Self { up_to_date: summary.skipped.len(), ..Self::default() };
        for layer in &summary.layers {
            *match LayerState::from(&layer.state) {
                LayerState::Succeeded => &mut totals.succeeded,
                LayerState::Failed => &mut totals.failed,
                LayerState::NotFinished => &mut totals.not_finished,
                LayerState::NotStarted => &mut totals.not_started,
                LayerState::UpToDate => &mut totals.up_to_date,
            } += 1;
        }
        totals
    }
}

impl From<&State> for LayerState {
    fn from(state: &State) -> Self {
        match state {
            State::Ended(event::Outcome::Succeeded { .. }) => LayerState::Succeeded,
            State::Ended(event::Outcome::Failed { .. }) => LayerState::Failed,
            State::Ended(event::Outcome::Cancelled) | State::Running => LayerState::NotFinished,
            State::Ended(event::Outcome::NotRun { .. }) | State::Waiting => LayerState::NotStarted,
        }
    }
}

impl<'a> Layer<'a> {
    fn planned(summary: &'a LayerSummary) -> Self {
        let planned = &summary.planned;
        let built = summary.built.as_ref();
        let (not_started, failure) = match &summary.state {
            State::Ended(event::Outcome::NotRun { why }) => (Some(NotStarted::new(why)), None),
            State::Ended(event::Outcome::Failed { failure }) => (None, Some(Failure::new(failure))),
            _ => (None, None),
        };
        Self {
            layer: planned.layer.as_str(),
            outcome: LayerState::from(&summary.state),
            action: Some(planned.action),
            reason: &planned.reason,
            fingerprint: planned.fingerprint.to_string(),
            image: planned.image.to_string(),
            digest: built.map(|built| built.digest.as_str()),
            origin: built.map(|built| built.origin),
            size: built.and_then(|built| built.size),
            ms: summary.took.map(ms),
            expected_ms: planned.expected_ms,
            attempts: summary.attempts,
            retries: &summary.retries,
            oom: summary.oom.iter().map(Oom::new).collect(),
            steps_run: summary.steps_run,
            steps_cached: summary.steps_cached,
            donor: summary.donor.as_ref().map(Donor::new),
            sccache: summary.sccache.as_ref().map(Sccache::new),
            probes: summary.probes.iter().map(Probe::new).collect(),
            not_started,
            failure,
        }
    }

    fn skipped(skipped: &'a SkippedLayer, summary: &Summary) -> Self {
        let place = summary.start.as_ref().map(|start| format!("{}/{}/", start.registry, start.namespace));
        let (layer, tag) = (&skipped.layer, skipped.fingerprint.tag());
        Self {
            layer: layer.as_str(),
            outcome: LayerState::UpToDate,
            action: None,
            reason: &skipped.reason,
            fingerprint: skipped.fingerprint.to_string(),
            image: format!("{}{layer}:{tag}", place.unwrap_or_default()),
            digest: skipped.digest.as_ref().map(|digest| digest.as_str()),
            origin: None,
            size: None,
            ms: None,
            expected_ms: None,
            attempts: 0,
            retries: &[],
            oom: Vec::new(),
            steps_run: 0,
            steps_cached: 0,
            donor: None,
            sccache: None,
            probes: Vec::new(),
            not_started: None,
            failure: None,
        }
    }
}

impl<'a> NotStarted<'a> {
    fn new(why: &'a NotRun) -> Self {
        let (code, layer) = match why {
            NotRun::ParentFailed { parent } => ("parent-failed", Some(parent.as_str())),
            NotRun::RunFailed { layer } => ("run-failed", Some(layer.as_str())),
            NotRun::Cancelled => ("cancelled", None),
        };
        Self { code, layer, text: run::not_run(why) }
    }
}

impl<'a> Failure<'a> {
    fn new(failure: &'a event::Failure) -> Self {
        Self {
            kind: failure.kind,
            message: &failure.message,
            hints: &failure.hints,
            step: failure.step.as_ref().map(Step::new),
            log: failure.log.as_ref().map(|log| log.display().to_string()),
        }
    }
}

impl<'a> Step<'a> {
    fn new(step: &'a StepFailure) -> Self {
        let line = |(number, text): &'a (u32, String)| {
            let failed = step.span.is_some_and(|(first, last)| (first..=last).contains(number));
            Line { number: *number, text, failed }
        };
        Self {
            name: &step.name,
            dockerfile: step.dockerfile.as_deref(),
            lines: step.lines.iter().map(line).collect(),
            exit_code: step.exit_code,
            output: &step.output,
        }
    }
}

impl<'a> Probe<'a> {
    /// A result as it stands in answers.
    pub(super) fn new(probe: &'a event::ProbeResult) -> Self {
        Self {
            what: &probe.what,
            declared_by: probe.declared_by.as_str(),
            platform: &probe.platform,
            command: &probe.command,
            expected: probe.expected.as_deref(),
            output: &probe.output,
            wrong: probe.wrong.as_deref(),
        }
    }
}

fn ms(took: std::time::Duration) -> u64 {
    u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
}
