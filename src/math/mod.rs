//! Elementary functions over slices, with the same bits at every [`Level`](crate::Level).
//!
//! Each is made of operations that IEEE 754 rounds correctly, so no platform's mathematics library
//! has a say in the result. The largest error of each stands in [`accuracy`].
//!
//! ```
//! use lossgrad::{Level, math};
//!
//! let mut values = [0.0, 1.0, f32::NEG_INFINITY];
//! math::exp(Level::best(), &mut values);
//! assert_eq!(values, [1.0, std::f32::consts::E, 0.0]);
//! ```

#![forbid(unsafe_code)]

pub mod accuracy;
mod exp;
mod factorial;
mod functions;
mod log;
mod logistic;
mod polynomial;
pub(crate) mod powers;
mod slices;

pub(crate) use functions::Functions;
pub use slices::{
    exp, exp_nonpos, expm1, ln_factorial, log, log_sigmoid, log1p, sigmoid, softplus,
};

/// The same functions over [`Lanes`](crate::simd::Lanes), for kernels.
pub(crate) mod lanes {
    pub(crate) use super::exp::{exp, exp_nonpos, exp_over_power, exp_parts, expm1, power_of_two};
    pub(crate) use super::factorial::{ln_factorial, stirling};
    pub(crate) use super::log::{log, log1p};
    pub(crate) use super::logistic::{log_sigmoid, logistic_tail, sigmoid, softplus};
}
