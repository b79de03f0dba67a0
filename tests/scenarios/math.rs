//! The elementary functions, of any bits.

use super::Scenario;
use crate::common::levels::levels;
use crate::common::real::Real;
use crate::math::{self, FUNCTIONS, Function};
use arbitrary::{Arbitrary, Result, Unstructured};
use lossgrad::Level;

/// Values for one of the functions.
#[derive(Debug)]
pub struct Math {
    function: &'static str,
    values: Values,
    /// How many there are, the given ones over and over.
    len: usize,
}

#[derive(Debug)]
enum Values {
    F32(Vec<f32>),
    F64(Vec<f64>),
}

impl<'a> Arbitrary<'a> for Math {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        let function = bytes.choose(FUNCTIONS)?.name;
        let double = bytes.arbitrary()?;
        let len = bytes.int_in_range(0..=100)?;
        // The judge of f64 takes long.
        let count = bytes.int_in_range(1..=if double { 4 } else { 40 })?;
        let values = if double {
            Values::F64(
                (0..count)
                    .map(|_| double_value(bytes))
                    .collect::<Result<_>>()?,
            )
        } else {
            Values::F32(
                (0..count)
                    .map(|_| single_value(bytes))
                    .collect::<Result<_>>()?,
            )
        };
        Ok(Self {
            function,
            values,
            len,
        })
    }
}

/// Any bits, or a number of the size that most arguments have.
fn double_value(bytes: &mut Unstructured<'_>) -> Result<f64> {
    let bits: u64 = bytes.arbitrary()?;
    Ok(match bytes.int_in_range(0..=2)? {
        0 => f64::from_bits(bits),
        1 => (bits as i64) as f64 * 2.0_f64.powi(-53),
        _ => (bits as i64) as f64 * 2.0_f64.powi(-63),
    })
}

fn single_value(bytes: &mut Unstructured<'_>) -> Result<f32> {
    let bits: u32 = bytes.arbitrary()?;
    Ok(match bytes.int_in_range(0..=2)? {
        0 => f32::from_bits(bits),
        1 => (bits as i32) as f32 * 2.0_f32.powi(-24),
        _ => (bits as i32) as f32 * 2.0_f32.powi(-31),
    })
}

impl Scenario for Math {
    fn check(&self) {
        let function = math::function(self.function);
        match &self.values {
            Values::F32(values) => {
                let results = same_at_every_level(self.function, function.f32, values, self.len);
                for (x, got) in results {
                    judge_single(function, x, got);
                }
            }
            Values::F64(values) => {
                let results = same_at_every_level(self.function, function.f64, values, self.len);
                for (x, got) in results {
                    judge_double(function, x, got);
                }
            }
        }
    }
}

/// Each value with its result, which is the same at every level, alone and at any position.
fn same_at_every_level<T: Real>(
    name: &str,
    function: fn(Level, &mut [T]),
    values: &[T],
    len: usize,
) -> Vec<(T, T)> {
    let in_domain = |x: &T| name != "exp_nonpos" || x.wide() <= 0.0 || x.wide().is_nan();
    let values: Vec<T> = values.iter().copied().filter(in_domain).collect();
    let one = |&x: &T| {
        let mut result = [x];
        function(Level::scalar(), &mut result);
        (x, result[0])
    };
    let results: Vec<(T, T)> = values.iter().map(one).collect();
    for level in levels() {
        let mut many: Vec<T> = values.iter().copied().cycle().take(len).collect();
        function(level, &mut many);
        for (at, (got, (x, expected))) in many.iter().zip(results.iter().cycle()).enumerate() {
            assert_eq!(
                got.bits(),
                expected.bits(),
                "{name}({x:e}) at {at} of {len} is {got:e} at {level}, alone {expected:e}"
            );
        }
    }
    results
}

fn judge_single(function: Function, x: f32, got: f32) {
    let mut exact = [f64::from(x)];
    (function.f64)(Level::best(), &mut exact);
    if function.name == "exp_nonpos" && math::f32::is_flushed(got, exact[0]) {
        return;
    }
    let error = math::f32::error(got, exact[0]);
    assert!(
        error <= function.max.f32,
        "{}({x:e}) is {got:e}, {error} ULP off",
        function.name
    );
}

fn judge_double(function: Function, x: f64, got: f64) {
    if function.name == "exp_nonpos" && got.to_bits() == 0 && x < math::FLUSHED {
        return;
    }
    let error = math::exact::error(got, &math::exact::exact(function.name, x));
    assert!(
        error <= function.max.f64,
        "{}({x:e}) is {got:e}, {error} ULP off",
        function.name
    );
}
