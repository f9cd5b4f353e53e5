use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::join_all;
use tempfile::NamedTempFile;

use super::Format;
use super::caching::CacheArgs;
use super::context::Context;
use super::error::CommandError;
use super::events::{self, EventArgs};
use super::exit::Exit;
use super::images::RegistryArgs;
use super::planning::{self, PlanArgs, Planned};
use super::pool::{self, RunnerArgs};
use super::progress::ProgressArgs;
use super::sizing;
use crate::cache::Session;
use crate::engine::{About, Engine};
use crate::event::{self, Action, FailureKind, Kind, PlannedLayer, Reader, RunId, RunOutcome, SkippedLayer};
use crate::history::Retention;
use crate::host::clock::{Clock, System};
use crate::host::signal::Signals;
use crate::model::{Fingerprint, LayerName, secret_variable};
use crate::notify::Delivery;
use crate::plan::Plan;
use crate::publish::{DonorImage, PromoteError};
use crate::report::json::build::Build;
use crate::report::run::{self as report, Style, Summary};
use crate::report::{json, reason};
use crate::run::compose::{Places, compose};
use crate::run::hooks::HookSettings;
use crate::run::scheduler::Options;
use crate::run::secrets::{GivenSecret, GivenSsh, Missing, Secrets, SecretsError};
use crate::run::staging::Copies;
use crate::run::{self, Attest, Ended, Promote, Settings, Work};
use crate::runner::Pool;
use crate::runner::providers::orchestrator::Reporter;
use crate::snapshot::Snapshot;
use crate::tree;

/// How often a layer is tried where a fault may pass.
const ATTEMPTS: u32 = 3;

/// The fewest layers at a time by default: a build waits for the network more than for a processor.
const FEWEST_JOBS: usize = 4;

/// Build layers in order, parents before children, prove their images, and move the tags for people
///
/// A layer whose image the registry has is not built again. Progress goes to stderr, the report to stdout.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lamina build --all
  lamina build rust --dependents --jobs 8
  lamina build --since origin/main --keep-going --promote none
  lamina build --all --dry-run
  lamina build stratumiops --clean
  lamina build fastembed --secret id=token,src=token.txt
  lamina build --directives examples/directives/session.ncl
  lamina plan --all --format json > plan.json && lamina build --plan plan.json")]
pub struct Args {
    #[command(flatten)]
    wanted: PlanArgs,
    /// Run the plan in FILE, which `lamina plan --format json` has written
    #[arg(long = "plan", value_name = "FILE", conflicts_with_all = PLANNING)]
    plan: Option<PathBuf>,
    /// Do what the directives in FILE say, whatever else the command line says (schemas/directives.ncl)
    #[arg(long, value_name = "FILE")]
    directives: Option<PathBuf>,
    /// Print the commands that would be run, a line each, and run none
    #[arg(long)]
    dry_run: bool,
    /// The most layers at a time [default: a layer a processor, and at least 4]
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: Option<u16>,
    /// After a failure, go on with all layers that do not need the failed one
    #[arg(long, short)]
    keep_going: bool,
    /// Which tags for people are moved, and when
    #[arg(long, value_name = "WHEN", value_enum, default_value_t)]
    promote: PromoteWhen,
    /// What is written down of each image that was built, beside it in the registry
    #[arg(long, value_name = "WHAT", value_enum, default_value_t)]
    attest: AttestWhat,
    /// Where a secret is: id=ID,src=FILE or id=ID,env=NAME; may be repeated [default: LAMINA_SECRET_ID]
    #[arg(long, value_name = "SECRET")]
    secret: Vec<GivenSecret>,
    /// An SSH key or socket: ID=PATH; may be repeated [default: the agent of SSH_AUTH_SOCK]
    #[arg(long, value_name = "SSH")]
    ssh: Vec<GivenSsh>,
    /// Cook from nothing: give no build an earlier image of its layer as donor of compiled crates
    #[arg(long)]
    clean: bool,
    #[command(flatten)]
    cache: CacheArgs,
    /// Set the times in images to this moment, where the engine can
    #[arg(long, value_name = "SECONDS", env = "SOURCE_DATE_EPOCH", hide_env_values = true)]
    source_date_epoch: Option<u64>,
    #[command(flatten)]
    runners: RunnerArgs,
    #[command(flatten)]
    progress: ProgressArgs,
    /// How the answer looks
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    events: EventArgs,
    #[command(flatten)]
    registry: RegistryArgs,
}

