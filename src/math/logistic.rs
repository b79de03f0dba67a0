use super::Functions;
use super::exp::exp_nonpos_gradual;
use super::log::log1p_unit;
use crate::simd::{Isa, Lanes};

/// `(softplus(x), sigmoid(x))`, which is a softplus and its derivative, for one exponential and one
/// division.
///
/// With `t = e^-|x|` and `w = t / (1 + t)`, softplus is `max(x, 0) + ln(1 + t)`, and sigmoid is
/// `1 - w`, below zero `t - t w`, which rounds less than a quotient: no step overflows or cancels.
///
/// Valid for every argument. Largest errors: [`accuracy::SOFTPLUS`](super::accuracy::SOFTPLUS) and
/// [`accuracy::SIGMOID`](super::accuracy::SIGMOID).
#[inline(always)]
pub(crate) fn logistic<T: Functions, S: Isa>(x: Lanes<T, S>) -> (Lanes<T, S>, Lanes<T, S>) {
    let (zero, one) = (x.splat_like(0.0), x.splat_like(1.0));
    let t = exp_nonpos_gradual(-x.abs());
    let softplus = zero.max(x) + log1p_unit(t);
    let near = x.lt(zero).select(t, one);
    let sigmoid = (t / (one + t)).neg_mul_add(near, near);
    (softplus, sigmoid)
}

/// `1 / (1 + e^-x)`: the second of [`logistic`].
#[inline(always)]
pub(crate) fn sigmoid<T: Functions, S: Isa>(x: Lanes<T, S>) -> Lanes<T, S> {
    logistic(x).1
}

/// `ln(1 + e^x)`: the first of [`logistic`].
#[inline(always)]
pub(crate) fn softplus<T: Functions, S: Isa>(x: Lanes<T, S>) -> Lanes<T, S> {
    logistic(x).0
}

/// `ln(sigmoid(x))`, which is `-softplus(-x)`.
#[inline(always)]
pub(crate) fn log_sigmoid<T: Functions, S: Isa>(x: Lanes<T, S>) -> Lanes<T, S> {
    -softplus(-x)
}

/// `(ln(1 + e^-a), sigmoid(-a))` for `a >= 0`: the parts of [`logistic`] that keep their relative
/// accuracy however large `a` is.
#[inline(always)]
pub(crate) fn logistic_tail<T: Functions, S: Isa>(a: Lanes<T, S>) -> (Lanes<T, S>, Lanes<T, S>) {
    let t = exp_nonpos_gradual(-a);
    (log1p_unit(t), t / (a.splat_like(1.0) + t))
}
