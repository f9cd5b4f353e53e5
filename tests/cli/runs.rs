//! `lamina report` and `lamina replay`: runs of the past.

use std::fs::{self, OpenOptions};
use std::io::Write;

use lamina::event::{CancelReason, Kind, Outcome, Reader, RunOutcome};
use lamina::history::Retention;
use lamina::report::progress::Lines;
use lamina::report::run::{Style, Summary, text};
use serde_json::Value;

use crate::recording::{Recording, built, eventful, history, name, planned};
use crate::workshop::Workshop;

/// A workshop in which these runs were recorded.
fn shop(runs: &[&Recording]) -> Workshop {
    let shop = Workshop::new();
    let history = history(&shop);
    runs.iter().for_each(|run| run.record(&history));
    shop
}

fn good(second: i64) -> Recording {
    let mut run = Recording::planned(second, vec![planned("rust", &[], None)], Vec::new());
    run.begin("rust", 1).succeed("rust", built(1)).finish(RunOutcome::Succeeded);
    run
}

#[test]
fn a_report_tells_every_layer_and_what_failed() {
    let shop = shop(&[&eventful()]);
    insta::assert_snapshot!(shop.run(["report"]).snapshot());
}

#[test]
fn a_report_as_json_has_all_of_it() {
    let shop = shop(&[&eventful()]);
    insta::assert_snapshot!(shop.run(["report", "--format", "json"]).snapshot());
}

#[test]
fn colours_are_asked_for() {
    let shop = shop(&[&eventful()]);
    let plain = shop.run(["report"]).answer(0);
    let coloured = shop.run(["report", "--color", "always"]).answer(0);
    let esc = '\u{1b}';
    assert!(
        !plain.contains(esc) && coloured.contains(&format!("{esc}[1m{esc}[31mfailed{esc}[0m: nickel")),
        "{coloured}"
    );
    let colours = regex::Regex::new("\u{1b}\\[[0-9;]*m").unwrap();
    assert_eq!(colours.replace_all(&coloured, ""), plain);
}

#[test]
fn runs_are_listed_and_named() {
    let (first, last) = (good(0), eventful().renamed(60));
    let shop = shop(&[&first, &last]);
    let listed = shop.run(["report", "--list"]).answer(0);
    assert_eq!(
        listed.lines().map(|line| line.split(' ').next().unwrap()).collect::<Vec<_>>(),
        [last.run.as_str(), first.run.as_str()]
    );
    insta::assert_snapshot!(shop.run(["report", "--list", "--format", "json"]).snapshot());
    let one = shop.run(["report", first.run.as_str(), "--format", "json"]).json(0);
    assert_eq!((one["run"].as_str(), one["outcome"].as_str()), (Some(first.run.as_str()), Some("succeeded")));
    let typed = first.run.as_str().replace("-7", "-8");
    let typed = if typed == first.run.as_str() { format!("{typed}x") } else { typed };
    for command in ["report", "replay"] {
        let run = shop.run([command, &typed]);
        run.stderr(&format!("error: there is no run `{typed}`\nhint: did you mean `{}`?\n", first.run)).code(2);
    }
    let log = shop.run(["report", first.run.as_str(), "--log", "rust"]).answer(0);
    assert!(log.starts_with("### rust, attempt 1, "), "{log}");
}

#[test]
fn without_a_run_there_is_nothing_to_report() {
    let shop = Workshop::new();
    for args in [&["report"][..], &["replay"], &["report", "20260101-000000-aaaa"], &["report", "--log", "rust"]] {
        let expected = "error: this catalog has no recorded run yet\nhint: `lamina build` records each run that builds \
                        something\n";
        shop.run_with(args, "", b"", &[]).stderr(expected).code(1);
    }
    shop.run(["report", "--list"]).stdout("no run is recorded\n").success();
    assert_eq!(shop.run(["report", "--list", "--format", "json"]).json(0)["runs"], Value::Array(Vec::new()));
}

#[test]
fn a_log_is_printed_whole_and_moves_no_cursor() {
    let mut run = eventful();
    run.events.truncate(10);
    let long = "x".repeat(100_000);
    for line in [long.as_str(), "\u{1b}[2Jcleared", "last"] {
        run.output("rust", 2, line);
    }
    let shop = shop(&[&run]);
    let log = shop.run(["report", "--log", "rust"]).answer(0);
    assert!(log.contains(&format!("\n{long}\n\u{fffd}[2Jcleared\nlast\n")), "{}", log.len());
    shop.run(["report", "--log", "rsut"])
        .stderr(&format!("error: there is no layer in {} `rsut`\nhint: did you mean `rust`?\n", run.run))
        .code(2);
    let expected =
        format!("error: the log of late in {} can't be read: No such file or directory (os error 2)\n", run.run);
    shop.run(["report", "--log", "late"]).stderr(&expected).code(1);
}

