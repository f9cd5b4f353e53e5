//! Layers, decisions and axioms, for people.

use std::collections::BTreeMap;
use std::fmt::{Display, Write};

use super::{count, enumeration, table, with_roles};
use crate::catalog::{LoadedAdr, LoadedLayer};
use crate::checks::{self, ConstraintState, Holds};
use crate::model::{self, AdrStatus, Axiom, ConstraintSeverity, LayerName};
use crate::snapshot::Snapshot;

/// A line a layer.
pub fn list_text(layers: &[&LoadedLayer]) -> String {
    let row = |loaded: &&LoadedLayer| {
        let layer = &loaded.layer;
        [layer.name.to_string(), layer.class.to_string(), layer.build_base.to_string(), one_line(&layer.summary)]
    };
    table(&layers.iter().map(row).collect::<Vec<_>>())
}

/// A text in one line.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// All about a layer, for people.
pub fn show_text(snapshot: &Snapshot, loaded: &LoadedLayer) -> String {
    let layer = &loaded.layer;
    let mut rows: Vec<[String; 2]> = Vec::new();
    let mut row = |name: &str, value: String| {
        if !value.is_empty() {
            rows.push([name.to_owned(), value]);
        }
    };
    let from =
        |inherited: &LayerName| if *inherited == layer.name { String::new() } else { format!(" (from {inherited})") };
    row("class", layer.class.to_string());
    row("build base", layer.build_base.to_string());
    row("runtime base", layer.runtime_base.to_string());
    row("donors", enumeration(&layer.donors.iter().map(|donor| donor.base.to_string()).collect::<Vec<_>>()));
    row("parents", enumeration(&with_roles(snapshot.graph.parents(&layer.name))));
    row("children", enumeration(&with_roles(snapshot.graph.children(&layer.name))));
    row(
        "tools",
        snapshot
            .tools(&layer.name)
            .iter()
            .map(|tool| format!("{}{}", tool.what.name, from(tool.from)))
            .collect::<Vec<_>>()
            .join(", "),
    );
    let native = |needed: model::Needed| match needed {
        model::Needed::Build => "build",
        model::Needed::Run => "run time",
        model::Needed::Both => "build and run time",
    };
    let deps =
        layer.native_deps.iter().map(|dep| format!("{} for {} ({})", dep.package, dep.library, native(dep.needed)));
    row("native deps", deps.collect::<Vec<_>>().join(", "));
    let install = snapshot.run_time_deps(&layer.name);
    row(
        "consumers install",
        install.iter().map(|dep| format!("{}{}", dep.what.package, from(dep.from))).collect::<Vec<_>>().join(", "),
    );
    row("artifacts", layer.artifacts.iter().map(|artifact| artifact.path.as_str()).collect::<Vec<_>>().join(", "));
    if let Some(cooked) = &layer.cooked {
        row("cooked", format!("{} into {}", cooked.path, cooked.target_dir));
        row("profiles", cooked.profiles.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "));
        row("units", cooked.units.clone());
        row("ceilings", ceilings(&cooked.ceilings));
    }
    row("tags", layer.tags.join(", "));
    row("arguments", pairs(&layer.build.args));
    let secret = |secret: &model::Secret| format!("{}{}", secret.id, if secret.required { "" } else { " (optional)" });
    row("secrets", layer.build.secrets.iter().map(secret).collect::<Vec<_>>().join(", "));
    row("contexts", pairs(&layer.build.contexts));
    row("ssh", layer.build.ssh.join(", "));
    if layer.build.network != model::Network::Default {
        row("network", layer.build.network.as_str().to_owned());
    }
    row("labels", pairs(&layer.build.labels));
    row("annotations", pairs(&layer.build.annotations));
    row("platforms", layer.build.platforms.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "));
    let resources = layer.build.resources;
    let (cpu, memory_mb, minutes) = resources.declared_or_common();
    row(
        "resources",
        format!(
            "{}, {} MiB of memory, {} MiB of disk, {}{}",
            count(usize::try_from(cpu).unwrap_or(usize::MAX), "processor"),
            memory_mb,
            resources.disk_mb,
            count(usize::try_from(minutes).unwrap_or(usize::MAX), "minute"),
            resources.expected_min.map(|min| format!(" ({min} expected)")).unwrap_or_default(),
        ),
    );
    let fingerprint = snapshot.fingerprints().get(&layer.name);
    row("fingerprint", fingerprint.map(|fingerprint| fingerprint.to_string()).unwrap_or_default());
    let mut text = format!("{}: {}\n\n{}", layer.name, one_line(&layer.summary), table(&rows));
    if let Some(docs) = &layer.docs {
        let _ = write!(text, "\n{}\n", docs.trim_end());
    }
    text
}

/// `name=value`, one after the other.
fn pairs<V: Display>(pairs: &BTreeMap<String, V>) -> String {
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(", ")
}

fn status(status: AdrStatus) -> &'static str {
    match status {
        AdrStatus::Proposed => "proposed",
        AdrStatus::Accepted => "accepted",
        AdrStatus::Superseded => "superseded",
    }
}

fn severity(severity: ConstraintSeverity) -> &'static str {
    match severity {
        ConstraintSeverity::Hard => "hard",
        ConstraintSeverity::Soft => "soft",
    }
}

