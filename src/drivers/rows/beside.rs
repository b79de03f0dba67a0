use super::leaf::Rows;
use super::packing::{pack_columns, pack_lines, unpack_columns, unpack_lines};
use super::place::Place;
use super::row::Row;
use super::tile::{Known, Packed, Tile};
use super::{RowLabel, RowLoss};
use crate::drivers::terms::block;
use crate::drivers::unit_scale::UnitScales;
use crate::drivers::{Aligned, Outputs, Plan};
use crate::element::Element;
use crate::simd::{Isa, Kernel, Lanes, Sum};
use core::ops::Range;

/// Classes up to which rows whose classes are neighbours are taken side by side all the same: what is
/// done once a row costs more than they do.
const FEW_CLASSES: usize = 48;

/// Rows from which on it pays to copy them side by side.
pub(super) const SEVERAL: usize = 8;

/// The most rows that are copied at a time.
pub(super) const WIDEST: usize = 256;

/// Vectors of rows whose classes lie apart: runs of so many cache lines are copied as fast as longer ones.
pub(super) const LONG_RUN: usize = 4;

impl<T, R, const DENSE: bool> Rows<'_, T, R, DENSE>
where
    T: Element,
    R: RowLoss<T>,
{
    /// Whether `count` rows that lie in lines are better taken side by side.
    pub(super) fn go_beside(&self, count: usize) -> bool {
        self.classes <= FEW_CLASSES && count >= SEVERAL && self.loss.normalises()
    }

    /// How many rows whose classes lie apart are next taken side by side, `units` being what is left of
    /// the sample and `width` the most: where there are more, those up to the end of a cache line of the
    /// first class's gradients, since lines that two groups share would be read and written twice.
    #[inline]
    pub(super) fn next_beside(
        &self,
        outputs: &mut Outputs<'_, T>,
        sample: usize,
        units: Range<usize>,
        width: usize,
    ) -> usize {
        let mut neighbours = outputs.operands[0].contiguous(sample, units.clone());
        if let RowLabel::Shares(shares) = &self.label {
            neighbours = neighbours.min(shares.contiguous(sample, units.clone()));
        }
        if neighbours <= width {
            return neighbours;
        }
        let mut columns =
            outputs.operands[0].columns(sample, units.start..units.start + neighbours);
        let head = columns.line(0).first_line();
        width - (width - head) % T::LANES
    }

    /// How many rows stand side by side in `room`.
    #[inline]
    pub(super) fn width(&self, room: usize) -> usize {
        let width = room / self.classes / T::LANES * T::LANES;
        width.clamp(T::LANES, WIDEST)
    }
}

/// Rows that are copied side by side, which makes runs of what lies apart in memory, and whole
/// vectors of short rows.
pub(super) struct Beside<'r, 'i, 'a, 'o, 'p, T: Element, R, const DENSE: bool> {
    pub(super) rows: &'r Rows<'i, T, R, DENSE>,
    pub(super) plan: &'r Plan<'a, T>,
    pub(super) scales: &'r UnitScales<'r, 'a, T>,
    pub(super) outputs: &'r mut Outputs<'o, T>,
    pub(super) samples: Range<usize>,
    /// The units of every sample.
    pub(super) units: Range<usize>,
    pub(super) packed: &'r mut Packed<'p, T>,
    /// How many rows stand side by side there, and how many of their classes there is room for.
    pub(super) width: usize,
    pub(super) step: usize,
    /// The first row.
    pub(super) at: Place,
    /// A place for the loss of each row; gradients are written, where they are wanted.
    pub(super) losses: &'r mut [T],
}

impl<T, R, const DENSE: bool> Kernel for Beside<'_, '_, '_, '_, '_, T, R, DENSE>
where
    T: Element,
    R: RowLoss<T>,
{
    type Home = R;
    type Output = ();

    #[inline(always)]
    fn run<S: Isa>(mut self, simd: S) {
        if S::IS_SCALAR {
            unreachable!("one lane at a time is none the faster for rows side by side");
        }
        let (at, width) = (self.at, self.width);
        let (classes, count) = (self.rows.classes, self.losses.len());
        let whole = classes <= self.step;
        debug_assert!(whole || self.step.is_multiple_of(block::<T>()));
        if whole {
            self.fetch(simd, at, count, width, 0..classes);
        }
        let mut labels = [0; WIDEST];
        self.copy_labels(&mut labels[..count]);
        let mut place = at;
        for first in (0..count).step_by(T::LANES) {
            let rows = (count - first).min(T::LANES);
            let labels = &labels[first..first + rows];
            let found = self.tile(simd, place, labels, first, width, whole);
            // What is stored whole is the sooner read, one by one.
            match rows == T::LANES {
                true => found.store(&mut self.losses[first..]),
                false => found.store_partial(&mut self.losses[first..first + rows]),
            }
            for _ in 0..rows {
                place = place.next(&self.units);
            }
        }
        if self.rows.grad && whole {
            self.put(simd, at, count, width, 0..classes);
        }
    }
}

