//! All that is true in a simulated world, whoever was told what.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use fastrand::Rng;
use jiff::Timestamp;
use lamina::event::{Event, Kind, NotRun, Outcome, RunOutcome};
use lamina::host::clock::Clock;
use lamina::model::{Digest, ImageRef, LayerName, Size};
use lamina::plan::{Image, Plan};
use lamina::run::{Ended, Promote};
use lamina::runner::{LeaseId, Record, Swept};
use lamina::size::Sizing;
use lamina::snapshot::{Probes, Snapshot};
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

/// A clock that stands still while somebody works, and jumps while all wait.
pub struct Virtual(Instant);

impl Virtual {
    pub fn new() -> Self {
        Self(Instant::now())
    }
}

impl Clock for Virtual {
    fn now(&self) -> Timestamp {
        let begun: Timestamp = "2026-11-22T00:00:00Z".parse().unwrap();
        begun.checked_add(self.0.elapsed()).unwrap()
    }
}

/// A runner that lives.
#[derive(Clone, Debug)]
pub struct Runner {
    pub source: String,
    pub size: Size,
    /// Whether its engine answers.
    pub is_sound: bool,
    /// Whether the kernel has killed something on it because memory ran out.
    pub has_killed: bool,
}

/// How much happened.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    pub leases: u64,
    pub lost_answers: u64,
    pub releases_failed: u64,
    pub builds: u64,
    pub builds_failed: u64,
    pub out_of_memory: u64,
    pub larger_runners: u64,
    pub retries: u64,
    pub bad_images: u64,
    pub promotions: u64,
    pub interrupted: u64,
    pub killed: u64,
    pub registry_failures: u64,
    pub succeeded: u64,
    pub laws: u64,
}

impl Totals {
    fn all(&mut self) -> [&mut u64; 15] {
        let Self {
            leases,
            lost_answers,
            releases_failed,
            builds,
            builds_failed,
            out_of_memory,
            larger_runners,
            retries,
            bad_images,
            promotions,
            interrupted,
            killed,
            registry_failures,
            succeeded,
            laws,
        } = self;
        [
            leases,
            lost_answers,
            releases_failed,
            builds,
            builds_failed,
            out_of_memory,
            larger_runners,
            retries,
            bad_images,
            promotions,
            interrupted,
            killed,
            registry_failures,
            succeeded,
            laws,
        ]
    }

    pub fn add(&mut self, other: &Totals) {
        let mut other = other.clone();
        self.all().into_iter().zip(other.all()).for_each(|(sum, one)| *sum += *one);
    }

    /// Whether everything that can happen has happened.
    pub fn is_eventful(&self) -> bool {
        self.clone().all().into_iter().all(|count| *count > 0)
    }
}

#[derive(Default)]
pub struct State {
    tags: BTreeMap<String, Digest>,
    manifests: BTreeMap<Digest, (String, Vec<u8>)>,
    blobs: BTreeMap<Digest, Vec<u8>>,
    /// The images that are not what their layers declare.
    bad: BTreeSet<Digest>,
    pub runners: BTreeMap<String, Runner>,
    pub ledger: BTreeMap<LeaseId, Record>,
    /// The leases whose release failed at some time.
    pub release_failed: BTreeSet<String>,
    /// How much memory the builds of layers take, in MiB.
    needs: BTreeMap<String, u64>,
    /// The layers with something to prove.
    probed: BTreeSet<String>,
    planned: BTreeMap<LayerName, ImageRef>,
    finished: BTreeMap<LayerName, Vec<Outcome>>,
    larger: BTreeMap<LayerName, u32>,
    attempts: BTreeMap<LayerName, u32>,
    leased: BTreeMap<LayerName, Size>,
    promote: Promote,
    has_promoted: bool,
    is_over: bool,
    totals: Totals,
    story: Vec<String>,
    broken: Vec<String>,
    healed: bool,
}

/// A world, with all that is random in it.
pub struct World {
    pub seed: u64,
    /// How much goes wrong: 1 is what the calls say.
    level: f64,
    random: Mutex<Rng>,
    state: Mutex<State>,
}

