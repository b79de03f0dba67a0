//! Powers of 2 and their exponents, one number at a time.

use super::Functions;

/// The integer part of the binary logarithm of a positive number.
pub(crate) fn exponent(x: f64) -> i32 {
    // A subnormal number is made a normal one, 64 too large.
    let (x, shift) = match x < f64::MIN_POSITIVE {
        true => (x * f64::from_bits((1023 + 64) << 52), 64),
        false => (x, 0),
    };
    ((x.to_bits() >> 52) & 0x7ff) as i32 - 1023 - shift
}

/// The nearest exponent to `exponent` of which the power of 2 and its inverse are normal numbers.
pub(crate) fn normal_exponent<T: Functions>(exponent: i32) -> i32 {
    let most = T::BIAS - 1;
    exponent.clamp(-most, most)
}

/// 2 to the power of an exponent that [`normal_exponent`] gives.
pub(crate) fn power_of_two<T: Functions>(exponent: i32) -> T {
    T::from_f64(f64::from_bits(((1023 + exponent) as u64) << 52))
}