/// What a saved plan has answered already.
const PLANNING: [&str; 11] = [
    "layers",
    "all",
    "changed",
    "since",
    "unknown",
    "dependents",
    "no_dependents",
    "only",
    "no_ancestors",
    "force",
    "frozen",
];

/// Which tags for people are moved, and when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum PromoteWhen {
    /// Those of each layer, as soon as it is proven
    Each,
    /// Those of all selected layers, when every layer is good
    #[default]
    All,
    /// None
    None,
}

/// What is written down of the images that were built.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum AttestWhat {
    /// What it was made from: SLSA provenance
    #[default]
    Provenance,
    /// That, and what is in it: an SBOM in SPDX
    All,
    /// Nothing
    None,
}

pub fn run(context: &Context<'_>, args: &Args) -> Result<Exit, CommandError> {
    let planned = match &args.plan {
        Some(file) => planning::saved(context, file)?,
        None => args.wanted.plan(context, &args.registry)?,
    };
    let planned = if args.dry_run { planned } else { planning::with_platforms(context, &args.registry, planned)? };
    let Planned { snapshot, plan, .. } = planned;
    let (secrets, _sccache) = find_secrets(context, args, &snapshot, &plan)?;
    let built = plan.steps.iter().filter(|step| step.action == Action::Build).map(|step| &step.layer);
    let cache = args.cache.session(&snapshot, built)?;
    if args.dry_run {
        let engine = if plan.steps.is_empty() { None } else { Some(args.runners.engine.open(context)?) };
        let donors = find_donors(context, args, &snapshot, &plan)?;
        context.ui.answer(&commands((args, cache.as_ref()), &snapshot, &plan, &secrets, donors, engine.as_deref()))?;
        return Ok(Exit::Success);
    }
    build(context, args, Arc::new(snapshot), &plan, &secrets, cache)
}

fn build(
    context: &Context<'_>,
    args: &Args,
    snapshot: Arc<Snapshot>,
    plan: &Plan,
    secrets: &Secrets,
    cache: Option<Session>,
) -> Result<Exit, CommandError> {
    let run = RunId::new(System.now(), fastrand::u32(..));
    let host = match pool::host(context, &snapshot, args.cache.who.workspace.as_ref()) {
        Err(error) if !plan.steps.is_empty() => return Err(error),
        host => host.ok(),
    };
    let pool = match &host {
        Some(host) if !plan.steps.is_empty() => Some(args.runners.pool(context, &snapshot, host, &run)?),
        _ => None,
    };
    let history = context.history();
    if let (Err(error), false) = (&history, plan.steps.is_empty()) {
        context.ui.remark(&format!("the run is not written down: {}", error.message));
    }
    let summary = Rc::new(RefCell::new(Summary::default()));
    let mut readers: Vec<Box<dyn Reader>> = vec![Box::new(Shared(Rc::clone(&summary)))];
    readers.extend(args.progress.readers(context.ui));
    if let Ok(history) = &history {
        readers.push(Box::new(history.journal(Retention::default())));
    }
    let delivery = args.events.open(context, &snapshot, workspace(args, &snapshot)).map(|(notifier, delivery)| {
        readers.push(Box::new(notifier));
        delivery
    });
    let log = |layer: &LayerName| Some(history.as_ref().ok()?.log(&run, layer));
    let jobs = args.jobs();
    let rows: Vec<_> = pool.iter().flat_map(Pool::sources).map(|source| source.row.clone()).collect();
    let planned = plan.steps.iter().map(|step| &step.layer);
    let sizes = sizing::sizes(context, &snapshot, planned, &rows, host.as_ref(), args.runners.size);
    let reporter = host.as_ref().and_then(|host| Reporter::new(rows.iter(), host));
    let telling = reporter.as_ref().map(Reporter::telling);
    readers.extend(reporter.map(|reporter| Box::new(reporter) as Box<dyn Reader>));
    let settings = Settings {
        schedule: Options { jobs, keep_going: args.keep_going, attempts: ATTEMPTS },
        sizes,
        promote: args.promote.into(),
        attest: args.attest.into(),
        cache,
        source_date_epoch: args.source_date_epoch,
        donors: donors(context, args),
        hooks: hooks(context, args, &snapshot, secrets),
        revision: if plan.steps.is_empty() { None } else { tree::clean_revision(context.root()) },
        log: &log,
    };
    let started = started(&snapshot, plan, &pool.as_ref().map(where_built).unwrap_or_default(), jobs);
    let ended = context.ask(&args.registry, &Arc::clone(&snapshot), async |registry| {
        let mut signals = Signals::listen().map_err(|error| CommandError::failure("signals can't be heard", error))?;
        if let (Some(pool), Some(host)) = (&pool, &host) {
            pool::sweep_stale(context, pool, host).await;
        }
        let pool = pool.as_ref();
        let work = Work {
            run: run.clone(),
            snapshot,
            plan,
            pool,
            registry,
            stage: &Copies,
            secrets,
            settings,
            clock: &System,
        };
        let running = run::run(&work, started, &mut readers, &mut signals);
        // Runners are given back also where lamina itself is wrong.
        let ended = AssertUnwindSafe(running).catch_unwind().await;
        if let Some(pool) = pool {
            pool::close(context, pool).await;
        }
        if let Some(telling) = telling {
            telling.end().await;
        }
        let ended = ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        ended.map_err(|error| CommandError::new(Exit::Failure, format!("the plan can't be run: {error}")))
    })??;
    // What they still draw is taken away before the answer comes.
    drop(readers);
    if let Some(trouble) = delivery.and_then(Delivery::finish) {
        context.ui.remark(&format!("warning: {trouble}"));
    }
    let summary = summary.borrow();
    let style = Style { color: context.ui.answer_color(), running: false };
    context.ui.answer(&match args.format {
        Format::Text => report::text(&summary, style),
        Format::Json => json::answer(Build::new(&summary, false)),
    })?;
    Ok(exit(&ended))
}

