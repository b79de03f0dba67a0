use super::states::States;
use crate::math::Functions;
use crate::simd::{Isa, Lanes};
use core::ops::Range;

/// How many values a block takes: mantissas and exponents of the blanks, then of the labels.
pub(super) const fn block<W: Functions>() -> usize {
    4 * W::LANES
}

/// The states of a frame that can be visited, in pairs: pair `i` is the blank before label `i` and
/// label `i`, and the last pair is the last blank alone.
///
/// A pair is visited after at least `i` frames, and left for as many others as there are labels
/// after it.
#[derive(Clone, Copy)]
pub(super) struct Band {
    pub(super) frames: usize,
    pub(super) labels: usize,
}

impl Band {
    /// How many blocks all pairs take.
    pub(super) fn blocks<W: Functions>(self) -> usize {
        (self.labels + 1).div_ceil(W::LANES)
    }

    /// The pairs of a frame.
    pub(super) fn pairs(self, frame: usize) -> Range<usize> {
        let left = self.frames - frame;
        self.labels.saturating_sub(left)..(frame + 1).min(self.labels + 1)
    }

    /// The blocks of a frame's pairs.
    pub(super) fn range<W: Functions>(self, frame: usize) -> Range<usize> {
        let pairs = self.pairs(frame);
        pairs.start / W::LANES..pairs.end.div_ceil(W::LANES)
    }

    /// The first block that the frame before has of those that this one's pairs are reached from.
    pub(super) fn floor<W: Functions>(self, frame: usize) -> usize {
        let start = self.pairs(frame).start;
        // The pair before the first of these is the first of the frame before.
        start.saturating_sub(usize::from(start.is_multiple_of(W::LANES))) / W::LANES
    }

    /// The blocks of a frame's pairs and of those that one more frame reaches.
    pub(super) fn reached<W: Functions>(self, frame: usize) -> Range<usize> {
        let Range { start, end } = self.pairs(frame);
        start / W::LANES..(end + 1).min(self.labels + 1).div_ceil(W::LANES)
    }
}

/// What a frame emits: the probability of the blank, and of every label in the order of the pairs,
/// its mantissas and its exponents.
#[derive(Clone, Copy)]
pub(super) struct Emission<'e, W> {
    pub(super) blank: (W, W),
    pub(super) mantissas: &'e [W],
    pub(super) exponents: &'e [W],
}

/// Makes every state one that no path visits.
#[inline(always)]
pub(super) fn clear<W: Functions, S: Isa>(simd: S, row: &mut [W]) {
    for states in row.chunks_exact_mut(2 * W::LANES) {
        States::dead(simd).store(states);
    }
}

/// One frame forward: from the probabilities of the labels so far, up to and with a frame, to those
/// of the next.
///
/// With `u` the blank's path or the label's before it, the next blank is `u`, and the next label is
/// itself or `u`, or without `u`'s label where it is the same: two sums of two.
///
/// Below block `floor` nothing is read; the block behind `blocks` is made dead for the next frame
/// to read.
#[inline(always)]
pub(super) fn forward<W: Functions, S: Isa>(
    simd: S,
    from: &[W],
    to: &mut [W],
    blocks: Range<usize>,
    floor: usize,
    skips: &[W],
    emission: Emission<'_, W>,
) {
    let (block, lanes) = (block::<W>(), W::LANES);
    let zero = Lanes::splat(simd, W::ZERO);
    let blank = States::splat(simd, emission.blank.0, emission.blank.1);
    let mut before = if blocks.start > floor {
        States::load(simd, &from[(blocks.start - 1) * block + 2 * lanes..])
    } else {
        States::dead(simd)
    };
    let pairs = blocks.start * lanes..blocks.end * lanes;
    let states = blocks.start * block..blocks.end * block;
    let emitted = emission.mantissas[pairs.clone()]
        .chunks_exact(lanes)
        .zip(emission.exponents[pairs.clone()].chunks_exact(lanes));
    let rows = from[states.clone()]
        .chunks_exact(block)
        .zip(to[states].chunks_exact_mut(block));
    for (((from, to), skip), emitted) in rows.zip(skips[pairs].chunks_exact(lanes)).zip(emitted) {
        let blanks = States::load(simd, from);
        let labels = States::load(simd, &from[2 * lanes..]);
        let skip = Lanes::load(simd, skip).gt(zero);
        let either = blanks.plus(labels.shift_up(before));
        let next = labels.plus(either.or(skip, blanks));
        before = labels;
        either.times(blank).store(to);
        next.times(States::of(simd, emitted))
            .store(&mut to[2 * lanes..]);
    }
    if let Some(to) = to.get_mut(blocks.end * block..(blocks.end + 1) * block) {
        clear(simd, to);
    }
}

