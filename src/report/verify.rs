//! What came of proving images again, as text.

use super::progress::shown;
use super::{count, run, table};
use crate::model::LayerName;
use crate::publish::{Subject, Verified};

/// A layer, what was to be proven of it, and what came of it.
pub type Row<'a> = (&'a LayerName, &'a Subject<'a>, &'a Verified);

/// How a layer's image is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Every probe is right.
    Proven,
    /// A probe is wrong.
    Wrong,
    /// The registry has no image of the fingerprint.
    Missing,
    /// The probes could not be run.
    Failed,
}

impl State {
    /// How a layer's image is.
    pub fn of(verified: &Verified) -> Self {
        match verified {
            Verified { digest: None, .. } => State::Missing,
            Verified { error: Some(_), .. } => State::Failed,
            verified if verified.is_good() => State::Proven,
            _ => State::Wrong,
        }
    }

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Proven => "proven",
            State::Wrong => "wrong",
            State::Missing => "missing",
            State::Failed => "failed",
        }
    }
}

/// A line a layer, and below it what is wrong.
pub fn text(rows: &[Row<'_>]) -> String {
    let cells = rows
        .iter()
        .map(|(layer, _, verified)| [State::of(verified).as_str().to_owned(), layer.to_string(), said(verified)]);
    let lines = table(&cells.collect::<Vec<_>>());
    let mut text = String::new();
    for (line, (layer, _, verified)) in lines.lines().zip(rows) {
        text.push_str(&format!("{line}\n"));
        for result in verified.results.iter().filter(|result| result.wrong.is_some()) {
            text.push_str(&run::probe(result, layer.as_str()));
        }
    }
    text
}

fn said(verified: &Verified) -> String {
    let Some(digest) = &verified.digest else { return "the registry has no image of its fingerprint".to_owned() };
    let wrong = verified.results.iter().filter(|result| result.wrong.is_some()).count();
    let probes = count(verified.results.len(), "probe");
    match (&verified.error, verified.results.len(), wrong) {
        (Some(error), ..) => shown(&error.message),
        (None, 0, _) => format!("nothing is declared to be proven: {digest}"),
        (None, _, 0) => format!("{probes}: {digest}"),
        (None, ..) => format!("{wrong} of {probes}: {digest}"),
    }
}
