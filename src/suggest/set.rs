//! Which layers together save most: one to build in, and others to copy from.

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

/// Picks layers one by one, each time the one that adds most; of equal ones the first. That is not always the best of
/// all sets, but never less than 63 % of it, for what one layer adds only shrinks as others join (Nemhauser, Wolsey and
/// Fisher, 1978).
pub fn greedy(layers: usize, total_ms: u64, saved_ms: impl Fn(&[usize]) -> u64) -> Vec<Pick> {
    let least = LEAST_MS.max(total_ms / LEAST_SHARE);
    let mut picks: Vec<Pick> = Vec::new();
    let mut saved = 0;
    while picks.len() < MOST {
        let taken: Vec<usize> = picks.iter().map(|pick| pick.layer).collect();
        let left = (0..layers).filter(|layer| !taken.contains(layer));
        let with = |layer: usize| saved_ms(&[&taken[..], &[layer]].concat());
        let Some((together, layer)) =
            left.map(|layer| (with(layer), layer)).max_by_key(|&(ms, layer)| (ms, std::cmp::Reverse(layer)))
        else {
            break;
        };
        let gain_ms = together.saturating_sub(saved);
        if gain_ms < least.min(if picks.is_empty() { 1 } else { u64::MAX }) {
            break;
        }
        picks.push(Pick { layer, gain_ms });
        saved = together;
    }
    picks
}
