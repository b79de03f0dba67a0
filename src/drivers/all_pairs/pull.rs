use super::tree::{self, Products, TREE};
use crate::Exec;
use crate::drivers::terms::SUM_BLOCK;
use crate::element::Element;
use crate::parallel::{self, for_each_part};
use crate::simd::{Isa, Kernel, Lanes, Sum, dispatch, prefetch};
use crate::tensor::{Source, Target};
use core::ops::Range;

/// Rows that share what is read of the others.
const OWN: usize = 32;

/// Entries of rows that are worked on at a time: so few that the sums of all own rows stay near.
const SLAB: usize = 64;

/// Other rows that are read at a time, a whole number of trees.
const TILE: usize = OWN;

/// Vectors of a slab, where they have the fewest lanes.
const VECTORS: usize = SLAB / 8;

/// The derivatives of a loss with respect to minus the squared distances between some rows of one
/// operand and all rows of another.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'m, T> {
    pub(crate) values: &'m [T],
    /// The operand's rows that the matrix's rows belong to.
    pub(crate) rows: &'m Range<usize>,
    /// How many rows the other operand has.
    pub(crate) columns: usize,
    /// Not 0 for the rows that take part.
    pub(crate) takes_part: &'m [T],
}

/// Writes the gradients of the rows that the matrix's rows belong to: `2 Σ m (other − own)` over all
/// columns. Rows have `len` entries.
pub(crate) fn pull_rows<T: Element>(
    exec: Exec,
    matrix: Matrix<'_, T>,
    [own, other]: [&Source<'_, T>; 2],
    len: usize,
    grad: Target<'_, T>,
) {
    let cost = matrix.columns.saturating_mul(len.max(1));
    for_each_part(exec, matrix.rows.clone(), grad, OWN, cost, &|rows, grad| {
        let pull = Pull::<_, true> {
            matrix,
            own,
            own_rows: rows,
            other,
            first_other: 0,
            len,
            grad,
            before: Before::Nothing,
        };
        dispatch(exec.level, pull);
    });
}

/// Where gradients that are made in several parts are kept until the last.
pub(crate) enum Kept<'k> {
    /// In their own place, to which a part is added unless it is the first.
    InPlace { adds: bool },
    /// In f64, one value for each entry, from the last part of which the gradient is written.
    Apart {
        values: &'k mut [f64],
        is_first: bool,
        is_last: bool,
    },
}

/// As [`pull_rows`], of the rows that the columns belong to, by all rows of the matrix.
pub(crate) fn pull_columns<T: Element>(
    exec: Exec,
    matrix: Matrix<'_, T>,
    [own, other]: [&Source<'_, T>; 2],
    len: usize,
    grad: Target<'_, T>,
    kept: Kept<'_>,
) {
    let cost = matrix.rows.len().saturating_mul(len.max(1));
    let all = 0..matrix.columns;
    match kept {
        Kept::InPlace { adds } => {
            for_each_part(exec, all, grad, OWN, cost, &|rows, grad| {
                let pull = Pull::<_, false> {
                    matrix,
                    own,
                    own_rows: rows,
                    other,
                    first_other: matrix.rows.start,
                    len,
                    grad,
                    before: if adds {
                        Before::InPlace
                    } else {
                        Before::Nothing
                    },
                };
                dispatch(exec.level, pull);
            });
        }
        Kept::Apart {
            values,
            is_first,
            is_last,
        } => {
            if is_first {
                values.fill(0.0);
            }
            let kept = parallel::Rows {
                values,
                columns: len,
            };
            for_each_part(exec, all, (grad, kept), OWN, cost, &|rows, (grad, kept)| {
                let pull = Pull::<_, false> {
                    matrix,
                    own,
                    own_rows: rows,
                    other,
                    first_other: matrix.rows.start,
                    len,
                    grad,
                    before: Before::Apart {
                        values: kept.values,
                        is_last,
                    },
                };
                dispatch(exec.level, pull);
            });
        }
    }
}

/// What parts before this one have made of the gradients of a few rows.
enum Before<'p> {
    Nothing,
    InPlace,
    Apart {
        values: &'p mut [f64],
        is_last: bool,
    },
}

