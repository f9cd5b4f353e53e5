//! Laws of the scheduler, on random graphs with random failures, retries and cancellations. What drives it is simulated,
//! with a virtual clock.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use lamina::event::{CancelReason, NotRun};
use lamina::model::LayerName;
use lamina::run::scheduler::{End, LeftOut, Options, ScheduleError, Scheduler, Task, Verdict};
use proptest::prelude::*;

/// A layer of a world: what it needs, how long its attempts take, how they end.
#[derive(Clone, Debug)]
struct Fate {
    needs: BTreeSet<usize>,
    expected: u64,
    /// How long an attempt really takes.
    takes: u64,
    /// How many attempts fail in a way that may pass.
    shaky: u32,
    fails: bool,
}

#[derive(Clone, Debug)]
struct World {
    fates: Vec<Fate>,
    options: Options,
    /// When somebody asks the run to end.
    cancels: Vec<(u64, CancelReason)>,
}

/// What happened in a simulated run, with the virtual time.
#[derive(Clone, Debug, PartialEq)]
enum Happened {
    Started(LayerName),
    Retried(LayerName, u32),
    Ended(LayerName, End),
    Cancelled(CancelReason),
}

fn name(index: usize) -> LayerName {
    // Letters that are not in the order of the graph, so that ties by name are no accident.
    format!("l{:02}", (index * 7) % 31).parse().unwrap()
}

fn tasks(fates: &[Fate]) -> BTreeMap<LayerName, Task> {
    let task = |(index, fate): (usize, &Fate)| {
        let needs = fate.needs.iter().map(|need| name(*need)).collect();
        (name(index), Task { needs, expected: Duration::from_millis(fate.expected) })
    };
    fates.iter().enumerate().map(task).collect()
}

fn worlds() -> impl Strategy<Value = World> {
    let fate = (any::<u32>(), 0..5_u64, 1..9_u64, prop_oneof![4 => Just(0), 1 => 1..4_u32], prop::bool::weighted(0.2));
    let fates = prop::collection::vec(fate, 0..24).prop_map(|fates| {
        let fate = |(index, (mask, expected, takes, shaky, fails)): (usize, (u32, u64, u64, u32, bool))| {
            // Some three parents at most, all of them earlier, so that there is no cycle.
            let needs = (0..3).filter(|n| index > 0 && mask & (1 << n) != 0);
            let needs = needs.map(|n| (mask as usize >> (4 + 5 * n)) % index).collect();
            Fate { needs, expected, takes, shaky, fails }
        };
        fates.into_iter().enumerate().map(fate).collect()
    });
    let reason =
        prop_oneof![Just(CancelReason::Terminated), Just(CancelReason::Interrupted), Just(CancelReason::SecondSignal)];
    let cancels = prop_oneof![3 => Just(Vec::new()), 1 => prop::collection::vec((0..40_u64, reason), 1..3)];
    let options = (1..6_usize, any::<bool>(), 1..4_u32);
    (fates, options, cancels).prop_map(|(fates, (jobs, keep_going, attempts), mut cancels)| {
        cancels.sort_by_key(|(at, _)| *at);
        World { fates, options: Options { jobs, keep_going, attempts }, cancels }
    })
}

