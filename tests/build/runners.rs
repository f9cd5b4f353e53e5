//! Runners that come and go: several at once, sick ones beside healthy ones, and none left behind, however lamina ends.

use std::fs;
use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::farm::{Farm, row, table, written};
use crate::shop::{Shop, layer, until};

/// The events of a kind of the last run.
fn events(shop: &Shop, kind: &str) -> Vec<Value> {
    shop.events().into_iter().filter(|event| event["event"] == kind).collect()
}

#[track_caller]
fn nothing_is_left(shop: &Shop, farm: &Farm) {
    assert_eq!((farm.left(), written(shop)), (Vec::<String>::new(), Vec::<String>::new()));
}

#[test]
fn layers_spread_over_two_runners_and_both_are_given_back() {
    let Some(shop) = Shop::new("layers_spread_over_two_runners_and_both_are_given_back") else { return };
    let farm = Farm::new(&shop);
    let program = farm.program("lease", "");
    table(&shop, &[row("one", &program, "capacity = 1"), row("two", &program, "capacity = 1")]);
    shop.layer("left", "", "RUN sleep 3", "").layer("right", "", "RUN sleep 3", "").lock();
    let (code, report) = shop.build(&["--all"]);
    assert_eq!(code, Some(0), "{report:#}");
    let leased = events(&shop, "leased");
    let mut sources: Vec<&str> = leased.iter().map(|event| event["source"].as_str().unwrap()).collect();
    sources.sort_unstable();
    assert_eq!(sources, ["one", "two"], "each has room for one");
    let order: Vec<String> = shop.events().iter().map(|event| event["event"].as_str().unwrap().to_owned()).collect();
    let last_leased = order.iter().rposition(|kind| kind == "leased").unwrap();
    let first_released = order.iter().position(|kind| kind == "released").unwrap();
    assert!(last_leased < first_released, "both are held at the same time: {order:?}");
    nothing_is_left(&shop, &farm);
}

#[test]
fn sick_sources_do_not_hide_the_healthy_one() {
    let Some(shop) = Shop::new("sick_sources_do_not_hide_the_healthy_one") else { return };
    let farm = Farm::new(&shop);
    let rows = [
        row("refusing", &farm.program("refusing", "exit 1"), ""),
        row("slow", &farm.program("slow", "sleep 60"), "timeout_s = 2"),
        row("babbling", &farm.program("babbling", "echo 'I am no JSON'; exit 0"), ""),
        row("small", &farm.program("small", ""), "largest = { cpu = 1, memory_mb = 64 }"),
        row("healthy", &farm.program("healthy", ""), ""),
    ];
    table(&shop, &rows);
    shop.layer("it", "", "RUN true", "").lock();
    let (code, report) = shop.build(&["--all"]);
    assert_eq!(code, Some(0), "{report:#}");
    let leased = events(&shop, "leased");
    assert_eq!(leased.len(), 1, "{leased:?}");
    assert_eq!(leased[0]["source"], "healthy");
    let warnings: Vec<String> = events(&shop, "warning").iter().map(|event| event["message"].to_string()).collect();
    for source in ["refusing", "slow", "babbling"] {
        let is_named = warnings.iter().any(|warning| warning.contains(&format!("no runner of {source}: ")));
        assert!(is_named, "{source}: {warnings:#?}");
    }
    nothing_is_left(&shop, &farm);
}

#[test]
fn a_runner_that_is_gone_costs_an_attempt_and_no_more() {
    let Some(shop) = Shop::new("a_runner_that_is_gone_costs_an_attempt_and_no_more") else { return };
    let farm = Farm::new(&shop);
    let lies = "endpoint='{\"docker\":\"unix:///nowhere/docker.sock\"}'";
    table(&shop, &[row("lying", &farm.program("lying", lies), ""), row("true", &farm.program("true", ""), "")]);
    shop.layer("it", "", "RUN true", "").lock();
    let (code, report) = shop.build(&["--all"]);
    assert_eq!(code, Some(0), "{report:#}");
    let leased = events(&shop, "leased");
    let sources: Vec<&str> = leased.iter().map(|event| event["source"].as_str().unwrap()).collect();
    assert_eq!(sources, ["lying", "true"]);
    nothing_is_left(&shop, &farm);
}

