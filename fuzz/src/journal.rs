//! The journal of a run: what is read of it, and what is shown of that.

use lamina::event::{Event, Kind, Reader};
use lamina::history::{Events, Passed};
use lamina::report::json;
use lamina::report::json::build::Build;
use lamina::report::progress::{Board, Lines};
use lamina::report::run::{Style, Summary, text};

pub fn run(data: &[u8]) {
    let mut read = Events::new(data);
    let events: Vec<Event> = read.by_ref().filter_map(Result::ok).collect();
    let lines = data.split(|byte| *byte == b'\n').count() as u64;
    let Passed { unknown, damaged } = read.passed();
    assert!(events.len() as u64 + unknown + damaged <= lines);
    let (mut summary, mut board, mut shown) = (Summary::default(), Board::default(), Lines::new(true));
    for (number, event) in events.iter().enumerate() {
        assert_eq!(event.run, events[0].run);
        assert_eq!(matches!(event.kind, Kind::RunStarted { .. }), number == 0);
        summary.read(event);
        board.read(event);
        assert!(board.done().0 <= board.done().1);
        let rows = summary.layers.iter().filter_map(|layer| board.row(&layer.planned.layer));
        for line in shown.lines(event).into_iter().chain(rows) {
            assert!(!line.contains(char::is_control), "{line:?}");
        }
        let _ = board.left();
    }
    for layer in &summary.layers {
        assert_eq!(summary.layer(&layer.planned.layer), Some(layer), "a layer stands for itself, and once");
    }
    for running in [false, true] {
        let report = text(&summary, Style { color: false, running });
        assert!(!report.contains(|c: char| c.is_control() && c != '\n'), "{report:?}");
        let answer: serde_json::Value =
            serde_json::from_str(&json::answer(Build::new(&summary, running))).expect("an answer is JSON");
        assert_eq!(answer["layers"].as_array().map(Vec::len), Some(summary.layers.len() + summary.skipped.len()));
    }
    // What was read is written as it can be read again.
    let written: String = events.iter().map(|event| json::to_line(event) + "\n").collect();
    let mut again = Events::new(written.as_bytes());
    let same: Vec<Event> = again.by_ref().filter_map(Result::ok).collect();
    assert_eq!((same, again.passed()), (events, Passed::default()));
}
