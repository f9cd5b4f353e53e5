//! An engine on a runner: it builds, proves, runs out of memory, loses its connection, and says what it likes.

use std::fs;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use lamina::engine::{About, Engine, Output, Progress, Solve, SolveError, Solved};
use lamina::event::{FailureKind, StepStatus};
use lamina::model::{Digest, ImageRef};
use serde_json::json;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::world::{Runner, World, digest_of};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// What the engine at hand has, in MiB.
const AT_HAND: u64 = 8_192;

/// An engine.
pub struct Simulated {
    world: Arc<World>,
    /// The runner that it is on; none for the engine at hand.
    lease: Option<String>,
    about: About,
}

impl Simulated {
    pub fn new(world: &Arc<World>, lease: Option<String>) -> Self {
        let about = About {
            client: "simulated".to_owned(),
            version: "1".to_owned(),
            endpoint: lease.clone().unwrap_or_default(),
            rewrites_timestamps: false,
        };
        Self { world: Arc::clone(world), lease, about }
    }

    fn is_sound(&self) -> bool {
        let state = self.world.state();
        self.lease.as_ref().is_none_or(|lease| state.runners.get(lease).is_some_and(|runner| runner.is_sound))
    }

    fn memory(&self) -> u64 {
        let state = self.world.state();
        let leased = self.lease.as_ref().and_then(|lease| state.runners.get(lease));
        leased.map_or(AT_HAND, |runner| runner.size.memory_mb)
    }

    /// Something happens to the runner, where there is one.
    fn of_runner(&self, happens: impl Fn(&mut Runner)) {
        let Some(lease) = &self.lease else { return };
        self.world.state().runners.get_mut(lease).into_iter().for_each(happens);
    }

    async fn run(
        &self,
        solve: &Solve,
        progress: &mut (dyn FnMut(Progress) + Send),
        cancel: &CancellationToken,
    ) -> Result<Solved, SolveError> {
        if !self.is_sound() {
            sleep(Duration::from_secs(3)).await;
            return Err(SolveError::new(FailureKind::Engine, "nobody listens there".to_owned()));
        }
        let what = match &solve.output {
            Output::Push(image) => self.build(solve, image, progress),
            _ => self.probe(solve),
        };
        let work = async {
            let taken = match &solve.output {
                Output::Push(_) => self.world.pick(&[5, 60, 300, 900, 2_000]),
                _ => 3,
            };
            sleep(Duration::from_millis(self.world.between(0, taken * 1000) as u64)).await;
        };
        tokio::select! {
            biased;
            () = cancel.cancelled() => {
                let error = SolveError::new(FailureKind::Other, "cancelled".to_owned());
                return Err(SolveError { cancelled: true, exit_code: Some(137), ..error });
            }
            () = work => {}
        }
        if self.world.fails(0.04) {
            self.of_runner(|runner| runner.is_sound = false);
            let error = SolveError::new(FailureKind::Engine, "the connection broke".to_owned());
            return Err(SolveError { retryable: true, ..error });
        }
        what
    }

    /// What comes of a build; what is pushed is pushed at its end, and what is thought of here is done at once.
    fn build(
        &self,
        solve: &Solve,
        image: &ImageRef,
        progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<Solved, SolveError> {
        let world = &self.world;
        world.count(|totals| totals.builds += 1);
        if let Some((parent, digest)) = solve.args.get("BUILD_BASE").and_then(|base| base.split_once('@')) {
            let parent: ImageRef = format!("{parent}:any").parse().unwrap();
            let digest: Digest = digest.parse().unwrap_or_else(|_| panic!("{digest} is no digest"));
            world.law("a layer is built on images that are there", world.manifest(&digest).is_some(), digest.as_str());
            world.law("a layer is built on proven images", world.is_proven(&parent, &digest), digest.as_str());
        }
        let name = "[1/1] RUN work".to_owned();
        progress(Progress::Started { step: 0, name, instruction: None });
        let failed = |progress: &mut (dyn FnMut(Progress) + Send), code: i32| {
            let error = Some(format!("exit code: {code}"));
            progress(Progress::Finished { step: 0, status: StepStatus::Failed, ms: 1, error });
            world.count(|totals| totals.builds_failed += 1);
            let error = SolveError::new(FailureKind::Step, format!("it ended with exit code {code}"));
            SolveError { step: Some(0), exit_code: Some(code), ..error }
        };
        if world.need(image.short_name()) > self.memory() {
            world.count(|totals| totals.out_of_memory += 1);
            self.of_runner(|runner| runner.has_killed = true);
            return Err(match world.between(0, 2) {
                0 => failed(progress, 137),
                1 => SolveError { out_of_memory: true, exit_code: None, ..failed(progress, 137) },
                _ => {
                    let line = "error: could not compile (signal: 9, SIGKILL: kill)".to_owned();
                    progress(Progress::Output { step: 0, stderr: true, line });
                    failed(progress, 101)
                }
            });
        }
        if world.fails(0.06) {
            return Err(failed(progress, 1));
        }
        if world.fails(0.03) {
            let error = SolveError::new(FailureKind::Registry, "the base can't be pulled".to_owned());
            return Err(SolveError { retryable: true, ..error });
        }
        let config =
            json!({ "mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest_of(b"{}"), "size": 2 });
        let nonce = world.between(0, usize::MAX);
        let layer = json!({ "mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest_of(&nonce.to_le_bytes()), "size": 100 });
        let manifest = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer] });
        let bytes = manifest.to_string().into_bytes();
        let digest = digest_of(&bytes);
        if world.fails(0.05) {
            world.mark_bad(&digest);
        }
        world.put(image, &digest, MANIFEST, bytes);
        progress(Progress::Finished { step: 0, status: StepStatus::Done, ms: 1, error: None });
        if world.fails(0.04) {
            let error = SolveError::new(FailureKind::Engine, "the connection broke after the push".to_owned());
            return Err(SolveError { retryable: true, ..error });
        }
        Ok(Solved { digest: Some(digest), steps_run: 1, steps_cached: 0 })
    }

    fn probe(&self, solve: &Solve) -> Result<Solved, SolveError> {
        let text = fs::read_to_string(&solve.dockerfile).unwrap();
        let digest = text.lines().next().and_then(|line| line.split_once('@')).unwrap().1;
        let digest: Digest = digest.trim().parse().unwrap();
        match self.world.is_bad(&digest) {
            false => Ok(Solved { digest: None, steps_run: 1, steps_cached: 0 }),
            true => {
                let error = SolveError::new(FailureKind::Step, "it ended with exit code 1".to_owned());
                Err(SolveError { step: Some(0), exit_code: Some(1), ..error })
            }
        }
    }
}

impl Engine for Simulated {
    fn about(&self) -> &About {
        &self.about
    }

    fn solve<'a>(
        &'a self,
        solve: &'a Solve,
        progress: &'a mut (dyn FnMut(Progress) + Send),
        cancel: &'a CancellationToken,
    ) -> Pin<Box<dyn Future<Output = Result<Solved, SolveError>> + Send + 'a>> {
        Box::pin(self.run(solve, progress, cancel))
    }

    fn command(&self, _: &Solve) -> Vec<String> {
        Vec::new()
    }
}
