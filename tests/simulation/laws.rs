//! What has to hold once a run is over, and once the next lamina has swept.

use crate::world::World;

/// After a run has ended, or was killed in the middle.
pub fn after(world: &World, has_ended: bool) {
    let state = world.state();
    let written = |lease: &String| state.ledger.keys().any(|id| id.as_str() == lease);
    let unwritten: Vec<_> = state.runners.keys().filter(|lease| !written(lease)).cloned().collect();
    let failed = state.release_failed.clone();
    let left: Vec<_> = state.runners.keys().filter(|lease| !failed.contains(*lease)).cloned().collect();
    drop(state);
    world.law("what is leased is written down", unwritten.is_empty(), &format!("{unwritten:?}"));
    if has_ended {
        world.law("a run gives back all that can be given back", left.is_empty(), &format!("{left:?}"));
    }
}

/// After the sweep.
pub fn swept(world: &World) {
    let state = world.state();
    let (runners, ledger) = (format!("{:?}", state.runners), format!("{:?}", state.ledger.keys()));
    let (no_runner, no_record) = (state.runners.is_empty(), state.ledger.is_empty());
    drop(state);
    world.law("no runner is left", no_runner, &runners);
    world.law("no record is left", no_record, &ledger);
}
