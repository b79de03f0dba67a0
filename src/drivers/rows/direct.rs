use super::beside::{Place, WIDEST};
use super::leaf::{Rows, Second};
use super::row::{self, Forward, LeftOut, Sums, subtracted};
use super::{RowLabel, RowLoss};
use crate::drivers::Outputs;
use crate::drivers::unit_scale::UnitScales;
use crate::element::Element;
use crate::simd::{InOut, Isa, Lanes, Sum, Trail};
use crate::tensor::Lines;
use core::ops::Range;

/// Rows of one chunk whose classes are neighbours, and which lie a stride apart.
pub(super) struct Direct<'r, 'i, 'a, T: Element, S, R, const DENSE: bool> {
    pub(super) simd: S,
    pub(super) rows: &'r Rows<'i, T, R, DENSE>,
    pub(super) scales: &'r UnitScales<'r, 'a, T>,
    pub(super) samples: Range<usize>,
    /// The units of every sample.
    pub(super) units: Range<usize>,
    /// Whether gradients go past the caches.
    pub(super) stream: bool,
}

/// Room for gradients that go past the caches: while the exponentials of a row are computed, the
/// gradient of the one before is on its way.
pub(super) struct Trailing<'r, T> {
    pub(super) exponentials: &'r mut [T],
    pub(super) gradient: &'r mut [T],
    /// The row before, as a number among all of them, if there is one.
    pub(super) before: Option<usize>,
}

impl<T, S, R, const DENSE: bool> Direct<'_, '_, '_, T, S, R, DENSE>
where
    T: Element,
    S: Isa,
    R: RowLoss<T>,
{
    /// The losses of `count` rows, and their gradients; the last one may still be at hand.
    #[inline(always)]
    pub(super) fn run(
        &self,
        outputs: &mut Outputs<'_, T>,
        at: Place,
        count: usize,
        losses: &mut [T; WIDEST],
        trailing: &mut Option<Trailing<'_, T>>,
    ) {
        let mut lines = self.lines(outputs);
        let mut place = at;
        for loss in &mut losses[..count] {
            if let Some(scale) = self.scales.of(place.sample, place.unit) {
                *loss = match trailing {
                    Some(trailing) => self.trailing_row(&mut lines, place, scale.grad, trailing),
                    None => self.row(&mut lines, place, scale.grad),
                };
            }
            place = place.next(&self.units);
        }
    }

    /// Writes the gradient that is still at hand.
    #[inline(always)]
    pub(super) fn finish(&self, outputs: &mut Outputs<'_, T>, trailing: &mut Trailing<'_, T>) {
        if let Some(before) = trailing.before.take() {
            let mut lines = self.lines(outputs);
            let (_, place) = lines.read_and_written(before, before);
            Trail::new(self.simd, &trailing.gradient[..place.len()], place).finish(self.simd);
        }
    }

    fn lines<'o>(&self, outputs: &'o mut Outputs<'_, T>) -> Lines<'o, T> {
        outputs
            .pred()
            .rows(self.samples.clone(), self.units.clone())
            .expect("rows a stride apart")
    }

    #[inline(always)]
    fn row(&self, lines: &mut Lines<'_, T>, place: Place, grad_scale: f64) -> T {
        let (simd, at) = (self.simd, (place.sample, place.unit));
        let number = place.number(&self.samples, &self.units);
        let shares = self.shares(at);
        let left_out = self.left_out(at, &lines.line(number));
        let sums = self.sums(lines.line(number), shares, &left_out, None);
        let outcome = self.rows.outcome(simd, at, &left_out, sums, grad_scale);
        if self.rows.grad {
            let gradient = lines.written(number);
            let second = Second {
                max: left_out.max,
                factor: outcome.factor,
                grad_scale: T::from_f64(grad_scale),
                // Exponentials have just been written there.
                stream: self.stream && !self.rows.loss.normalises(),
            };
            second
                .backward(simd, InOut::in_place(gradient), shares, false)
                .run::<DENSE>(self.rows.loss.normalises());
            if self.rows.leaves_out() {
                gradient[left_out.class] = outcome.grad;
            }
        }
        outcome.loss
    }

    #[inline(always)]
    fn trailing_row(
        &self,
        lines: &mut Lines<'_, T>,
        place: Place,
        grad_scale: f64,
        trailing: &mut Trailing<'_, T>,
    ) -> T {
        let (simd, at) = (self.simd, (place.sample, place.unit));
        let number = place.number(&self.samples, &self.units);
        let shares = self.shares(at);
        let (logits, to) = lines.read_and_written(number, trailing.before.unwrap_or(number));
        let left_out = self.left_out(at, &InOut::read(logits));
        let exponentials = &mut trailing.exponentials[..logits.len()];
        let gradient = &mut trailing.gradient[..logits.len()];
        let mut trail = trailing.before.map(|_| Trail::new(simd, &*gradient, to));
        let run = InOut::copy(logits, exponentials);
        let sums = self.sums(run, shares, &left_out, trail.as_mut());
        if let Some(trail) = trail {
            trail.finish(simd);
        }
        let outcome = self.rows.outcome(simd, at, &left_out, sums, grad_scale);
        let second = Second {
            max: left_out.max,
            factor: outcome.factor,
            grad_scale: T::from_f64(grad_scale),
            stream: false,
        };
        second
            .backward(simd, InOut::copy(exponentials, gradient), shares, false)
            .run::<DENSE>(true);
        gradient[left_out.class] = outcome.grad;
        trailing.before = Some(number);
        outcome.loss
    }

    /// The label's shares of a row; none where the label is a class.
    #[inline(always)]
    fn shares(&self, (sample, unit): (usize, usize)) -> &[T] {
        match &self.rows.label {
            RowLabel::Class(_) => &[],
            RowLabel::Shares(shares) => shares.row(sample, unit, 0..self.rows.classes, &mut []),
        }
    }

    /// The largest logit of a row, and the class that is left out of its sum.
    #[inline(always)]
    fn left_out(&self, at: (usize, usize), run: &InOut<'_, T>) -> LeftOut<T> {
        let class = self.rows.class(at);
        if !self.rows.loss.normalises() {
            let class = class.unwrap_or(0);
            return LeftOut::of_log_probabilities(class, run.value(class));
        }
        let max = row::max(self.simd, run);
        match class {
            Some(class) => LeftOut::new(self.simd, class, run.value(class), max),
            None => {
                let class = row::position(self.simd, run, max).unwrap_or(0);
                LeftOut::new(self.simd, class, max, max)
            }
        }
    }

    /// The sums over the classes of a row; exponentials are written where the run says.
    #[inline(always)]
    fn sums(
        &self,
        run: InOut<'_, T>,
        shares: &[T],
        left_out: &LeftOut<T>,
        trail: Option<&mut Trail<'_, T>>,
    ) -> Sums {
        let (simd, loss) = (self.simd, self.rows.loss);
        if !DENSE && !loss.normalises() {
            return Sums::of_class(-left_out.logit.to_f64());
        }
        let mut sums = [Sum::zero(simd); 3];
        let mut forward = Forward {
            simd,
            loss,
            shares,
            subtracted: Lanes::splat(simd, subtracted(left_out.max)),
            keep: self.rows.grad,
            ahead: run.len() * size_of::<T>(),
            left_out: left_out.class as isize,
            trail,
            run,
        };
        forward.sum::<DENSE>(&mut sums);
        Sums::of(sums)
    }
}
