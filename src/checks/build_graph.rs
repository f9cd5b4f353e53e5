//! Build-graph snapshots of cooked sets: whether they fit their lock, and keep their ceilings.

use std::collections::BTreeMap;

use cargo_lock::Lockfile;

use crate::catalog::LoadedLayer;
use crate::crates::{self, BuildGraph, Second};
use crate::diag::{Code, Diagnostic, Severity};
use crate::model::{Ceilings, Cooked, EdgeKind, LayerName, RelPath};
use crate::snapshot::{Snapshot, at_field};

pub(super) fn check(snapshot: &Snapshot) -> Vec<Diagnostic> {
    let mut findings = Vec::new();
    let mut fresh: BTreeMap<&LayerName, BuildGraph> = BTreeMap::new();
    for loaded in snapshot.layers() {
        let Some(cooked) = &loaded.layer.cooked else { continue };
        match read(snapshot, loaded, cooked) {
            Ok(Some(graph)) => drop(fresh.insert(&loaded.layer.name, graph)),
            Ok(None) => {}
            Err(finding) => findings.push(finding.layer(loaded.layer.name.as_str())),
        }
        findings.extend(calls(snapshot, loaded, cooked));
    }
    for loaded in snapshot.layers() {
        let name = &loaded.layer.name;
        if let (Some(cooked), Some(graph)) = (&loaded.layer.cooked, fresh.get(name)) {
            let below = below(snapshot, name, cooked);
            let second = below.map(|below| fresh.get(below).map(|below| crates::second_time(graph, below)));
            let second = below.zip(second.as_ref().map(Option::as_deref));
            findings.extend(ceilings(loaded, &cooked.ceilings, graph, second));
        }
    }
    findings
}

/// The snapshot of a set, if it has one and that is not stale.
fn read(snapshot: &Snapshot, loaded: &LoadedLayer, cooked: &Cooked) -> Result<Option<BuildGraph>, Box<Diagnostic>> {
    let Some((path, file)) = snapshot.build_graph(cooked)? else {
        if cooked.ceilings.is_empty() {
            return Ok(None);
        }
        let message = format!("{} has ceilings and no {}", loaded.layer.name, BuildGraph::FILE);
        return Err(Box::new(
            at_field(loaded, Code::BuildGraph, "cooked.ceilings", message).help(write(&loaded.layer.name)),
        ));
    };
    let graph = BuildGraph::parse(&file.text).map_err(|error| {
        let before: usize = file.text.split_inclusive('\n').take(error.line - 1).map(str::len).sum();
        let length = file.text[before..].lines().next().unwrap_or_default().len();
        let finding = Diagnostic::new(Code::BuildGraph, format!("{path} can't be read"));
        Box::new(finding.label(path.as_str(), before..before + length, error.why).help(write(&loaded.layer.name)))
    })?;
    // What keeps these from being read is the check's of the cooked set to report.
    let inputs = snapshot.cooked_inputs(cooked).ok().and_then(|inputs| Some((inputs.digest().ok()?, inputs)));
    let Some((digest, inputs)) = inputs else { return Ok(None) };
    if digest == graph.inputs {
        return Ok(Some(graph));
    }
    let mut finding = Diagnostic::new(Code::BuildGraph, format!("{path} is stale")).file(path.as_str());
    let lock = inputs.files.get("Cargo.lock").and_then(|lock| lock.parse::<Lockfile>().ok());
    for note in lock.map(|lock| moved(&graph, &lock)).unwrap_or_default() {
        finding = finding.note(note);
    }
    if finding.notes.is_empty() {
        finding = finding.note("its packages are locked as they were; what else is locked, a Cargo.toml, the profiles or the calls changed");
    }
    Err(Box::new(finding.help(write(&loaded.layer.name))))
}

/// What to do about a snapshot that is not what it should be.
fn write(name: &LayerName) -> String {
    format!("run `lamina crates snapshot {name} --write` and commit the file")
}

/// The packages of a snapshot that the lock has no more, with what it has in their place.
fn moved(graph: &BuildGraph, lock: &Lockfile) -> Vec<String> {
    const MOST: usize = 5;
    let locked = |name: &str| -> Vec<String> {
        let same = lock.packages.iter().filter(|locked| locked.name.as_str() == name);
        same.map(|locked| locked.version.to_string()).collect()
    };
    let gone = graph.packages().into_iter().filter(|package| !locked(&package.name).contains(&package.version));
    let mut notes: Vec<String> = gone
        .map(|package| match &locked(&package.name)[..] {
            [] => format!("it has {} {}, the lock has it no more", package.name, package.version),
            versions => format!("it has {} {}, the lock {}", package.name, package.version, versions.join(", ")),
        })
        .collect();
    if notes.len() > MOST {
        let more = notes.len() - MOST;
        notes.truncate(MOST);
        notes.push(format!("and {more} more"));
    }
    notes
}

