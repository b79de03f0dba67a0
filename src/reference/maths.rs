//! The few scalar functions that the formulas share.

/// log(1 + eˣ), accurate relative to its own size however small that is.
pub(super) fn softplus(x: f64) -> f64 {
    // max(x, 0) would turn a NaN into 0.
    let rectified = if x < 0.0 { 0.0 } else { x };
    rectified + (-x.abs()).exp().ln_1p()
}

/// 1 / (1 + e⁻ˣ), without overflow and accurate relative to its own size.
pub(super) fn sigmoid(x: f64) -> f64 {
    let small = (-x.abs()).exp();
    if x < 0.0 {
        small / (1.0 + small)
    } else {
        1.0 / (1.0 + small)
    }
}

/// `share · value` where a share of 0 takes no part, even of something infinite: 0 · ∞ = 0.
/// NaN stays NaN.
pub(super) fn part(share: f64, value: f64) -> f64 {
    if share == 0.0 && value.is_infinite() {
        0.0
    } else {
        share * value
    }
}

/// The sum with its rounding errors carried along (Neumaier), so that a row of a hundred thousand
/// classes is still good to the last few bits.
pub(super) fn sum(values: impl IntoIterator<Item = f64>) -> f64 {
    let (mut total, mut lost) = (0.0_f64, 0.0_f64);
    for value in values {
        let next = total + value;
        lost += if total.abs() >= value.abs() {
            (total - next) + value
        } else {
            (value - next) + total
        };
        total = next;
    }
    // Past an infinity the error term is ∞ − ∞ and means nothing.
    if total.is_finite() {
        total + lost
    } else {
        total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn softplus_keeps_its_relative_accuracy() {
        assert_eq!(softplus(-20.0), 2.061153620314381e-9);
        assert_eq!(softplus(0.0), std::f64::consts::LN_2);
        assert_eq!(softplus(f64::NEG_INFINITY), 0.0);
        assert_eq!(softplus(f64::INFINITY), f64::INFINITY);
        assert!(softplus(f64::NAN).is_nan());
    }

    #[test]
    fn sigmoid_reaches_both_ends() {
        assert_eq!(sigmoid(0.0), 0.5);
        assert_eq!(sigmoid(f64::INFINITY), 1.0);
        assert_eq!(sigmoid(f64::NEG_INFINITY), 0.0);
        assert!(sigmoid(-700.0) > 0.0);
        assert!(sigmoid(f64::NAN).is_nan());
    }

    #[test]
    fn sums_recover_what_rounding_loses() {
        assert_eq!(sum([1e100, 1.0, -1e100]), 1.0);
        assert_eq!(sum([f64::INFINITY, 1.0]), f64::INFINITY);
        assert!(sum([f64::INFINITY, f64::NEG_INFINITY]).is_nan());
        assert_eq!(sum([]), 0.0);
    }

    #[test]
    fn a_share_of_nothing_is_nothing() {
        assert_eq!(part(0.0, f64::INFINITY), 0.0);
        assert!(part(0.0, f64::NAN).is_nan());
        assert_eq!(part(2.0, 3.0), 6.0);
    }
}
