//! What a run looks like while it happens: functions of its events alone.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use indicatif::{ProgressDrawTarget, TermLike};
use lamina::event::{Event, Kind, Reader, StepStatus};
use lamina::report::progress::{Bars, Board, JsonLines, Left, Lines, Plain, shown};
use proptest::prelude::*;

use crate::recording::{Recording, eventful, name, planned};

fn lines(events: &[Event], verbose: bool) -> String {
    let mut lines = Lines::new(verbose);
    events.iter().flat_map(|event| lines.lines(event)).map(|line| line + "\n").collect()
}

#[test]
fn lines_tell_what_matters() {
    insta::assert_snapshot!(lines(&eventful().events, false));
}

#[test]
fn with_v_lines_tell_all_that_the_steps_write() {
    insta::assert_snapshot!(lines(&eventful().events, true));
}

/// BuildKit begins a step again for each layer of the image that it pulls.
#[test]
fn a_step_that_begins_several_times_has_one_line_an_attempt() {
    let mut run = Recording::new(0);
    for attempt in [1, 2] {
        run.begin("rust", attempt);
        for _ in 0..3 {
            run.step("rust", 4, "[1/2] FROM debian:13").step_end("rust", 4, StepStatus::Done);
        }
    }
    let told = lines(&run.events, false);
    let told: Vec<&str> = told.lines().map(str::trim).collect();
    assert_eq!(told, ["rust  begins", "rust  [1/2] FROM debian:13", "rust  attempt 2", "rust  [1/2] FROM debian:13"]);
}

#[test]
fn what_is_written_are_the_lines() {
    let run = eventful();
    let mut out = Vec::new();
    let mut plain = Plain::new(&mut out, true);
    run.events.iter().for_each(|event| plain.read(event));
    assert_eq!(String::from_utf8(out).unwrap(), lines(&run.events, true));
}

#[test]
fn events_as_json_read_back_as_they_were() {
    let mut run = eventful();
    run.output("late", 0, "\u{1b}[2J\u{7f}\u{9b}2J");
    let mut out = Vec::new();
    let mut json = JsonLines::new(&mut out);
    run.events.iter().for_each(|event| json.read(event));
    let text = String::from_utf8(out).unwrap();
    assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "nothing of it moves a cursor");
    let read: Vec<Event> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(read, run.events);
}

#[test]
fn who_can_not_write_does_not_stop_a_run() {
    struct Full;
    impl io::Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Err(io::ErrorKind::StorageFull.into())
        }
    }
    let mut readers: Vec<Box<dyn Reader>> = vec![Box::new(Plain::new(Full, true)), Box::new(JsonLines::new(Full))];
    for event in eventful().events {
        for reader in &mut readers {
            reader.read(&event);
            assert_eq!(reader.trouble(), None);
        }
    }
}

/// The rows of the layers that are worked at, after each event of a kind that changes them.
#[test]
fn rows_tell_the_step_and_the_last_line() {
    let run = eventful();
    let mut board = Board::default();
    let mut shown: Vec<String> = Vec::new();
    for event in &run.events {
        board.read(event);
        let (done, total) = board.done();
        for layer in &board.summary().layers {
            let layer = &layer.planned.layer;
            if let Some(row) = board.row(layer) {
                shown.push(format!("{done}/{total} {layer}: {row}"));
            }
        }
    }
    shown.dedup();
    insta::assert_snapshot!(shown.join("\n"));
    assert!(!shown.join("").contains(char::is_control));
}

#[test]
fn what_is_left_is_the_longest_way_through_what_has_not_ended() {
    let layers = vec![
        planned("a", &[], Some(60_000)),
        planned("b", &["a"], Some(30_000)),
        planned("c", &["a"], Some(40_000)),
        planned("d", &[], Some(50_000)),
    ];
    let left = |run: &Recording| {
        let mut board = Board::default();
        run.events.iter().for_each(|event| board.read(event));
        board.left()
    };
    let about = |seconds| Some(Left { time: Duration::from_secs(seconds), at_least: false });
    let mut run = Recording::planned(0, layers.clone(), Vec::new());
    assert_eq!(left(&run), about(100));
    // An event comes each second.
    run.begin("a", 1).begin("d", 1).output("a", 0, "x");
    assert_eq!(left(&run), about(98));
    run.succeed("a", crate::recording::built(1));
    assert_eq!(left(&run), about(47));
    run.begin("b", 1).begin("c", 1);
    for layer in ["b", "c", "d"] {
        run.succeed(layer, crate::recording::built(1));
    }
    assert_eq!(left(&run), None);
    let mut unknown = layers;
    unknown[1].expected_ms = None;
    let run = Recording::planned(0, unknown, Vec::new());
    assert_eq!(left(&run), Some(Left { time: Duration::from_secs(100), at_least: true }));
    let run = Recording::planned(0, vec![planned("a", &[], None)], Vec::new());
    assert_eq!(left(&run), None);
    // More than there should be is taken as it comes: parents behind their children, and layers that need themselves.
    let odd = vec![planned("b", &["a", "b"], Some(u64::MAX)), planned("a", &["b"], Some(u64::MAX))];
    assert!(left(&Recording::planned(0, odd, Vec::new())).is_some());
}

