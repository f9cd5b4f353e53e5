//! The checks of `lamina validate`. Each is a pure function of a snapshot; one table feeds `--list`, `--only`,
//! `--explain` and the reference page.

mod adr;
mod build_graph;
mod cooked;
mod dockerfile;
mod native_deps;
mod pins;

pub use adr::{ConstraintState, Holds, axiom_holds, constraints};

use crate::diag::{Code, Diagnostic};
use crate::snapshot::Snapshot;

/// A check.
#[derive(Debug)]
pub struct Check {
    /// The name by which `--only` selects it.
    pub name: &'static str,
    /// What it looks at, in a line.
    pub summary: &'static str,
    /// The findings it can have.
    pub codes: &'static [Code],
    /// Whether it reads all build contexts, and so runs with `--check-dag` alone.
    pub thorough: bool,
    run: fn(&Snapshot) -> Vec<Diagnostic>,
}

/// All checks, in the order they are reported in.
pub static CHECKS: &[Check] = &[
    Check {
        name: "contracts",
        summary: "every Nickel file evaluates and keeps its contract",
        codes: &[
            Code::Syntax,
            Code::Contract,
            Code::MissingField,
            Code::UnknownField,
            Code::ContractNotApplied,
            Code::MergeConflict,
            Code::Type,
            Code::Import,
            Code::Recursion,
            Code::Evaluation,
            Code::LimitTime,
            Code::LimitMemory,
            Code::LimitDepth,
            Code::NotUtf8,
            Code::NotAFile,
            Code::TooLarge,
            Code::Unreadable,
            Code::NotEvaluated,
            Code::CatalogValue,
        ],
        thorough: false,
        run: |snapshot| of_codes(loading(snapshot), |code| !NAMES.contains(&code)),
    },
    Check {
        name: "names",
        summary: "folders and layers agree on names, and nothing is declared twice",
        codes: NAMES,
        thorough: false,
        run: |snapshot| of_codes(loading(snapshot), |code| NAMES.contains(&code)),
    },
    Check {
        name: "dag",
        summary: "bases and donors exist, and no layer depends on itself",
        codes: &[Code::UnknownLayer, Code::Cycle],
        thorough: false,
        run: |snapshot| of_codes(snapshot.graph_findings(), |code| matches!(code, Code::UnknownLayer | Code::Cycle)),
    },
    Check {
        name: "dockerfile",
        summary: "each Dockerfile uses what its workflow declares, and nothing else",
        codes: dockerfile::CODES,
        thorough: false,
        run: dockerfile::check,
    },
    Check {
        name: "native-deps",
        summary: "C libraries are declared and installed",
        codes: &[Code::NativeDeps, Code::NativeDepsInstalled],
        thorough: false,
        run: native_deps::check,
    },
    Check {
        name: "cooked",
        summary: "cooked dependency sets have a manifest, a fitting lock file, and a build graph that keeps its ceilings",
        codes: &[Code::Cooked, Code::CargoLock, Code::BuildGraph, Code::Ceiling, Code::SecondTime],
        thorough: false,
        run: |snapshot| cooked::check(snapshot).into_iter().chain(build_graph::check(snapshot)).collect(),
    },
    Check {
        name: "pins",
        summary: "every external image has a digest in lamina.lock, for every platform that is built",
        codes: &[Code::Unpinned, Code::LockSyntax, Code::LockUnused, Code::PlatformMissing],
        thorough: false,
        run: pins::check,
    },
    Check {
        name: "adr",
        summary: "the constraints of the architecture decisions hold",
        codes: &[Code::AdrHard, Code::AdrSoft, Code::AdrInvalid],
        thorough: false,
        run: adr::check,
    },
    Check {
        name: "context",
        summary: "every build context can be read, and every layer has a fingerprint",
        codes: &[Code::NotAFile, Code::TooLarge, Code::Unreadable],
        thorough: true,
        run: |snapshot| {
            // What keeps a Dockerfile from being read is the Dockerfile check's to report.
            of_codes(snapshot.fingerprints().findings.clone(), |code| {
                matches!(code, Code::NotAFile | Code::TooLarge | Code::Unreadable)
            })
        },
    },
];

const NAMES: &[Code] = &[Code::LayerName, Code::LayerFolder, Code::Duplicate];

impl Check {
    /// Runs the check.
    pub fn run(&self, snapshot: &Snapshot) -> Vec<Diagnostic> {
        (self.run)(snapshot)
    }
}

/// The check by its name.
pub fn find(name: &str) -> Option<&'static Check> {
    CHECKS.iter().find(|check| check.name == name)
}

/// The checks that can have findings of a code.
pub fn of(code: Code) -> impl Iterator<Item = &'static Check> {
    CHECKS.iter().filter(move |check| check.codes.contains(&code))
}

/// What loading the catalog found.
fn loading(snapshot: &Snapshot) -> Vec<Diagnostic> {
    let catalog = &snapshot.catalog;
    catalog.findings.iter().chain(&catalog.decision_findings).cloned().collect()
}

fn of_codes(findings: Vec<Diagnostic>, wanted: impl Fn(Code) -> bool) -> Vec<Diagnostic> {
    findings.into_iter().filter(|finding| wanted(finding.code)).collect()
}