#[test]
fn a_run_that_was_cut_off_says_so_and_one_in_progress_too() {
    let mut run = eventful();
    run.events.truncate(31);
    let shop = Workshop::new();
    let history = history(&shop);
    let mut journal = history.journal(Retention::default());
    run.events.iter().for_each(|event| journal.read(event));
    let running = shop.run(["report"]).answer(0);
    assert!(running.contains("is still running: 1 succeeded, "), "{running}");
    assert_eq!(shop.run(["report", "--format", "json"]).json(0)["outcome"], "running");
    drop(journal);
    let file = history.folder().join("runs").join(run.run.as_str()).join("events.jsonl");
    OpenOptions::new().append(true).open(file).unwrap().write_all(b"{\"run\":\"2026").unwrap();
    let report = shop.run(["report"]);
    insta::assert_snapshot!(report.snapshot());
    let remark = "1 line of the record could not be read\n";
    assert_eq!(shop.run(["report", "--format", "json"]).stderr(remark).any_stderr().json(0)["outcome"], "cut-off");
}

#[test]
fn a_replay_shows_what_the_run_showed() {
    let run = eventful();
    let shop = shop(&[&run]);
    let mut summary = Summary::default();
    run.events.iter().for_each(|event| summary.read(event));
    let report = text(&summary, Style::default());
    for verbose in [false, true] {
        let mut live = Lines::new(verbose);
        let live: String = run.events.iter().flat_map(|event| live.lines(event)).map(|line| line + "\n").collect();
        let mut args = vec!["replay", "--speed", "0"];
        args.extend(verbose.then_some("-v"));
        shop.run_with(&args, "", b"", &[]).stdout(&report).stderr(&live).success();
    }
    let name = run.run.as_str();
    shop.run(["replay", name, "--speed", "0", "--progress", "quiet"]).stdout(&report).success();
    // Not a terminal: bars are not drawn into a file.
    shop.run(["replay", name, "--speed", "0", "--progress", "bars"]).stdout(&report).success();
    shop.run(["replay", name, "--speed", "0", "--progress", "json"]).stdout(&report).stderr(&run.text()).success();
    // The events may come from anywhere: a run's own stderr, for one.
    shop.file("sent/events.jsonl", &run.text());
    let plain = shop.run(["replay", "sent/events.jsonl", "--speed", "1e6", "--progress", "quiet"]);
    plain.stdout(&report).success();
    shop.run(["report", "sent/events.jsonl"]).stdout(&report).success();
}

#[test]
fn events_of_another_version_are_refused() {
    let shop = Workshop::new();
    shop.file("new.jsonl", &eventful().text().replace("\"version\":1", "\"version\":2"));
    shop.file("none.jsonl", "{}\n");
    for command in ["report", "replay"] {
        shop.run([command, "new.jsonl"])
            .stderr(
                "error: the events have version 2; this lamina reads version 1\nhint: the lamina that wrote them can \
                 read them\n",
            )
            .code(1);
        shop.run([command, "none.jsonl"])
            .stderr("error: no run begins here: the first line is no `run-started`\n")
            .code(1);
        shop.run([command, "./gone.jsonl"]).stderr("error: there are no events at ./gone.jsonl\n").code(1);
    }
    for speed in ["-1", "fast", "NaN", "inf"] {
        shop.run(["replay", "new.jsonl", &format!("--speed={speed}")]).any_stderr().code(2);
    }
}

#[test]
fn one_run_that_can_not_be_read_hides_no_other() {
    let (first, last) = (good(0), good(60));
    let shop = shop(&[&first, &last]);
    let file = history(&shop).folder().join("runs").join(last.run.as_str()).join("events.jsonl");
    fs::write(file, "{}\n").unwrap();
    let listed = shop.run(["report", "--list"]);
    let remark = format!("{}: no run begins here: the first line is no `run-started`\n", last.run);
    listed.stdout(&format!("{}  build  succeeded  1 succeeded  1 h 2 min\n", first.run)).stderr(&remark).success();
}

#[test]
fn an_interruption_is_told_by_its_gravest_reason() {
    let mut run = Recording::planned(0, vec![planned("rust", &[], None)], Vec::new());
    run.begin("rust", 1)
        .add(Kind::CancelRequested { reason: CancelReason::Interrupted })
        .add(Kind::CancelRequested { reason: CancelReason::LayerFailed })
        .end("rust", Outcome::Cancelled)
        .finish(RunOutcome::Cancelled);
    let shop = shop(&[&run]);
    let report = shop.run(["report"]).answer(0);
    let expected = "not finished\n  rust  cancelled  2 min 3 s\n";
    assert!(report.starts_with(expected), "{report}");
    assert!(report.ends_with("was interrupted: 1 not finished, in 1 h 2 min\n"), "{report}");
    let layer = name("rust");
    assert_eq!(history(&shop).layers().last(&layer), None, "an interruption says nothing about the layer");
}