#[test]
fn where_no_runner_can_be_had_the_layer_says_why() {
    let Some(shop) = Shop::new("where_no_runner_can_be_had_the_layer_says_why") else { return };
    let farm = Farm::new(&shop);
    table(&shop, &[row("small", &farm.program("small", ""), "largest = { cpu = 1, memory_mb = 64 }")]);
    shop.layer("it", "", "RUN true", "").lock();
    let (code, report) = shop.build(&["--all"]);
    assert_eq!(code, Some(8), "{report:#}");
    let failure = &layer(&report, "it")["failure"];
    assert_eq!(failure["kind"], "runner", "{report:#}");
    assert!(failure["message"].as_str().unwrap().contains("small: it leases up to 1 cpu, 64 MiB"), "{failure}");
    nothing_is_left(&shop, &farm);
}

#[test]
fn however_lamina_ends_no_runner_is_left_behind() {
    let Some(shop) = Shop::new("however_lamina_ends_no_runner_is_left_behind") else { return };
    let farm = Farm::new(&shop);
    table(&shop, &[row("farm", &farm.program("farm", "sleep 0.3"), "")]);
    shop.layer("slow", "", "RUN sleep 2", "").layer("child", "slow", "RUN true", "").lock();
    let args = ["build", "--all", "--force", "--progress", "plain"];
    for (round, after) in [200, 350, 500, 650, 900, 1300, 2000, 2900].into_iter().enumerate() {
        let running = shop.start(&args);
        thread::sleep(Duration::from_millis(after));
        let signal = if round % 3 == 2 { Signal::INT } else { Signal::KILL };
        running.signal(signal);
        let ran = running.end();
        if signal == Signal::INT {
            nothing_is_left(&shop, &farm);
            continue;
        }
        assert_eq!(ran.code, None, "{ran:?}");
        // What is leased is written down, so that somebody can release it.
        let (left, known) = (farm.left(), written(&shop));
        assert!(left.iter().all(|lease| known.contains(&format!("{lease}.json"))), "{left:?} {known:?}");
        let ran = shop.run(&["runners", "prune"]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        nothing_is_left(&shop, &farm);
    }
    let (code, report) = shop.build(&["--all"]);
    assert_eq!(code, Some(0), "{report:#}");
    nothing_is_left(&shop, &farm);
}

#[test]
fn a_lease_of_a_program_that_is_gone_is_forgotten_by_name_alone() {
    let Some(shop) = Shop::new("a_lease_of_a_program_that_is_gone_is_forgotten_by_name_alone") else { return };
    let farm = Farm::new(&shop);
    let program = farm.program("farm", "");
    table(&shop, &[row("farm", &program, "")]);
    shop.layer("slow", "", "RUN sleep 60", "").lock();
    let running = shop.start(&["build", "--all", "--progress", "plain"]);
    until("a runner is leased", || !farm.left().is_empty());
    running.signal(Signal::KILL);
    running.end();
    fs::remove_file(program).unwrap();
    let lease = farm.left().remove(0);
    for (args, code, said) in [
        (&["runners", "prune"][..], 1, "not released: there is no program"),
        (&["runners", "prune", "--forget"], 2, ""),
        (&["runners", "prune", &lease], 1, "not released: there is no program"),
        (&["runners", "prune", &lease, "--forget"], 0, "forgotten: there is no program"),
        (&["runners", "prune"], 0, ""),
    ] {
        let ran = shop.run(args);
        assert_eq!(ran.code, Some(code), "{args:?} {ran:?}");
        assert!(ran.stdout.contains(said) && (!said.is_empty() || ran.stdout.is_empty()), "{args:?} {ran:?}");
    }
    assert_eq!(written(&shop), Vec::<String>::new());
}