impl Args {
    /// The file with a caller's directives.
    pub fn directives(&self) -> Option<&Path> {
        self.directives.as_deref()
    }

    fn jobs(&self) -> usize {
        let processors = || std::thread::available_parallelism().map_or(FEWEST_JOBS, usize::from).max(FEWEST_JOBS);
        self.jobs.map_or_else(processors, usize::from)
    }
}

/// A reader that somebody else looks into afterwards.
struct Shared(Rc<RefCell<Summary>>);

impl Reader for Shared {
    fn read(&mut self, event: &event::Event) {
        self.0.borrow_mut().read(event);
    }
}

/// The code of a run: of several failures, the one that is the layers' own.
fn exit(ended: &Ended) -> Exit {
    let of_engine = |kind: &FailureKind| matches!(kind, FailureKind::Engine | FailureKind::Runner);
    let of_registry = |kind: &FailureKind| matches!(kind, FailureKind::Registry | FailureKind::Unauthorized);
    let failures = &ended.failures;
    match ended.outcome {
        RunOutcome::Cancelled => Exit::Interrupted,
        _ if failures.iter().any(|kind| !of_engine(kind) && !of_registry(kind)) => Exit::Build,
        _ if failures.iter().any(of_engine) => Exit::Engine,
        _ if ended.promotion.iter().any(|error| matches!(error, PromoteError::Refused { .. })) => Exit::Build,
        RunOutcome::Failed => Exit::Registry,
        RunOutcome::Succeeded => Exit::Success,
    }
}

/// What builds, for people.
fn where_built(pool: &Pool) -> String {
    let names: Vec<&str> = pool.sources().iter().map(|source| source.row.name.as_str()).collect();
    match pool.at_hand() {
        Some(About { client, version, endpoint, .. }) => format!("{client} {version} at {endpoint}"),
        None => format!("runners of {}", names.join(", ")),
    }
}

