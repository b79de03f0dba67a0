use crate::drivers::elementwise::{Elementwise, ValueGrad};
use crate::element::Element;
use crate::math::lanes::logistic_tail;
use crate::simd::{Isa, Lanes};

/// Binary cross entropy of a logit, for labels from 0 to 1; of two inputs the second is the weight of
/// positive examples.
#[derive(Clone, Copy)]
pub(super) struct OfLogit;

impl OfLogit {
    /// The loss is `missed |x| + total ln(1 + e^-|x|)`, where `missed` weighs the outcome that the
    /// sign of the logit speaks against, and `total` both: no term is negative, none cancels.
    #[inline(always)]
    pub(super) fn eval<T: Element, S: Isa>(
        logit: Lanes<T, S>,
        missed: Lanes<T, S>,
        total: Lanes<T, S>,
    ) -> ValueGrad<T, S> {
        let zero = logit.splat_like(0.0);
        let size = logit.abs();
        let (softplus, sigmoid) = logistic_tail(size);
        let linear = missed.eq(zero).select(zero, missed * size);
        let toward_zero = total.mul_add(sigmoid, -missed);
        ValueGrad {
            value: total.mul_add(softplus, linear),
            grad: logit.gt(zero).select(-toward_zero, toward_zero),
        }
    }
}

impl<T: Element> Elementwise<T, 1> for OfLogit {
    #[inline(always)]
    fn eval<S: Isa>(self, logit: Lanes<T, S>, [label]: [Lanes<T, S>; 1]) -> ValueGrad<T, S> {
        let (zero, one) = (logit.splat_like(0.0), logit.splat_like(1.0));
        let missed = logit.gt(zero).select(one - label, label);
        Self::eval(logit, missed, one)
    }
}

impl<T: Element> Elementwise<T, 2> for OfLogit {
    #[inline(always)]
    fn eval<S: Isa>(
        self,
        logit: Lanes<T, S>,
        [label, pos_weight]: [Lanes<T, S>; 2],
    ) -> ValueGrad<T, S> {
        let (zero, one) = (logit.splat_like(0.0), logit.splat_like(1.0));
        let (positive, negative) = (pos_weight * label, one - label);
        let missed = logit.gt(zero).select(negative, positive);
        Self::eval(logit, missed, positive + negative)
    }
}