/// Runs a world to its end; checks on the way what holds at every moment.
fn simulate(world: &World) -> Vec<Happened> {
    let fates: BTreeMap<LayerName, &Fate> =
        world.fates.iter().enumerate().map(|(index, fate)| (name(index), fate)).collect();
    let mut scheduler = Scheduler::new(tasks(&world.fates), world.options).unwrap();
    let mut log = Vec::new();
    let mut running: BTreeMap<LayerName, (u64, u32)> = BTreeMap::new();
    let mut good: BTreeSet<LayerName> = BTreeSet::new();
    let mut cancels = world.cancels.iter().peekable();
    let mut now = 0;
    let left_out = |log: &mut Vec<Happened>, left: Vec<LeftOut>| {
        log.extend(left.into_iter().map(|(layer, why)| Happened::Ended(layer, End::NotRun(why))));
    };
    loop {
        loop {
            let may_start = startable(&log, &fates, &good, &running);
            let has_room = running.len() < world.options.jobs && scheduler.cancelled().is_none();
            let next = scheduler.next();
            assert_eq!(next.is_some(), has_room && !may_start.is_empty(), "{may_start:?} at {now}");
            let Some(layer) = next else { break };
            assert_eq!(Some(&layer), first(&may_start, world).as_ref(), "the longest path first");
            running.insert(layer.clone(), (now + fates[&layer].takes, 1));
            log.push(Happened::Started(layer));
            assert_eq!(scheduler.running(), running.len());
            assert!(running.len() <= world.options.jobs);
        }
        // What comes next: a cancellation, or the end of an attempt.
        let end = running.iter().map(|(layer, (at, _))| (*at, layer.clone())).min();
        match (cancels.peek(), end) {
            (Some((at, reason)), Some((end, _))) if *at <= end => {
                now = now.max(*at);
                cancels.next();
                let graver = scheduler.cancelled() < Some(*reason);
                let left = scheduler.cancel(*reason);
                if graver {
                    log.push(Happened::Cancelled(*reason));
                }
                assert!(scheduler.cancelled() >= Some(*reason), "a reason only rises");
                left_out(&mut log, left);
                // All that runs is told to end, and does so a little later.
                running.values_mut().for_each(|(at, _)| *at = (*at).min(now + 1));
            }
            (_, Some((at, layer))) => {
                now = at;
                let (_, attempt) = running[&layer];
                let fate = fates[&layer];
                let by_request = scheduler.cancelled() > Some(CancelReason::LayerFailed);
                if !by_request && attempt <= fate.shaky {
                    let retry = scheduler.retry(&layer);
                    assert_eq!(retry, (attempt < world.options.attempts).then_some(attempt + 1));
                    if let Some(attempt) = retry {
                        running.insert(layer.clone(), (now + fate.takes, attempt));
                        log.push(Happened::Retried(layer, attempt));
                        continue;
                    }
                }
                let verdict = match () {
                    () if by_request => Verdict::Cancelled,
                    () if fate.fails || attempt <= fate.shaky => Verdict::Failed,
                    () => Verdict::Succeeded,
                };
                assert_eq!(by_request.then(|| scheduler.retry(&layer)).flatten(), None);
                running.remove(&layer);
                if verdict == Verdict::Succeeded {
                    good.insert(layer.clone());
                }
                log.push(Happened::Ended(layer.clone(), End::Run(verdict)));
                let left = scheduler.finished(&layer, verdict);
                left_out(&mut log, left);
                assert!(scheduler.finished(&layer, verdict).is_empty(), "a layer ends once");
            }
            (_, None) => break,
        }
    }
    assert!(scheduler.is_done(), "a run in which nothing happens any more is over: {log:?}");
    let told: BTreeMap<LayerName, End> = log
        .iter()
        .filter_map(|happened| match happened {
            Happened::Ended(layer, end) => Some((layer.clone(), end.clone())),
            _ => None,
        })
        .collect();
    let ends: BTreeMap<LayerName, End> =
        scheduler.ends().into_iter().map(|(layer, end)| (layer.clone(), end.clone())).collect();
    assert_eq!(told, ends);
    assert_eq!(ends.keys().collect::<Vec<_>>(), fates.keys().collect::<Vec<_>>());
    log
}

/// The layers that have not been begun or left out, and all of whose parents have succeeded.
fn startable(
    log: &[Happened],
    fates: &BTreeMap<LayerName, &Fate>,
    good: &BTreeSet<LayerName>,
    running: &BTreeMap<LayerName, (u64, u32)>,
) -> BTreeSet<LayerName> {
    let ended =
        |layer: &LayerName| log.iter().any(|happened| matches!(happened, Happened::Ended(it, _) if it == layer));
    let may = |layer: &&LayerName| {
        let needs = &fates[*layer].needs;
        !ended(layer) && !running.contains_key(*layer) && needs.iter().all(|need| good.contains(&name(*need)))
    };
    fates.keys().filter(may).cloned().collect()
}

/// Of some layers the one with the longest path below it, by brute force; of several, the first by name.
fn first(layers: &BTreeSet<LayerName>, world: &World) -> Option<LayerName> {
    fn path(index: usize, fates: &[Fate], known: &mut BTreeMap<usize, u64>) -> u64 {
        if let Some(known) = known.get(&index) {
            return *known;
        }
        let children = (0..fates.len()).filter(|child| fates[*child].needs.contains(&index));
        let below = children.collect::<Vec<_>>().into_iter().map(|child| path(child, fates, known)).max();
        let path = fates[index].expected + below.unwrap_or(0);
        known.insert(index, path);
        path
    }
    let mut known = BTreeMap::new();
    let named = (0..world.fates.len()).filter(|index| layers.contains(&name(*index)));
    let of = |index: usize| (std::cmp::Reverse(path(index, &world.fates, &mut known)), name(index));
    named.map(of).min().map(|(_, layer)| layer)
}

fn ends(log: &[Happened]) -> BTreeMap<LayerName, End> {
    let mut ends = BTreeMap::new();
    for happened in log {
        if let Happened::Ended(layer, end) = happened {
            assert!(ends.insert(layer.clone(), end.clone()).is_none(), "{layer} ends twice");
        }
    }
    ends
}

