use super::Functions;
use super::log::log;
use super::polynomial::{FactorialOver, FactorialUnder, Stirling, horner};
use crate::simd::{Isa, Lanes};

/// From here on [`ln_factorial`] is [`stirling`] with a correction, below it a quotient.
const STIRLING_FROM: f64 = 2.5;

/// 1 less Euler's gamma.
const ONE_LESS_GAMMA: f64 = 0.422_784_335_098_467_13;

/// `½ ln(2 pi)`.
const HALF_LN_2_PI: f64 = 0.918_938_533_204_672_7;

/// `ln(y!)`, which is `ln(gamma(y + 1))`.
///
/// Below 2.5 it is `y (y - 1) (1 - gamma + (y - 1) P(y) / Q(y))`, with Euler's gamma. The factors in
/// front carry the roots at 0 and 1, so that the result keeps its relative accuracy beside them; the
/// bracket is its value at 1 and a smaller correction; all coefficients of P have the same sign, as
/// have those of Q. Above, Stirling's formula of `y` itself, not of `y + 1`, which would be rounded
/// first, and what it lacks as a polynomial of `1 / y^2`.
///
/// Valid for every argument: below 0 NaN, infinite where the result is beyond the type's range.
/// Largest error: [`accuracy::LN_FACTORIAL`](super::accuracy::LN_FACTORIAL).
#[inline(always)]
pub(crate) fn ln_factorial<T: Functions, S: Isa>(y: Lanes<T, S>) -> Lanes<T, S> {
    let (zero, one) = (y.splat_like(0.0), y.splat_like(1.0));
    let above = y - one;
    let [over] = horner::<FactorialOver, _, _, 1>([y], 1.0);
    let [under] = horner::<FactorialUnder, _, _, 1>([y], 1.0);
    let bend = over / under;
    let near = y * above * bend.mul_add(above, y.splat_like(ONE_LESS_GAMMA));
    let inverse = one / y;
    let [correction] = horner::<Stirling, _, _, 1>([inverse * inverse], 1.0);
    let far = stirling_and(y, inverse * correction);
    // A negative number or NaN takes the way of the logarithm.
    (y.ge(zero) & y.lt(y.splat_like(STIRLING_FROM))).select(near, far)
}

/// Stirling's approximation of `ln(y!)`: `y ln(y) - y + ½ ln(2 pi y)`.
#[inline(always)]
pub(crate) fn stirling<T: Functions, S: Isa>(y: Lanes<T, S>) -> Lanes<T, S> {
    stirling_and(y, y.splat_like(0.0))
}

/// [`stirling`] and something small.
#[inline(always)]
fn stirling_and<T: Functions, S: Isa>(y: Lanes<T, S>, rest: Lanes<T, S>) -> Lanes<T, S> {
    let ln = log(y);
    let half = ln.mul_add(y.splat_like(0.5), rest + y.splat_like(HALF_LN_2_PI));
    y.mul_add(ln - y.splat_like(1.0), half)
}
