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

/// log Γ(y + 1), which is log(y!), accurate relative to its own size beside its roots 0 and 1 too;
/// NaN below 0.
pub(super) fn ln_factorial(y: f64) -> f64 {
    if y < 0.0 {
        f64::NAN
    } else if y < 0.5 {
        // (y + 1)! = (y + 1)·y!
        ln_factorial_near_one(y) - y.ln_1p()
    } else if y < 1.5 {
        ln_factorial_near_one(y - 1.0)
    } else {
        // Ten steps up, Stirling's series is good to the last bit.
        let steps = if y < 10.0 { 10 } else { 0 };
        let product: f64 = (1..=steps).map(|k| y + f64::from(k)).product();
        stirling_series(y + f64::from(steps)) - product.ln()
    }
}

/// log((1 + d)!) for |d| ≤ ½: (1 − γ)·d + Σ (ζ(k) − 1)·(−d)ᵏ/k, with Euler's γ.
fn ln_factorial_near_one(d: f64) -> f64 {
    let mut power = d;
    let series = ZETA_LESS_ONE.iter().zip(2_u8..).map(|(zeta, k)| {
        power *= -d;
        -zeta * power / f64::from(k)
    });
    let series: Vec<f64> = series.collect();
    0.422_784_335_098_467_13 * d + sum(series)
}

/// ζ(k) − 1 from k = 2 on.
const ZETA_LESS_ONE: [f64; 25] = [
    0.6449340668482264,
    0.2020569031595943,
    0.08232323371113819,
    0.03692775514336993,
    0.01734306198444914,
    0.008349277381922827,
    0.00407735619794434,
    0.0020083928260822143,
    0.0009945751278180853,
    0.0004941886041194645,
    0.0002460865533080483,
    0.00012271334757848915,
    6.124813505870483e-05,
    3.058823630702049e-05,
    1.528225940865187e-05,
    7.637197637899763e-06,
    3.81729326499984e-06,
    1.908212716553939e-06,
    9.539620338727962e-07,
    4.769329867878064e-07,
    2.38450502727733e-07,
    1.1921992596531106e-07,
    5.960818905125948e-08,
    2.980350351465228e-08,
    1.4901554828365043e-08,
];

/// log(z!) for z ≥ 10: z·log z − z + ½·log(2πz) + 1/(12z) − 1/(360z³) + …
fn stirling_series(z: f64) -> f64 {
    let (inverse, square) = (1.0 / z, 1.0 / (z * z));
    let terms = [
        1.0 / 12.0,
        -1.0 / 360.0,
        1.0 / 1260.0,
        -1.0 / 1680.0,
        1.0 / 1188.0,
    ];
    let tail = terms.iter().rfold(0.0, |sum, term| sum * square + term);
    z * (z.ln() - 1.0) + 0.5 * (std::f64::consts::TAU * z).ln() + inverse * tail
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

    /// Values of mpmath.
    #[test]
    fn logarithms_of_factorials() {
        let published = [
            (1e-300, -5.772156649015329e-301),
            (1e-8, -5.772156566768626e-9),
            (0.25, -0.09827183642181316),
            (0.5, -0.12078223763524522),
            (0.9999999999, -4.2278437004755317e-11),
            (1.0000000001, 4.2278437011204657e-11),
            (1.25, 0.1248717148923966),
            (2.0, std::f64::consts::LN_2),
            (4.5, 3.9578139676187165),
            (33.3, 86.10928097864134),
            (1e100, 2.2925850929940456e102),
        ];
        for (y, value) in published {
            let error = (ln_factorial(y) - value).abs();
            assert!(error <= 1e-14 * value.abs(), "log({y}!) is off by {error}");
        }
        assert_eq!(ln_factorial(0.0), 0.0);
        assert_eq!(ln_factorial(1.0), 0.0);
        assert_eq!(ln_factorial(f64::INFINITY), f64::INFINITY);
        assert!(ln_factorial(-0.5).is_nan() && ln_factorial(f64::NAN).is_nan());
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
