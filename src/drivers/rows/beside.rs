use super::leaf::Rows;
use super::row::Row;
use super::tile::{Known, LaneSums, PACKED, Packed, Tile, surprises};
use super::{RowLabel, RowLoss};
use crate::drivers::unit_scale::UnitScale;
use crate::drivers::{Outputs, Plan};
use crate::element::Element;
use crate::simd::{Isa, Lanes, Sum};
use crate::tensor::Columns;
use core::ops::Range;

/// Classes up to which rows whose classes are neighbours are taken side by side all the same: what is
/// done once a row costs more than they do.
pub(super) const SHORT: usize = 32;

/// Rows from which on it pays to copy them side by side.
const SEVERAL: usize = 8;

/// The most rows that are copied at a time.
pub(super) const WIDEST: usize = 256;

/// A unit of a sample.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) sample: usize,
    pub(super) unit: usize,
}

impl Place {
    /// The next place, where each sample has `units`.
    #[inline(always)]
    pub(super) fn next(self, units: &Range<usize>) -> Self {
        let unit = self.unit + 1;
        if unit < units.end {
            Self { unit, ..self }
        } else {
            Self {
                sample: self.sample + 1,
                unit: units.start,
            }
        }
    }
}

impl<T, R, const DENSE: bool> Rows<'_, T, R, DENSE>
where
    T: Element,
    R: RowLoss<T>,
{
    /// Whether `count` rows whose classes are neighbours are better taken side by side.
    pub(super) fn go_beside(&self, count: usize) -> bool {
        self.classes <= SHORT && count >= SEVERAL && self.loss.normalises()
    }

    /// How many of the next `rest` rows can be taken side by side, `units` being what is left of
    /// the sample.
    #[inline]
    pub(super) fn beside(
        &self,
        outputs: &Outputs<'_, T>,
        sample: usize,
        units: Range<usize>,
        rest: usize,
    ) -> usize {
        if self.in_runs(outputs) {
            return rest.min(T::LANES);
        }
        let neighbours = match &self.label {
            RowLabel::Class(_) => usize::MAX,
            RowLabel::Shares(shares) => shares.contiguous(sample, units.clone()),
        };
        let neighbours = neighbours.min(outputs.operands[0].contiguous(sample, units));
        neighbours.min(self.width(outputs))
    }

    /// How many rows stand side by side: more than a tile's where all their classes do.
    #[inline]
    fn width(&self, outputs: &Outputs<'_, T>) -> usize {
        if self.in_runs(outputs) {
            return T::LANES;
        }
        let width = PACKED / self.classes / T::LANES * T::LANES;
        width.clamp(T::LANES, WIDEST)
    }
}

/// Rows that are copied side by side, which makes runs of what lies apart in memory, and whole
/// vectors of short rows.
pub(super) struct Beside<'r, 'i, 'a, 'o, 'p, T: Element, S, R, const DENSE: bool> {
    pub(super) simd: S,
    pub(super) rows: &'r Rows<'i, T, R, DENSE>,
    pub(super) plan: &'r Plan<'a, T>,
    pub(super) outputs: &'r mut Outputs<'o, T>,
    /// The units of every sample.
    pub(super) units: Range<usize>,
    pub(super) packed: &'r mut Packed<'p, T>,
}

