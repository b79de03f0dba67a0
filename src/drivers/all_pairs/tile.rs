use super::pull::Matrix;
use super::tree::{self, Products, TREE};
use crate::element::Element;
use crate::simd::{Isa, Lanes, Sum};
use core::ops::Range;

/// Own rows, and other rows, that are worked on at a time.
pub(super) const SIDE: usize = 32;

const _: () = assert!(SIDE.is_multiple_of(TREE));

/// Entries of rows that are worked on at a time: so few that the sums of all own rows stay near.
pub(super) const SLAB: usize = 64;

/// Vectors of a slab, where they have the fewest lanes.
pub(super) const VECTORS: usize = SLAB / 8;

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

    /// Adds what a tree of these rows, from the `first` on, pulls on an own row; `panel` are their slabs.
    #[inline(always)]
    pub(super) fn add<S: Isa>(
        &self,
        simd: S,
        panel: &Slabs<T>,
        first: usize,
        own: Own<'_, T>,
        sums: &mut [Sum<S>; VECTORS],
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

/// A slab of an own row.
pub(super) struct Own<'o, T> {
    /// Its number among those that are worked on.
    pub(super) number: usize,
    pub(super) slab: &'o [T; SLAB],
    /// Entries in the slab; behind them anything may stand.
    pub(super) len: usize,
}

/// What the other rows of one tree of a tile pull on an own row.
struct Tree<'t, T, const ROWS: bool> {
    tile: &'t Tile<T, ROWS>,
    /// The slabs of these rows.
    panel: &'t [[T; SLAB]],
    /// The first of them.
    first: usize,
    own: Own<'t, T>,
}

impl<T: Element, const ROWS: bool> Tree<'_, T, ROWS> {
    /// Adds it to the sums. `ALL` if all of the tile's rows take part.
    #[inline(always)]
    fn add<S: Isa, const ALL: bool>(&self, simd: S, sums: &mut [Sum<S>; VECTORS]) {
        for (sum, at) in sums.iter_mut().zip((0..self.own.len).step_by(T::LANES)) {
            let terms = Differences::<_, _, ROWS, ALL> {
                own: Lanes::load(simd, &self.own.slab[at..]),
                tree: self,
                at,
            };
            sum.add(tree::sum(&terms));
        }
    }

    #[inline(always)]
    fn weight(&self, k: usize) -> T {
        match ROWS {
            true => self.tile.weights[self.own.number][self.first + k],
            false => self.tile.weights[self.first + k][self.own.number],
        }
    }
}

struct Differences<'d, 't, T: Element, S: Isa, const ROWS: bool, const ALL: bool> {
    own: Lanes<T, S>,
    tree: &'d Tree<'t, T, ROWS>,
    at: usize,
}

impl<T: Element, S: Isa, const ROWS: bool, const ALL: bool> Differences<'_, '_, T, S, ROWS, ALL> {
    #[inline(always)]
    fn takes_part(&self, k: usize) -> bool {
        ALL || self.tree.tile.takes_part[self.tree.first + k]
    }

    #[inline(always)]
    fn difference(&self, k: usize) -> Lanes<T, S> {
        Lanes::load(self.own.simd(), &self.tree.panel[k][self.at..]) - self.own
    }

    #[inline(always)]
    fn weight(&self, k: usize) -> Lanes<T, S> {
        Lanes::splat(self.own.simd(), self.tree.weight(k))
    }
}

impl<T: Element, S: Isa, const ROWS: bool, const ALL: bool> Products<T, S>
    for Differences<'_, '_, T, S, ROWS, ALL>
{
    #[inline(always)]
    fn product(&self, k: usize) -> Lanes<T, S> {
        match self.takes_part(k) {
            true => self.difference(k) * self.weight(k),
            false => self.own.splat_like(0.0),
        }
    }

    #[inline(always)]
    fn plus(&self, k: usize, sum: Lanes<T, S>) -> Lanes<T, S> {
        match self.takes_part(k) {
            true => self.difference(k).mul_add(self.weight(k), sum),
            false => sum,
        }
    }
}