/// The first event.
fn started(snapshot: &Snapshot, plan: &Plan, engine: &str, jobs: usize) -> Kind {
    let config = snapshot.catalog.config.as_ref();
    let layer = |step: &crate::plan::Step| PlannedLayer {
        layer: step.layer.clone(),
        action: step.action,
        fingerprint: step.fingerprint,
        image: step.image.clone(),
        reason: reason::all_planned(&step.reasons),
        needs: step.needs.iter().cloned().collect(),
        expected_ms: step.expected.map(|expected| u64::try_from(expected.as_millis()).unwrap_or(u64::MAX)),
    };
    let skipped = |skipped: &crate::plan::Skipped| SkippedLayer {
        layer: skipped.layer.clone(),
        fingerprint: skipped.fingerprint,
        digest: Some(skipped.digest.clone()),
        reason: reason::skipped(&skipped.reason).to_owned(),
    };
    Kind::RunStarted {
        version: event::VERSION,
        lamina: env!("CARGO_PKG_VERSION").to_owned(),
        command: "build".to_owned(),
        catalog: config.map(|config| config.name.clone()).unwrap_or_default(),
        registry: config.map(|config| config.registry.clone()).unwrap_or_default(),
        namespace: config.map(|config| config.namespace.clone()).unwrap_or_default(),
        jobs: u32::try_from(jobs).unwrap_or(u32::MAX),
        engine: engine.to_owned(),
        layers: plan.steps.iter().map(layer).collect(),
        skipped: plan.skipped.iter().map(skipped).collect(),
    }
}

/// The workspace that others are told of.
fn workspace(args: &Args, snapshot: &Snapshot) -> String {
    events::workspace(snapshot, args.cache.who.workspace.as_ref())
}

/// The secrets of what is built. The second is the file with the settings of sccache, which goes with the value.
fn find_secrets(
    context: &Context<'_>,
    args: &Args,
    snapshot: &Snapshot,
    plan: &Plan,
) -> Result<(Secrets, Option<NamedTempFile>), CommandError> {
    let layers = || snapshot.layers().map(|loaded| &loaded.layer.build);
    let ids: BTreeSet<&str> = layers().flat_map(|build| &build.secrets).map(|secret| secret.id.as_str()).collect();
    let agents: BTreeSet<&str> = layers().flat_map(|build| &build.ssh).map(String::as_str).collect();
    if let Some(given) = args.secret.iter().find(|given| !ids.contains(given.id.as_str())) {
        return Err(CommandError::unknown("secret", &given.id, ids.iter().copied()));
    }
    if let Some(given) = args.ssh.iter().find(|given| !agents.contains(given.id.as_str())) {
        return Err(CommandError::unknown("SSH agent", &given.id, agents.iter().copied()));
    }
    let built = plan.steps.iter().filter(|step| step.action == Action::Build);
    let built = built.filter_map(|step| snapshot.layer(&step.layer));
    // A client runs elsewhere than lamina was started.
    let secret: Vec<GivenSecret> = args.secret.iter().map(|given| given.clone().below(context.folder())).collect();
    let ssh: Vec<GivenSsh> = args.ssh.iter().map(|given| given.clone().below(context.folder())).collect();
    let env = |name: &str| std::env::var_os(name);
    let unusable = |error: SecretsError| {
        let hints: Vec<String> = match &error {
            SecretsError::Missing(all) => all.iter().map(hint).collect(),
            SecretsError::Unusable { .. } => Vec::new(),
        };
        hints.into_iter().fold(CommandError::new(Exit::Failure, error.to_string()), CommandError::hint)
    };
    let mut found = Secrets::find(built.clone(), &secret, &ssh, env).map_err(unusable)?;
    let settings = snapshot.catalog.config.as_ref().and_then(|config| config.sccache.as_ref());
    // What is only shown names the credentials as they were given.
    let sccache = match settings.filter(|_| !args.dry_run) {
        Some(settings) => {
            let session = args.cache.unchecked(snapshot)?;
            run::sccache::give(&mut found, settings, &session, built, env).map_err(unusable)?
        }
        None => None,
    };
    for (id, layers) in &found.absent {
        let layers = layers.iter().map(LayerName::as_str).collect::<Vec<_>>().join(", ");
        let variable = secret_variable(id);
        context.ui.remark(&format!("{layers}: without the optional secret `{id}` (--secret id={id},…, or {variable})"));
    }
    Ok((found, sccache))
}

