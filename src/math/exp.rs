use super::Functions;
use super::polynomial::{Exp, Expm1, horner};
use crate::simd::{Bits, Isa, Lanes};
use crate::unroll::unroll;

/// `e^x`.
///
/// `x = n ln 2 + r` with `|r| <= ln(2) / 2`: `n` is rounded by adding a large constant, `r` is exact
/// to twice the precision of the argument, a polynomial gives `e^r`, and `2^n` is multiplied in by
/// halves, so that the only rounding of a subnormal result is the last.
///
/// Valid for every argument. Largest error: [`accuracy::EXP`](super::accuracy::EXP).
#[inline(always)]
pub(crate) fn exp<T: Functions, S: Isa>(x: Lanes<T, S>) -> Lanes<T, S> {
    let x = x.splat_like(T::EXP_TO_ZERO).max(x);
    let x = x.splat_like(T::EXP_TO_INFINITY).min(x);
    let (biased, r) = reduce(x, 2 * T::BIAS);
    let (first, second) = halves(biased);
    let [reduced] = exp_reduced([r], 1.0);
    reduced * first * second
}

/// `e^x` for `x <= 0`, the inner loop of softmax.
///
/// As [`exp`], with one multiplication by `2^(n - 1)`, a number that is 0 where `n` is the smallest
/// exponent of a normal number; the factor of 2 that is missing is in the polynomial. Results
/// below 1.42 times the smallest normal number become 0, so none is subnormal; `e^0` is exactly 1
/// and `e^-inf` exactly 0.
///
/// Valid for `x <= 0` and NaN. Largest error: [`accuracy::EXP_NONPOS`](super::accuracy::EXP_NONPOS).
#[inline(always)]
pub(crate) fn exp_nonpos<T: Functions, S: Isa>(x: Lanes<T, S>) -> Lanes<T, S> {
    let smallest = 1 - T::BIAS;
    let x = x
        .splat_like(f64::from(smallest) * core::f64::consts::LN_2)
        .max(x);
    exp_shifted(x, -1)
}

/// `e^x 2^-n` for an integer `n`, of several vectors step by step, so that none waits for the other.
///
/// As [`exp_nonpos`], which it is where `n` is 0, with `2^(k - n - 1)` for the multiplication. Results
/// of two `n` differ by a power of 2 and nothing else, but where one of them is 0.
///
/// Valid where `x` and `n ln 2` are between −2048 and 2048 or `x` is below, and the result does not
/// overflow; for NaN too.
#[inline(always)]
pub(crate) fn exp_over_power<T: Functions, S: Isa, const N: usize>(
    x: [Lanes<T, S>; N],
    n: Lanes<T, S>,
) -> [Lanes<T, S>; N] {
    let least = n + n.splat_like(f64::from(1 - T::BIAS));
    let least = least * n.splat_like(core::f64::consts::LN_2);
    let round = n.splat_like(1.5 * T::COUNTING + f64::from(T::BIAS - 1)) - n;
    let mut y = x;
    unroll!(k in 0..N => {
        y[k] = least.max(x[k]);
    });
    let [biased, r] = reduce_by(y, round);
    y = exp_reduced(r, 2.0);
    unroll!(k in 0..N => {
        y[k] = y[k] * power(biased[k].to_bits());
    });
    y
}

/// `e^x` for `x <= 0`, with subnormal results.
///
/// As [`exp_nonpos`], with `2^-64` in the polynomial and `2^(n + 64)` for the multiplication, which
/// is always a normal number: the product is rounded once.
#[inline(always)]
pub(super) fn exp_nonpos_gradual<T: Functions, S: Isa>(x: Lanes<T, S>) -> Lanes<T, S> {
    exp_shifted(x.splat_like(T::EXP_TO_ZERO).max(x), 64)
}

/// `e^x - 1`.
///
/// As [`exp`], with a polynomial for `e^r - 1`: the result is `2^n (e^r - 1) + (2^n - 1)`, where the
/// last term is exact as long as it matters. Everything is halved until the end, since `2^n` may
/// overflow where the result does not.
///
/// Valid for every argument. Largest error: [`accuracy::EXPM1`](super::accuracy::EXPM1).
#[inline(always)]
pub(crate) fn expm1<T: Functions, S: Isa>(x: Lanes<T, S>) -> Lanes<T, S> {
    let y = x.splat_like(T::EXPM1_TO_MINUS_ONE).max(x);
    let y = y.splat_like(T::EXP_TO_INFINITY).min(y);
    let (biased, r) = reduce(y, T::BIAS - 1);
    let half_power = power(biased);
    let [tail] = horner::<Expm1, _, _, 1>([r], 1.0);
    let reduced = (r * r).mul_add(tail, r);
    let half = half_power.mul_add(reduced, half_power - x.splat_like(0.5));
    // The sum would lose the sign of -0 and the last bit of a subnormal number.
    x.abs()
        .lt(x.splat_like(T::LINEAR_BELOW))
        .select(x, half + half)
}

