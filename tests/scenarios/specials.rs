//! Values that formulas stumble over, and where they go.

use crate::common::cases::{Label, Problem};
use crate::common::real::Real;
use arbitrary::{Arbitrary, Result, Unstructured};
use ndarray::ArrayD;

/// A value of either type.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Special {
    Nan,
    Infinity,
    NegativeInfinity,
    Zero,
    NegativeZero,
    One,
    MinusOne,
    Smallest,
    Largest,
    NegativeLargest,
    /// `mantissa` times a power of 2 anywhere in the type's range, subnormal numbers included.
    Scaled {
        mantissa: i16,
        exponent: i16,
    },
    /// Near 0 or 1: `mantissa / 2¹²`.
    Moderate {
        mantissa: i16,
    },
}

impl Special {
    pub fn of<T: Real>(self) -> T {
        T::of(match self {
            Self::Nan => f64::NAN,
            Self::Infinity => f64::INFINITY,
            Self::NegativeInfinity => f64::NEG_INFINITY,
            Self::Zero => 0.0,
            Self::NegativeZero => -0.0,
            Self::One => 1.0,
            Self::MinusOne => -1.0,
            Self::Smallest => T::SMALLEST,
            Self::Largest => T::LARGEST,
            Self::NegativeLargest => -T::LARGEST,
            Self::Scaled { mantissa, exponent } => {
                let range = (T::LARGEST.log2() * 1.05) as i32;
                let exponent = i32::from(exponent) % range;
                // In two steps: the power of 2 alone may be beyond the range of f64.
                let half = 2.0_f64.powi(exponent / 2);
                f64::from(mantissa) / 32768.0 * half * 2.0_f64.powi(exponent - exponent / 2)
            }
            Self::Moderate { mantissa } => f64::from(mantissa) / 4096.0,
        })
    }
}

impl Special {
    /// The value as a factor. Products of factors are to stay among the normal numbers, since a
    /// coefficient below them has no relative accuracy to hand on.
    pub fn of_factor<T: Real>(self) -> T {
        match self {
            Self::Scaled { mantissa, exponent } => {
                T::of(f64::from(mantissa) * 2.0_f64.powi(i32::from(exponent % 24)))
            }
            Self::Smallest => T::of(2.0_f64.powi(-24)),
            Self::Largest => T::of(2.0_f64.powi(24)),
            Self::NegativeLargest => T::of(-2.0_f64.powi(24)),
            _ => self.of(),
        }
    }
}

/// A special value, and where it goes.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Sprinkle {
    /// One of the arrays of numbers that go in.
    array: u8,
    at: u16,
    value: Special,
}

impl Sprinkle {
    /// A few of them.
    pub fn several(bytes: &mut Unstructured<'_>) -> Result<Vec<Self>> {
        let count = bytes.int_in_range(1..=5)?;
        (0..count).map(|_| bytes.arbitrary()).collect()
    }

    /// Puts the value where it belongs.
    pub fn put<T: Real>(self, problem: &mut Problem<T>) {
        let Problem {
            pred,
            others,
            label,
            pos_weight,
        } = problem;
        let mut arrays = vec![pred];
        arrays.extend(others);
        if let Label::Dense(label) = label {
            arrays.push(label);
        }
        arrays.extend(pos_weight);
        let count = arrays.len();
        put(
            arrays[usize::from(self.array) % count],
            self.at,
            self.value.of(),
        );
    }
}

/// Puts a value into an array, unless that is empty.
pub fn put<T>(array: &mut ArrayD<T>, at: u16, value: T) {
    let len = array.len().max(1);
    if let Some(place) = array.iter_mut().nth(usize::from(at) % len) {
        *place = value;
    }
}