/// The gradients of a few rows, which belong to rows of the matrix or to columns.
struct Pull<'p, 'a, T, const ROWS: bool> {
    matrix: Matrix<'p, T>,
    own: &'p Source<'a, T>,
    own_rows: Range<usize>,
    other: &'p Source<'a, T>,
    first_other: usize,
    len: usize,
    grad: Target<'p, T>,
    before: Before<'p>,
}

/// What is known of some other rows.
struct Tile<T> {
    /// Their derivatives for each own row; of rows of the matrix row by row of these, of columns the
    /// other way round.
    weights: [[T; TILE]; OWN],
    /// How many there are.
    count: usize,
    /// Whether each takes part.
    takes_part: [bool; TILE],
}

impl<T: Element, const ROWS: bool> Pull<'_, '_, T, ROWS> {
    fn others(&self) -> usize {
        match ROWS {
            true => self.matrix.columns,
            false => self.matrix.rows.len(),
        }
    }

    fn tile(&self, start: usize) -> Tile<T> {
        let mut tile = Tile {
            weights: [[T::ZERO; TILE]; OWN],
            count: TILE.min(self.others() - start),
            takes_part: [false; TILE],
        };
        let (count, columns) = (tile.count, self.matrix.columns);
        if ROWS {
            tile.takes_part[..count].fill(true);
            for (own, weights) in self.own_rows.clone().zip(&mut tile.weights) {
                let row = (own - self.matrix.rows.start) * columns;
                let values = &self.matrix.values[row + start..][..count];
                weights[..count].copy_from_slice(values);
            }
            return tile;
        }
        for k in 0..count {
            let row = (start + k) * columns;
            tile.takes_part[k] = self.matrix.takes_part[start + k] != T::ZERO;
            let values = &self.matrix.values[row..][self.own_rows.clone()];
            tile.weights[k][..values.len()].copy_from_slice(values);
        }
        tile
    }

    /// Adds what was pulled of a slab of an own row to what parts before have made, and writes the
    /// gradient unless parts after this one will.
    fn emit(
        &mut self,
        own: usize,
        number: usize,
        entries: &Range<usize>,
        pulled: &mut [f64; SLAB],
    ) {
        let pulled = &mut pulled[..entries.len()];
        match &mut self.before {
            Before::Nothing => {}
            Before::InPlace => {
                let mut room = [T::ZERO; SLAB];
                let before = self.grad.read_row(0, own, entries.clone(), &mut room);
                for (pulled, before) in pulled.iter_mut().zip(before) {
                    *pulled += before.to_f64();
                }
            }
            Before::Apart { values, is_last } => {
                let kept = &mut values[number * self.len..][entries.clone()];
                for (pulled, kept) in pulled.iter_mut().zip(kept) {
                    *kept += *pulled;
                    *pulled = *kept;
                }
                if !*is_last {
                    return;
                }
            }
        }
        let mut grads = [T::ZERO; SLAB];
        for (grad, pulled) in grads.iter_mut().zip(pulled) {
            *grad = T::from_f64(*pulled);
        }
        let grads = &grads[..entries.len()];
        self.grad.write_row(0, own, entries.start, grads);
    }

    /// Whether an own row has a gradient.
    fn is_pulled(&self, own: usize) -> bool {
        !ROWS || self.matrix.takes_part[own - self.matrix.rows.start] != T::ZERO
    }
}

impl<T: Element, const ROWS: bool> Kernel for Pull<'_, '_, T, ROWS> {
    type Home = Self;
    type Output = ();

