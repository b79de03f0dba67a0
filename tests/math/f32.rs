//! Results of f32 against exact ones.
#![allow(dead_code)] // Each suite is a program of its own and uses its own part of this.

/// The error of `got` in ULP of the exact result; a zero of the wrong sign is infinitely wrong.
pub fn error(got: f32, exact: f64) -> f64 {
    if got.is_nan() || exact.is_nan() {
        return if got.is_nan() && exact.is_nan() {
            0.0
        } else {
            f64::INFINITY
        };
    }
    if got.is_sign_negative() != exact.is_sign_negative() {
        return f64::INFINITY;
    }
    if got.is_infinite() && exact as f32 == got {
        return 0.0;
    }
    let value = if got.is_infinite() {
        2f64.powi(128)
    } else {
        f64::from(got.abs())
    };
    let exponent = (exact.to_bits() >> 52 & 0x7ff).clamp(1023 - 126, 1023 + 127);
    let spacing = f64::from_bits((exponent - 23) << 52);
    (value - exact.abs()).abs() / spacing
}

/// Whether `got` is what `exp_nonpos` promises where it promises no accuracy.
pub fn is_flushed(got: f32, exact: f64) -> bool {
    got.to_bits() == 0 && exact < 1.42 * f64::from(f32::MIN_POSITIVE)
}