fn state(holds: Holds) -> &'static str {
    match holds {
        Holds::Yes => "holds",
        Holds::No => "broken",
        Holds::NotChecked => "not-checked",
    }
}

/// A line a decision.
pub fn adrs_text(adrs: &[LoadedAdr], states: &[ConstraintState<'_>]) -> String {
    let row = |loaded: &LoadedAdr| {
        let own: Vec<_> = states.iter().filter(|state| state.adr.adr.id == loaded.adr.id).collect();
        let broken = own.iter().filter(|own| own.holds() == Holds::No).count();
        let constraints = match broken {
            0 => count(own.len(), "constraint"),
            broken => format!("{broken} of {} broken", count(own.len(), "constraint")),
        };
        [loaded.adr.id.clone(), status(loaded.adr.status).to_owned(), constraints, loaded.adr.title.clone()]
    };
    table(&adrs.iter().map(row).collect::<Vec<_>>())
}

/// A decision in full.
pub fn adr_text(loaded: &LoadedAdr, states: &[ConstraintState<'_>]) -> String {
    let adr = &loaded.adr;
    let mut text = format!("ADR {}: {}\n{}, {}\n", adr.id, adr.title, status(adr.status), adr.date);
    let _ = write!(text, "\nContext\n{}\n\nDecision\n{}\n", indented(&adr.context), indented(&adr.decision));
    if !adr.consequences.is_empty() {
        let lines: Vec<String> = adr.consequences.iter().map(|line| format!("  - {}\n", line.trim())).collect();
        let _ = write!(text, "\nConsequences\n{}", lines.concat());
    }
    let _ = writeln!(text, "\nConstraints");
    for constraint in states {
        let kind = severity(constraint.constraint.severity);
        let claim = constraint.constraint.claim.trim();
        let _ = writeln!(text, "  {}  {} ({kind}): {claim}", state(constraint.holds()), constraint.constraint.id);
        for finding in &constraint.findings {
            let _ = writeln!(text, "    {}", finding.message);
        }
    }
    text
}

fn indented(text: &str) -> String {
    text.trim().lines().map(|line| format!("  {}", line.trim_end())).collect::<Vec<_>>().join("\n")
}

/// The axioms, for people.
pub fn axioms_text(axioms: &[Axiom], states: &[ConstraintState<'_>]) -> String {
    let axiom = |axiom: &Axiom| {
        let adrs = if axiom.adrs.is_empty() { String::new() } else { format!(", ADR {}", axiom.adrs.join(", ")) };
        let state = state(checks::axiom_holds(axiom, states));
        format!("{} ({state}{adrs})\n  {}\n  {}\n", axiom.id, axiom.statement.trim(), axiom.rationale.trim())
    };
    axioms.iter().map(axiom).collect::<Vec<_>>().join("\n")
}

/// What may not be exceeded, on one line: `units ≤ 400, cone of libc ≤ 20`.
fn ceilings(ceilings: &model::Ceilings) -> String {
    let numbers = ceilings.numbers().map(|(name, ceiling)| format!("{name} ≤ {ceiling}"));
    let cones = ceilings.cone.iter().map(|(name, ceiling)| format!("cone of {name} ≤ {ceiling}"));
    numbers.chain(cones).collect::<Vec<_>>().join(", ")
}
