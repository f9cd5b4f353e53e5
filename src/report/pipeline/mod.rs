//! A cascade as work for a CI system: each stale layer with all that its build is called with.

pub mod bake;
pub mod github;
pub mod gitlab;

use std::collections::{BTreeMap, BTreeSet};

use super::cascade::CascadeReport;
use super::reason;
use crate::cascade::Estimate;
use crate::diag::Diagnostic;
use crate::model::LayerName;
use crate::snapshot::Recipe;

/// The builds of a cascade, in order of building.
#[derive(Debug)]
pub struct Pipeline<'a> {
    waves: Vec<Vec<Step<'a>>>,
    estimate: Estimate<'a>,
}

/// The build of a layer.
#[derive(Debug)]
struct Step<'a> {
    /// What it is called with.
    recipe: Recipe<'a>,
    /// Why the layer is stale.
    reason: String,
    /// The layers of the cascade that have to be built right before.
    needs: BTreeSet<&'a LayerName>,
}

/// How much of a reason is told, in characters: enough for people, and a bound for the whole answer.
const REASON: usize = 300;

impl<'a> Pipeline<'a> {
    /// Gathers the builds of the layers that a report is about.
    ///
    /// # Errors
    /// Why a layer can't be built.
    pub fn new(report: &CascadeReport<'a>) -> Result<Self, Vec<Diagnostic>> {
        let snapshot = report.snapshot;
        let set = report.selected();
        let mut needs: BTreeMap<_, _> = snapshot.graph.needs(&set);
        let mut findings = Vec::new();
        let mut step = |name: &'a LayerName| match snapshot.recipe(name)? {
            Ok(recipe) => {
                let reason = bounded(&reason::chain(report.cascade, name, false), REASON);
                Some(Step { recipe, reason, needs: needs.remove(name).unwrap_or_default() })
            }
            Err(finding) => {
                findings.push(*finding);
                None
            }
        };
        let waves = report.waves.iter().map(|wave| wave.iter().filter_map(|name| step(name)).collect()).collect();
        // The same mistake in the catalog stands in the way of all layers.
        findings.dedup();
        if findings.is_empty() {
            return Ok(Self { waves, estimate: Estimate::of(snapshot, &set) });
        }
        // Where layers have no fingerprint, the reason why is told once, and not that it is so for each of them.
        let causes = &snapshot.fingerprints().findings;
        Err(if causes.is_empty() { findings } else { causes.clone() })
    }
}

/// `NAME=value` each.
fn equations(map: &BTreeMap<String, String>) -> Vec<String> {
    map.iter().map(|(name, value)| format!("{name}={value}")).collect()
}

/// A text in one line of at most `most` characters.
pub(super) fn bounded(text: &str, most: usize) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    match line.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}
