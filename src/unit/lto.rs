//! What each unit does for link-time optimisation, which cargo decides for a whole graph and puts into each hash.
//!
//! A library is compiled to object code, to bitcode or to both, by what the programs need that it ends up in. The same
//! library is thus another unit below a program with `lto = true` and below a library alone. The rules are cargo's
//! (`core/compiler/lto.rs`); the order in which units are looked at is, too.

use super::{Kind, Unit, UnitGraph};

/// What is made of a unit.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Mode {
    /// Link-time optimisation runs here. Its sort is in the profile.
    Run,
    /// None at all, not even within the crate.
    Off,
    /// Only what link-time optimisation needs later.
    Bitcode,
    /// Both, for some need the one and some the other.
    ObjectAndBitcode,
    /// Only what a linker needs.
    Object,
}

impl Mode {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Mode::Run => "run",
            Mode::Off => "off",
            Mode::Bitcode => "bitcode",
            Mode::ObjectAndBitcode => "object-and-bitcode",
            Mode::Object => "object",
        }
    }
}

/// The mode of each unit. One that no root needs is compiled to object code, as it would be for itself.
pub(super) fn modes(graph: &UnitGraph) -> Vec<Mode> {
    let mut modes: Vec<Option<Mode>> = vec![None; graph.units.len()];
    let mut waiting: Vec<(usize, Mode)> = Vec::new();
    for &root in graph.roots.iter().rev() {
        waiting.push((root, of_root(graph, &graph.units[root])));
    }
    while let Some((place, above)) = waiting.pop() {
        let unit = &graph.units[place];
        let own = below(graph, unit, above);
        let merged = match &modes[place] {
            None => own,
            Some(known) => {
                let merged = merge(own, known.clone());
                if merged == *known {
                    continue;
                }
                merged
            }
        };
        modes[place] = Some(merged.clone());
        waiting.extend(unit.dependencies.iter().rev().map(|&dependency| (dependency, merged.clone())));
    }
    modes.into_iter().map(|mode| mode.unwrap_or(Mode::Object)).collect()
}

fn of_root(graph: &UnitGraph, unit: &Unit) -> Mode {
    match setting(graph, unit) {
        Setting::No => Mode::Object,
        Setting::Off => Mode::Off,
        Setting::Yes if runs_at_build(unit) => Mode::Object,
        Setting::Yes if needs_object(unit) => with_object(unit),
        Setting::Yes => Mode::Bitcode,
    }
}

/// The mode of a unit below one with another.
fn below(graph: &UnitGraph, unit: &Unit, above: Mode) -> Mode {
    if runs_at_build(unit) {
        return Mode::Object;
    }
    if unit.crate_types.iter().all(|kind| is_linked(kind)) {
        return match setting(graph, unit) {
            Setting::Yes => Mode::Run,
            Setting::Off => Mode::Off,
            Setting::No => Mode::Object,
        };
    }
    match (above, needs_object(unit)) {
        (Mode::Run, false) => Mode::Bitcode,
        (Mode::Run | Mode::Bitcode, true) => with_object(unit),
        (above, _) => above,
    }
}

/// The mode that serves two that need a unit.
fn merge(one: Mode, other: Mode) -> Mode {
    match (one, other) {
        (Mode::Run, _) | (_, Mode::Run) => Mode::Run,
        (Mode::Off, _) | (_, Mode::Off) => Mode::Off,
        (one, other) if one == other => one,
        _ => Mode::ObjectAndBitcode,
    }
}

/// A build script or procedural macro: nothing of it is in what is built.
fn runs_at_build(unit: &Unit) -> bool {
    matches!(unit.kind, Kind::ProcMacro | Kind::BuildScript | Kind::BuildScriptRun)
        || unit.crate_types.iter().any(|kind| kind == "proc-macro")
}

/// Whether a linker makes it for good, so that link-time optimisation can run.
fn is_linked(crate_type: &str) -> bool {
    matches!(crate_type, "bin" | "staticlib" | "cdylib")
}

fn needs_object(unit: &Unit) -> bool {
    unit.crate_types.iter().any(|kind| is_linked(kind) || matches!(kind.as_str(), "dylib" | "proc-macro"))
}

/// rustc runs no link-time optimisation for a dylib; a library of several sorts needs both.
fn with_object(unit: &Unit) -> Mode {
    match unit.crate_types.iter().all(|kind| kind == "dylib") {
        true => Mode::Object,
        false => Mode::ObjectAndBitcode,
    }
}

enum Setting {
    No,
    Off,
    Yes,
}

/// `lto` in a unit's profile: JSON text of cargo's, `"false"`, `"off"`, `"true"`, `"thin"`, `"fat"`.
fn setting(graph: &UnitGraph, unit: &Unit) -> Setting {
    match graph.profile(unit).settings.get("lto").map(|text| text.trim_matches('"')) {
        None | Some("false") => Setting::No,
        Some("off") => Setting::Off,
        Some(_) => Setting::Yes,
    }
}
