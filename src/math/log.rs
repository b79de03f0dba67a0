use super::Functions;
use super::polynomial::{Log, Log1pUnit, pairs};
use crate::simd::{Bits, Isa, Lanes};

/// `ln(x)`.
///
/// `x = 2^k m` with `2/3 <= m < 4/3`, and `ln(x) = k ln 2 + ln(1 + f)` with the exact `f = m - 1`: a
/// polynomial gives `ln(1 + f) - f`, and what rounding `k ln 2 + f` loses is carried over into the
/// last addition.
///
/// Valid for every argument: `ln(0)` is -inf for either zero, below it NaN.
/// Largest error: [`accuracy::LOG`](super::accuracy::LOG).
#[inline(always)]
pub(crate) fn log<T: Functions, S: Isa>(x: Lanes<T, S>) -> Lanes<T, S> {
    let subnormal = x.lt(x.splat_like(T::SMALLEST_NORMAL));
    let scaled = subnormal.select(x * x.splat_like(T::COUNTING), x);
    let bias = T::COUNTING + f64::from(T::BIAS);
    let scaled_bias = x.splat_like(bias + f64::from(T::FRACTION));
    let (k, m) = split(scaled, subnormal.select(scaled_bias, x.splat_like(bias)));
    let f = m - x.splat_like(1.0);
    outside_domain(x, x, sum(k, f, x.splat_like(0.0)))
}

/// `ln(1 + x)`.
///
/// As [`log`] for `1 + x = 2^k (1 + f)`, where `f = 2^-k x + (2^-k - 1)` is a sum of two parts that
/// are exact as long as they matter; what its rounding loses is carried over too.
///
/// Valid for every argument: `ln(1 - 1)` is -inf, below it NaN; the sign of a zero is kept.
/// Largest error: [`accuracy::LOG1P`](super::accuracy::LOG1P).
#[inline(always)]
pub(crate) fn log1p<T: Functions, S: Isa>(x: Lanes<T, S>) -> Lanes<T, S> {
    let one = x.splat_like(1.0);
    let shifted = x + one;
    let (k, _) = split(shifted, x.splat_like(T::COUNTING + f64::from(T::BIAS)));
    // 2^-k may be subnormal, so its quadruple is formed: the exponent field is that of 4, less k.
    let quarter = x.splat_like(0.25);
    let count = x.splat_like(1.5 * T::COUNTING + f64::from(T::BIAS + 2));
    let four_powers = T::shift_to_exponent((count - k).to_bits()).to_float();
    let (low, high) = (
        x * quarter * four_powers,
        four_powers.mul_add(quarter, -one),
    );
    let f = low + high;
    let lost = low - (f - high);
    // Its share in the logarithm, lost / (1 + f), as far as it matters.
    let share = lost.neg_mul_add(f, lost).neg_mul_add(f, lost);
    let result = outside_domain(x, shifted, sum(k, f, share));
    // Here the quarter of x may be inexact, and a zero has lost its sign.
    x.abs().lt(x.splat_like(T::LINEAR_BELOW)).select(x, result)
}

/// `ln(1 + t)` for `0 <= t <= 1`, by one polynomial.
#[inline(always)]
pub(super) fn log1p_unit<T: Functions, S: Isa>(t: Lanes<T, S>) -> Lanes<T, S> {
    let square = t * t;
    square.mul_add(pairs::<Log1pUnit, _, _>(t, square), t)
}

/// `(k, m)` with `x = 2^k m` and `2/3 <= m < 4/3`, for a positive normal number; `bias` is the
/// exponent field's, plus the number that [`Functions::COUNTING`] is.
#[inline(always)]
fn split<T: Functions, S: Isa>(x: Lanes<T, S>, bias: Lanes<T, S>) -> (Lanes<T, S>, Lanes<T, S>) {
    let simd = x.simd();
    let one = x.splat_like(1.0).to_bits();
    let lowest = x.splat_like(2.0 / 3.0).to_bits();
    // The exponent field is now k plus the bias, the rest how far m lies above the lowest.
    let bits = x.to_bits() + (one - lowest);
    let m = ((bits & Bits::splat(simd, T::FRACTION_BITS)) + lowest).to_float();
    let counting = x.splat_like(T::COUNTING).to_bits();
    let k = (T::shift_from_exponent(bits) | counting).to_float() - bias;
    (k, m)
}

/// `k ln 2 + ln(1 + f) + lost`.
#[inline(always)]
fn sum<T: Functions, S: Isa>(k: Lanes<T, S>, f: Lanes<T, S>, lost: Lanes<T, S>) -> Lanes<T, S> {
    let square = f * f;
    let tail = pairs::<Log, _, _>(f, square);
    // Exact, since the constant is short.
    let whole = k * f.splat_like(T::LN_2_SHORT.0);
    let high = whole + f;
    let lost = lost + (f - (high - whole));
    let low = k.mul_add(f.splat_like(T::LN_2_SHORT.1), lost);
    high + square.mul_add(tail, low)
}

/// `result`, or what the logarithm of `x` is where that is not positive and finite; `x` and `y` are
/// the function's argument and the logarithm's.
#[inline(always)]
fn outside_domain<T: Functions, S: Isa>(
    x: Lanes<T, S>,
    y: Lanes<T, S>,
    result: Lanes<T, S>,
) -> Lanes<T, S> {
    let infinity = x.splat_like(f64::INFINITY);
    let zero = x.splat_like(0.0);
    let at_or_below = y.eq(zero).select(-infinity, x.splat_like(f64::NAN));
    let result = y.le(zero).select(at_or_below, result);
    y.lt(infinity).select(result, x)
}
