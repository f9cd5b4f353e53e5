//! What builds get: what the layers say, what was measured on this machine, and what orchestrators have measured.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};

use super::context::Context;
use crate::history::{Layers, Used};
use crate::model::{LayerName, ProviderKind, RunnerSource, Size, Tier};
use crate::registry;
use crate::runner::ProviderError;
use crate::runner::providers::orchestrator::{Patience, Usual};
use crate::runner::providers::{Host, Orchestrator};
use crate::size::{Measured, Sizing, p95};
use crate::snapshot::Snapshot;

/// How many questions an orchestrator is asked at a time.
const QUESTIONS: usize = 8;
/// How long is waited for what orchestrators know: without it, this machine's own measurements hold.
const WAIT: Duration = Duration::from_secs(10);

/// What the builds of these layers get, on runners of these rows; `given` is for all of them. Without a host, no
/// orchestrator is asked.
pub fn sizes<'a>(
    context: &Context<'_>,
    snapshot: &Snapshot,
    layers: impl Iterator<Item = &'a LayerName>,
    rows: &[RunnerSource],
    host: Option<&Host>,
    given: Option<Size>,
) -> BTreeMap<LayerName, Sizing> {
    let layers: Vec<&LayerName> = layers.collect();
    let past = context.history().map(|history| history.layers()).unwrap_or_default();
    // Nobody is asked for what is known.
    let host = host.filter(|_| given.is_none());
    let told = host.map(|host| ask(context, host, &layers, rows)).unwrap_or_default();
    let tiers: &[Tier] = snapshot.catalog.config.as_ref().map(|config| &config.tiers[..]).unwrap_or_default();
    let size = |name: &&LayerName| {
        let loaded = snapshot.catalog.layers.get(*name)?;
        let measured = told.get(*name).cloned().unwrap_or_else(|| measured(&past, name));
        let sizing = Sizing::of(loaded, &snapshot.catalog.files, Some(&measured), tiers);
        let sizing = match given {
            Some(size) => sizing.given(size, tiers, loaded.layer.build.platforms.first()),
            None => sizing,
        };
        Some(((*name).clone(), sizing))
    };
    layers.iter().filter_map(size).collect()
}

/// What was measured on this machine.
fn measured(past: &Layers, layer: &LayerName) -> Measured {
    let of = |figure: fn(&Used) -> Option<u64>| p95(past.used(layer).iter().filter_map(figure));
    Measured { cpu_milli: of(|used| used.cpu_milli), memory_mb: of(|used| used.peak_memory_mb), by: None }
}

/// What the orchestrators of the rows have measured, of the layers that the first of them knows. One that can't be asked
/// costs its figures, and no more.
fn ask(
    context: &Context<'_>,
    host: &Host,
    layers: &[&LayerName],
    rows: &[RunnerSource],
) -> BTreeMap<LayerName, Measured> {
    let mut told = BTreeMap::new();
    let patience = Patience { request: Duration::from_secs(5), attempts: 2, ..Patience::default() };
    for row in rows {
        let ProviderKind::Orchestrator { url, token_env } = &row.provider else { continue };
        let orchestrator = Orchestrator::new(url, token_env.as_deref(), host).with_patience(patience);
        let unknown: Vec<&LayerName> = layers.iter().copied().filter(|layer| !told.contains_key(*layer)).collect();
        let answers = async {
            let questions = unknown.iter().map(|layer| orchestrator.usual(layer));
            let mut answers = stream::iter(questions).buffered(QUESTIONS);
            let mut all = Vec::new();
            while let Some(answer) = answers.next().await {
                all.push(answer?);
            }
            Ok::<Vec<Usual>, ProviderError>(all)
        };
        let late = || ProviderError::passing(format!("no answer in {} s", WAIT.as_secs()));
        let asked = registry::block_on(async { tokio::time::timeout(WAIT, answers).await });
        match asked.map(|asked| asked.unwrap_or_else(|_| Err(late()))) {
            Ok(Ok(answers)) => {
                for (layer, Usual { cpu_milli, memory_mb, builds }) in unknown.into_iter().zip(answers) {
                    let of = |figure: Option<u64>| figure.map(|figure| (figure, builds));
                    let by = Some(row.name.clone());
                    let measured = Measured { cpu_milli: of(cpu_milli), memory_mb: of(memory_mb), by };
                    if cpu_milli.or(memory_mb).is_some() {
                        told.insert(layer.clone(), measured);
                    }
                }
            }
            Ok(Err(error)) => context.ui.remark(&format!("sizes are taken without runner {}: {error}", row.name)),
            Err(error) => context.ui.remark(&format!("sizes are taken without runner {}: {error}", row.name)),
        }
    }
    told
}
