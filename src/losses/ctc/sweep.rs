//! Frames of many classes: read once, while the frame before is written.

use super::emission::{AHEAD, Normaliser, Reference, fold_max, largest, load};
use super::half::Setting;
use crate::element::Element;
use crate::math::Functions;
use crate::math::lanes::exp_over_power;
use crate::simd::{InOut, Isa, Lanes, Sum, prefetch};

/// How many values a frame of many classes takes that [`sweep`] keeps.
pub(super) const fn kept_len<W: Functions>(classes: usize) -> usize {
    classes.next_multiple_of(4 * W::LANES)
}

/// A frame of many classes.
pub(super) struct Frame<'f, W> {
    pub(super) row: &'f [W],
    /// The one that will be read next.
    pub(super) next: &'f [W],
    pub(super) blank: usize,
}

impl<W: Element> Frame<'_, W> {
    /// Sums the frame's exponentials and keeps them in `values`; see [`sweep`]. The result
    /// depends on nothing but the frame.
    #[inline(always)]
    pub(super) fn sweep<S: Isa, const BEFORE: bool>(
        &self,
        simd: S,
        before: Before<'_, W>,
        values: &mut [W],
        setting: Setting,
    ) -> Normaliser<W> {
        let Self { row, next, blank } = *self;
        // Log-probabilities are costs themselves, and largest ones are subtracted exactly.
        let mut reference = if setting.log_probs {
            Reference::exact(largest(simd, row))
        } else {
            Reference::guess(row[blank])
        };
        let mut swept = sweep::<W, S, BEFORE>(simd, before, row, reference, values, next);
        if !reference.suits(swept.max) {
            reference = Reference::exact(swept.max);
            let before = Before::nothing();
            swept = sweep::<W, S, false>(simd, before, row, reference, values, next);
        }
        Normaliser {
            reference,
            sum: swept.sum,
        }
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

impl<W: Functions> Before<'_, W> {
    pub(super) fn nothing() -> Self {
        Self {
            values: &[],
            scale: W::ZERO,
            place: &mut [],
            stream: false,
        }
    }
}

/// Bytes of a row up to which the next one is asked for while this one is read.
const WHOLE_ROW: usize = 64 << 10;

/// What [`sweep`] says of a frame.
pub(super) struct Swept<W> {
    pub(super) sum: f64,
    /// The largest logit.
    pub(super) max: W,
}

/// One sweep over a frame of many classes: sums its exponentials, which it keeps in `values`, finds
/// the largest logit, and if `BEFORE` writes the probabilities of the frame before, times a factor.
/// So memory is read and written all the time while exponentials are computed. `next` is the frame
/// that will be read after this one.
#[inline(always)]
pub(super) fn sweep<W: Functions, S: Isa, const BEFORE: bool>(
    simd: S,
    before: Before<'_, W>,
    row: &[W],
    reference: Reference<W>,
    values: &mut [W],
    next: &[W],
) -> Swept<W> {
    let lowest = Lanes::splat(simd, W::from_f64(f64::NEG_INFINITY));
    let subtracted = Lanes::splat(simd, reference.subtracted);
    let power = Lanes::splat(simd, reference.power);
    let (ahead, skipped) = if size_of_val(row) <= WHOLE_ROW {
        (next, 0)
    } else {
        (row, AHEAD)
    };
    let step = 4 * W::LANES;
    let mut before = Writer::<W, S>::new(simd, before);
    let parts = match BEFORE {
        true => (row.len() - before.head) / step,
        false => row.len() / step,
    };
    let mut sum = Sum::zero(simd);
    let mut max = lowest;
    let rows = row[..parts * step].chunks_exact(step);
    let kept = values[..parts * step].chunks_exact_mut(step);
    for (part, (row, values)) in rows.zip(kept).enumerate() {
        let mut x = [lowest; 4];
        for (x, at) in x.iter_mut().zip((0..step).step_by(W::LANES)) {
            prefetch(simd, ahead, skipped + (part * step + at) * size_of::<W>());
            let logits = Lanes::load(simd, &row[at..]);
            max = logits.max(max);
            *x = logits - subtracted;
        }
        let terms = exp_over_power(x, power);
        for (term, at) in terms.into_iter().zip((0..step).step_by(W::LANES)) {
            term.store(&mut values[at..]);
        }
        let [a, b, c, d] = terms;
        sum.add((a + b) + (c + d));
        if BEFORE {
            before.write(part * step);
        }
    }
    for start in (parts * step..row.len()).step_by(step) {
        let mut terms = [Lanes::splat(simd, W::ZERO); 4];
        for (term, at) in terms.iter_mut().zip((start..row.len()).step_by(W::LANES)) {
            let x = load(simd, &row[at..], lowest);
            max = x.max(max);
            [*term] = exp_over_power([x - subtracted], power);
            term.store(&mut values[at..]);
        }
        let [a, b, c, d] = terms;
        sum.add((a + b) + (c + d));
    }
    if BEFORE {
        before.write_ends(parts * step);
    }
    Swept {
        sum: sum.fold(),
        max: fold_max(max),
    }
}

/// Writes the probabilities of a frame, if past the caches then whole lines of them.
struct Writer<'b, W: Functions, S: Isa> {
    values: &'b [W],
    scale: Lanes<W, S>,
    place: InOut<'b, W>,
    stream: bool,
    /// How many values stand before the first whole line.
    head: usize,
}

impl<'b, W: Functions, S: Isa> Writer<'b, W, S> {
    #[inline(always)]
    fn new(simd: S, before: Before<'b, W>) -> Self {
        let len = before.place.len();
        let (stream, scale, values) = (before.stream, before.scale, before.values);
        if stream {
            // The two lines at its ends are not written whole.
            prefetch(simd, before.place, 0);
            prefetch(simd, before.place, len.saturating_sub(1) * size_of::<W>());
        }
        let place = InOut::in_place(before.place);
        let head = if stream {
            place.first_line().min(len)
        } else {
            0
        };
        Self {
            values,
            scale: Lanes::splat(simd, scale),
            stream,
            head,
            place,
        }
    }

    /// Writes four vectors, the head and `at` values behind the start.
    #[inline(always)]
    fn write(&mut self, at: usize) {
        let at = self.head + at;
        let values = &self.values[at..][..4 * W::LANES];
        for lane in (0..4 * W::LANES).step_by(W::LANES) {
            let scaled = Lanes::load(self.scale.simd(), &values[lane..]) * self.scale;
            if self.stream {
                self.place.stream(at + lane, scaled);
            } else {
                self.place.store::<S, true>(at + lane, scaled);
            }
        }
    }

    /// Writes the head, and what follows `written` values behind it.
    #[inline(always)]
    fn write_ends(mut self, written: usize) {
        let (head, len) = (self.head, self.place.len());
        self.write_some(0, head);
        for at in (head + written..len).step_by(W::LANES) {
            self.write_some(at, len.min(at + W::LANES));
        }
    }

    /// Writes less than a vector, or all of it.
    #[inline(always)]
    fn write_some(&mut self, from: usize, to: usize) {
        let scaled = Lanes::load_partial(self.scale.simd(), &self.values[from..to]) * self.scale;
        self.place
            .part(from, to - from)
            .store::<S, false>(0, scaled);
    }
}