fn descendants(fates: &[Fate], of: &BTreeSet<LayerName>) -> BTreeSet<LayerName> {
    let mut reached: BTreeSet<LayerName> = BTreeSet::new();
    // Parents come before children.
    for (index, fate) in fates.iter().enumerate() {
        if fate.needs.iter().any(|need| of.contains(&name(*need)) || reached.contains(&name(*need))) {
            reached.insert(name(index));
        }
    }
    reached
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn every_run_ends_and_every_layer_ends_once(world in worlds()) {
        let log = simulate(&world);
        prop_assert_eq!(ends(&log).len(), world.fates.len());
    }

    #[test]
    fn events_are_in_an_order_that_makes_sense(world in worlds()) {
        let log = simulate(&world);
        let at = |what: &Happened| log.iter().position(|happened| happened == what);
        for (index, fate) in world.fates.iter().enumerate() {
            let layer = name(index);
            let end = ends(&log)[&layer].clone();
            let started = at(&Happened::Started(layer.clone()));
            let ended = at(&Happened::Ended(layer.clone(), end.clone())).unwrap();
            match end {
                End::NotRun(_) => prop_assert!(started.is_none()),
                End::Run(_) => {
                    let started = started.unwrap();
                    prop_assert!(started < ended);
                    for need in &fate.needs {
                        let good = at(&Happened::Ended(name(*need), End::Run(Verdict::Succeeded)));
                        prop_assert!(good.is_some_and(|good| good < started), "{:?}", log);
                    }
                    for (place, happened) in log.iter().enumerate() {
                        if matches!(happened, Happened::Retried(it, _) if *it == layer) {
                            prop_assert!(started < place && place < ended);
                        }
                    }
                }
            }
        }
        // Nothing is begun after a cancellation, nor after a failure that is to stop the run.
        let stop = log.iter().position(|happened| match happened {
            Happened::Cancelled(_) => true,
            Happened::Ended(_, End::Run(Verdict::Failed)) => !world.options.keep_going,
            _ => false,
        });
        if let Some(stop) = stop {
            prop_assert!(!log[stop..].iter().any(|happened| matches!(happened, Happened::Started(_))));
        }
    }

    #[test]
    fn keeping_going_leaves_out_the_descendants_of_failed_layers_and_no_others(world in worlds()) {
        let mut world = world;
        world.options.keep_going = true;
        world.cancels.clear();
        let ends = ends(&simulate(&world));
        let failed = |end: &End| *end == End::Run(Verdict::Failed);
        let failed: BTreeSet<LayerName> =
            ends.iter().filter(|(_, end)| failed(end)).map(|(layer, _)| layer.clone()).collect();
        let below = descendants(&world.fates, &failed);
        for (layer, end) in &ends {
            match end {
                End::NotRun(NotRun::ParentFailed { parent }) => {
                    prop_assert!(failed.contains(parent) && below.contains(layer));
                    let one = BTreeSet::from([parent.clone()]);
                    prop_assert!(descendants(&world.fates, &one).contains(layer), "the origin is an ancestor");
                }
                End::NotRun(why) => prop_assert!(false, "{layer}: {why:?}"),
                End::Run(_) => prop_assert!(!below.contains(layer)),
            }
        }
    }

    #[test]
    fn by_default_nothing_is_begun_after_a_failure_and_what_runs_is_finished(world in worlds()) {
        let mut world = world;
        world.options.keep_going = false;
        world.cancels.clear();
        let log = simulate(&world);
        let failed = |happened: &Happened| matches!(happened, Happened::Ended(_, End::Run(Verdict::Failed)));
        let first = log.iter().find(|happened| failed(happened));
        for (layer, end) in ends(&log) {
            match (end, first) {
                (End::Run(verdict), _) => prop_assert_ne!(verdict, Verdict::Cancelled),
                (End::NotRun(NotRun::ParentFailed { parent: why } | NotRun::RunFailed { layer: why }),
                 Some(Happened::Ended(origin, _))) => prop_assert_eq!(&why, origin),
                (end, first) => prop_assert!(false, "{layer}: {end:?}, {first:?}"),
            }
        }
    }
}

#[test]
fn tasks_in_a_circle_are_refused() {
    let task = |needs: &[&str]| Task {
        needs: needs.iter().map(|need| need.parse().unwrap()).collect(),
        expected: Duration::MAX,
    };
    let options = Options { jobs: 1, keep_going: false, attempts: 1 };
    let layer = |name: &str| name.parse::<LayerName>().unwrap();
    let tasks = BTreeMap::from([(layer("a"), task(&[])), (layer("b"), task(&["a", "c"])), (layer("c"), task(&["b"]))]);
    assert!(matches!(Scheduler::new(tasks, options), Err(ScheduleError::Cycle(_))));
    let tasks = BTreeMap::from([(layer("a"), task(&["b"]))]);
    let missing = ScheduleError::Missing { layer: layer("a"), missing: layer("b") };
    assert_eq!(Scheduler::new(tasks, options).unwrap_err(), missing);
}
