//! The way forward: the probabilities of all paths up to the middle.

use super::emission::{self, Normaliser};
use super::half::{Half, Place, Setting, table};
use super::lattice::{self, block};
use super::sequence::Sequence;
use super::sweep::{Before, Frame};
use crate::element::Element;
use crate::simd::{Isa, Kernel, Lanes};
use crate::workspace::Plain;

/// What going forward gives, besides the last row.
#[derive(Clone, Copy)]
pub(super) struct Passed {
    /// The product of the normalisers is `normaliser · 2^shift`; NaN where any input was.
    pub(super) normaliser: f64,
    pub(super) shift: f64,
    /// The sum of the frames' largest log-probabilities.
    pub(super) max: f64,
    /// Whether exponents stayed where the type counts in ones.
    pub(super) exact: bool,
}

impl Passed {
    #[inline(always)]
    fn add<W: Element>(&mut self, normaliser: Normaliser<W>, log_probs: bool) {
        if log_probs {
            self.max += normaliser.reference.subtracted.to_f64();
            self.normaliser += 0.0 * normaliser.sum;
            return;
        }
        // A sum of nothing is the softmax of nothing.
        self.normaliser *= if normaliser.sum == 0.0 {
            f64::NAN
        } else {
            normaliser.sum
        };
        const STEP: f64 = (1u128 << 100) as f64;
        if self.normaliser > STEP {
            self.normaliser /= STEP;
            self.shift += 100.0;
        } else if self.normaliser < 1.0 / STEP {
            self.normaliser *= STEP;
            self.shift -= 100.0;
        }
    }
}

/// The way forward.
pub(super) struct Forward<'k, 'w, W> {
    pub(super) half: &'k mut Half<'w, W>,
    pub(super) sequence: &'k mut dyn Sequence<W>,
    pub(super) setting: Setting,
}

impl<W: Element + Plain> Kernel for Forward<'_, '_, W> {
    type Home = Self;
    type Output = Passed;

    #[inline(always)]
    fn run<S: Isa>(self, simd: S) -> Passed {
        let Self {
            half,
            sequence,
            setting,
        } = self;
        let plan = half.plan;
        lattice::clear(simd, half.rows[0]);
        lattice::clear(simd, half.rows[1]);
        lattice::clear(simd, half.last);
        half.rows[0][W::LANES] = W::ZERO;
        let mut passed = Passed {
            normaliser: 1.0,
            shift: 0.0,
            max: 0.0,
            exact: true,
        };
        let mut largest = Lanes::splat(simd, W::ZERO);
        let kept = plan.first_kept();
        let mut from = Place::Row(0);
        // Frames of many classes are read and written in groups, the lattice follows in between: its
        // small writes would wait for the large ones.
        let group = if setting.early { W::LANES } else { 1 };
        for start in (0..plan.frames).step_by(group) {
            let group = start..(start + group).min(plan.frames);
            for at in group.clone() {
                let table = at.saturating_sub(kept);
                let normaliser = if setting.early {
                    half.tabulate_and_write(simd, at, sequence, setting)
                } else {
                    half.tabulate(simd, table, setting.frame(at), sequence, setting)
                };
                if at >= kept {
                    half.keep(table, normaliser);
                }
                passed.add(normaliser, setting.log_probs);
            }
            for at in group {
                let blocks = plan.band.range::<W>(at);
                let blank = half.emit(simd, at.saturating_sub(kept), blocks.clone());
                let to = match from {
                    _ if at >= kept => Place::History(at - kept),
                    Place::Row(0) => Place::Row(1),
                    _ => Place::Row(0),
                };
                if let Place::Row(k) = from
                    && plan.grad
                    && at < kept
                    && at % plan.chunk == 0
                {
                    let row = plan.row::<W>();
                    let checkpoint = &mut half.checkpoints[at / plan.chunk * row..][..row];
                    checkpoint.copy_from_slice(half.rows[k]);
                }
                let floor = plan.band.floor::<W>(at);
                half.step(simd, from, to, blocks.clone(), floor, blank);
                if (at + 1) % W::LANES == 0 || at + 1 == plan.frames {
                    let row = half.place(to);
                    largest = largest.max(lattice::normalise(simd, row, blocks));
                }
                from = to;
            }
        }
        if setting.early && plan.frames > 0 {
            half.write_last(simd, sequence, setting);
        }
        let blocks = match plan.frames.checked_sub(1) {
            Some(at) => plan.band.range::<W>(at),
            None => 0..1,
        };
        let part = blocks.start * block::<W>()..blocks.end * block::<W>();
        let row = plan.row::<W>();
        let from = match from {
            Place::History(at) => &half.history[at * row..][..row],
            Place::Row(k) => &*half.rows[k],
            Place::Checkpoint(k) => &half.checkpoints[k * row..][..row],
        };
        half.last[part.clone()].copy_from_slice(&from[part]);
        let limit = largest.splat_like(W::COUNTING / 4.0);
        passed.exact = largest.gt(limit).to_bits() == 0;
        passed
    }
}

impl<W: Element + Plain> Half<'_, W> {
    /// Whether gradients can be written on the way forward: then the logits are not needed again.
    pub(super) fn can_write_early(&self, sequence: &dyn Sequence<W>) -> bool {
        self.plan.grad && self.plan.wide && self.plan.chunks() == 1 && sequence.is_copy()
    }

    /// Fills table `at` from a frame of many classes, and writes the probabilities of the one before
    /// to its gradient.
    #[inline(always)]
    fn tabulate_and_write<S: Isa>(
        &mut self,
        simd: S,
        at: usize,
        sequence: &mut dyn Sequence<W>,
        setting: Setting,
    ) -> Normaliser<W> {
        let last = self.plan.frames - 1;
        let frames = [at, (at + 1).min(last)].map(|at| setting.frame(at));
        let place = setting.frame(at.saturating_sub(1));
        let ([row, next], place) = sequence.rows_and_place(frames, place);
        let [a, b] = &mut self.values;
        let (values, values_before) = if at.is_multiple_of(2) { (a, b) } else { (b, a) };
        let frame = Frame {
            row,
            next,
            blank: setting.blank,
        };
        let normaliser = if at == 0 {
            frame.sweep::<S, false>(simd, Before::nothing(), values, setting)
        } else {
            let before = Before {
                values: values_before,
                scale: setting.of_values(self.sums[at - 1]),
                place,
                stream: setting.stream,
            };
            frame.sweep::<S, true>(simd, before, values, setting)
        };
        W::gather(simd, row, &self.classes[..self.plan.table], self.compact);
        let table = table(self.tables, self.plan.table, at);
        emission::fill(simd, self.compact, self.named, normaliser.reference, table);
        normaliser
    }

    /// Writes the probabilities of the last frame to its gradient.
    #[inline(always)]
    fn write_last<S: Isa>(&mut self, simd: S, sequence: &mut dyn Sequence<W>, setting: Setting) {
        let last = self.plan.frames - 1;
        let scale = Lanes::splat(simd, setting.of_values(self.sums[last]));
        let values = &mut self.values[last % 2];
        for values in values.chunks_exact_mut(W::LANES) {
            (Lanes::load(simd, values) * scale).store(values);
        }
        sequence.write(setting.frame(last), &values[..self.extent.classes]);
        // What was written past the caches is to be seen by whoever goes back.
        simd.fence();
    }
}
