//! How far each function may be from the exact result.
//!
//! An error of 1 ULP is the distance between the two numbers of the type that enclose the exact
//! result, which for results below the smallest normal number is the smallest subnormal one.

/// The largest error of a function, in ULP of the exact result.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MaxUlp {
    /// Over every f32, which is measured.
    pub f32: f64,
    /// Over f64: the largest of some million measured errors, rounded up.
    pub f64: f64,
}

/// Of [`exp`](super::exp()).
pub const EXP: MaxUlp = MaxUlp { f32: 0.9, f64: 0.9 };
/// Of [`exp_nonpos`](super::exp_nonpos()), where the result is at least 1.42 times the smallest
/// normal number.
pub const EXP_NONPOS: MaxUlp = MaxUlp { f32: 0.9, f64: 0.9 };
/// Of [`expm1`](super::expm1()).
pub const EXPM1: MaxUlp = MaxUlp {
    f32: 1.45,
    f64: 2.0,
};
/// Of [`log`](super::log()).
pub const LOG: MaxUlp = MaxUlp {
    f32: 0.95,
    f64: 0.95,
};
/// Of [`log1p`](super::log1p()).
pub const LOG1P: MaxUlp = MaxUlp {
    f32: 0.97,
    f64: 0.97,
};
/// Of [`sigmoid`](super::sigmoid()).
pub const SIGMOID: MaxUlp = MaxUlp {
    f32: 1.65,
    f64: 1.75,
};
/// Of [`softplus`](super::softplus()) and [`log_sigmoid`](super::log_sigmoid()).
pub const SOFTPLUS: MaxUlp = MaxUlp {
    f32: 1.95,
    f64: 2.1,
};
/// Of [`ln_factorial`](super::ln_factorial()), beside its roots 0 and 1 too.
pub const LN_FACTORIAL: MaxUlp = MaxUlp { f32: 3.3, f64: 3.5 };