const WIDTH: u16 = 140;

/// As much of a terminal as bars need.
#[derive(Clone, Debug, Default)]
struct Screen(Arc<Mutex<(Vec<String>, usize, usize)>>);

impl Screen {
    fn change(&self, change: impl FnOnce(&mut Vec<String>, &mut usize, &mut usize)) -> io::Result<()> {
        let mut screen = self.0.lock().unwrap();
        let (rows, row, column) = &mut *screen;
        change(rows, row, column);
        let (needed, row) = (*row + 1, *row);
        if rows.len() <= row {
            rows.resize(needed, String::new());
        }
        Ok(())
    }

    fn text(&self) -> String {
        let screen = self.0.lock().unwrap();
        let rows: Vec<&str> = screen.0.iter().map(|row| row.trim_end()).collect();
        rows.join("\n").trim_end().to_owned()
    }
}

impl TermLike for Screen {
    fn width(&self) -> u16 {
        WIDTH
    }
    fn height(&self) -> u16 {
        40
    }
    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.change(|_, row, _| *row = row.saturating_sub(n))
    }
    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.change(|_, row, _| *row += n)
    }
    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.change(|_, _, column| *column += n)
    }
    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.change(|_, _, column| *column = column.saturating_sub(n))
    }
    fn write_line(&self, text: &str) -> io::Result<()> {
        self.write_str(text)?;
        self.change(|_, row, column| (*row, *column) = (*row + 1, 0))
    }
    fn write_str(&self, text: &str) -> io::Result<()> {
        assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
        for (number, part) in text.split('\n').enumerate() {
            if number > 0 {
                self.change(|_, row, column| (*row, *column) = (*row + 1, 0))?;
            }
            self.change(|rows, row, column| {
                for c in part.chars() {
                    // What has no place in a line goes on in the next one.
                    if *column >= usize::from(WIDTH) {
                        (*row, *column) = (*row + 1, 0);
                    }
                    rows.resize(rows.len().max(*row + 1), String::new());
                    let mut line: Vec<char> = rows[*row].chars().collect();
                    line.resize(line.len().max(*column + 1), ' ');
                    line[*column] = c;
                    rows[*row] = line.into_iter().collect();
                    *column += 1;
                }
            })?;
        }
        Ok(())
    }
    fn clear_line(&self) -> io::Result<()> {
        self.change(|rows, row, column| {
            *column = 0;
            if let Some(row) = rows.get_mut(*row) {
                row.clear();
            }
        })
    }
    fn flush(&self) -> io::Result<()> {
        Ok(())
    }
}

fn bars(screen: &Screen) -> Bars {
    Bars::new(ProgressDrawTarget::term_like(Box::new(screen.clone())))
}

#[test]
fn bars_show_what_runs_and_are_gone_at_the_end() {
    let run = eventful();
    let screen = Screen::default();
    let mut bars = bars(&screen);
    let mut during = String::new();
    for event in &run.events {
        bars.read(event);
        if matches!(&event.kind, Kind::Output { layer, .. } if *layer == name("rust")) {
            during = screen.text();
        }
    }
    assert!(during.contains("[2/3] RUN rustup target add x · "), "{during}");
    assert!(during.contains("0 of 6 layers"), "{during}");
    assert!(during.contains("at least 2 min"), "{during}");
    let after = screen.text();
    let kept: Vec<&str> = after.lines().filter(|line| !line.is_empty()).collect();
    let mut told = Lines::new(false);
    let lasting = run.events.iter().flat_map(|event| told.lines(event));
    let lasting: Vec<String> = lasting.filter(|line| kept.contains(&line.as_str())).collect();
    assert_eq!(kept, lasting, "only lines that plain progress has, too, are left");
    assert!(after.contains("nickel  failed after") && after.contains("rust    done in"), "{after}");
    drop(bars);
    assert_eq!(screen.text(), after);
}

#[test]
fn bars_of_a_run_without_an_end_go_with_it() {
    let run = eventful();
    let screen = Screen::default();
    let mut bars = bars(&screen);
    run.events[..8].iter().for_each(|event| bars.read(event));
    assert!(screen.text().contains("0 of 6 layers"), "{}", screen.text());
    drop(bars);
    assert!(!screen.text().contains("of 6 layers"), "{}", screen.text());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_line_of_a_build_moves_a_cursor(line in prop_oneof!["(?s).{0,40}", "[\\x1b\\[\\];0-9mA\\r\\n\\t\\x07\\x9b\\\\ x]{0,40}"]) {
        let text = shown(&line);
        prop_assert!(!text.contains(char::is_control), "{:?}", text);
        prop_assert_eq!(shown(&text), text.clone());
        if !line.contains(char::is_control) {
            prop_assert_eq!(text, line);
        }
    }
}
