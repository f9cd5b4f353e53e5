//! Secrets are masked in everything that a run tells.

use crate::event::{Failure, Kind, Oom, Outcome, ProbeResult, StepFailure};
use crate::host::secret::Secret;

/// What a secret's text becomes.
const MASKED: &str = "***";

/// The shortest text that is masked, in bytes. Shorter ones are words of any log; who uses such a secret has none.
pub const SHORTEST: usize = 4;

/// The texts that nobody is to see.
#[derive(Clone, Debug, Default)]
pub struct Mask {
    texts: Vec<Secret>,
}

impl Mask {
    /// Masks a secret: its whole text, and because output comes by lines, each line of it without the blanks around.
    pub fn add(&mut self, secret: &Secret) {
        for line in std::iter::once(secret.expose()).chain(secret.expose().lines()) {
            let line = line.trim();
            if line.len() >= SHORTEST {
                self.texts.push(Secret::new(line));
            }
        }
        self.texts.sort_by(|a, b| a.expose().cmp(b.expose()));
        self.texts.dedup();
    }

    /// The text without any of the secrets. Where several overlap, all of what they cover is masked.
    pub fn apply(&self, text: &mut String) {
        let found = |secret: &Secret| {
            // `match_indices` passes over what overlaps itself, so every place is looked at.
            let (text, secret) = (text.as_bytes(), secret.expose().as_bytes());
            let at = text.windows(secret.len()).enumerate().filter(|(_, window)| *window == secret);
            at.map(|(at, window)| at..at + window.len()).collect::<Vec<_>>()
        };
        let mut covered: Vec<_> =
            self.texts.iter().filter(|secret| text.contains(secret.expose())).flat_map(found).collect();
        covered.sort_by_key(|range| range.start);
        let mut merged: Vec<std::ops::Range<usize>> = Vec::new();
        for range in covered {
            match merged.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => merged.push(range),
            }
        }
        for range in merged.into_iter().rev() {
            text.replace_range(range, MASKED);
        }
    }

    /// Masks all texts of an event that come from outside of the catalog.
    pub fn event(&self, kind: &mut Kind) {
        if self.texts.is_empty() {
            return;
        }
        match kind {
            Kind::StepStarted { name, .. } => self.apply(name),
            Kind::Donor { why_none, .. } => self.optional(why_none),
            Kind::StepFinished { error, .. } => self.optional(error),
            Kind::Transfer { id, .. } => self.apply(id),
            Kind::Output { line, .. } => self.apply(line),
            Kind::Warning { message, .. } => self.apply(message),
            Kind::Retrying { reason, oom, .. } => {
                self.apply(reason);
                self.oom(oom);
            }
            Kind::PromotionSkipped { reason } => self.apply(reason),
            Kind::Leased { endpoint, .. } => self.apply(endpoint),
            Kind::Released { trouble, .. } => self.optional(trouble),
            Kind::CacheRolledBack { trouble, .. } => self.optional(trouble),
            Kind::Sccache { used, .. } => {
                self.apply(&mut used.backend);
                self.optional(&mut used.off);
            }
            Kind::Probed { probe, .. } => self.probe(probe),
            Kind::LayerFinished { outcome: Outcome::Failed { failure }, .. } => self.failure(failure),
            Kind::RunStarted { .. }
            | Kind::LayerStarted { .. }
            | Kind::LayerBuilt { .. }
            | Kind::Proved { .. }
            | Kind::LayerFinished { .. }
            | Kind::Promoted { .. }
            | Kind::CancelRequested { .. }
            | Kind::RunFinished { .. } => {}
        }
    }

    fn failure(&self, failure: &mut Failure) {
        let Failure { kind: _, message, hints, step, oom, log: _ } = failure;
        self.apply(message);
        hints.iter_mut().for_each(|hint| self.apply(hint));
        self.oom(oom);
        if let Some(StepFailure { name, dockerfile: _, lines: _, span: _, exit_code: _, output }) = step {
            self.apply(name);
            output.iter_mut().for_each(|line| self.apply(line));
        }
    }

    /// Its evidence may be a line that the build wrote.
    fn oom(&self, oom: &mut Option<Oom>) {
        if let Some(oom) = oom {
            self.apply(&mut oom.evidence);
        }
    }

    fn probe(&self, probe: &mut ProbeResult) {
        probe.output.iter_mut().for_each(|line| self.apply(line));
        self.optional(&mut probe.wrong);
    }

    fn optional(&self, text: &mut Option<String>) {
        if let Some(text) = text {
            self.apply(text);
        }
    }
}
