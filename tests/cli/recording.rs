//! A run as a list of events, made by hand: what readers are tried on.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use lamina::event::Reader;
use lamina::event::{
    Action, Built, CancelReason, Event, Failure, FailureKind, Kind, NotRun, Origin, Outcome, PlannedLayer, ProbeResult,
    RunId, RunOutcome, SccacheUse, SkippedLayer, StepFailure, StepStatus, VERSION,
};
use lamina::history::{History, Retention};
use lamina::model::{Digest, Fingerprint, LayerName};

use crate::workshop::{Workshop, digest};

/// A run whose events come a second apart.
pub struct Recording {
    pub run: RunId,
    pub events: Vec<Event>,
    now: Timestamp,
}

pub fn name(layer: &str) -> LayerName {
    layer.parse().unwrap()
}

pub fn image(number: u8) -> Digest {
    digest(number).parse().unwrap()
}

pub fn planned(layer: &str, needs: &[&str], expected_ms: Option<u64>) -> PlannedLayer {
    PlannedLayer {
        layer: name(layer),
        action: Action::Build,
        fingerprint: Fingerprint::new([7; 32]),
        image: format!("localhost:5000/workshop/{layer}:fp-07070707070707070707").parse().unwrap(),
        reason: "no image of its fingerprint".to_owned(),
        needs: needs.iter().map(|layer| name(layer)).collect(),
        expected_ms,
    }
}

pub fn built(number: u8) -> Built {
    Built { digest: image(number), origin: Origin::Built, size: Some(1_234_567), steps_run: 2, steps_cached: 1 }
}

impl Recording {
    /// A run that begins in this second of the day.
    pub fn new(second: i64) -> Self {
        let now = Timestamp::new(1_795_000_000 + second, 0).unwrap();
        Self { run: RunId::new(now, 7), events: Vec::new(), now }
    }

    /// As [`Recording::new`], with its plan.
    pub fn planned(second: i64, layers: Vec<PlannedLayer>, skipped: Vec<SkippedLayer>) -> Self {
        let mut recording = Self::new(second);
        recording.add(Kind::RunStarted {
            version: VERSION,
            lamina: "0.1.0".to_owned(),
            command: "build".to_owned(),
            catalog: "workshop".to_owned(),
            registry: "localhost:5000".to_owned(),
            namespace: "workshop".to_owned(),
            jobs: 2,
            engine: "buildctl at unix:///run/buildkit/buildkitd.sock".to_owned(),
            layers,
            skipped,
        });
        recording
    }

    pub fn add(&mut self, kind: Kind) -> &mut Self {
        let seq = self.events.len() as u64;
        self.events.push(Event { run: self.run.clone(), seq, at: self.now, kind });
        self.now += Duration::from_secs(1);
        self
    }

    pub fn begin(&mut self, layer: &str, attempt: u32) -> &mut Self {
        self.add(Kind::LayerStarted { layer: name(layer), attempt, parents: BTreeMap::new() })
    }

    pub fn step(&mut self, layer: &str, step: u32, text: &str) -> &mut Self {
        self.add(Kind::StepStarted { layer: name(layer), step, name: text.to_owned(), line: None })
    }

    pub fn step_end(&mut self, layer: &str, step: u32, status: StepStatus) -> &mut Self {
        let error = (status == StepStatus::Failed).then(|| "exit code: 37".to_owned());
        self.add(Kind::StepFinished { layer: name(layer), step, status, ms: 3210, error })
    }

    pub fn output(&mut self, layer: &str, step: u32, line: &str) -> &mut Self {
        self.add(Kind::Output { layer: name(layer), step, stderr: false, line: line.to_owned() })
    }

    pub fn end(&mut self, layer: &str, outcome: Outcome) -> &mut Self {
        let ms = if matches!(outcome, Outcome::NotRun { .. }) { 0 } else { 123_400 };
        self.add(Kind::LayerFinished { layer: name(layer), outcome, ms })
    }

    pub fn succeed(&mut self, layer: &str, built: Built) -> &mut Self {
        self.add(Kind::LayerBuilt { layer: name(layer), built: built.clone() });
        self.end(layer, Outcome::Succeeded { built })
    }

    pub fn finish(&mut self, outcome: RunOutcome) -> &mut Self {
        self.add(Kind::RunFinished { outcome, ms: 3_723_000 })
    }