/// `2^n` for an integer `n` from `-BIAS`, which gives 0, to `BIAS`.
#[inline(always)]
pub(crate) fn power_of_two<T: Functions, S: Isa>(n: Lanes<T, S>) -> Lanes<T, S> {
    let counting = n.splat_like(1.5 * T::COUNTING + f64::from(T::BIAS));
    power((n + counting).to_bits())
}

/// `(m, n)` with `e^(x + low) = m 2^n`, `n` an integer and `m` between 0.7 and 1.42, for `x` up to
/// 2048 and a small `low` that `x` was rounded by. Where `x` is so far below that its bits no longer
/// count fractions, `m` is 1; `e^-inf` is `2^-inf`.
#[inline(always)]
pub(crate) fn exp_parts<T: Functions, S: Isa>(
    x: Lanes<T, S>,
    low: Lanes<T, S>,
) -> (Lanes<T, S>, Lanes<T, S>) {
    let far = x.lt(x.splat_like(-T::COUNTING / 4.0));
    let (biased, r) = reduce(x, 0);
    let n = biased.to_float() - x.splat_like(1.5 * T::COUNTING);
    let [m] = exp_reduced([r + low], 1.0);
    let (one, log2) = (x.splat_like(1.0), x.splat_like(core::f64::consts::LOG2_E));
    (far.select(one, m), far.select(x * log2, n))
}

/// `e^x` as `2^-shift e^r` times `2^(n + shift)`.
#[inline(always)]
fn exp_shifted<T: Functions, S: Isa>(x: Lanes<T, S>, shift: i32) -> Lanes<T, S> {
    let (biased, r) = reduce(x, T::BIAS + shift);
    let [reduced] = exp_reduced([r], f64::from(-shift).exp2());
    reduced * power(biased)
}

/// `(n + bias, r)` with `x = n ln 2 + r`; the sum stands in the low bits.
#[inline(always)]
fn reduce<T: Functions, S: Isa>(x: Lanes<T, S>, bias: i32) -> (Bits<T, S>, Lanes<T, S>) {
    let [[biased], [r]] = reduce_by([x], x.splat_like(1.5 * T::COUNTING + f64::from(bias)));
    (biased.to_bits(), r)
}

/// As [`reduce`], of several vectors, the sum as a number, with the constant that rounds and holds the
/// bias.
#[inline(always)]
fn reduce_by<T: Functions, S: Isa, const N: usize>(
    mut x: [Lanes<T, S>; N],
    round: Lanes<T, S>,
) -> [[Lanes<T, S>; N]; 2] {
    // Neighbours are 1 apart here and for a while in both directions: the sum is an integer.
    let mut biased = x;
    unroll!(k in 0..N => {
        biased[k] = x[k].mul_add(round.splat_like(core::f64::consts::LOG2_E), round);
    });
    let (high, low) = (round.splat_like(T::LN_2.0), round.splat_like(T::LN_2.1));
    unroll!(k in 0..N => {
        let n = biased[k] - round;
        x[k] = n.neg_mul_add(low, n.neg_mul_add(high, x[k]));
    });
    [biased, x]
}

/// `scale e^r`, of several vectors.
#[inline(always)]
fn exp_reduced<T: Functions, S: Isa, const N: usize>(
    r: [Lanes<T, S>; N],
    scale: f64,
) -> [Lanes<T, S>; N] {
    let mut sums = horner::<Exp, _, _, N>(r, scale);
    unroll!(_round in 0..2 => {
        unroll!(k in 0..N => {
            sums[k] = sums[k].mul_add(r[k], r[k].splat_like(scale));
        });
    });
    sums
}

/// The number whose exponent field is the low bits of `biased`.
#[inline(always)]
fn power<T: Functions, S: Isa>(biased: Bits<T, S>) -> Lanes<T, S> {
    T::shift_to_exponent(biased).to_float()
}

/// Two powers of 2, about equal, whose exponent fields add up to `biased`.
#[inline(always)]
fn halves<T: Functions, S: Isa>(biased: Bits<T, S>) -> (Lanes<T, S>, Lanes<T, S>) {
    let first = biased.shr::<1>();
    (power(first), power(biased - first))
}
