//! What a frame says: its softmax, in parts for the lattice.

use crate::math::Functions;
use crate::math::lanes::{exp_parts, power_of_two};
use crate::simd::{Isa, Lanes, Mask, Sum, prefetch};

/// The probabilities of some classes in a frame as multiples of its [`Reference`]: in two parts for
/// the lattice, and as one number for the gradient.
pub(super) struct Table<'t, W> {
    pub(super) mantissas: &'t mut [W],
    pub(super) exponents: &'t mut [W],
    pub(super) values: &'t mut [W],
}

/// How many values each part of a [`Table`] takes.
pub(super) const fn table_len<W: Functions>(classes: usize) -> usize {
    classes.next_multiple_of(W::LANES)
}

/// What the exponentials of a frame's logits are taken as multiples of: `e^subtracted 2^power`.
#[derive(Clone, Copy)]
pub(super) struct Reference<W> {
    pub(super) subtracted: W,
    pub(super) power: W,
}

/// Logits farther from 0 than this have their largest subtracted first.
const FARTHEST: f64 = 1000.0;

/// Between which powers of 2 a frame's largest exponential may be, as a multiple of its reference: so
/// near to 1 that no factor of a gradient loses bits, or overflows, by what the sum is off.
const NEAR: core::ops::RangeInclusive<f64> = -4.0..=24.0;

impl<W: Functions> Reference<W> {
    /// The largest exponential itself.
    pub(super) fn exact(max: W) -> Self {
        Self {
            subtracted: max,
            power: W::ZERO,
        }
    }

    /// A power of 2 that is as a rule near enough to the largest exponential of a frame whose blank has
    /// this logit: so the others need no more than one look.
    #[inline(always)]
    pub(super) fn guess(blank: W) -> Self {
        let blank = blank.to_f64();
        let near = blank.abs() <= FARTHEST;
        let power = if near {
            blank * core::f64::consts::LOG2_E
        } else {
            0.0
        };
        Self {
            subtracted: W::ZERO,
            power: W::from_f64(power.round_ties_even()),
        }
    }

    /// Whether no exponential that counts is too large or too small as a multiple of this one, where
    /// `max` is the largest logit.
    #[inline(always)]
    pub(super) fn suits(self, max: W) -> bool {
        let logarithm = (max.to_f64() - self.subtracted.to_f64()) * core::f64::consts::LOG2_E;
        NEAR.contains(&(logarithm - self.power.to_f64()))
    }
}

/// A frame's reference, and the sum of all its exponentials, as multiples of that.
#[derive(Clone, Copy)]
pub(super) struct Normaliser<W> {
    pub(super) reference: Reference<W>,
    pub(super) sum: f64,
}

/// How many bytes ahead of its use memory is asked for at the start of a row: what it delivers while
/// one waits for the first. The processor itself does not look beyond a page.
pub(super) const AHEAD: usize = 2048;

/// The largest value of a row, NaNs passed over; 0 where all are −∞, so that it can be subtracted.
#[inline(always)]
pub(super) fn largest<W: Functions, S: Isa>(simd: S, row: &[W]) -> W {
    let lowest = Lanes::splat(simd, W::from_f64(f64::NEG_INFINITY));
    let mut max = lowest;
    let mut parts = row.chunks_exact(W::LANES);
    for part in &mut parts {
        if size_of_val(row) > AHEAD {
            prefetch(simd, part, AHEAD);
        }
        max = Lanes::load(simd, part).max(max);
    }
    fold_max(load(simd, parts.remainder(), lowest).max(max))
}

/// Fills a table from the first `count` logits, behind them as from logits of −∞, and sums the
/// probabilities.
///
/// A difference is formed with what its rounding loses, so that a large logit costs no accuracy, and
/// the largest one's probability is exactly 1 where the reference is that one.
#[inline(always)]
pub(super) fn fill<W: Functions, S: Isa>(
    simd: S,
    row: &[W],
    count: usize,
    reference: Reference<W>,
    table: Table<'_, W>,
) -> Normaliser<W> {
    let lowest = Lanes::splat(simd, W::from_f64(f64::NEG_INFINITY));
    let subtracted = Lanes::splat(simd, reference.subtracted);
    let power = Lanes::splat(simd, reference.power);
    let smallest = Lanes::splat(simd, W::from_f64(-f64::from(W::BIAS)));
    let mut sum = Sum::zero(simd);
    for at in (0..table.values.len()).step_by(W::LANES) {
        let x = load(simd, row.get(at..).unwrap_or_default(), lowest);
        let x = match at + W::LANES <= count {
            true => x,
            false => Mask::first(simd, count.saturating_sub(at)).select(x, lowest),
        };
        let difference = x - subtracted;
        let back = difference - x;
        let low = (x - (difference - back)) - (subtracted + back);
        let (mantissa, exponent) = exp_parts(difference, low);
        let exponent = exponent - power;
        let value = mantissa * power_of_two(exponent.max(smallest));
        mantissa.store(&mut table.mantissas[at..]);
        exponent.store(&mut table.exponents[at..]);
        value.store(&mut table.values[at..]);
        sum.add(value);
    }
    Normaliser {
        reference,
        sum: sum.fold(),
    }
}

/// The values from the front of `row`, −∞ behind them.
#[inline(always)]
pub(super) fn load<W: Functions, S: Isa>(simd: S, row: &[W], lowest: Lanes<W, S>) -> Lanes<W, S> {
    if row.len() >= W::LANES {
        Lanes::load(simd, row)
    } else {
        Mask::first(simd, row.len()).select(Lanes::load_partial(simd, row), lowest)
    }
}

/// The largest lane, none of them being NaN, or 0 for −∞.
#[inline(always)]
pub(super) fn fold_max<W: Functions, S: Isa>(lanes: Lanes<W, S>) -> W {
    let largest = lanes.largest();
    if largest == W::from_f64(f64::NEG_INFINITY) {
        W::ZERO
    } else {
        largest
    }
}
