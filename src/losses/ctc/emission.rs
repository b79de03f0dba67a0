//! What a frame says: its softmax, in parts for the lattice.

use crate::math::Functions;
use crate::math::lanes::{exp_nonpos, exp_parts, power_of_two};
use crate::simd::{InOut, Isa, Lanes, Mask, Sum, prefetch};

/// The probabilities of some classes in a frame as multiples of the likeliest one's: in two parts
/// for the lattice, and as one number for the gradient.
pub(super) struct Table<'t, W> {
    pub(super) mantissas: &'t mut [W],
    pub(super) exponents: &'t mut [W],
    pub(super) values: &'t mut [W],
}

/// How many values each part of a [`Table`] takes.
pub(super) const fn table_len<W: Functions>(classes: usize) -> usize {
    classes.next_multiple_of(W::LANES)
}

/// A frame's largest logit, as it is subtracted, and the sum of all probabilities, as multiples of
/// its own.
#[derive(Clone, Copy)]
pub(super) struct Normaliser<W> {
    pub(super) max: W,
    pub(super) sum: f64,
}

/// The largest value of a row; 0 where all are −∞, so that it can be subtracted from them.
#[inline(always)]
pub(super) fn largest<W: Functions, S: Isa>(simd: S, row: &[W]) -> W {
    let lowest = Lanes::splat(simd, W::from_f64(f64::NEG_INFINITY));
    let mut max = lowest;
    let mut parts = row.chunks_exact(W::LANES);
    for part in &mut parts {
        if size_of_val(row) > AHEAD {
            prefetch(simd, part, AHEAD);
        }
        max = max.max(Lanes::load(simd, part));
    }
    fold_max(max.max(load(simd, parts.remainder(), lowest)))
}

/// Fills a table from logits, less `max`, and sums the probabilities.
///
/// The difference is formed with what its rounding loses, so that a large logit costs no accuracy
/// and the largest one's probability is exactly 1.
#[inline(always)]
pub(super) fn fill<W: Functions, S: Isa>(
    simd: S,
    row: &[W],
    max: W,
    table: Table<'_, W>,
) -> Normaliser<W> {
    let lowest = Lanes::splat(simd, W::from_f64(f64::NEG_INFINITY));
    let reference = Lanes::splat(simd, max);
    let smallest = Lanes::splat(simd, W::from_f64(-f64::from(W::BIAS)));
    let mut sum = Sum::zero(simd);
    for at in (0..row.len()).step_by(W::LANES) {
        let x = load(simd, &row[at..], lowest);
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
        max,
        sum: sum.fold(),
    }
}

/// A frame whose probabilities are known, on its way to its place.
pub(super) struct Before<'b, W> {
    pub(super) values: &'b [W],
    pub(super) scale: W,
    pub(super) place: &'b mut [W],
    /// Whether to write past the caches.
    pub(super) stream: bool,
}

/// How many bytes ahead of its use memory is asked for: what it delivers while one waits for the
/// first. The processor itself does not look beyond a page.
const AHEAD: usize = 2048;

/// One sweep over three frames of many classes: writes the probabilities of the one before, times a
/// factor, sums those of this one, which it keeps in `values`, and finds the largest logit of the
/// next. So memory is read and written all the time while probabilities are computed. Behind `next`
/// comes `later`, whose front is asked for.
#[inline(always)]
pub(super) fn sweep<W: Functions, S: Isa, const BEFORE: bool>(
    simd: S,
    before: Before<'_, W>,
    row: &[W],
    max: W,
    values: &mut [W],
    [next, later]: [&[W]; 2],
) -> (Normaliser<W>, W) {
    let lowest = Lanes::splat(simd, W::from_f64(f64::NEG_INFINITY));
    let reference = Lanes::splat(simd, max);
    let scale = Lanes::splat(simd, before.scale);
    let mut place = InOut::in_place(before.place);
    let stream = before.stream && place.can_stream();
    let mut sum = Sum::zero(simd);
    let mut next_max = lowest;
    let full = row.len() / W::LANES * W::LANES;
    let rows = row[..full]
        .chunks_exact(W::LANES)
        .zip(next[..full].chunks_exact(W::LANES));
    let kept = values[..full]
        .chunks_exact_mut(W::LANES)
        .zip(before.values[..full].chunks_exact(W::LANES));
    let mut at = 0;
    for ((row, next), (values, before)) in rows.zip(kept) {
        prefetch(simd, next, AHEAD);
        next_max = next_max.max(Lanes::load(simd, next));
        let value = exp_nonpos(Lanes::load(simd, row) - reference);
        sum.add(value);
        value.store(values);
        if BEFORE {
            let scaled = Lanes::load(simd, before) * scale;
            if stream {
                place.stream(at, scaled);
            } else {
                place.store::<S, true>(at, scaled);
            }
        }
        at += W::LANES;
    }
    if full < row.len() {
        next_max = next_max.max(load(simd, &next[full..], lowest));
        let value = exp_nonpos(load(simd, &row[full..], lowest) - reference);
        sum.add(value);
        value.store(&mut values[full..]);
        if BEFORE {
            let scaled = Lanes::load(simd, &before.values[full..]) * scale;
            place.store::<S, false>(full, scaled);
        }
    }
    for ahead in (0..AHEAD).step_by(64) {
        prefetch(simd, later, ahead);
    }
    let normaliser = Normaliser {
        max,
        sum: sum.fold(),
    };
    (normaliser, fold_max(next_max))
}

/// The sum of the probabilities of a row as multiples of the likeliest one's, each times `scale`
/// written to `values` if there is room.
#[inline(always)]
pub(super) fn scaled<W: Functions, S: Isa>(
    simd: S,
    row: &[W],
    max: W,
    scale: W,
    values: &mut [W],
) -> f64 {
    let lowest = Lanes::splat(simd, W::from_f64(f64::NEG_INFINITY));
    let reference = Lanes::splat(simd, max);
    let scale = Lanes::splat(simd, scale);
    let mut sum = Sum::zero(simd);
    for at in (0..row.len()).step_by(W::LANES) {
        let value = exp_nonpos(load(simd, &row[at..], lowest) - reference);
        sum.add(value);
        if let Some(values) = values.get_mut(at..) {
            (value * scale).store_partial(values);
        }
    }
    sum.fold()
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

/// The largest lane, or 0 for −∞.
#[inline(always)]
fn fold_max<W: Functions, S: Isa>(lanes: Lanes<W, S>) -> W {
    let mut values = [W::ZERO; 16];
    lanes.store(&mut values);
    let mut half = W::LANES / 2;
    while half > 0 {
        for k in 0..half {
            // A choice, not a branch, which would be taken at random.
            let (a, b) = (values[k], values[k + half]);
            values[k] = if a > b { a } else { b };
        }
        half /= 2;
    }
    if values[0] == W::from_f64(f64::NEG_INFINITY) {
        W::ZERO
    } else {
        values[0]
    }
}