fn hint(missing: &Missing) -> String {
    match missing {
        Missing::Secret { id, variable, .. } => {
            format!("give `{id}` by --secret id={id},src=FILE or id={id},env=NAME, or in the variable {variable}")
        }
        Missing::Ssh { id, .. } => format!("start an SSH agent, or give a key by --ssh {id}=PATH"),
    }
}

fn hooks(context: &Context<'_>, args: &Args, snapshot: &Snapshot, secrets: &Secrets) -> HookSettings {
    let is_secret = |name: &std::ffi::OsStr| {
        let of_source = secrets
            .sources
            .values()
            .any(|source| matches!(source, crate::engine::SecretSource::Env(env) if **env == *name));
        of_source || name.as_encoded_bytes().starts_with(b"LAMINA_SECRET_")
    };
    HookSettings {
        root: context.root().to_owned(),
        env: std::env::vars_os().filter(|(name, _)| !is_secret(name)).collect(),
        lamina: Some(context.program().to_owned()),
        workspace: workspace(args, snapshot),
    }
}

/// What builds may take compiled crates from: each layer's last good image, also the one that this machine has built
/// last. None where it is to cook from nothing.
fn donors(context: &Context<'_>, args: &Args) -> Option<BTreeMap<LayerName, Fingerprint>> {
    let built = || context.history().map(|history| history.layers().good()).unwrap_or_default();
    (!args.clean).then(built)
}

/// The donors of all builds, and on stderr why others have none.
fn find_donors(
    context: &Context<'_>,
    args: &Args,
    snapshot: &Snapshot,
    plan: &Plan,
) -> Result<BTreeMap<LayerName, DonorImage>, CommandError> {
    let Some(last) = donors(context, args) else { return Ok(BTreeMap::new()) };
    let builds: Vec<&LayerName> =
        plan.steps.iter().filter(|step| step.action == Action::Build).map(|step| &step.layer).collect();
    let found = context.ask(&args.registry, snapshot, async |registry| {
        let find = builds.iter().map(|layer| run::donor::find(registry, snapshot, layer, last.get(*layer).copied()));
        join_all(find).await
    })?;
    let mut donors = BTreeMap::new();
    for (layer, found) in builds.into_iter().zip(found) {
        match found {
            Some(Ok(donor)) => drop(donors.insert(layer.clone(), donor)),
            Some(Err(no)) => context.ui.remark(&format!("{layer}: no donor: {no}")),
            None => {}
        }
    }
    Ok(donors)
}

/// The commands of all builds, a line each.
fn commands(
    (args, cache): (&Args, Option<&Session>),
    snapshot: &Snapshot,
    plan: &Plan,
    secrets: &Secrets,
    mut donors: BTreeMap<LayerName, DonorImage>,
    engine: Option<&dyn Engine>,
) -> String {
    let mut text = String::new();
    let Some(engine) = engine else { return text };
    for step in plan.steps.iter().filter(|step| step.action == Action::Build) {
        let Some(layer) = snapshot.layer(&step.layer) else { continue };
        // The real ones are copies in a temporary folder.
        let folder = PathBuf::from(format!("<copy of {}>", step.layer));
        let contexts = layer.build.contexts.iter().map(|(name, path)| (name.clone(), folder.join(path.as_str())));
        let places = Places {
            dockerfile: folder.join(layer.build.dockerfile.as_str()),
            context: folder.join(layer.build.context.as_str()),
            contexts: contexts.collect::<BTreeMap<_, _>>(),
            donor: donors.remove(&step.layer),
        };
        let how = (cache, args.source_date_epoch);
        let Some(solve) = compose(snapshot, step, layer, &step.present, places, secrets, how) else { continue };
        let words: Vec<String> = engine.command(&solve).iter().map(|word| quoted(word)).collect();
        text.push_str(&words.join(" "));
        text.push('\n');
    }
    text
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

impl From<PromoteWhen> for Promote {
    fn from(when: PromoteWhen) -> Self {
        match when {
            PromoteWhen::Each => Promote::Each,
            PromoteWhen::All => Promote::All,
            PromoteWhen::None => Promote::None,
        }
    }
}

impl From<AttestWhat> for Attest {
    fn from(what: AttestWhat) -> Self {
        match what {
            AttestWhat::Provenance => Attest::Provenance,
            AttestWhat::All => Attest::All,
            AttestWhat::None => Attest::None,
        }
    }
}
