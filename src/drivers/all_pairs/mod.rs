//! Every row of one operand against every row of another: squared distances, and the gradients of
//! what is made of them.
//!
//! Both are sums over differences of entries, never expanded into products: a common offset of all
//! rows costs no digits. Sixteen terms at a time are added as a tree, the trees' results in f64.
//! Nothing is kept but a matrix of some rows against all, which the caller holds.

mod distances;
mod pull;
mod tile;
mod tree;

pub(crate) use distances::distances;
pub(crate) use pull::{Kept, Matrix, pull_columns, pull_rows};
