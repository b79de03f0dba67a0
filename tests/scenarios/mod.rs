//! Calls as data that a fuzzer can make: each structure says how it is made of arbitrary bytes, nearly
//! all of which give a call that is in order, and how what it describes is checked.
//!
//! The fuzz targets and the suite `fuzzed` check the same structures.
#![allow(dead_code)] // Each target uses its own part of this.

mod call;
mod ctc;
mod elementwise;
mod errors;
mod judge;
mod math;
mod pairs;
mod rows;
mod shapes;
mod specials;
mod threads;

pub use ctc::Ctc;
pub use elementwise::Elementwise;
pub use errors::Errors;
pub use math::Math;
pub use pairs::Pairs;
pub use rows::Rows;

use arbitrary::Arbitrary;
use std::fmt::Debug;

/// Something to be checked.
pub trait Scenario: for<'a> Arbitrary<'a> + Debug {
    /// Panics where the library does not do what it promises.
    fn check(&self);
}