impl<'p, T, S, R, const DENSE: bool> Beside<'_, '_, '_, '_, 'p, T, S, R, DENSE>
where
    T: Element,
    S: Isa,
    R: RowLoss<T>,
{
    /// The losses of `count` rows, and their gradients.
    #[inline(always)]
    pub(super) fn run(&mut self, at: Place, count: usize, losses: &mut [T; WIDEST]) {
        let width = self.rows.width(self.outputs);
        let classes = self.rows.classes;
        let whole = classes <= PACKED / width;
        if whole {
            self.fetch(at, count, width, 0..classes);
        }
        let mut place = at;
        for first in (0..count).step_by(T::LANES) {
            let rows = (count - first).min(T::LANES);
            let found = self.tile(place, first..first + rows, width, whole);
            losses[first..first + T::LANES].copy_from_slice(&found[..T::LANES]);
            for _ in 0..rows {
                place = place.next(&self.units);
            }
        }
        if self.rows.grad && whole {
            self.put(at, count, width, 0..classes);
        }
    }

    /// The losses of some of the rows at hand, and their gradients. Unless their `whole` rows have
    /// been fetched, they are fetched part by part, and their exponentials computed twice.
    #[inline(always)]
    fn tile(&mut self, at: Place, rows: Range<usize>, width: usize, whole: bool) -> [T; 16] {
        let (simd, classes, count) = (self.simd, self.rows.classes, rows.len());
        let normalise = self.rows.loss.normalises();
        let parts = || {
            let step = PACKED / width;
            (0..classes)
                .step_by(step)
                .map(move |start| start..classes.min(start + step))
        };
        let (mut numbers, mut logits, mut grad_scales) = ([T::ZERO; 16], [T::ZERO; 16], [0.0; 16]);
        let mut place = at;
        for row in 0..count {
            let Place { sample, unit } = place;
            if let Some(class) = self.rows.class((sample, unit)) {
                numbers[row] = T::from_f64(class as f64);
                logits[row] = match whole {
                    true => self.packed[0][class * width + rows.start + row],
                    false => self.outputs.pred().class(sample, unit, class),
                };
            }
            if self.rows.grad
                && let Some(scale) = UnitScale::of(self.plan, sample, unit)
            {
                grad_scales[row] = scale.grad;
            }
            place = place.next(&self.units);
        }
        let mut known = Known {
            max: Lanes::splat(simd, T::ZERO),
            left_out: Lanes::load(simd, &numbers),
            logit: Lanes::load(simd, &logits),
        };
        if normalise {
            let [max, position] = self.largest(at, &rows, width, whole);
            known.max = max;
            if DENSE {
                (known.left_out, known.logit) = (position, max);
            }
        }

        let mut sums: LaneSums<S> = [[Sum::zero(simd); 3]; 16];
        if normalise || DENSE {
            for part in parts() {
                if !whole {
                    self.fetch(at, count, width, part.clone());
                }
                let mut tile = self.at_hand(rows.start, width);
                if normalise {
                    tile.exponentials(&known, part.len());
                }
                tile.sum(&known, part, &mut sums);
            }
        }
        let found = known.rows::<DENSE>(&sums, normalise);
        if self.rows.grad {
            let factors = self.factors(at, &found[..count], &grad_scales);
            let factors = factors.map(|lanes| Lanes::load(simd, &lanes));
            for part in parts() {
                if !whole {
                    self.fetch(at, count, width, part.clone());
                }
                let mut tile = self.at_hand(rows.start, width);
                if normalise && !whole {
                    tile.exponentials(&known, part.len());
                }
                tile.gradients(&known, factors, part.clone());
                if !whole {
                    self.put(at, count, width, part);
                }
            }
        }
        let mut costs = [0.0; 16];
        if normalise {
            costs = surprises(simd, &found);
        }
        let mut losses = [T::ZERO; 16];
        for (loss, (row, cost)) in losses.iter_mut().zip(found.iter().zip(costs)) {
            *loss = row.loss(cost);
        }
        losses
    }

    /// What the exponentials and the shares of rows are multiplied by for the gradient, and the
    /// gradient of the class that is left out.
    #[inline(always)]
    fn factors(&self, at: Place, found: &[Row], grad_scales: &[f64; 16]) -> [[T; 16]; 3] {
        let [mut factors, mut scales, mut owns] = [[T::ZERO; 16]; 3];
        let mut place = at;
        for (k, row) in found.iter().enumerate() {
            let scale = grad_scales[k];
            (factors[k], scales[k]) = (row.factor(scale), T::from_f64(scale));
            owns[k] = self
                .rows
                .grad_of_left_out(row, (place.sample, place.unit), scale);
            place = place.next(&self.units);
        }
        [factors, scales, owns]
    }

    /// The largest logits of rows, and the first classes that have them.
    #[inline(always)]
    fn largest(
        &mut self,
        at: Place,
        rows: &Range<usize>,
        width: usize,
        whole: bool,
    ) -> [Lanes<T, S>; 2] {
        let (simd, classes) = (self.simd, self.rows.classes);
        let zero = Lanes::splat(simd, T::ZERO);
        let mut largest = [Lanes::splat(simd, T::from_f64(f64::NEG_INFINITY)), zero];
        let step = PACKED / width;
        for start in (0..classes).step_by(step) {
            let part = start..classes.min(start + step);
            if !whole {
                self.fetch(at, rows.len(), width, part.clone());
            }
            largest = self.at_hand(rows.start, width).largest(largest, part);
        }
        // As for a row whose classes are neighbours, the zero is the positive one.
        largest[0] = largest[0] + zero;
        largest
    }

    #[inline(always)]
    fn at_hand(&mut self, first: usize, width: usize) -> Tile<'_, 'p, T, S, R, DENSE> {
        Tile {
            simd: self.simd,
            loss: self.rows.loss,
            packed: self.packed,
            first,
            width,
        }
    }

    /// Copies some classes of rows side by side.
    #[inline(always)]
    fn fetch(&mut self, at: Place, count: usize, width: usize, classes: Range<usize>) {
        let [logits, _, shares] = &mut *self.packed;
        let pred = &mut self.outputs.operands[0];
        if self.rows.in_runs_of(pred) {
            let mut place = at;
            for row in 0..count {
                let Place { sample, unit } = place;
                let values = pred.read_row(sample, unit, classes.clone(), &mut []);
                transpose(values, &mut logits[row..], width);
                if let RowLabel::Shares(label) = &self.rows.label {
                    let values = label.row(sample, unit, classes.clone(), &mut []);
                    transpose(values, &mut shares[row..], width);
                }
                place = place.next(&self.units);
            }
            return;
        }
        let units = at.unit..at.unit + count;
        let mut columns = pred.columns(at.sample, units.clone());
        copy_in(self.simd, &mut columns, classes.clone(), width, logits);
        if let RowLabel::Shares(label) = &self.rows.label {
            let mut columns = Columns::read(label, at.sample, units);
            copy_in(self.simd, &mut columns, classes, width, shares);
        }
    }

    /// Copies the gradients of some classes to their places.
    #[inline(always)]
    fn put(&mut self, at: Place, count: usize, width: usize, classes: Range<usize>) {
        let stream = self.plan.stream;
        let grads = &self.packed[1];
        let pred = &mut self.outputs.operands[0];
        if self.rows.in_runs_of(pred) {
            let mut place = at;
            for row in 0..count {
                if let Some(grad) = pred.grad() {
                    let to = grad.row(place.sample, place.unit, classes.clone());
                    let from = grads[row..].iter().step_by(width);
                    for (to, &from) in to.iter_mut().zip(from) {
                        *to = from;
                    }
                }
                place = place.next(&self.units);
            }
            return;
        }
        let mut columns = pred.columns(at.sample, at.unit..at.unit + count);
        for (class, grads) in classes.zip(grads.chunks_exact(width)) {
            let mut run = columns.class(class);
            let mut start = 0;
            if stream {
                start = run.first_line().min(count);
                let head = Lanes::load_partial(self.simd, &grads[..start]);
                run.part(0, start).store::<S, false>(0, head);
            }
            while count - start >= T::LANES {
                let grad = Lanes::load(self.simd, &grads[start..]);
                if stream {
                    run.stream(start, grad);
                } else {
                    run.store::<S, true>(start, grad);
                }
                start += T::LANES;
            }
            let tail = Lanes::load_partial(self.simd, &grads[start..count]);
            run.store::<S, false>(start, tail);
        }
    }
}

/// Writes values `width` apart.
#[inline(always)]
fn transpose<T: Copy>(values: &[T], to: &mut [T], width: usize) {
    for (to, &value) in to.iter_mut().step_by(width).zip(values) {
        *to = value;
    }
}

/// Copies some classes of rows side by side.
#[inline(always)]
fn copy_in<T: Element, S: Isa>(
    simd: S,
    columns: &mut Columns<'_, T>,
    classes: Range<usize>,
    width: usize,
    to: &mut [T],
) {
    let rows = columns.rows();
    for (class, to) in classes.zip(to.chunks_exact_mut(width)) {
        let run = columns.class(class);
        let mut at = 0;
        while rows - at >= T::LANES {
            run.load::<S, true>(simd, at).store(&mut to[at..]);
            at += T::LANES;
        }
        run.load::<S, false>(simd, at)
            .store_partial(&mut to[at..rows]);
    }
}
