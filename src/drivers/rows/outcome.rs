use super::RowLoss;
use super::leaf::Rows;
use super::row::{Backward, LeftOut, Row, Sums, first_lane, subtracted};
use crate::element::Element;
use crate::simd::{InOut, Isa, Lanes};

/// What a row comes to.
pub(super) struct Outcome<T> {
    pub(super) loss: T,
    /// What the exponentials are multiplied by.
    pub(super) factor: f64,
    /// The gradient of the class that is left out.
    pub(super) grad: T,
}

/// What the first pass over some classes of a row is told.
#[derive(Clone, Copy)]
pub(super) struct First<T> {
    /// The class that is left out of the sum, or a number that none has.
    pub(super) left_out: usize,
    /// The largest logit of these classes.
    pub(super) max: T,
    /// Whether exponentials are written where the gradient will stand.
    pub(super) keep: bool,
}

/// What the second pass is told.
#[derive(Clone, Copy)]
pub(super) struct Second<T> {
    /// The largest logit of these classes.
    pub(super) max: T,
    /// What the exponentials are multiplied by.
    pub(super) factor: f64,
    pub(super) grad_scale: T,
    /// Whether the first pass has kept the exponentials; else they are computed again. There are none
    /// of log-probabilities.
    pub(super) kept: bool,
    pub(super) stream: bool,
}

impl<T: Element> Second<T> {
    #[inline(always)]
    pub(super) fn backward<'b, S: Isa>(
        self,
        simd: S,
        run: InOut<'b, T>,
        shares: &'b [T],
    ) -> Backward<'b, T, S> {
        Backward {
            simd,
            stream: self.stream,
            run,
            shares,
            logits: !self.kept,
            subtracted: Lanes::splat(simd, subtracted(self.max)),
            factor: Lanes::splat(simd, T::from_f64(self.factor)),
            grad_scale: Lanes::splat(simd, self.grad_scale),
        }
    }
}

impl<T, R, const DENSE: bool> Rows<'_, T, R, DENSE>
where
    T: Element,
    R: RowLoss<T>,
{
    /// A row, given the sums over all its classes.
    #[inline(always)]
    pub(super) fn finished<S: Isa>(&self, simd: S, left_out: &LeftOut<T>, sums: Sums) -> Row<S> {
        let share = if DENSE { sums.share } else { 1.0 };
        let share = Lanes::splat(simd, share);
        let terms = Lanes::splat(simd, sums.terms);
        if !self.loss.normalises() {
            return Row::of_log_probabilities([share, terms]);
        }
        let max = Lanes::splat(simd, left_out.max.to_f64());
        let logit = Lanes::splat(simd, left_out.logit.to_f64());
        let own = Lanes::splat(simd, left_out.own.to_f64());
        let rest = Lanes::splat(simd, sums.rest);
        Row::new([max, logit, own], [rest, share, terms])
    }

    /// What the sums over all classes of a row come to, given the share of the class that is left out.
    #[inline(always)]
    pub(super) fn outcome<S: Isa>(
        &self,
        simd: S,
        share: f64,
        left_out: &LeftOut<T>,
        sums: Sums,
        grad_scale: f64,
    ) -> Outcome<T> {
        let row = self.finished(simd, left_out, sums);
        let normalise = self.loss.normalises();
        let (mut factor, mut grad) = (0.0, T::ZERO);
        if self.grad {
            let grad_scale = Lanes::splat(simd, grad_scale);
            let share = Lanes::splat(simd, share);
            let left_out = row.grad_of_left_out(share, grad_scale, normalise);
            factor = first_lane(row.factor(grad_scale));
            grad = T::from_f64(first_lane(left_out));
        }
        Outcome {
            loss: T::from_f64(first_lane(row.loss(normalise))),
            factor,
            grad,
        }
    }
}
