use crate::element::Element;
use crate::simd::{Isa, Lanes};

/// Terms that are added as a tree.
pub(super) const TREE: usize = 16;

/// The most own rows that are worked on at once, so that what is read of the others is read for all
/// of them.
pub(super) const MOST_AT_ONCE: usize = 2;

/// Whether registers hold the trees of [`MOST_AT_ONCE`] own rows; else one row at a time is faster.
pub(super) const fn holds_several<T: Element, S: Isa>() -> bool {
    Lanes::<T, S>::IN_ONE_REGISTER
}

/// [`TREE`] products for each of `N` own rows.
pub(super) trait Products<T: Element, S: Isa, const N: usize> {
    /// The products at `at`.
    fn products(&self, at: usize) -> [Lanes<T, S>; N];

    /// `sums` and the products at `at`, rounded once.
    fn plus(&self, at: usize, sums: [Lanes<T, S>; N]) -> [Lanes<T, S>; N];
}

/// The sums of all products: neighbours fused in pairs, the pairs as a binary tree.
#[inline(always)]
pub(super) fn sums<T: Element, S: Isa, const N: usize>(
    products: &impl Products<T, S, N>,
) -> [Lanes<T, S>; N] {
    let (a, b) = (quarter(products, 0), quarter(products, 4));
    let (c, d) = (quarter(products, 8), quarter(products, 12));
    add(add(a, b), add(c, d))
}

#[inline(always)]
fn quarter<T: Element, S: Isa, const N: usize>(
    products: &impl Products<T, S, N>,
    at: usize,
) -> [Lanes<T, S>; N] {
    let low = products.plus(at + 1, products.products(at));
    let high = products.plus(at + 3, products.products(at + 2));
    add(low, high)
}

#[inline(always)]
fn add<T: Element, S: Isa, const N: usize>(
    mut sums: [Lanes<T, S>; N],
    more: [Lanes<T, S>; N],
) -> [Lanes<T, S>; N] {
    for (sum, more) in sums.iter_mut().zip(more) {
        *sum = *sum + more;
    }
    sums
}
