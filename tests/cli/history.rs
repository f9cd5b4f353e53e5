//! Runs are written down and read back: whole, cut off, damaged, by several at once, and within bounds.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use lamina::event::{Event, Kind, Outcome, Reader, RunOutcome};
use lamina::history::{Events, History, MAX_LINE, Passed, ReadError, Retention};
use lamina::report::run::{State, Summary};
use proptest::prelude::*;
use proptest::sample::Index;
use tempfile::TempDir;

use crate::recording::{Recording, built, complete, eventful, failure, name, planned};

fn read(text: &[u8]) -> (Vec<Event>, Passed, Option<ReadError>) {
    let mut events = Events::new(text);
    let mut found = Vec::new();
    let mut error = None;
    for event in &mut events {
        match event {
            Ok(event) => found.push(event),
            Err(wrong) => error = Some(wrong),
        }
    }
    (found, events.passed(), error)
}

fn short_run(second: i64, layer: &str, ms: u64) -> Recording {
    let mut run = Recording::planned(second, vec![planned(layer, &[], None)], Vec::new());
    run.begin(layer, 1).add(Kind::LayerFinished {
        layer: name(layer),
        outcome: Outcome::Succeeded { built: built(1) },
        ms,
    });
    run.finish(RunOutcome::Succeeded);
    run
}

#[test]
fn every_kind_of_event_is_read_as_it_was_written() {
    let run = complete();
    let (found, passed, error) = read(run.text().as_bytes());
    assert_eq!((found, passed), (run.events.clone(), Passed::default()));
    assert!(error.is_none());
    let kind = |event: &Event| serde_json::to_value(event).unwrap()["event"].as_str().unwrap().to_owned();
    let kinds: BTreeSet<String> = run.events.iter().map(kind).collect();
    assert_eq!(kinds, Kind::NAMES.iter().map(|name| (*name).to_owned()).collect(), "the recording has all kinds");
}

#[test]
fn a_journal_holds_the_events_and_the_logs_for_nobody_else() {
    let state = TempDir::new().unwrap();
    let history = History::new(state.path(), Path::new("/somewhere/my catalog"));
    let run = eventful();
    run.record(&history);
    let folder = history.folder().file_name().unwrap().to_str().unwrap();
    assert!(folder.starts_with("my_catalog-") && folder.len() == "my_catalog-".len() + 8, "{folder}");
    assert_eq!(history.runs().unwrap(), std::slice::from_ref(&run.run));
    let found: Vec<Event> = history.events(&run.run).unwrap().map(Result::unwrap).collect();
    assert_eq!(found, run.events);
    let log = fs::read_to_string(history.log(&run.run, &name("rust"))).unwrap();
    insta::assert_snapshot!(log);
    let wasm = fs::read_to_string(history.log(&run.run, &name("wasm"))).unwrap();
    assert!(wasm.contains("### wasm, attempt 1, ") && wasm.contains("### wasm, attempt 2, "), "{wasm}");
    assert!(wasm.contains("is tried again: the connection was lost\n"), "{wasm}");
    let mut open = vec![history.folder().to_owned()];
    let mut seen = 0;
    while let Some(path) = open.pop() {
        let metadata = fs::metadata(&path).unwrap();
        let mode = if metadata.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(metadata.permissions().mode() & 0o777, mode, "{}", path.display());
        if metadata.is_dir() {
            open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        seen += 1;
    }
    assert!(seen > 8);
}

#[test]
fn a_run_without_work_is_not_written_down() {
    let state = TempDir::new().unwrap();
    let history = History::new(state.path(), Path::new("/catalog"));
    let mut run = Recording::planned(0, Vec::new(), Vec::new());
    run.finish(RunOutcome::Succeeded).record(&history);
    assert_eq!(history.runs().unwrap(), []);
    assert_eq!(fs::read_dir(state.path()).unwrap().count(), 0);
}

#[test]
fn what_a_journal_can_not_write_is_said_once_and_stops_nothing() {
    let state = TempDir::new().unwrap();
    let history = History::new(&state.path().join("file/below"), Path::new("/catalog"));
    fs::write(state.path().join("file"), "").unwrap();
    let mut journal = history.journal(Retention::default());
    let mut said = Vec::new();
    for event in eventful().events {
        journal.read(&event);
        said.extend(journal.trouble());
    }
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].starts_with("this run is not written down any more: "), "{said:?}");
}

