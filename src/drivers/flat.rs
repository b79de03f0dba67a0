use super::plan::Scaling;
use crate::simd::Level;
use crate::tensor::Lines;

/// The most values of a small call's operand: no more than a chunk of a row, or a leaf of any loss,
/// has, and too few to share them among threads.
pub(crate) const MOST_VALUES: usize = 1 << 12;

/// The most samples of such a call whose losses are sums.
pub(crate) const MOST_SAMPLES: usize = 8;

/// The most rows of such a call: of more, short ones are computed side by side.
pub(crate) const MOST_ROWS: usize = 7;

/// A small call, checked and ready to run, whose arrays all lie in the order of visits without gaps and
/// whose units all count alike.
///
/// To lay the arrays of a call out over a grid, and to cut it into leaves, takes longer than it takes to
/// compute a few values. Here there is nothing to be found out.
pub struct Flat<'f, T, I, const K: usize = 1> {
    pub(crate) level: Level,
    pub(crate) scaling: Scaling,
    /// At most [`MOST_SAMPLES`].
    pub(crate) samples: usize,
    /// How many units a sample has, and how many entries a unit.
    pub(crate) units: usize,
    pub(crate) row_len: usize,
    /// All values of each operand, and places for the gradients of those that have one, as one line.
    pub(crate) operands: [Lines<'f, T>; K],
    pub(crate) inputs: I,
    pub(crate) losses: Losses<'f, T>,
}

/// Where the losses of a flat call go.
pub enum Losses<'f, T> {
    /// Nowhere: only gradients are wanted.
    Unwanted,
    /// One for each unit.
    Units(&'f mut [T]),
    /// One for each sample, or for the only one.
    Samples(&'f mut [T]),
}