impl World {
    pub fn new(seed: u64) -> Self {
        let mut random = Rng::with_seed(seed);
        let level = [0.0, 0.3, 1.0, 1.0, 3.0][random.usize(..5)];
        Self { seed, level, random: Mutex::new(random), state: Mutex::default() }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub fn chance(&self, of: f64) -> bool {
        self.random.lock().unwrap().f64() < of
    }

    /// Whether something goes wrong now.
    pub fn fails(&self, of: f64) -> bool {
        self.chance(of * self.level) && !self.state().healed
    }

    pub fn between(&self, from: usize, to: usize) -> usize {
        self.random.lock().unwrap().usize(from..=to)
    }

    pub fn pick<T: Copy>(&self, from: &[T]) -> T {
        from[self.between(0, from.len() - 1)]
    }

    /// Some time goes by.
    pub async fn wait_up_to(&self, ms: usize) {
        tokio::time::sleep(Duration::from_millis(self.between(0, ms) as u64)).await;
    }

    /// When somebody asks the run to end, each after the one before.
    pub fn interrupts(&self) -> Vec<Duration> {
        let mut at = Vec::new();
        if self.level > 0.0 && self.chance(0.2) {
            at.push(Duration::from_millis(self.between(0, 3_600_000) as u64));
            if self.chance(0.5) {
                at.push(Duration::from_millis(self.between(0, 20_000) as u64));
            }
            self.state().totals.interrupted += 1;
        }
        at
    }

    /// When lamina is killed, if it is.
    pub fn stop(&self) -> Option<Duration> {
        if self.level == 0.0 || !self.chance(0.25) {
            return None;
        }
        self.state().totals.killed += 1;
        // Many at the beginning, where leases are asked for.
        let longest = self.pick(&[5_000, 60_000, 3_600_000]);
        Some(Duration::from_millis(self.between(0, longest) as u64))
    }

    /// Nothing goes wrong any more.
    pub fn heal(&self) {
        self.state().healed = true;
    }

    pub fn tell(&self, what: String) {
        self.state().story.push(what);
    }

    /// Something that has to hold.
    pub fn law(&self, law: &str, holds: bool, but: &str) {
        let mut state = self.state();
        state.totals.laws += 1;
        if !holds {
            state.broken.push(format!("{law}: {but}"));
            state.story.push(format!("BROKEN {law}: {but}"));
        }
    }

    pub fn story(&self) -> Vec<String> {
        self.state().story.clone()
    }

    pub fn broken(&self) -> Vec<String> {
        self.state().broken.clone()
    }

    pub fn totals(&self) -> Totals {
        self.state().totals.clone()
    }

    pub fn count(&self, count: impl FnOnce(&mut Totals)) {
        count(&mut self.state().totals);
    }

    /// What the registry has of a layer when the run is planned: as a rule nothing.
    pub fn image_before(&self, name: &LayerName, snapshot: &Snapshot) -> Image {
        let need = self.pick(&[1_000, 3_000, 3_000, 3_000, 6_000, 12_000, 30_000]);
        let mut state = self.state();
        state.needs.insert(name.to_string(), need);
        if snapshot.layer(name).is_some_and(|layer| !layer.tools.is_empty()) {
            state.probed.insert(name.to_string());
        }
        Image::Missing
    }

    pub fn sizes(&self, snapshot: &Snapshot) -> BTreeMap<LayerName, Sizing> {
        let tiers = crate::tiers();
        let sized = |name: &LayerName| {
            let loaded = snapshot.catalog.layers.get(name)?;
            let sizing = || Sizing::of(loaded, &snapshot.catalog.files, None, &tiers);
            self.chance(0.8).then(|| (name.clone(), sizing()))
        };
        snapshot.graph.names().filter_map(sized).collect()
    }

    pub fn planned(&self, plan: &Plan) {
        self.state().planned = plan.steps.iter().map(|step| (step.layer.clone(), step.image.clone())).collect();
    }

    pub fn promotes(&self, promote: Promote) {
        self.state().promote = promote;
    }

    pub fn need(&self, layer: &str) -> u64 {
        self.state().needs.get(layer).copied().unwrap_or_default()
    }

    pub fn tag(&self, image: &ImageRef) -> Option<Digest> {
        self.state().tags.get(&image.to_string()).cloned()
    }

    pub fn tags(&self, image: &ImageRef) -> Vec<String> {
        let start = format!("{}/{}:", image.registry(), image.repository());
        let state = self.state();
        state.tags.keys().filter_map(|tag| tag.strip_prefix(&start)).map(str::to_owned).collect()
    }

    pub fn manifest(&self, digest: &Digest) -> Option<(String, Vec<u8>)> {
        self.state().manifests.get(digest).cloned()
    }

    pub fn blob(&self, digest: &Digest) -> Option<Vec<u8>> {
        self.state().blobs.get(digest).cloned()
    }

    pub fn keep_blob(&self, digest: &Digest, bytes: Vec<u8>) -> bool {
        self.state().blobs.insert(digest.clone(), bytes).is_none()
    }

    /// An image that is not what its layer declares is in the registry.
    pub fn is_bad(&self, digest: &Digest) -> bool {
        self.state().bad.contains(digest)
    }

    pub fn mark_bad(&self, digest: &Digest) {
        let mut state = self.state();
        state.bad.insert(digest.clone());
        state.totals.bad_images += 1;
    }

    /// Whether an image may be used: its proof is there, or there is nothing to prove.
    pub fn is_proven(&self, image: &ImageRef, digest: &Digest) -> bool {
        let state = self.state();
        let proof = image.with_tag(&Probes::tag(digest)).unwrap();
        !state.probed.contains(image.short_name()) || state.tags.contains_key(&proof.to_string())
    }

    /// A tag stands for a manifest from now on.
    pub fn put(&self, image: &ImageRef, digest: &Digest, media_type: &str, bytes: Vec<u8>) {
        if image.tag() == "latest" {
            let is_bad = self.is_bad(digest) && self.state().probed.contains(image.short_name());
            let (promote, is_over) = {
                let state = self.state();
                (state.promote, state.is_over)
            };
            self.law("only good images are promoted", !is_bad, &image.to_string());
            self.law("only proven images are promoted", self.is_proven(image, digest), &image.to_string());
            self.law("nothing is promoted that is not to be", promote != Promote::None, &image.to_string());
            self.law("nothing is promoted after the end", !is_over, &image.to_string());
            if promote == Promote::All {
                let state = self.state();
                let good = |name: &LayerName| {
                    state.finished.get(name).is_some_and(|ends| matches!(ends[..], [Outcome::Succeeded { .. }]))
                };
                let all = state.planned.keys().all(good);
                drop(state);
                self.law("all or nothing is promoted", all, &image.to_string());
            }
            self.state().has_promoted = true;
        }
        let mut state = self.state();
        state.manifests.insert(digest.clone(), (media_type.to_owned(), bytes));
        state.tags.insert(image.to_string(), digest.clone());
    }

    /// An event of the run.
    pub fn told(&self, event: &Event) {
        let mut laws: Vec<(&str, bool, String)> = Vec::new();
        let mut state = self.state();
        state.story.push(format!("{} {:?}", event.at, event.kind));
        match &event.kind {
            Kind::LayerStarted { layer, attempt, .. } => {
                state.attempts.insert(layer.clone(), *attempt);
                laws.push(("a layer is tried four times at most", *attempt <= 4, layer.to_string()));
            }
            Kind::Leased { layer, size, .. } => {
                let before = state.leased.insert(layer.clone(), *size);
                let larger = state.larger.get(layer).copied().unwrap_or_default();
                if let (1, Some(before)) = (larger, before) {
                    let holds = before.fits(*size);
                    laws.push(("after memory ran out no smaller runner is leased", holds, layer.to_string()));
                }
            }
            Kind::Retrying { layer, oom, .. } => {
                state.totals.retries += 1;
                if oom.is_some() {
                    state.totals.larger_runners += 1;
                    let count = state.larger.entry(layer.clone()).or_default();
                    *count += 1;
                    let holds = *count == 1;
                    laws.push(("memory earns one larger runner", holds, layer.to_string()));
                }
            }
            Kind::LayerFinished { layer, outcome, .. } => {
                let ends = state.finished.entry(layer.clone()).or_default();
                ends.push(outcome.clone());
                let holds = ends.len() == 1;
                laws.push(("a layer ends once", holds, layer.to_string()));
                if let Outcome::NotRun { why: NotRun::ParentFailed { parent } } = outcome {
                    let failed = state.finished.get(parent).is_some_and(|ends| !ends.is_empty());
                    laws.push(("a parent that failed has ended", failed, layer.to_string()));
                }
            }
            Kind::Promoted { .. } => state.totals.promotions += 1,
            _ => {}
        }
        drop(state);
        for (law, holds, but) in laws {
            self.law(law, holds, &but);
        }
    }

    /// The pool has given back all that it had.
    pub fn closed(&self, left: &[Swept]) {
        for swept in left {
            let Swept { record, error } = swept;
            self.tell(format!("at the end, {}: {error:?}", record.lease));
        }
    }

    /// The run has said how it ended.
    pub fn ended(&self, ended: &Ended) {
        let state = self.state();
        let (planned, finished) = (state.planned.clone(), state.finished.clone());
        drop(state);
        let mut all_good = true;
        for (name, image) in &planned {
            let outcome = finished.get(name).and_then(|ends| ends.first());
            self.law("every layer ends", outcome.is_some(), name.as_str());
            let Some(Outcome::Succeeded { built }) = outcome else {
                all_good = false;
                continue;
            };
            self.count(|totals| totals.succeeded += 1);
            let is_there = self.manifest(&built.digest).is_some();
            self.law("a layer that succeeded has its image", is_there, &image.to_string());
            self.law("a layer that succeeded is proven", self.is_proven(image, &built.digest), &image.to_string());
            let is_bad = self.is_bad(&built.digest) && self.state().probed.contains(name.as_str());
            self.law("no false success", !is_bad, &image.to_string());
        }
        let succeeded = ended.outcome == RunOutcome::Succeeded;
        self.law("a run that succeeded has only good layers", !succeeded || all_good, &format!("{finished:?}"));
        self.state().is_over = true;
    }
}

/// The digest of bytes.
pub fn digest_of(bytes: &[u8]) -> Digest {
    let hash: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hash}").parse().unwrap()
}
