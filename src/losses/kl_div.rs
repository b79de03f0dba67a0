use crate::drivers::elementwise::{Elementwise, ValueGrad};
use crate::element::Element;
use crate::math::lanes::log;
use crate::simd::{Isa, Lanes};

/// One class's share of the divergence of log-probabilities `x` from a distribution: the value
/// `y (ln y − x)` with the derivative `−y`.
///
/// A share of 0 is worth exactly 0, even at a log-probability of −∞ (0 ln 0 = 0 · ∞ = 0), but not at
/// NaN. A negative share is NaN, value and derivative.
#[expect(dead_code, reason = "its public type is yet to come")]
#[derive(Clone, Copy)]
pub(super) struct OfLogProbability;

impl<T: Element> Elementwise<T, 1> for OfLogProbability {
    #[inline(always)]
    fn eval<S: Isa>(self, log_prob: Lanes<T, S>, [share]: [Lanes<T, S>; 1]) -> ValueGrad<T, S> {
        let zero = share.splat_like(0.0);
        let nothing = share.eq(zero) & log_prob.eq(log_prob);
        let term = share * (log(share) - log_prob);
        let negative = share.lt(zero);
        ValueGrad {
            value: nothing.select(zero, term),
            grad: negative.select(share.splat_like(f64::NAN), zero - share),
        }
    }
}
