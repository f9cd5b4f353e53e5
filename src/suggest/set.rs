//! Which layers together save most: one to build in, and others to copy from.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A layer of a set, with what it saves beyond those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pick {
    /// Its place in the list of layers.
    pub layer: usize,
    /// What it adds, in milliseconds of processor time.
    pub gain_ms: u64,
}

/// The most layers of a set: each is another image to pull.
const MOST: usize = 6;
/// What a further layer has to add: this many milliseconds, and one part in a hundred of what there is to save.
const LEAST_MS: u64 = 1_000;
const LEAST_SHARE: u64 = 100;

/// What counts as equal: layers measured the same units at different times, and nobody pulls another image for that.
pub const NOISE_MS: u64 = 100;

/// Picks layers one by one, each time the one that adds most; of equal ones the first. That is not always the best of
/// all sets, but never less than 63 % of it, for what one layer adds only shrinks as others join (Nemhauser, Wolsey and
/// Fisher, 1978). For the same reason a layer is only looked at again where what it added last could still be the most
/// (Minoux, 1978). `alone` is what each saves by itself, `saved_ms` what several do together.
pub fn greedy(alone: &[u64], total_ms: u64, saved_ms: impl Fn(&[usize]) -> u64) -> Vec<Pick> {
    let least = LEAST_MS.max(total_ms / LEAST_SHARE);
    // What each adds at most, with the number of picks that this is from.
    let candidate = |gain_ms: u64, layer: usize, seen: usize| (gain_ms / NOISE_MS, Reverse(layer), seen, gain_ms);
    let mut open: BinaryHeap<_> = alone.iter().enumerate().map(|(layer, &ms)| candidate(ms, layer, 0)).collect();
    let mut picks: Vec<Pick> = Vec::new();
    let mut saved = 0;
    while let Some((_, Reverse(layer), seen, gain_ms)) = open.pop() {
        if seen == picks.len() {
            // The first one is the best there is, however little it saves.
            let enough = if picks.is_empty() { 1 } else { least };
            if gain_ms < enough || picks.len() == MOST {
                break;
            }
            picks.push(Pick { layer, gain_ms });
            saved += gain_ms;
        } else {
            let taken: Vec<usize> = picks.iter().map(|pick| pick.layer).chain([layer]).collect();
            open.push(candidate(saved_ms(&taken).saturating_sub(saved), layer, picks.len()));
        }
    }
    picks
}