/// The layer whose set a layer's own is cooked on top of: the nearest one below with the same target folder and a
/// snapshot, be it stale.
fn below<'a>(snapshot: &'a Snapshot, name: &LayerName, cooked: &Cooked) -> Option<&'a LayerName> {
    let is_same = |below: &&LayerName| {
        let set = snapshot.layer(below).and_then(|layer| layer.cooked.as_ref());
        set.is_some_and(|set| set.target_dir == cooked.target_dir && !matches!(snapshot.build_graph(set), Ok(None)))
    };
    snapshot.graph.ancestors(name, &[EdgeKind::Build]).into_iter().find(is_same)
}

/// The calls that the Dockerfile does not make.
fn calls(snapshot: &Snapshot, loaded: &LoadedLayer, cooked: &Cooked) -> Vec<Diagnostic> {
    let Ok(Some(dockerfile)) = snapshot.catalog.files.text(&loaded.layer.build.dockerfile) else { return Vec::new() };
    let words: Vec<&str> = dockerfile.text.split_whitespace().filter(|word| *word != "\\").collect();
    let is_there = |call: &[String]| call.is_empty() || words.windows(call.len()).any(|part| part == call);
    let missing = cooked.calls.iter().enumerate().filter(|(_, call)| !is_there(call));
    missing
        .map(|(number, call)| {
            let path: &RelPath = &loaded.layer.build.dockerfile;
            let message = format!("{path} has no call of cargo with `{}`", call.join(" "));
            let field = format!("cooked.calls[{number}]");
            at_field(loaded, Code::BuildGraph, &field, message).help("write the same arguments in both places")
        })
        .collect()
}

/// The ceilings that are broken. `second` is the layer of the set below, with what is compiled a second time: not known
/// where the snapshot of that one is stale, which is told of that one.
fn ceilings(
    loaded: &LoadedLayer,
    ceilings: &Ceilings,
    graph: &BuildGraph,
    second: Option<(&LayerName, Option<&[Second]>)>,
) -> Vec<Diagnostic> {
    let mut findings = Vec::new();
    let name = &loaded.layer.name;
    for breach in crates::breaches(graph, ceilings, second.and_then(|(_, second)| second).unwrap_or_default()) {
        let is_second = breach.field == "second_time";
        let code = if is_second { Code::SecondTime } else { Code::Ceiling };
        let message = format!("{name}: {}: {}, the ceiling is {}", breach.what, breach.is, breach.ceiling);
        let mut finding = at_field(loaded, code, &format!("cooked.ceilings.{}", breach.field), message);
        for cause in &breach.causes {
            finding = finding.note(cause.as_str());
        }
        if breach.more > 0 {
            finding = finding.note(format!("and {} more", breach.more));
        }
        findings.push(match (is_second, breach.is_lowered) {
            (true, _) => {
                let parent = second.map(|(below, _)| below.as_str()).unwrap_or_default();
                finding.help(format!("`lamina crates align {parent} {name}` says what to declare in which of the two"))
            }
            (false, true) => {
                let is_measured = ["cpu_s", "bytes"].contains(&breach.field.as_str());
                let why = if is_measured { "this one was lowered, or measured anew" } else { "this one was lowered" };
                let help = match breach.field.strip_prefix("cone.") {
                    Some(crate_) => {
                        format!("`lamina crates cone {crate_} --layer {name}` lists them with the way to each")
                    }
                    None => format!("look for what can go: `lamina crates cone --all --layer {name}` ranks the crates"),
                };
                let finding = finding.note(format!("nothing is new since the ceilings last held: {why}"));
                finding.help(format!("raise it, or {help}"))
            }
            (false, false) => finding.help(format!(
                "leave out what is new, or raise the ceiling and run `lamina crates snapshot {name} --write`"
            )),
        });
    }
    let unmeasured = [("cpu_s", ceilings.cpu_s), ("bytes", ceilings.bytes)];
    let unmeasured = unmeasured.into_iter().filter(|(_, ceiling)| ceiling.is_some() && graph.measured.is_none());
    findings.extend(unmeasured.map(|(field, _)| {
        let message = format!("{name}: the ceiling `{field}` is not checked: nobody has measured these units");
        let finding = at_field(loaded, Code::Ceiling, &format!("cooked.ceilings.{field}"), message);
        finding.severity(Severity::Note).help(format!(
            "once its image is built: `lamina show {name} --units` and `lamina crates snapshot {name} --write` take the \
             figures over"
        ))
    }));
    let unknown = ceilings.cone.keys().filter(|name| graph.cone_units(name) == 0);
    findings.extend(unknown.map(|name_| {
        let message = format!("{name} has a ceiling for the cone of `{name_}`, which it does not compile");
        let finding = at_field(loaded, Code::Ceiling, &format!("cooked.ceilings.cone.{name_}"), message);
        finding.help("correct the name, or remove the ceiling")
    }));
    if second.is_none() && ceilings.second_time.is_some() {
        let message =
            format!("{name} has a ceiling `second_time` and is cooked on top of no other layer with a snapshot");
        let finding = at_field(loaded, Code::SecondTime, "cooked.ceilings.second_time", message);
        findings.push(finding.help("write the snapshot of the layer below, or remove the ceiling"));
    }
    findings
}
