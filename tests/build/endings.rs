//! Runs that end early: by a signal, by SIGKILL.

use rustix::process::Signal;
use serde_json::Value;

use crate::shop::{Running, Shop, layer, runs, until};

/// A catalog whose `slow` sleeps for so many seconds, which is a word that no other process has.
fn slow(test: &str, seconds: &str) -> Option<Shop> {
    let shop = Shop::new(test)?;
    shop.layer("slow", "", &format!("RUN sleep {seconds}"), "").layer("child", "slow", "RUN true", "").lock();
    Some(shop)
}

fn start(shop: &Shop, word: &str) -> Running {
    let mut running = shop.start(&["build", "--all", "--format", "json", "--progress", "plain"]);
    until("the step runs", || {
        assert!(!running.is_over(), "it ended before its step began");
        runs(word)
    });
    running
}

#[test]
fn a_signal_ends_the_builds_and_the_report_says_so() {
    for (number, signal) in [(0, Signal::INT), (1, Signal::TERM), (2, Signal::HUP)] {
        let word = format!("2{number}{}.25", std::process::id());
        let Some(shop) = slow("a_signal_ends_the_builds_and_the_report_says_so", &word) else { return };
        let running = start(&shop, &word);
        running.signal(signal);
        let ran = running.end();
        assert_eq!(ran.code, Some(130), "{ran:?}");
        assert!(!runs(&word), "the step is gone before lamina is");
        let report: Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!(report["outcome"], "cancelled", "{report:#}");
        assert_eq!(layer(&report, "slow")["outcome"], "not-finished");
        assert_eq!(layer(&report, "child")["not_started"]["code"], "cancelled");
        assert_eq!(shop.tags("slow"), Vec::<String>::new());
    }
}

#[test]
fn a_second_signal_waits_for_nothing() {
    let word = format!("3{}.25", std::process::id());
    let Some(shop) = Shop::new("a_second_signal_waits_for_nothing") else { return };
    // A hook that does not mind being asked.
    let hook =
        format!("hooks = {{ pre_build = [{{ command = [\"sh\", \"-c\", \"trap '' INT; sleep {word}; true\"] }}] }},");
    shop.layer("slow", "", "RUN true", &hook).lock();
    let running = start(&shop, &word);
    running.signal(Signal::INT);
    until("the first signal is heard", || shop.events().iter().any(|event| event["event"] == "cancel-requested"));
    running.signal(Signal::INT);
    let ran = running.end();
    assert_eq!(ran.code, Some(130), "{ran:?}");
    until("the hook is gone", || !runs(&word));
    let events = shop.events();
    let reasons: Vec<_> = events.iter().filter_map(|event| event["reason"].as_str()).collect();
    assert!(reasons.windows(2).any(|two| two == ["interrupted", "second-signal"]), "{reasons:?}");
    assert_eq!(events.last().unwrap()["event"], "run-finished");
}

#[test]
fn all_that_a_hook_has_started_ends_with_it() {
    let word = format!("4{}.25", std::process::id());
    let Some(shop) = Shop::new("all_that_a_hook_has_started_ends_with_it") else { return };
    let hook = format!("hooks = {{ pre_build = [{{ command = [\"sh\", \"-c\", \"sleep {word} & wait; true\"] }}] }},");
    shop.layer("slow", "", "RUN true", &hook).lock();
    let running = start(&shop, &word);
    running.signal(Signal::TERM);
    let ran = running.end();
    assert_eq!(ran.code, Some(130), "{ran:?}");
    until("what the hook has started is gone", || !runs(&word));
}

#[test]
fn nothing_runs_on_after_lamina_was_killed_and_the_next_run_completes() {
    let test = "nothing_runs_on_after_lamina_was_killed_and_the_next_run_completes";
    // Long enough to be seen, and short enough to be waited for the second time.
    let word = format!("12.{}", std::process::id());
    let Some(shop) = slow(test, &word) else { return };
    let running = start(&shop, &word);
    running.signal(Signal::KILL);
    assert_eq!(running.end().code, None);
    until("the step is gone", || !runs(&word));
    assert_eq!(shop.tags("slow"), Vec::<String>::new());
    let (code, report) = shop.build(&["--all"]);
    assert_eq!((code, report["outcome"].as_str()), (Some(0), Some("succeeded")), "{report:#}");
}
