//! Bars on a terminal: one for each layer that is worked at, and one for all.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use super::{Board, Left, Lines};
use crate::event::{Event, Kind, Reader};
use crate::model::LayerName;
use crate::report::duration;

/// How often the bars move while nothing happens.
const TICK: Duration = Duration::from_millis(200);

/// Draws bars. What is to stay is written above them; they are gone once the run has ended, or when this is dropped.
pub struct Bars {
    board: Board,
    lines: Lines,
    all: MultiProgress,
    overall: Option<ProgressBar>,
    layers: BTreeMap<LayerName, ProgressBar>,
    left: Arc<Mutex<Option<Estimate>>>,
}

/// How much was left, and the overall bar's age then.
#[derive(Clone, Copy)]
struct Estimate {
    left: Left,
    age: Duration,
}

impl Bars {
    /// Draws them there.
    pub fn new(target: ProgressDrawTarget) -> Self {
        Self {
            board: Board::default(),
            lines: Lines::new(false),
            all: MultiProgress::with_draw_target(target),
            overall: None,
            layers: BTreeMap::new(),
            left: Arc::default(),
        }
    }

    /// Draws them on stderr.
    pub fn stderr() -> Self {
        Self::new(ProgressDrawTarget::stderr())
    }

    fn begin(&mut self) {
        let (_, total) = self.board.done();
        if total == 0 {
            return;
        }
        let left = Arc::clone(&self.left);
        let style = style("{bar:30} {pos} of {len} layers, {elapsed}{left}").with_key(
            "left",
            move |state: &ProgressState, text: &mut dyn Write| {
                let estimate = left.lock().map(|left| *left).unwrap_or_default();
                if let Some(Estimate { left: Left { time, at_least }, age }) = estimate {
                    let time = time.saturating_sub(state.elapsed().saturating_sub(age));
                    let bound = if at_least { "at least" } else { "about" };
                    // Nobody can be told that a line could not be formatted.
                    let _ = write!(text, ", {bound} {} left", duration(time));
                }
            },
        );
        let overall = self.all.add(ProgressBar::new(total as u64).with_style(style));
        // It is there before the first tick.
        overall.tick();
        overall.enable_steady_tick(TICK);
        self.overall = Some(overall);
    }

    fn show(&mut self, layer: &LayerName) {
        let (Some(overall), Some(row)) = (&self.overall, self.board.row(layer)) else { return };
        let bar = self.layers.entry(layer.clone()).or_insert_with(|| {
            let bar = ProgressBar::new_spinner().with_style(style("{spinner} {prefix}  {elapsed:>4}  {wide_msg}"));
            let bar = self.all.insert_before(overall, bar);
            bar.set_prefix(self.lines.name(layer));
            bar.enable_steady_tick(TICK);
            bar
        });
        bar.set_message(row);
    }

    fn end(&mut self) {
        let bars = std::mem::take(&mut self.layers).into_values().chain(self.overall.take());
        bars.for_each(|bar| bar.finish_and_clear());
    }
}

impl Reader for Bars {
    fn read(&mut self, event: &Event) {
        self.board.read(event);
        let stays = matches!(
            event.kind,
            Kind::RunStarted { .. }
                | Kind::Warning { .. }
                | Kind::Retrying { .. }
                | Kind::CacheRolledBack { .. }
                | Kind::Probed { .. }
                | Kind::LayerFinished { .. }
                | Kind::CancelRequested { .. }
        );
        if stays && let Some(line) = self.lines.about(event) {
            // There is nobody left to tell that stderr is gone.
            let _ = self.all.println(line);
        }
        // The bar is asked before: while it draws, it waits for the estimate.
        let age = self.overall.as_ref().map(ProgressBar::elapsed).unwrap_or_default();
        let estimate = self.board.left().map(|left| Estimate { left, age });
        if let Ok(mut left) = self.left.lock() {
            *left = estimate;
        }
        match &event.kind {
            Kind::RunStarted { .. } => self.begin(),
            Kind::RunFinished { .. } => self.end(),
            Kind::LayerFinished { layer, .. } => {
                if let Some(bar) = self.layers.remove(layer) {
                    bar.finish_and_clear();
                    self.all.remove(&bar);
                }
            }
            kind => {
                if let Some(layer) = kind.layer() {
                    self.show(layer);
                }
            }
        }
        if let Some(overall) = &self.overall {
            overall.set_position(self.board.done().0 as u64);
        }
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        self.end();
    }
}

/// A template that is written above can be read.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
