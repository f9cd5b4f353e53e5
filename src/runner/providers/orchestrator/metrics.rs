//! Tells orchestrators what builds have used: a reader of events. Best effort: what can't be told is not told, and
//! nothing waits for it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use super::{Metrics, Orchestrator, Patience};
use crate::event::{Event, Kind, Outcome, Reader};
use crate::model::{LayerName, ProviderKind, RunnerSource};
use crate::runner::providers::Host;

/// How long the end of a run waits for what is still being told.
const LEAVE: Duration = Duration::from_secs(2);

/// The most of them at a time; those beyond are not told.
const MOST: usize = 64;

/// Tells the orchestrators of a table what builds on their runners have used.
pub struct Reporter {
    workspace: String,
    orchestrators: BTreeMap<String, Arc<Orchestrator>>,
    leased: BTreeMap<LayerName, (String, Timestamp)>,
    /// What the last attempt at a layer has used: whether that was worth anything, its end says.
    used: BTreeMap<LayerName, (String, Metrics)>,
    telling: Telling,
}

/// What is being told.
#[derive(Clone, Default)]
pub struct Telling(Arc<Mutex<JoinSet<()>>>);

impl Reporter {
    /// For the orchestrators among these rows; none where there are none.
    pub fn new<'r>(rows: impl Iterator<Item = &'r RunnerSource>, host: &Host) -> Option<Self> {
        let patience = Patience { request: Duration::from_secs(10), attempts: 2, ..Patience::default() };
        let orchestrator = |row: &RunnerSource| match &row.provider {
            ProviderKind::Orchestrator { url, token_env } => {
                let found = Orchestrator::new(url, token_env.as_deref(), host).with_patience(patience);
                Some((row.name.clone(), Arc::new(found)))
            }
            _ => None,
        };
        let orchestrators: BTreeMap<_, _> = rows.filter_map(orchestrator).collect();
        let (leased, used, telling) = (BTreeMap::new(), BTreeMap::new(), Telling::default());
        let workspace = host.workspace.clone();
        (!orchestrators.is_empty()).then_some(Self { workspace, orchestrators, leased, used, telling })
    }

    /// What waits for what is being told.
    pub fn telling(&self) -> Telling {
        self.telling.clone()
    }

    fn tell(&self, source: &str, metrics: Metrics) {
        let (Some(orchestrator), Ok(runtime)) = (self.orchestrators.get(source), Handle::try_current()) else { return };
        let orchestrator = Arc::clone(orchestrator);
        let mut telling = self.telling.0.lock().unwrap_or_else(PoisonError::into_inner);
        while telling.try_join_next().is_some() {}
        if telling.len() < MOST {
            telling.spawn_on(async move { drop(orchestrator.tell(&metrics).await) }, &runtime);
        }
    }
}

impl Telling {
    /// Waits a little for what is still being told, and gives up the rest.
    pub async fn end(&self) {
        let mut telling = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let _ = tokio::time::timeout(LEAVE, async { while telling.join_next().await.is_some() {} }).await;
    }
}

impl Reader for Reporter {
    fn read(&mut self, event: &Event) {
        match &event.kind {
            Kind::LayerStarted { layer, .. } => drop((self.leased.remove(layer), self.used.remove(layer))),
            Kind::Leased { layer, source, .. } if self.orchestrators.contains_key(source) => {
                self.leased.insert(layer.clone(), (source.clone(), event.at));
            }
            Kind::Released { layer, lease, peak_memory_mb, cpu_ms, .. } => {
                let Some((source, since)) = self.leased.remove(layer) else { return };
                let metrics = Metrics {
                    lease: lease.clone(),
                    run: event.run.to_string(),
                    workspace: self.workspace.clone(),
                    layer: layer.to_string(),
                    succeeded: false,
                    duration_ms: u64::try_from(event.at.duration_since(since).as_millis()).unwrap_or_default(),
                    peak_memory_mb: *peak_memory_mb,
                    cpu_ms: *cpu_ms,
                };
                // What was killed for want of memory says how much it had, and not how much it needs.
                self.used.insert(layer.clone(), (source, metrics));
            }
            Kind::LayerFinished { layer, outcome, .. } => {
                if let Some((source, metrics)) = self.used.remove(layer) {
                    let succeeded = matches!(outcome, Outcome::Succeeded { .. });
                    self.tell(&source, Metrics { succeeded, ..metrics });
                }
            }
            _ => {}
        }
    }
}
