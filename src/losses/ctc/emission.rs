use crate::math::Functions;
use crate::math::lanes::{exp_parts, power_of_two};
use crate::simd::{Isa, Lanes, Mask, Sum};

/// What a frame says about every class: its probability as a multiple of the likeliest one's, in
/// two parts for the lattice and as one number for the softmax.
///
/// Behind the last class stands one of probability 0, for pairs without a label.
pub(super) struct Table<'t, W> {
    pub(super) mantissas: &'t mut [W],
    pub(super) exponents: &'t mut [W],
    pub(super) values: &'t mut [W],
}

/// How many values each part of a [`Table`] takes.
pub(super) const fn table_len<W: Functions>(classes: usize) -> usize {
    (classes + 1).next_multiple_of(W::LANES)
}

/// The sum of a frame's values, and its largest logit.
#[derive(Clone, Copy)]
pub(super) struct Normaliser {
    pub(super) sum: f64,
    pub(super) max: f64,
}

/// Fills a table from a frame's logits.
///
/// The difference from the largest logit is formed with what its rounding loses, so that a large
/// logit costs no accuracy and the largest one's probability is exactly 1.
#[inline(always)]
pub(super) fn fill<W: Functions, S: Isa>(simd: S, row: &[W], table: Table<'_, W>) -> Normaliser {
    let lowest = Lanes::splat(simd, W::from_f64(f64::NEG_INFINITY));
    let lanes = W::LANES;
    let mut max = lowest;
    for at in (0..row.len()).step_by(lanes) {
        max = max.max(load(simd, &row[at..], lowest));
    }
    let max = largest(max);
    // Where every class has probability 0, nothing is subtracted: the sum is 0.
    let reference = if max == W::from_f64(f64::NEG_INFINITY) {
        W::ZERO
    } else {
        max
    };
    let reference = Lanes::splat(simd, reference);
    let mut sum = Sum::zero(simd);
    let smallest = Lanes::splat(simd, W::from_f64(-f64::from(W::BIAS)));
    for at in (0..row.len() + 1).step_by(lanes) {
        let x = load(simd, &row[at.min(row.len())..], lowest);
        let difference = x - reference;
        let back = difference - x;
        let low = (x - (difference - back)) - (reference + back);
        let (mantissa, exponent) = exp_parts(difference, low);
        let value = mantissa * power_of_two(exponent.max(smallest));
        mantissa.store(&mut table.mantissas[at..]);
        exponent.store(&mut table.exponents[at..]);
        value.store(&mut table.values[at..]);
        sum.add(value);
    }
    Normaliser {
        sum: sum.fold(),
        max: max.to_f64(),
    }
}

/// The values from the front of `row`, −∞ behind them.
#[inline(always)]
fn load<W: Functions, S: Isa>(simd: S, row: &[W], lowest: Lanes<W, S>) -> Lanes<W, S> {
    if row.len() >= W::LANES {
        Lanes::load(simd, row)
    } else {
        Mask::first(simd, row.len()).select(Lanes::load_partial(simd, row), lowest)
    }
}

/// The largest lane.
#[inline(always)]
fn largest<W: Functions, S: Isa>(lanes: Lanes<W, S>) -> W {
    let mut values = [W::ZERO; 16];
    lanes.store(&mut values);
    let mut largest = values[0];
    for &value in &values[1..W::LANES] {
        largest = if value > largest { value } else { largest };
    }
    largest
}
