//! Which findings a change answers for: those that it may have caused, and all others about what it touches.
//!
//! A finding is left out only where it is known to be about one layer, and the change reaches nothing that the
//! finding was computed from. What is not known is in the scope.

use std::collections::BTreeSet;

use super::{Claims, Verdict};
use crate::catalog::{CATALOG_FILE, LAYERS};
use crate::diag::{Code, Diagnostic};
use crate::model::RelPath;
use crate::snapshot::Snapshot;

/// Findings about one layer that another layer's files may cause: a folder that is gone, an import that is gone, an
/// evaluation that others have exhausted. They belong to every change.
const SHARED: &[Code] = &[
    Code::UnknownLayer,
    Code::Cycle,
    Code::Import,
    Code::Recursion,
    Code::LimitTime,
    Code::LimitMemory,
    Code::LimitDepth,
    Code::NotEvaluated,
];

/// What a change touches.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// The change may reach any layer.
    everything: bool,
    /// The layers that are touched, by the names of their folders: they need be no layers any more.
    layers: BTreeSet<String>,
    /// The paths that changed.
    paths: BTreeSet<RelPath>,
    /// Whether the lock changed: it decides on pins alone.
    lock: bool,
    /// Whether a file of the decisions changed.
    decisions: bool,
}

impl Scope {
    /// What a change of these paths and these layers touches.
    pub fn new(
        snapshot: &Snapshot,
        paths: impl IntoIterator<Item = RelPath>,
        layers: impl IntoIterator<Item = String>,
    ) -> Self {
        let mut scope =
            Self { layers: layers.into_iter().collect(), paths: paths.into_iter().collect(), ..Self::default() };
        let claims = Claims::new(snapshot);
        for path in scope.paths.clone() {
            scope.add(snapshot, &claims, &path);
        }
        scope
    }

    fn add(&mut self, snapshot: &Snapshot, claims: &Claims<'_>, path: &RelPath) {
        let own = layer_folder(path.as_str());
        self.layers.extend(own.map(str::to_owned));
        self.lock |= snapshot.lock_path.as_ref() == Some(path);
        self.decisions |= snapshot.catalog.decision_files.contains(path);
        match claims.verdict(path) {
            Verdict::Layers(_) if snapshot.lock_path.as_ref() == Some(path) => {}
            Verdict::Layers(layers) => self.layers.extend(layers.keys().map(ToString::to_string)),
            Verdict::Unclaimed => self.everything |= own.is_none(),
            Verdict::NotBuilt(_) | Verdict::Ignored(_) | Verdict::Outside => {}
        }
        // Those that claim a path without being built from it, or that could claim nothing.
        for loaded in snapshot.layers() {
            if loaded.layer.cooked.as_ref().is_some_and(|cooked| path.below(&cooked.path).is_some()) {
                self.layers.insert(loaded.layer.name.to_string());
            }
        }
        for (file, imports) in &snapshot.catalog.broken_imports {
            if imports.contains(path) {
                self.everything |= file.as_str() == CATALOG_FILE;
                self.layers.extend(layer_folder(file.as_str()).map(str::to_owned));
            }
        }
    }

    /// How many of these layers are touched.
    pub fn count<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> usize {
        names.into_iter().filter(|name| self.everything || self.layers.contains(*name)).count()
    }

    /// Whether the change answers for a finding.
    pub fn holds(&self, finding: &Diagnostic) -> bool {
        if self.everything || SHARED.contains(&finding.code) {
            return true;
        }
        let files = || finding.labels.iter().map(|label| label.file.as_str()).chain(finding.file.as_deref());
        let layer = finding.layer.as_deref().or_else(|| files().find_map(layer_folder));
        let Some(layer) = layer else { return true };
        let by_rule = match finding.code {
            Code::Unpinned => self.lock,
            Code::AdrHard | Code::AdrSoft => self.decisions,
            _ => false,
        };
        by_rule || self.layers.contains(layer) || files().any(|file| self.paths.contains(file))
    }
}

/// The name of the folder in layers/ that a path names or lies in.
fn layer_folder(path: &str) -> Option<&str> {
    let below = path.strip_prefix(LAYERS)?.strip_prefix('/')?;
    below.split('/').next()
}
