use super::pull::Matrix;
use super::tree::{self, MOST_AT_ONCE, Products, TREE};
use crate::element::Element;
use crate::simd::{Isa, Lanes, Sum};
use crate::unroll::unroll;
use core::ops::Range;

/// Own rows, and other rows, that are worked on at a time.
pub(super) const SIDE: usize = 32;

const _: () = assert!(SIDE.is_multiple_of(TREE) && SIDE.is_multiple_of(MOST_AT_ONCE));

/// Vectors of rows that are worked on at a time: so few that the sums of all own rows stay near.
pub(super) const VECTORS: usize = 8;

/// Entries that these have, where vectors have the most lanes; f64 has room for twice as many as it
/// uses.
pub(super) const SLAB: usize = VECTORS * 16;

/// Some entries of rows.
pub(super) type Slabs<T> = [[T; SLAB]; SIDE];

/// What is known of some other rows: own rows belong to `ROWS` of the matrix, or to its columns.
pub(super) struct Tile<T, const ROWS: bool> {
    /// Their derivatives for each own row; where own rows belong to columns, row by row of the others.
    weights: [[T; SIDE]; SIDE],
    count: usize,
    takes_part: [bool; SIDE],
    all_take_part: bool,
}

impl<T: Element, const ROWS: bool> Tile<T, ROWS> {
    pub(super) fn new(matrix: &Matrix<'_, T>, own: &Range<usize>, others: Range<usize>) -> Self {
        let mut tile = Self {
            weights: [[T::ZERO; SIDE]; SIDE],
            count: others.len(),
            takes_part: [false; SIDE],
            all_take_part: false,
        };
        if ROWS {
            tile.takes_part[..others.len()].fill(true);
            for (own, weights) in own.clone().zip(&mut tile.weights) {
                let row = &matrix.values[(own - matrix.rows.start) * matrix.columns..];
                weights[..others.len()].copy_from_slice(&row[others.clone()]);
            }
        } else {
            for (k, other) in others.enumerate() {
                let row = &matrix.values[other * matrix.columns..];
                tile.weights[k][..own.len()].copy_from_slice(&row[own.clone()]);
                tile.takes_part[k] = matrix.takes_part[other] != T::ZERO;
            }
        }
        tile.all_take_part = tile.takes_part == [true; SIDE];
        tile
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Adds what a tree of these rows, from the `first` on, pulls on some own rows; `panel` are their
    /// slabs.
    #[inline(always)]
    pub(super) fn add<S: Isa, const N: usize>(
        &self,
        simd: S,
        panel: &Slabs<T>,
        first: usize,
        own: Own<'_, T, N>,
        sums: &mut [[Sum<S>; VECTORS]; N],
    ) {
        let pull = Tree {
            tile: self,
            panel: &panel[first..first + TREE],
            first,
            own,
        };
        match self.all_take_part {
            true => pull.add::<_, true>(simd, sums),
            false => pull.add::<_, false>(simd, sums),
        }
    }
}

/// Slabs of `N` own rows.
pub(super) struct Own<'o, T, const N: usize> {
    /// The number of the first among those that are worked on.
    pub(super) number: usize,
    pub(super) slabs: &'o [[T; SLAB]; N],
    /// Entries in a slab; behind them anything may stand.
    pub(super) len: usize,
}

/// What the other rows of one tree of a tile pull on own rows.
struct Tree<'t, T, const N: usize, const ROWS: bool> {
    tile: &'t Tile<T, ROWS>,
    /// The slabs of these rows.
    panel: &'t [[T; SLAB]],
    /// The first of them.
    first: usize,
    own: Own<'t, T, N>,
}

impl<T: Element, const N: usize, const ROWS: bool> Tree<'_, T, N, ROWS> {
    /// Adds it to the sums. `ALL` if all of the tile's rows take part.
    #[inline(always)]
    fn add<S: Isa, const ALL: bool>(&self, simd: S, sums: &mut [[Sum<S>; VECTORS]; N]) {
        // There are no more than are taken, which the compiler would have to check.
        for (vector, at) in (0..self.own.len)
            .step_by(T::LANES)
            .enumerate()
            .take(VECTORS)
        {
            let mut own = [Lanes::splat(simd, T::ZERO); N];
            // As a loop, which is not written out before it is too late, it would go through memory.
            unroll!(k in 0..N => {
                own[k] = Lanes::load(simd, &self.own.slabs[k][at..]);
            });
            let terms = tree::sums(&Differences::<_, _, N, ROWS, ALL> {
                own,
                tree: self,
                at,
            });
            unroll!(k in 0..N => {
                sums[k][vector].add(terms[k]);
            });
        }
    }

    /// What one of the other rows is multiplied by for one of the own ones.
    #[inline(always)]
    fn weight(&self, k: usize, number: usize) -> T {
        let (own, other) = (self.own.number + number, self.first + k);
        match ROWS {
            true => self.tile.weights[own][other],
            false => self.tile.weights[other][own],
        }
    }
}

struct Differences<'d, 't, T: Element, S: Isa, const N: usize, const ROWS: bool, const ALL: bool> {
    own: [Lanes<T, S>; N],
    tree: &'d Tree<'t, T, N, ROWS>,
    at: usize,
}

impl<T: Element, S: Isa, const N: usize, const ROWS: bool, const ALL: bool>
    Differences<'_, '_, T, S, N, ROWS, ALL>
{
    #[inline(always)]
    fn takes_part(&self, k: usize) -> bool {
        ALL || self.tree.tile.takes_part[self.tree.first + k]
    }

    #[inline(always)]
    fn other(&self, k: usize) -> Lanes<T, S> {
        Lanes::load(self.own[0].simd(), &self.tree.panel[k][self.at..])
    }

    #[inline(always)]
    fn weight(&self, k: usize, number: usize) -> Lanes<T, S> {
        Lanes::splat(self.own[0].simd(), self.tree.weight(k, number))
    }
}

impl<T: Element, S: Isa, const N: usize, const ROWS: bool, const ALL: bool> Products<T, S, N>
    for Differences<'_, '_, T, S, N, ROWS, ALL>
{
    #[inline(always)]
    fn products(&self, k: usize) -> [Lanes<T, S>; N] {
        let mut products = [self.own[0].splat_like(0.0); N];
        if self.takes_part(k) {
            let other = self.other(k);
            for (number, product) in products.iter_mut().enumerate() {
                *product = (other - self.own[number]) * self.weight(k, number);
            }
        }
        products
    }

    #[inline(always)]
    fn plus(&self, k: usize, mut sums: [Lanes<T, S>; N]) -> [Lanes<T, S>; N] {
        if self.takes_part(k) {
            let other = self.other(k);
            for (number, sum) in sums.iter_mut().enumerate() {
                *sum = (other - self.own[number]).mul_add(self.weight(k, number), *sum);
            }
        }
        sums
    }
}
