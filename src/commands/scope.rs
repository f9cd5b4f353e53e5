//! What `validate` is to answer for: the whole catalog, or what a change touches.

use super::changes::{Changes, UnknownPolicy};
use super::context::Context;
use super::error::CommandError;
use crate::cascade::Scope;
use crate::diag::{Diagnostic, Severity};
use crate::model::Change;
use crate::report::count;
use crate::snapshot::Snapshot;
use crate::tree;

/// Which findings are wanted.
#[derive(Debug, clap::Args)]
pub struct ScopeArgs {
    /// Leave out findings in layers that these do not touch: layers, paths, external images; `-` reads paths from stdin
    #[arg(long, value_name = "X", num_args = 1.., conflicts_with = "staged")]
    changed: Vec<String>,
    /// Leave out findings in layers that the next commit does not touch; where git has nothing staged, leave out none
    #[arg(long)]
    staged: bool,
}

impl ScopeArgs {
    /// What was asked for; `None` for the whole catalog.
    ///
    /// # Errors
    /// When a word means nothing, or git can't say what is staged.
    pub fn scope(&self, context: &Context<'_>, snapshot: &Snapshot) -> Result<Option<Scope>, CommandError> {
        // What no layer claims is in the scope, so there is nothing to decide about it.
        let mut changes = Changes::new(context, snapshot, UnknownPolicy::All);
        let mut named = Vec::new();
        if self.staged {
            let staged = tree::staged(context.root())?;
            if staged.is_empty() {
                context.ui.remark("nothing is staged: the whole catalog is checked");
                return Ok(None);
            }
            changes.add_paths(&staged);
        } else if self.changed.is_empty() {
            return Ok(None);
        }
        for word in &self.changed {
            // A layer that can't be used can be named all the same.
            match snapshot.catalog.broken.contains(word.as_str()) {
                true => named.push(word.clone()),
                false => changes.add(word)?,
            }
        }
        let is_named = |change: &Change| matches!(change, Change::Named | Change::Image { .. });
        let by_name = changes.changed.iter().filter(|(_, changes)| changes.iter().any(is_named));
        named.extend(by_name.map(|(name, _)| name.to_string()));
        Ok(Some(Scope::new(snapshot, changes.paths, named)))
    }
}

/// What a scope leaves out of a list of findings.
#[derive(Debug, Default)]
pub struct LeftOut {
    /// How many errors.
    pub errors: usize,
    /// How many warnings.
    pub warnings: usize,
}

impl LeftOut {
    /// Takes out of `findings` what the scope does not hold.
    pub fn of(scope: Option<&Scope>, findings: &mut Vec<Diagnostic>) -> Self {
        let mut left_out = Self::default();
        let Some(scope) = scope else { return left_out };
        findings.retain(|finding| {
            let holds = scope.holds(finding);
            match finding.severity {
                _ if holds => {}
                Severity::Error => left_out.errors += 1,
                Severity::Warning => left_out.warnings += 1,
                Severity::Note => {}
            }
            holds
        });
        left_out
    }

    /// What is to be said about it; nothing where nothing was left out.
    pub fn remark(&self) -> Option<String> {
        let numbers = match (self.errors, self.warnings) {
            (0, 0) => return None,
            (0, warnings) => count(warnings, "warning"),
            (errors, 0) => count(errors, "error"),
            (errors, warnings) => format!("{} and {}", count(errors, "error"), count(warnings, "warning")),
        };
        Some(format!("left out: {numbers} in layers that the change does not touch"))
    }
}
