//! One loop for all losses of one shape: blocks, tails, weights, sums and threads.
//!
//! A call is checked and laid out into a [`Plan`] and its [`Outputs`]; [`schedule`] cuts them into
//! leaves by logical shape alone; a driver runs a leaf, feeding the loss's formula one vector after
//! the other. After the checks nothing can fail. Small calls of most losses need none of this where
//! their arrays lie in order: a [`Flat`] call goes from slices to the kernels.

mod aligned;
pub(crate) mod all_pairs;
mod compiled;
pub(crate) mod elementwise;
pub(crate) mod flat;
mod gathered;
mod integers;
mod operand;
mod outputs;
pub(crate) mod pairs;
mod plan;
pub(crate) mod rows;
mod schedule;
mod terms;
mod tree_sum;
mod unit_scale;

pub(crate) use aligned::Aligned;
pub use compiled::{Compiled, Work};
pub(crate) use compiled::{compiled, no_flat};
pub use flat::Flat;
pub(crate) use gathered::Gathered;
pub(crate) use integers::Integers;
pub(crate) use operand::Operand;
pub(crate) use outputs::Outputs;
pub(crate) use plan::{Factor, Plan, Scaling};
pub(crate) use tree_sum::TreeSum;
pub(crate) use unit_scale::UnitScale;
