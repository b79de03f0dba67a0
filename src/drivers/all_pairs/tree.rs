use crate::element::Element;
use crate::simd::{Isa, Lanes};

/// Terms that are added as a tree.
pub(super) const TREE: usize = 16;

/// [`TREE`] products.
pub(super) trait Products<T: Element, S: Isa> {
    /// The product at `at`.
    fn product(&self, at: usize) -> Lanes<T, S>;

    /// `sum` and the product at `at`, rounded once.
    fn plus(&self, at: usize, sum: Lanes<T, S>) -> Lanes<T, S>;
}

/// The sum of all products: neighbours fused in pairs, the pairs as a binary tree.
#[inline(always)]
pub(super) fn sum<T: Element, S: Isa>(products: &impl Products<T, S>) -> Lanes<T, S> {
    let (a, b) = (quarter(products, 0), quarter(products, 4));
    let (c, d) = (quarter(products, 8), quarter(products, 12));
    (a + b) + (c + d)
}

#[inline(always)]
fn quarter<T: Element, S: Isa>(products: &impl Products<T, S>, at: usize) -> Lanes<T, S> {
    let low = products.plus(at + 1, products.product(at));
    let high = products.plus(at + 3, products.product(at + 2));
    low + high
}