impl<'p, T, R, const DENSE: bool> Beside<'_, '_, '_, '_, 'p, T, R, DENSE>
where
    T: Element,
    R: RowLoss<T>,
{
    /// The losses of some of the rows at hand, and their gradients. Unless their `whole` rows have
    /// been fetched, they are fetched part by part, and their exponentials computed twice.
    #[inline(always)]
    fn tile<S: Isa>(
        &mut self,
        simd: S,
        at: Place,
        labels: &[usize],
        first: usize,
        width: usize,
        whole: bool,
    ) -> Lanes<T, S> {
        let (classes, count) = (self.rows.classes, labels.len());
        let rows = first..first + count;
        let normalise = self.rows.loss.normalises();
        let step = self.step;
        let parts = || {
            (0..classes)
                .step_by(step)
                .map(move |start| start..classes.min(start + step))
        };
        let mut known = self.known(simd, at, labels, first, width, whole);
        if normalise {
            let [max, position] = self.largest(simd, at, &rows, width, whole);
            known.max = max;
            if DENSE {
                (known.left_out, known.logit) = (position, max);
            }
        }

        let (mut one, mut three);
        let sums = if DENSE {
            three = Aligned([[Sum::zero(simd); 16]; 3]);
            &mut three.0[..]
        } else {
            one = Aligned([[Sum::zero(simd); 16]]);
            &mut one.0[..]
        };
        if normalise || DENSE {
            for part in parts() {
                if !whole {
                    self.fetch(simd, at, count, width, part.clone());
                }
                let mut tile = self.at_hand(simd, rows.start, width);
                if normalise {
                    tile.exponentials(&known, part.len());
                }
                tile.sum(&known, part, sums);
            }
        }
        let found = known.rows::<DENSE>(sums, normalise);
        if self.rows.grad {
            let factors = self.factors(simd, at, count, &known, &found);
            for part in parts() {
                if !whole {
                    self.fetch(simd, at, count, width, part.clone());
                }
                let mut tile = self.at_hand(simd, rows.start, width);
                if normalise && !whole {
                    tile.exponentials(&known, part.len());
                }
                tile.gradients(&known, factors, part.clone());
                if !whole {
                    self.put(simd, at, count, width, part);
                }
            }
        }
        let [low, high] = found;
        Lanes::narrow([low.loss(normalise), high.loss(normalise)])
    }

    /// What the label says of rows where it is a class: which is left out, and its logit.
    #[inline(always)]
    fn known<S: Isa>(
        &self,
        simd: S,
        at: Place,
        labels: &[usize],
        first: usize,
        width: usize,
        whole: bool,
    ) -> Known<T, S> {
        let (mut numbers, mut logits) = ([T::ZERO; 16], [T::ZERO; 16]);
        for (number, &class) in numbers.iter_mut().zip(labels) {
            *number = T::from_f64(class as f64);
        }
        if !DENSE && whole {
            for (k, (logit, &class)) in logits.iter_mut().zip(labels).enumerate() {
                *logit = self.packed[0][class * width + first + k];
            }
        } else if !DENSE {
            let mut place = at;
            for (logit, &class) in logits.iter_mut().zip(labels) {
                *logit = self.outputs.operands[0].class(place.sample, place.unit, class);
                place = place.next(&self.units);
            }
        }
        Known {
            max: Lanes::splat(simd, T::ZERO),
            left_out: Lanes::load(simd, &numbers),
            logit: Lanes::load(simd, &logits),
        }
    }

    /// Copies the labels of the rows, where they are classes.
    fn copy_labels(&self, mut to: &mut [usize]) {
        let RowLabel::Class(label) = &self.rows.label else {
            return;
        };
        let Place {
            mut sample,
            mut unit,
        } = self.at;
        if self.units.len() == 1 {
            label.copy_samples(sample..sample + to.len(), unit, to);
            return;
        }
        while !to.is_empty() {
            let units = (self.units.end - unit).min(to.len());
            let (head, tail) = to.split_at_mut(units);
            label.copy(sample, unit..unit + units, head);
            to = tail;
            (sample, unit) = (sample + 1, self.units.start);
        }
    }

    /// What the exponentials and the shares of rows are multiplied by for the gradient, and the
    /// gradient of the class that is left out.
    #[inline(always)]
    fn factors<S: Isa>(
        &self,
        simd: S,
        at: Place,
        count: usize,
        known: &Known<T, S>,
        [low, high]: &[Row<S>; 2],
    ) -> [Lanes<T, S>; 3] {
        let normalise = self.rows.loss.normalises();
        let (mut scales, mut shares) = ([0.0; 16], [1.0; 16]);
        match self.scales.grad_of_all() {
            Some(grad) => scales = [grad; 16],
            None => {
                let mut place = at;
                for scale in &mut scales[..count] {
                    let of_row = self.scales.of(place.sample, place.unit);
                    *scale = of_row.map_or(0.0, |scale| scale.grad);
                    place = place.next(&self.units);
                }
            }
        }
        if DENSE {
            let mut left_out = [T::ZERO; 16];
            known.left_out.store(&mut left_out);
            let mut place = at;
            for (share, class) in shares[..count].iter_mut().zip(left_out) {
                let class = class.to_f64() as usize;
                *share = self.rows.share_of((place.sample, place.unit), class);
                place = place.next(&self.units);
            }
        }
        let scale = [
            Lanes::load(simd, &scales[..8]),
            Lanes::load(simd, &scales[8..]),
        ];
        let share = [
            Lanes::load(simd, &shares[..8]),
            Lanes::load(simd, &shares[8..]),
        ];
        [
            Lanes::narrow([low.factor(scale[0]), high.factor(scale[1])]),
            Lanes::narrow(scale),
            Lanes::narrow([
                low.grad_of_left_out(share[0], scale[0], normalise),
                high.grad_of_left_out(share[1], scale[1], normalise),
            ]),
        ]
    }

    /// The largest logits of rows, and the first classes that have them.
    #[inline(always)]
    fn largest<S: Isa>(
        &mut self,
        simd: S,
        at: Place,
        rows: &Range<usize>,
        width: usize,
        whole: bool,
    ) -> [Lanes<T, S>; 2] {
        let classes = self.rows.classes;
        let zero = Lanes::splat(simd, T::ZERO);
        let mut largest = [Lanes::splat(simd, T::from_f64(f64::NEG_INFINITY)), zero];
        for start in (0..classes).step_by(self.step) {
            let part = start..classes.min(start + self.step);
            if !whole {
                self.fetch(simd, at, rows.len(), width, part.clone());
            }
            largest = self.at_hand(simd, rows.start, width).largest(largest, part);
        }
        // As for a row whose classes are neighbours, the zero is the positive one.
        largest[0] = largest[0] + zero;
        largest
    }

    #[inline(always)]
    fn at_hand<S: Isa>(
        &mut self,
        simd: S,
        first: usize,
        width: usize,
    ) -> Tile<'_, 'p, T, S, R, DENSE> {
        Tile {
            simd,
            loss: self.rows.loss,
            packed: self.packed,
            first,
            width,
        }
    }

    /// Copies some classes of rows side by side.
    #[inline(always)]
    fn fetch<S: Isa>(
        &mut self,
        simd: S,
        at: Place,
        count: usize,
        width: usize,
        classes: Range<usize>,
    ) {
        let [values, apart, shares] = &mut *self.packed;
        let logits = if DENSE { apart } else { values };
        let pred = &mut self.outputs.operands[0];
        if self.rows.in_runs_of(pred) {
            // Of rows that short all classes are at hand.
            let first = at.number(&self.samples, &self.units);
            let rows = first..first + count;
            let lines = pred.rows(self.samples.clone(), self.units.clone());
            let lines = lines.expect("rows a stride apart");
            pack_lines(simd, lines, rows.clone(), width, logits);
            if let RowLabel::Shares(label) = &self.rows.label {
                let lines = label.rows(self.samples.clone(), self.units.clone());
                let lines = lines.expect("rows a stride apart");
                pack_lines(simd, lines, rows, width, shares);
            }
            return;
        }
        let units = at.unit..at.unit + count;
        let mut columns = pred.columns(at.sample, units.clone());
        pack_columns(simd, &mut columns, classes.clone(), width, logits);
        if let RowLabel::Shares(label) = &self.rows.label {
            let mut columns = label.columns(at.sample, units);
            pack_columns(simd, &mut columns, classes, width, shares);
        }
    }

    /// Copies the gradients of some classes to their places.
    #[inline(always)]
    fn put<S: Isa>(
        &mut self,
        simd: S,
        at: Place,
        count: usize,
        width: usize,
        classes: Range<usize>,
    ) {
        let stream = self.rows.streams_columns(self.plan);
        let grads = &self.packed[0];
        let pred = &mut self.outputs.operands[0];
        if self.rows.in_runs_of(pred) {
            let first = at.number(&self.samples, &self.units);
            let lines = pred.rows(self.samples.clone(), self.units.clone());
            let lines = lines.expect("rows a stride apart");
            unpack_lines(simd, lines, first..first + count, width, grads);
            return;
        }
        let mut columns = pred.columns(at.sample, at.unit..at.unit + count);
        unpack_columns(simd, &mut columns, classes, width, grads, stream);
    }
}