/// Where the posteriors of a frame go.
pub(super) struct Posteriors<'p, W, S: Isa>
where
    W: Functions,
{
    /// The path probabilities up to and with the frame.
    pub(super) alpha: &'p [W],
    /// The exponent of the probability of all paths.
    pub(super) exponent: Lanes<W, S>,
    /// The labels' posteriors, by pair.
    pub(super) labels: &'p mut [W],
    /// The blanks' posteriors, by pair.
    pub(super) blanks: &'p mut [W],
}

/// One frame backward: from the probabilities of what follows the next frame, times what that frame
/// emits, to the same one frame earlier, in the same row. The frame's posteriors are written on the
/// way; the sums of the labels' and of the blanks' are returned.
///
/// A blank is followed by itself or the label after it, `u`; a label by itself or, one pair on, by
/// `u`, or by the blank alone where the label there is the same.
///
/// From block `ceiling` on nothing is read.
#[inline(always)]
#[allow(
    clippy::too_many_arguments,
    reason = "a frame and all that belongs to it"
)]
pub(super) fn backward<W: Functions, S: Isa>(
    simd: S,
    row: &mut [W],
    blocks: Range<usize>,
    ceiling: usize,
    skips: &[W],
    emission: Emission<'_, W>,
    posteriors: Posteriors<'_, W, S>,
) -> [Lanes<W, S>; 2] {
    let (block, lanes) = (block::<W>(), W::LANES);
    let zero = Lanes::splat(simd, W::ZERO);
    let blank = States::splat(simd, emission.blank.0, emission.blank.1);
    let mut after = States::dead(simd);
    if blocks.end < ceiling {
        let row = &row[blocks.end * block..][..block];
        let (blanks, labels) = (
            States::load(simd, row),
            States::load(simd, &row[2 * lanes..]),
        );
        let skip = Lanes::load(simd, &skips[blocks.end * lanes..]).gt(zero);
        after = blanks.plus(labels).or(skip, blanks);
    }
    let mut sums = [zero; 2];
    let pairs = blocks.start * lanes..blocks.end * lanes;
    let states = blocks.start * block..blocks.end * block;
    let emitted = emission.mantissas[pairs.clone()]
        .chunks_exact(lanes)
        .zip(emission.exponents[pairs.clone()].chunks_exact(lanes));
    let rows = row[states.clone()]
        .chunks_exact_mut(block)
        .zip(posteriors.alpha[states].chunks_exact(block));
    let places = posteriors.labels[pairs.clone()]
        .chunks_exact_mut(lanes)
        .zip(posteriors.blanks[pairs.clone()].chunks_exact_mut(lanes));
    let all = rows.zip(places).zip(emitted);
    for ((((row, alpha), (to_labels, to_blanks)), emitted), skip) in
        all.zip(skips[pairs].chunks_exact(lanes)).rev()
    {
        let blanks = States::load(simd, row);
        let labels = States::load(simd, &row[2 * lanes..]);
        let skip = Lanes::load(simd, skip).gt(zero);
        let either = blanks.plus(labels);
        let entered = either.or(skip, blanks);
        let next = labels.plus(entered.shift_down(after));
        after = entered;

        let of_blanks = States::load(simd, alpha)
            .times(either)
            .value(posteriors.exponent);
        let of_labels = States::load(simd, &alpha[2 * lanes..])
            .times(next)
            .value(posteriors.exponent);
        of_blanks.store(to_blanks);
        of_labels.store(to_labels);
        sums = [sums[0] + of_labels, sums[1] + of_blanks];

        either.times(blank).store(row);
        next.times(States::of(simd, emitted))
            .store(&mut row[2 * lanes..]);
    }
    sums
}

/// Brings mantissas back to between 1 and 2, and returns the largest finite exponent's absolute
/// value, by lane.
#[inline(always)]
pub(super) fn normalise<W: Functions, S: Isa>(
    simd: S,
    row: &mut [W],
    blocks: Range<usize>,
) -> Lanes<W, S> {
    let infinity = Lanes::splat(simd, W::from_f64(f64::INFINITY));
    let mut largest = Lanes::splat(simd, W::ZERO);
    let row = &mut row[blocks.start * block::<W>()..blocks.end * block::<W>()];
    for states in row.chunks_exact_mut(2 * W::LANES) {
        let normal = States::load(simd, states).normal();
        normal.store(states);
        let size = normal.exponent.abs();
        largest = size.lt(infinity).select(size, largest).max(largest);
    }
    largest
}
