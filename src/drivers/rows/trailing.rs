use super::beside::Place;
use super::leaf::{Rows, Second};
use super::row::{self, Forward, LeftOut, Sums, subtracted};
use super::{RowLabel, RowLoss};
use crate::drivers::Outputs;
use crate::element::Element;
use crate::simd::{InOut, Isa, Lanes, Sum, Trail};
use crate::tensor::Lines;
use core::ops::Range;

/// Rows of one chunk whose classes are neighbours, and whose gradients go past the caches: while the
/// exponentials of one are computed, the gradient of the one before is on its way.
pub(super) struct Trailing<'r, 'i, T: Element, R, const DENSE: bool> {
    pub(super) rows: &'r Rows<'i, T, R, DENSE>,
    pub(super) samples: Range<usize>,
    pub(super) units: Range<usize>,
    /// Room for a row's exponentials.
    pub(super) exponentials: &'r mut [T],
    /// Room for the gradient of the row before.
    pub(super) gradient: &'r mut [T],
    /// The row before, as a number among all of them, if there is one.
    pub(super) before: Option<usize>,
}

impl<T, R, const DENSE: bool> Trailing<'_, '_, T, R, DENSE>
where
    T: Element,
    R: RowLoss<T>,
{
    /// The loss of a row, and its gradient, which may still be at hand.
    #[inline(always)]
    pub(super) fn row<S: Isa>(
        &mut self,
        simd: S,
        outputs: &mut Outputs<'_, T>,
        (sample, unit): (usize, usize),
        grad_scale: f64,
    ) -> T {
        let classes = self.rows.classes;
        let number = Place { sample, unit }.number(&self.samples, &self.units);
        let mut lines = self.lines(outputs);
        let (logits, place) = lines.read_and_written(number, self.before.unwrap_or(number));
        let shares = match &self.rows.label {
            RowLabel::Class(_) => &[],
            RowLabel::Shares(shares) => shares.row(sample, unit, 0..classes, &mut []),
        };

        let run = InOut::read(logits);
        let max = row::max(simd, &run);
        let class = match self.rows.class((sample, unit)) {
            Some(class) => class,
            None => row::position(simd, &run, max).unwrap_or(0),
        };
        let left_out = LeftOut::new(simd, class, logits[class], max);
        let exponentials = &mut self.exponentials[..classes];
        let gradient = &mut self.gradient[..classes];
        let mut trail = self.before.map(|_| Trail::new(simd, gradient, place));
        let mut sums = [Sum::zero(simd); 3];
        let mut forward = Forward {
            simd,
            loss: self.rows.loss,
            run: InOut::copy(logits, &mut *exponentials),
            shares,
            subtracted: Lanes::splat(simd, subtracted(max)),
            keep: true,
            ahead: classes * size_of::<T>(),
            left_out: class as isize,
            trail: trail.as_mut(),
        };
        forward.sum::<DENSE>(&mut sums);
        if let Some(trail) = trail {
            trail.finish(simd);
        }

        let at = (sample, unit);
        let outcome = self
            .rows
            .outcome(simd, at, &left_out, Sums::of(sums), grad_scale);
        let second = Second {
            max,
            factor: outcome.factor,
            grad_scale: T::from_f64(grad_scale),
            stream: false,
        };
        let run = InOut::copy(exponentials, &mut *gradient);
        second.backward(simd, run, shares, false).run::<DENSE>(true);
        gradient[class] = outcome.grad;
        self.before = Some(number);
        outcome.loss
    }

    /// Writes the gradient that is still at hand.
    #[inline(always)]
    pub(super) fn finish<S: Isa>(&mut self, simd: S, outputs: &mut Outputs<'_, T>) {
        if let Some(before) = self.before.take() {
            let mut lines = self.lines(outputs);
            let (_, place) = lines.read_and_written(before, before);
            Trail::new(simd, &self.gradient[..place.len()], place).finish(simd);
        }
    }
    /// All rows.
    fn lines<'o>(&self, outputs: &'o mut Outputs<'_, T>) -> Lines<'o, T> {
        let (samples, units) = (self.samples.clone(), self.units.clone());
        outputs
            .pred()
            .rows(samples, units)
            .expect("rows a stride apart")
    }
}
