//! The elementary functions under test. [`FUNCTIONS`] is the table: a function with an entry there
//! is put through every suite of theirs.
#![allow(dead_code)] // Each suite is a program of its own and uses its own part of this.

pub mod exact;
pub mod f32;

use lossgrad::Level;
use lossgrad::math::{self, accuracy, accuracy::MaxUlp};

/// A function of one argument, for both types.
#[derive(Clone, Copy)]
pub struct Function {
    pub name: &'static str,
    pub f32: fn(Level, &mut [f32]),
    pub f64: fn(Level, &mut [f64]),
    pub max: MaxUlp,
}

macro_rules! functions {
    ($($function:ident $max:ident)*) => {
        pub const FUNCTIONS: &[Function] = &[$(Function {
            name: stringify!($function),
            f32: math::$function,
            f64: math::$function,
            max: accuracy::$max,
        }),*];
    };
}

functions! {
    exp EXP
    exp_nonpos EXP_NONPOS
    expm1 EXPM1
    log LOG
    log1p LOG1P
    sigmoid SIGMOID
    softplus SOFTPLUS
    log_sigmoid SOFTPLUS
    ln_factorial LN_FACTORIAL
}

/// Where the results of `exp_nonpos` are 0 by contract: below 1.42 times the smallest normal number.
pub const FLUSHED: f64 = -1021.499 * core::f64::consts::LN_2;

pub fn function(name: &str) -> Function {
    let found = FUNCTIONS.iter().find(|f| f.name == name);
    *found.unwrap_or_else(|| panic!("no function {name}"))
}