    /// As a journal has it.
    pub fn text(&self) -> String {
        self.events.iter().map(|event| serde_json::to_string(event).unwrap() + "\n").collect()
    }

    /// Writes it into the history of a catalog.
    pub fn record(&self, history: &History) {
        let mut journal = history.journal(Retention::default());
        for event in &self.events {
            journal.read(event);
            assert_eq!(journal.trouble(), None);
        }
    }

    /// The same events in a run that is called by another second.
    pub fn renamed(mut self, second: i64) -> Self {
        self.run = Self::new(second).run;
        self.events.iter_mut().for_each(|event| event.run = self.run.clone());
        self
    }
}

/// The history of a workshop's catalog.
pub fn history(shop: &Workshop) -> History {
    History::new(&shop.outside().join("home/.local/state/lamina"), shop.root())
}

pub fn right(what: &str) -> ProbeResult {
    ProbeResult {
        what: what.to_owned(),
        declared_by: name("rust"),
        command: vec![what.to_owned(), "--version".to_owned()],
        platform: "linux/amd64".to_owned(),
        expected: Some("1.97.1".to_owned()),
        output: vec![format!("{what} 1.97.1")],
        wrong: None,
    }
}

/// How a step fails.
pub fn failure(log: Option<PathBuf>) -> Failure {
    let line = |number: u32, text: &str| (number, text.to_owned());
    Failure {
        kind: FailureKind::Step,
        message: "[2/3] RUN make ended with exit code 37".to_owned(),
        hints: vec!["the last lines of the step say why".to_owned()],
        step: Some(StepFailure {
            name: "[2/3] RUN make".to_owned(),
            dockerfile: Some("layers/nickel/Dockerfile".to_owned()),
            lines: vec![
                line(8, "FROM ${BUILD_BASE}"),
                line(9, "RUN make \\"),
                line(10, "    all"),
                line(11, "COPY a b"),
            ],
            span: Some((9, 10)),
            exit_code: Some(37),
            output: vec!["cc -c a.c".to_owned(), "\u{1b}[31ma.c:1: error\u{1b}[0m\u{7}".to_owned(), String::new()],
        }),
        oom: None,
        log,
    }
}

/// As [`eventful`], with those fields as well that are absent as a rule.
pub fn complete() -> Recording {
    let mut run = eventful();
    let layer = || name("rust");
    let line = "to stderr".to_owned();
    run.add(Kind::Leased {
        layer: layer(),
        lease: "lamina-20261121-180802-3k9w2m7q".to_owned(),
        source: "farm".to_owned(),
        size: lamina::model::Size { cpu: 2, memory_mb: 4096 },
        tier: Some("cx22".to_owned()),
        endpoint: "tcp://farm.example.com:1234".to_owned(),
        ms: 1200,
    });
    run.add(Kind::Retrying {
        layer: layer(),
        attempt: 1,
        reason: "memory ran out".to_owned(),
        wait_ms: 0,
        oom: Some(lamina::event::Oom {
            verdict: lamina::event::OomVerdict::Probable,
            evidence: "exit code 137 at [1/1] RUN x".to_owned(),
        }),
    });
    run.add(Kind::Released {
        layer: layer(),
        lease: "lamina-20261121-180802-3k9w2m7q".to_owned(),
        peak_memory_mb: Some(812),
        cpu_ms: Some(61_000),
        trouble: Some("it does not answer".to_owned()),
    });
    run.add(Kind::StepStarted { layer: layer(), step: 0, name: "[1/1] RUN x".to_owned(), line: Some(3) })
        .add(Kind::Output { layer: layer(), step: 0, stderr: true, line })
        .add(Kind::Donor {
            layer: layer(),
            tag: Some("localhost:5000/workshop/rust:latest".parse().unwrap()),
            digest: Some(image(2)),
            why_none: None,
        })
        .add(Kind::Sccache {
            layer: layer(),
            used: SccacheUse {
                backend: "s3".to_owned(),
                hits: 12,
                misses: 3,
                errors: 1,
                off: Some("it looked for a crate for more than 20 s".to_owned()),
            },
        })
        .add(Kind::CacheRolledBack {
            layer: layer(),
            reference: "localhost:5000/workshop/cache/ci/workshop/rust:latest".parse().unwrap(),
            digest: Some(image(2)),
            trouble: Some("nobody knows".to_owned()),
        })
        .add(Kind::Promoted {
            layer: layer(),
            tag: "localhost:5000/workshop/rust:latest".parse().unwrap(),
            digest: image(1),
            before: Some(image(2)),
        });
    run
}

