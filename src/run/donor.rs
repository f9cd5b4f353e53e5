//! An earlier image of the layer as donor of its build, and what becomes of a build whose donor goes meanwhile.

use super::Work;
use crate::engine::SolveError;
use crate::model::{Cooked, Fingerprint, LayerName};
use crate::publish::{self, DonorImage, NoDonor};
use crate::registry::Registry;
use crate::snapshot::Snapshot;

/// The donor of a layer's build; `None` where its Dockerfile takes none.
pub async fn find<R: Registry>(
    registry: &R,
    snapshot: &Snapshot,
    layer: &LayerName,
    last: Option<Fingerprint>,
) -> Option<Result<DonorImage, NoDonor>> {
    let takes_donor = snapshot.recipe(layer).is_some_and(|recipe| recipe.is_ok_and(|recipe| recipe.takes_donor));
    match takes_donor {
        true => Some(publish::donor(registry, snapshot, layer, last).await),
        false => None,
    }
}

/// The donor of a layer's build in a run, or in words why it has none; `None` where its Dockerfile takes none.
pub(super) async fn of_run<R: Registry>(work: &Work<'_, R>, layer: &LayerName) -> Option<Result<DonorImage, String>> {
    let Some(last) = &work.settings.donors else {
        let recipe = work.snapshot.recipe(layer)?.ok()?;
        return recipe.takes_donor.then(|| Err("--clean".to_owned()));
    };
    let found = find(work.registry, &work.snapshot, layer, last.get(layer).copied()).await?;
    Some(found.map_err(|no| no.to_string()))
}

/// Whether a build failed because of its donor: it went from the registry, or is none for this platform. `step` is what
/// BuildKit calls the step that failed.
pub(super) fn is_to_blame(donor: &DonorImage, error: &SolveError, step: Option<&str>) -> bool {
    let named = |text: &str| text.contains(donor.digest.as_str());
    let is_of_stage = |name: &str| {
        let places = [format!("[context {}]", Cooked::DONOR_STAGE), format!("[{} ", Cooked::DONOR_STAGE)];
        places.iter().any(|place| name.starts_with(place))
    };
    let is_of_step = step.is_some_and(|name| named(name) || is_of_stage(name));
    // What a command of the Dockerfile says is its own matter.
    error.exit_code.is_none() && !error.cancelled && (is_of_step || named(&error.message))
}
