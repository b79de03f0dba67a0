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

use crate::element::Element;
use crate::simd::{Isa, prefetch_all};
use crate::tensor::Source;
use core::ops::Range;
pub(crate) use distances::distances;
pub(crate) use pull::{Kept, Matrix, pull_columns, pull_rows};

/// Asks for some entries of a row that are read later, if they are neighbours in memory: the processor
/// itself does not look for pieces of rows that lie apart.
#[inline(always)]
fn ask_for<T: Element, S: Isa>(simd: S, rows: &Source<'_, T>, row: usize, entries: &Range<usize>) {
    if rows.classes_contiguous() {
        prefetch_all(simd, rows.row(0, row, entries.clone(), &mut []));
    }
}