/// A run with most of what can happen: one layer of each outcome, a retry, a warning, a cached step, a wrong probe.
pub fn eventful() -> Recording {
    let layers = vec![
        planned("rust", &[], Some(60_000)),
        planned("nickel", &["rust"], Some(90_000)),
        planned("wasm", &["rust"], None),
        planned("proven", &[], Some(1000)),
        planned("app", &["nickel"], Some(5000)),
        planned("late", &[], None),
    ];
    let skipped = vec![SkippedLayer {
        layer: name("base"),
        fingerprint: Fingerprint::new([8; 32]),
        digest: Some(image(9)),
        reason: "up to date".to_owned(),
    }];
    let mut run = Recording::planned(0, layers, skipped);
    run.begin("rust", 1)
        .step("rust", 0, "[internal] load build definition from Dockerfile")
        .step_end("rust", 0, StepStatus::Done)
        .step("rust", 1, "[1/3] FROM docker.io/library/rust:1.97.1")
        .step("rust", 2, "[2/3] RUN rustup target add x")
        .step_end("rust", 1, StepStatus::Cached)
        .output("rust", 2, "\u{1b}[32minfo:\u{1b}[0m downloading 10%\rinfo: downloading 100%\r")
        .output("rust", 2, "\ttitle \u{1b}]0;title\u{7}set")
        .step_end("rust", 2, StepStatus::Done)
        .add(Kind::Warning { layer: Some(name("rust")), message: "the cache can't be written".to_owned() })
        .step("rust", 3, "exporting to image")
        .add(Kind::Transfer {
            layer: name("rust"),
            step: 3,
            id: "pushing layers".to_owned(),
            current: 1_500_000,
            total: 3_000_000,
        })
        .step_end("rust", 3, StepStatus::Done)
        .add(Kind::Probed { layer: name("rust"), probe: right("rustc") })
        .add(Kind::Proved { layer: name("rust"), digest: image(1), probes: 1 })
        .succeed("rust", built(1));
    run.begin("nickel", 1)
        .begin("wasm", 1)
        .add(Kind::Donor {
            layer: name("wasm"),
            tag: None,
            digest: None,
            why_none: Some("there is no earlier image of it".to_owned()),
        })
        .step("wasm", 0, "[1/1] RUN fetch")
        .step_end("wasm", 0, StepStatus::Failed)
        .add(Kind::Retrying {
            layer: name("wasm"),
            attempt: 1,
            reason: "the connection was lost".to_owned(),
            wait_ms: 1500,
            oom: None,
        })
        .step("nickel", 0, "[2/3] RUN make")
        .output("nickel", 0, "cc -c a.c")
        .step_end("nickel", 0, StepStatus::Failed)
        .begin("wasm", 2)
        .end("nickel", Outcome::Failed { failure: Box::new(failure(Some("/state/nickel.log".into()))) })
        .add(Kind::CancelRequested { reason: CancelReason::LayerFailed })
        .end("app", Outcome::NotRun { why: NotRun::ParentFailed { parent: name("nickel") } })
        .end("late", Outcome::NotRun { why: NotRun::RunFailed { layer: name("nickel") } })
        .add(Kind::LayerBuilt { layer: name("wasm"), built: built(2) });
    let wrong = ProbeResult {
        output: vec!["wasm 0.1".to_owned()],
        wrong: Some("`1.97.1` is not in its output".to_owned()),
        ..right("wasm")
    };
    let proof = Failure {
        kind: FailureKind::Proof,
        message: "1 of 1 probes failed".to_owned(),
        hints: Vec::new(),
        step: None,
        oom: None,
        log: None,
    };
    run.add(Kind::Probed { layer: name("wasm"), probe: wrong })
        .end("wasm", Outcome::Failed { failure: Box::new(proof) })
        .begin("proven", 1)
        .end("proven", Outcome::Cancelled)
        .add(Kind::Promoted {
            layer: name("rust"),
            tag: "localhost:5000/workshop/rust:1.97.1".parse().unwrap(),
            digest: image(1),
            before: None,
        })
        .add(Kind::PromotionSkipped { reason: "not every layer is good".to_owned() })
        .finish(RunOutcome::Failed);
    run
}
