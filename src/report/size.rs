//! What the builds of layers get, and why.

use std::collections::BTreeMap;

use super::{count, table};
use crate::catalog::BUILD_SPEC;
use crate::model::LayerName;
use crate::size::{Language, Origin, Sizing};
use crate::snapshot::Snapshot;

/// What the builds of layers get, for people.
pub fn text(snapshot: &Snapshot, sizes: &BTreeMap<LayerName, Sizing>) -> String {
    let mut text = String::new();
    for (name, sizing) in sizes {
        let tier = match &sizing.tier {
            Some(tier) => format!("tier {} ({})", tier.name, tier.size),
            None => "no tier is as large".to_owned(),
        };
        text.push_str(&format!("{name}: {tier}, {}\n", count(sizing.minutes, "minute")));
        let row = |figure: &str, value: String, by: &Origin| {
            let is_cpu = figure == "cpu";
            [format!("  {figure}"), value, origin(snapshot, name, by, is_cpu)]
        };
        let rows = [
            row("cpu", sizing.needs.cpu.to_string(), &sizing.cpu_by),
            row("memory", format!("{} MiB", sizing.needs.memory_mb), &sizing.memory_by),
            row("time", format!("{} min", sizing.minutes), &sizing.minutes_by),
        ];
        text.push_str(&table(&rows));
    }
    text
}

/// Who says a figure, in words.
fn origin(snapshot: &Snapshot, layer: &LayerName, origin: &Origin, is_cpu: bool) -> String {
    match origin {
        Origin::Declared => "declared in build.resources".to_owned(),
        Origin::BuildSpec => {
            let spec = snapshot.catalog.layers.get(layer).and_then(|loaded| loaded.build_spec.as_ref());
            format!("declared in {}", spec.map_or(BUILD_SPEC, |spec| spec.file.as_str()))
        }
        Origin::Measured { p95, builds, by } => {
            let figure = if is_cpu { format!("{}.{:03}", p95 / 1000, p95 % 1000) } else { format!("{p95} MiB") };
            let by = by.as_deref().map(|by| format!(", as runner {by} has measured")).unwrap_or_default();
            let builds = if *builds == 0 { "earlier builds".to_owned() } else { count(*builds, "build") };
            format!("measured: P95 of {builds} is {figure}{by}; a fifth more, rounded up")
        }
        Origin::Language(Language::Other) => "common where no language is known".to_owned(),
        Origin::Language(language) => format!("common for {language}"),
        Origin::Given => "given".to_owned(),
        Origin::OutOfMemory => "larger, because memory ran out".to_owned(),
    }
}