    #[inline(always)]
    fn run<S: Isa>(mut self, simd: S) {
        let mut own_slab = [[T::ZERO; SLAB]; OWN];
        let mut panel = [[T::ZERO; SLAB]; TILE];
        let mut at = 0;
        while at < self.len {
            let entries = at..self.len.min(at + SLAB);
            for (own, slab) in self.own_rows.clone().zip(&mut own_slab) {
                copy(self.own, own, &entries, slab);
            }
            // What some trees have pulled, and what all before them have: gathered as in `Gathered`.
            let mut some = [[Sum::zero(simd); VECTORS]; OWN];
            let mut sums = [[Sum::zero(simd); VECTORS]; OWN];
            let mut gathered = 0;
            let mut start = 0;
            while start < self.others() {
                let tile = self.tile(start);
                for (k, row) in panel[..tile.count].iter_mut().enumerate() {
                    let other = self.first_other + start + k;
                    copy(self.other, other, &entries, row);
                    // The processor itself does not look for pieces of rows that lie apart.
                    if start + k + TILE < self.others() && self.other.classes_contiguous() {
                        let next = self.other.row(0, other + TILE, entries.clone(), &mut []);
                        for line in (0..size_of_val(next)).step_by(64) {
                            prefetch(simd, next, line);
                        }
                    }
                }
                let pulls = tile.takes_part.iter().all(|&takes_part| takes_part);
                let (trees, _) = panel.as_chunks::<TREE>();
                for (tree, panel) in trees.iter().enumerate() {
                    for (own, slab) in own_slab[..self.own_rows.len()].iter().enumerate() {
                        let pull = Tree::<_, ROWS> {
                            tile: &tile,
                            panel,
                            first: tree * TREE,
                            own,
                            slab,
                            len: entries.len(),
                        };
                        if pulls {
                            pull.add::<_, true>(simd, &mut some[own]);
                        } else {
                            pull.add::<_, false>(simd, &mut some[own]);
                        }
                    }
                    gathered += 1;
                    if gathered % SUM_BLOCK == 0 {
                        settle(simd, &mut sums, &mut some);
                    }
                }
                start += tile.count;
            }
            settle(simd, &mut sums, &mut some);
            for (number, sums) in sums[..self.own_rows.len()].iter().enumerate() {
                let own = self.own_rows.start + number;
                let mut pulled = [0.0; SLAB];
                if self.is_pulled(own) {
                    for (pulled, sum) in pulled.chunks_mut(T::LANES).zip(sums) {
                        for (pulled, sum) in pulled.iter_mut().zip(sum.to_array()) {
                            *pulled = 2.0 * sum;
                        }
                    }
                }
                self.emit(own, number, &entries, &mut pulled);
            }
            at = entries.end;
        }
    }
}

/// Adds the sums of some trees to those of all.
#[inline(always)]
fn settle<S: Isa>(
    simd: S,
    sums: &mut [[Sum<S>; VECTORS]; OWN],
    some: &mut [[Sum<S>; VECTORS]; OWN],
) {
    for (sum, some) in sums
        .as_flattened_mut()
        .iter_mut()
        .zip(some.as_flattened_mut())
    {
        *sum = sum.plus(*some);
        *some = Sum::zero(simd);
    }
}

/// Copies some entries of a row, at most a slab.
fn copy<T: Element>(from: &Source<'_, T>, row: usize, entries: &Range<usize>, to: &mut [T; SLAB]) {
    let to = &mut to[..entries.len()];
    if from.classes_contiguous() {
        to.copy_from_slice(from.row(0, row, entries.clone(), &mut []));
    } else {
        from.copy_row(0, row, entries.clone(), to);
    }
}

/// What the other rows of one tree of a tile pull on a slab of an own row.
struct Tree<'t, T, const ROWS: bool> {
    tile: &'t Tile<T>,
    /// The slabs of these rows.
    panel: &'t [[T; SLAB]; TREE],
    /// The first of them.
    first: usize,
    own: usize,
    slab: &'t [T; SLAB],
    /// Entries in the slab; behind them anything may stand.
    len: usize,
}

impl<T: Element, const ROWS: bool> Tree<'_, T, ROWS> {
    /// Adds it to the sums. `ALL` if all of the tile's rows take part.
    #[inline(always)]
    fn add<S: Isa, const ALL: bool>(&self, simd: S, sums: &mut [Sum<S>; VECTORS]) {
        for (sum, at) in sums.iter_mut().zip((0..self.len).step_by(T::LANES)) {
            let terms = Differences::<_, _, ROWS, ALL> {
                own: Lanes::load(simd, &self.slab[at..]),
                tree: self,
                at,
            };
            sum.add(tree::sum(&terms));
        }
    }

    #[inline(always)]
    fn weight(&self, k: usize) -> T {
        match ROWS {
            true => self.tile.weights[self.own][self.first + k],
            false => self.tile.weights[self.first + k][self.own],
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
