use super::Functions;
use crate::simd::{Isa, Lanes};
use crate::unroll::{unroll, unroll_down};

/// A polynomial `c[0] + c[1] x + c[2] x^2 + …`, as a type: how many coefficients it has is known where
/// it is computed.
pub(super) trait Polynomial<T: 'static> {
    const C: &'static [T];
}

macro_rules! polynomials {
    ($($Name:ident $coefficients:ident,)*) => {$(
        #[doc = concat!("[`Functions::", stringify!($coefficients), "`].")]
        pub(super) struct $Name;

        impl<T: Functions> Polynomial<T> for $Name {
            const C: &'static [T] = T::$coefficients;
        }
    )*};
}

polynomials!(
    Exp EXP,
    Expm1 EXPM1,
    Log LOG,
    Log1pUnit LOG1P_UNIT,
    FactorialOver FACTORIAL_OVER,
    FactorialUnder FACTORIAL_UNDER,
    Stirling STIRLING,
);

/// `scale P(x)`, the highest power first; `scale` is a power of 2 and vanishes into the coefficients.
///
/// The fewest operations, one after the other: for short polynomials, where the CPU finds other
/// work among the neighbouring elements, or in the vectors that are computed step by step.
#[inline(always)]
pub(super) fn horner<P: Polynomial<T>, T: Functions, S: Isa, const N: usize>(
    x: [Lanes<T, S>; N],
    scale: f64,
) -> [Lanes<T, S>; N] {
    let mut sums = x;
    unroll!(k in 0..N => {
        sums[k] = x[k].splat_like(P::C[P::C.len() - 1].to_f64() * scale);
    });
    unroll_down!(power below P::C.len() - 1 => {
        unroll!(k in 0..N => {
            sums[k] = sums[k].mul_add(x[k], x[k].splat_like(P::C[power].to_f64() * scale));
        });
    });
    sums
}

/// `P(x)`, from `x` and `x^2`: two powers at a time.
///
/// As many operations as [`horner`] where the square is at hand, and half as many of them one after
/// the other. Where the coefficients alternate, the two of a pair cancel and the pairs do not, which
/// is the order that rounds least.
#[inline(always)]
pub(super) fn pairs<P: Polynomial<T>, T: Functions, S: Isa>(
    x: Lanes<T, S>,
    square: Lanes<T, S>,
) -> Lanes<T, S> {
    let mut sum = x.splat_like(P::C[P::C.len() - 1].to_f64());
    if const { P::C.len().is_multiple_of(2) } {
        sum = sum.mul_add(x, x.splat_like(P::C[P::C.len() - 2].to_f64()));
    }
    unroll_down!(pair below (P::C.len() - 1) / 2 => {
        let (even, odd) = (P::C[2 * pair].to_f64(), P::C[2 * pair + 1].to_f64());
        let below = x.splat_like(odd).mul_add(x, x.splat_like(even));
        sum = sum.mul_add(square, below);
    });
    sum
}
