//! The two element types, as the tests see them.

use std::fmt::{Debug, Display, LowerExp};

use lossgrad::contract::{self, Bound};
use ndarray::{ArrayD, ArrayRefD};

/// `f32` or `f64`, with the constants of its accuracy contract.
pub trait Real:
    lossgrad::Element + Copy + PartialOrd + Debug + Display + LowerExp + Send + Sync + 'static
{
    const NAME: &'static str;
    const CONTRACT: Bound;
    /// The smallest normal number.
    const SMALLEST: f64;
    /// The largest number.
    const LARGEST: f64;
    const NAN: Self;
    const INFINITY: Self;

    /// Rounds to this type.
    fn of(value: f64) -> Self;
    /// Exact.
    fn wide(self) -> f64;
    /// The bits, with every NaN the same: payloads are not promised.
    fn bits(self) -> u64;
}

impl Real for f32 {
    const NAME: &'static str = "f32";
    const CONTRACT: Bound = contract::F32;
    const SMALLEST: f64 = f32::MIN_POSITIVE as f64;
    const LARGEST: f64 = f32::MAX as f64;
    const NAN: Self = f32::NAN;
    const INFINITY: Self = f32::INFINITY;

    fn of(value: f64) -> Self {
        value as f32
    }

    fn wide(self) -> f64 {
        f64::from(self)
    }

    fn bits(self) -> u64 {
        let canonical = if self.is_nan() { f32::NAN } else { self };
        u64::from(canonical.to_bits())
    }
}

impl Real for f64 {
    const NAME: &'static str = "f64";
    const CONTRACT: Bound = contract::F64;
    const SMALLEST: f64 = f64::MIN_POSITIVE;
    const LARGEST: f64 = f64::MAX;
    const NAN: Self = f64::NAN;
    const INFINITY: Self = f64::INFINITY;

    fn of(value: f64) -> Self {
        value
    }

    fn wide(self) -> f64 {
        self
    }

    fn bits(self) -> u64 {
        let canonical = if self.is_nan() { f64::NAN } else { self };
        canonical.to_bits()
    }
}

/// The array in `f64`, exactly.
pub fn widen<T: Real>(array: &ArrayRefD<T>) -> ArrayD<f64> {
    array.mapv(T::wide)
}

/// The array rounded to `T`.
pub fn narrow<T: Real>(array: &ArrayRefD<f64>) -> ArrayD<T> {
    array.mapv(T::of)
}

/// Fails unless both arrays have the same shape and the same bits.
#[track_caller]
pub fn assert_same_bits<T: Real>(actual: &ArrayRefD<T>, expected: &ArrayRefD<T>, what: &str) {
    assert_eq!(actual.shape(), expected.shape(), "{what}: shapes");
    // Walking along an index is slow, and needed only for the message.
    if let (Some(actual), Some(expected)) = (actual.as_slice(), expected.as_slice())
        && actual
            .iter()
            .zip(expected)
            .all(|(a, e)| a.bits() == e.bits())
    {
        return;
    }
    for ((index, &a), &e) in actual.indexed_iter().zip(expected.iter()) {
        assert!(
            a.bits() == e.bits(),
            "{what}: at {:?} {a} ({:#x}) and {e} ({:#x}) differ",
            ndarray::Dimension::slice(&index),
            a.bits(),
            e.bits(),
        );
    }
}
