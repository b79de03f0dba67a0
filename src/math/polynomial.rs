use crate::simd::{Float, Isa, Lanes};

/// `scale * (c[0] + c[1] x + c[2] x^2 + …)`, the highest power first; `scale` is a power of 2 and
/// vanishes into the coefficients.
///
/// The fewest operations, one after the other: for short polynomials, where the CPU finds other
/// work among the neighbouring elements, or in the vectors that are computed step by step.
#[inline(always)]
pub(super) fn horner<T: Float, S: Isa, const N: usize>(
    x: [Lanes<T, S>; N],
    c: &'static [T],
    scale: f64,
) -> [Lanes<T, S>; N] {
    let (last, rest) = c.split_last().expect("a polynomial has a coefficient");
    let mut sums = x;
    for k in 0..N {
        sums[k] = x[k].splat_like(last.to_f64() * scale);
    }
    for c in rest.iter().rev() {
        for k in 0..N {
            sums[k] = sums[k].mul_add(x[k], x[k].splat_like(c.to_f64() * scale));
        }
    }
    sums
}

/// `c[0] + c[1] x + c[2] x^2 + …`, from `x` and `x^2`: two powers at a time.
///
/// As many operations as [`horner`] where the square is at hand, and half as many of them one after
/// the other. Where the coefficients alternate, the two of a pair cancel and the pairs do not, which
/// is the order that rounds least.
#[inline(always)]
pub(super) fn pairs<T: Float, S: Isa>(
    x: Lanes<T, S>,
    square: Lanes<T, S>,
    c: &'static [T],
) -> Lanes<T, S> {
    let (pairs, last) = c.as_chunks::<2>();
    let mut above = last.first().map(|&c| x.splat_like(c.to_f64()));
    for &[even, odd] in pairs.iter().rev() {
        let pair = x
            .splat_like(odd.to_f64())
            .mul_add(x, x.splat_like(even.to_f64()));
        above = Some(match above {
            Some(above) => above.mul_add(square, pair),
            None => pair,
        });
    }
    above.expect("a polynomial has a coefficient")
}