#[test]
fn what_is_no_event_is_passed_over() {
    let run = eventful();
    let text = run.text();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.insert(1, "garbage \u{7f}".to_owned());
    let newer = format!(r#"{{"run":"{}","seq":2,"at":"2027-01-01T00:00:00Z","event":"teleported","to":[1]}}"#, run.run);
    lines.insert(2, newer.clone());
    lines.insert(3, newer.replace(run.run.as_str(), "20200101-000000-aaaa"));
    lines.insert(4, lines[0].clone());
    lines.insert(5, format!("{{\"long\":\"{}\"}}", "x".repeat(MAX_LINE)));
    lines.insert(6, text.lines().nth(1).unwrap().replace("\"attempt\":1", "\"attempt\":-1"));
    let (found, passed, error) = read((lines.join("\n") + "\n").as_bytes());
    assert_eq!((found, passed), (run.events, Passed { unknown: 1, damaged: 5 }));
    assert!(error.is_none());
}

/// Found by fuzzing.
#[test]
fn a_layer_that_a_record_plans_twice_stands_there_once() {
    let layers = vec![planned("a", &[], None), planned("b", &[], None), planned("a", &[], None)];
    let mut run = Recording::planned(0, layers, Vec::new());
    run.begin("a", 1).begin("b", 1).succeed("a", built(1)).end("b", Outcome::Cancelled);
    let mut summary = Summary::default();
    run.events.iter().for_each(|event| summary.read(event));
    let names: Vec<&str> = summary.layers.iter().map(|layer| layer.planned.layer.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    assert!(matches!(summary.layer(&name("a")).unwrap().state, State::Ended(Outcome::Succeeded { .. })));
    assert_eq!(summary.layer(&name("b")).unwrap().state, State::Ended(Outcome::Cancelled));
}

/// Found by fuzzing.
#[test]
fn nothing_in_a_report_moves_a_cursor() {
    let log = "/state/\u{1b}[2J.log";
    let text = eventful().text().replace("\"build\",\"catalog\"", "\"\\u001b[2Jbuild\",\"catalog\"");
    let text = text.replace("/state/nickel.log", "/state/\\u001b[2J.log");
    let (events, ..) = read(text.as_bytes());
    let mut summary = Summary::default();
    events.iter().for_each(|event| summary.read(event));
    assert_eq!(summary.start.as_ref().unwrap().command, "\u{1b}[2Jbuild");
    assert!(events.iter().any(|event| serde_json::to_value(event).unwrap()["failure"]["log"] == log));
    let report = lamina::report::run::text(&summary, lamina::report::run::Style::default());
    assert!(!report.contains('\u{1b}'), "{report}");
}

#[test]
fn what_is_no_run_or_of_another_version_is_refused() {
    let text = eventful().text();
    let first = text.lines().next().unwrap();
    let (_, _, error) = read(first.replace("\"version\":1", "\"version\":2").as_bytes());
    let error = error.unwrap().to_string();
    assert_eq!(error, "the events have version 2; this lamina reads version 1");
    // A later version need not have any of the other fields.
    let (_, _, error) =
        read(br#"{"run":"20261121-180802-x3k9","event":"run-started","version":99,"at":"soon"}"#.as_slice());
    assert!(matches!(error, Some(ReadError::Version { found: 99 })), "{error:?}");
    for text in [&b"\n"[..], b"{}\n", b"\xff\xfe", text.lines().nth(1).unwrap().as_bytes(), &vec![b'['; MAX_LINE + 9]] {
        assert!(matches!(read(text), (_, _, Some(ReadError::NoRun))), "{:?}", &text[..text.len().min(40)]);
    }
    assert!(matches!(read(b""), (events, _, None) if events.is_empty()));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_run_that_was_cut_off_anywhere_is_read_up_to_there(cut: Index) {
        let run = eventful();
        let text = run.text();
        let first = text.lines().next().unwrap().len();
        let cut = first + cut.index(text.len() - first);
        let (found, passed, error) = read(&text.as_bytes()[..cut]);
        let whole = text[..cut].matches('\n').count();
        prop_assert!(error.is_none());
        // A last line that lacks nothing but its end is whole.
        prop_assert!(found.len() == whole || (found.len() == whole + 1 && passed.damaged == 0));
        prop_assert_eq!(&found[..], &run.events[..found.len()]);
        prop_assert!(passed.damaged <= 1 && passed.unknown == 0);
    }

    #[test]
    fn every_planned_layer_appears_once_whatever_happens(order in prop::collection::vec(any::<Index>(), 0..60)) {
        let run = eventful();
        let mut summary = Summary::default();
        summary.read(&run.events[0]);
        for index in order {
            summary.read(&run.events[index.index(run.events.len())]);
            let names: Vec<&str> = summary.layers.iter().map(|layer| layer.planned.layer.as_str()).collect();
            prop_assert_eq!(names, ["rust", "nickel", "wasm", "proven", "app", "late"]);
            prop_assert_eq!(summary.skipped.len(), 1);
            for layer in &summary.layers {
                prop_assert_eq!(summary.layer(&layer.planned.layer), Some(layer));
            }
            let text = lamina::report::run::text(&summary, lamina::report::run::Style::default());
            prop_assert_eq!(text.lines().filter(|line| line.starts_with("  app  ")).count(), 1, "{}", text);
        }
    }
}

#[test]
fn layers_have_the_median_of_their_last_builds_and_their_last_outcome() {
    let state = TempDir::new().unwrap();
    let history = History::new(state.path(), Path::new("/catalog"));
    for (second, ms) in [(10, 900_000), (20, 100), (30, 500), (40, 300), (50, 200), (60, 400)] {
        short_run(second, "rust", ms).record(&history);
    }
    // What was not built, or was cached as a whole, says nothing about the next build.
    let mut cached = Recording::planned(70, vec![planned("rust", &[], None)], Vec::new());
    let all_cached = lamina::event::Built { steps_run: 0, steps_cached: 3, ..built(1) };
    cached.begin("rust", 1).end("rust", Outcome::Succeeded { built: all_cached }).record(&history);
    let mut failed = Recording::planned(80, vec![planned("rust", &[], None), planned("app", &[], None)], Vec::new());
    failed.begin("rust", 1).begin("app", 1);
    failed.end("rust", Outcome::Failed { failure: Box::new(failure(None)) }).end("app", Outcome::Cancelled);
    failed.record(&history);
    let layers = history.layers();
    assert_eq!(layers.expected(), BTreeMap::from([(name("rust"), Duration::from_millis(300))]));
    let last = layers.last(&name("rust")).unwrap();
    assert_eq!((last.succeeded, &last.run), (false, &failed.run));
    assert_eq!(layers.last(&name("app")), None);
    // The same is found in the runs, once the file has gone or is broken.
    for text in [None, Some("{"), Some("{\"version\":9,\"layers\":{}}")] {
        let file = history.folder().join("layers.json");
        match text {
            Some(text) => fs::write(&file, text).unwrap(),
            None => fs::remove_file(&file).unwrap(),
        }
        assert_eq!(history.layers(), layers);
    }
    short_run(90, "app", 70).record(&history);
    assert_eq!(history.layers().expected().len(), 2, "the file was written anew with what the runs say");
}

#[test]
fn old_runs_go_and_those_in_progress_stay() {
    let state = TempDir::new().unwrap();
    let history = History::new(state.path(), Path::new("/catalog"));
    let retention = Retention { runs: 3, bytes: u64::MAX };
    let in_progress = short_run(0, "rust", 1);
    let mut open = history.journal(retention);
    in_progress.events[..2].iter().for_each(|event| open.read(event));
    let mut all = vec![in_progress.run.clone()];
    for second in 1..8 {
        let run = short_run(second, "rust", 1);
        let mut journal = history.journal(retention);
        run.events.iter().for_each(|event| journal.read(event));
        assert_eq!(journal.trouble(), None);
        all.push(run.run);
    }
    assert!(history.is_running(&all[0]) && !history.is_running(&all[7]));
    let kept = |numbers: &[usize]| numbers.iter().map(|number| all[*number].clone()).collect::<Vec<_>>();
    assert_eq!(history.runs().unwrap(), kept(&[7, 6, 5, 0]));
    in_progress.events[2..].iter().for_each(|event| open.read(event));
    assert_eq!(open.trouble(), None);
    drop(open);
    assert_eq!(history.events(&all[0]).unwrap().count(), in_progress.events.len(), "it was written to its end");
    // By size, the newest run stays, however large it is.
    let large = short_run(9, "rust", 1);
    let mut journal = history.journal(Retention { runs: 50, bytes: 1 });
    large.events.iter().for_each(|event| journal.read(event));
    assert_eq!(history.runs().unwrap(), [large.run]);
}

#[test]
fn several_at_once_write_their_runs_and_all_are_remembered() {
    let state = TempDir::new().unwrap();
    let history = History::new(state.path(), Path::new("/catalog"));
    std::thread::scope(|scope| {
        for writer in 0..6 {
            let history = &history;
            scope.spawn(move || {
                for number in 0..4 {
                    short_run(writer * 100 + number, &format!("layer-{writer}-{number}"), 5).record(history);
                }
            });
        }
    });
    assert_eq!(history.runs().unwrap().len(), 24);
    assert_eq!(history.layers().expected().len(), 24);
    for run in history.runs().unwrap() {
        let mut summary = Summary::default();
        history.events(&run).unwrap().for_each(|event| summary.read(&event.unwrap()));
        assert_eq!(summary.outcome(), Some(RunOutcome::Succeeded));
        assert!(matches!(summary.layers[0].state, State::Ended(Outcome::Succeeded { .. })));
    }
    // A name of a run that is taken belongs to whoever took it.
    let mut journal = history.journal(Retention::default());
    short_run(0, "layer", 1).events.iter().for_each(|event| journal.read(event));
    assert!(journal.trouble().unwrap().contains("exists"));
}
