use super::ask_for;
use super::tile::{Own, SIDE, SLAB, Slabs, Tile, VECTORS};
use super::tree::{MOST_AT_ONCE, TREE, holds_several};
use crate::drivers::Aligned;
use crate::drivers::terms::SUM_BLOCK;
use crate::element::Element;
use crate::parallel::{self, for_each_part};
use crate::simd::{Isa, Kernel, Sum, dispatch};
use crate::tensor::{Source, Target};
use crate::{Exec, Threading};
use core::ops::Range;

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
    let most = part_of(exec, matrix.rows.len());
    for_each_part(
        exec,
        matrix.rows.clone(),
        grad,
        most,
        cost,
        &|rows, grad| {
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
        },
    );
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
    let most = part_of(exec, matrix.columns);
    match kept {
        Kept::InPlace { adds } => {
            for_each_part(exec, all, grad, most, cost, &|rows, grad| {
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
            for_each_part(
                exec,
                all,
                (grad, kept),
                most,
                cost,
                &|rows, (grad, kept)| {
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
                },
            );
        }
    }
}

/// How many of some rows are pulled at a time: fewer where threads would be left without any.
fn part_of(exec: Exec, rows: usize) -> usize {
    let threads = match exec.threading {
        Threading::Serial => 1,
        Threading::Auto => rayon::current_num_threads(),
    };
    rows.div_ceil(threads).next_multiple_of(8).clamp(8, SIDE)
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

impl<T: Element, const ROWS: bool> Pull<'_, '_, T, ROWS> {
    fn others(&self) -> usize {
        match ROWS {
            true => self.matrix.columns,
            false => self.matrix.rows.len(),
        }
    }

    fn tile(&self, start: usize) -> Tile<T, ROWS> {
        let count = SIDE.min(self.others() - start);
        Tile::new(&self.matrix, &self.own_rows, start..start + count)
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
        let Aligned(own) = &mut Aligned([[T::ZERO; SLAB]; SIDE]);
        let Aligned(panel) = &mut Aligned([[T::ZERO; SLAB]; SIDE]);
        let step = VECTORS * T::LANES;
        for start in (0..self.len).step_by(step) {
            let entries = start..self.len.min(start + step);
            for (row, slab) in self.own_rows.clone().zip(&mut *own) {
                copy(self.own, row, &entries, slab);
            }
            let sums = if const { holds_several::<T, S>() } {
                self.sums::<S, MOST_AT_ONCE>(simd, &entries, own, panel)
            } else {
                self.sums::<S, 1>(simd, &entries, own, panel)
            };
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
        }
    }
}

/// The sums of a slab of each own row.
type Sums<S> = [[Sum<S>; VECTORS]; SIDE];

impl<T: Element, const ROWS: bool> Pull<'_, '_, T, ROWS> {
    /// What all other rows pull on slabs of the own ones: trees are gathered by as many as
    /// [`Gathered`](crate::drivers::Gathered) does, but all sums are at the same tree. `N` own rows are
    /// worked on at once.
    #[inline(always)]
    fn sums<S: Isa, const N: usize>(
        &self,
        simd: S,
        entries: &Range<usize>,
        own: &Slabs<T>,
        panel: &mut Slabs<T>,
    ) -> Sums<S> {
        let rows = self.own_rows.len();
        let vectors = entries.len().div_ceil(T::LANES);
        let mut sums = [[Sum::zero(simd); VECTORS]; SIDE];
        let Aligned(some) = &mut Aligned(sums);
        let mut gathered = 0;
        for start in (0..self.others()).step_by(SIDE) {
            let tile = self.tile(start);
            self.read(simd, start..start + tile.count(), entries, panel);
            for first in (0..SIDE).step_by(TREE) {
                let (slabs_at_once, _) = own.as_chunks::<N>();
                let (sums_at_once, _) = some.as_chunks_mut::<N>();
                // Behind the last row whatever was there, since nobody reads what comes of it.
                let numbers = (0..rows).step_by(N);
                for ((number, slabs), sums) in numbers.zip(slabs_at_once).zip(sums_at_once) {
                    let len = entries.len();
                    let own = Own { number, slabs, len };
                    tile.add(simd, panel, first, own, sums);
                }
                gathered += 1;
                if gathered % SUM_BLOCK == 0 {
                    settle(simd, &mut sums[..rows], &mut some[..rows], vectors);
                }
            }
        }
        settle(simd, &mut sums[..rows], &mut some[..rows], vectors);
        sums
    }

    /// Copies some entries of other rows, and asks for those that are read next.
    #[inline(always)]
    fn read<S: Isa>(
        &self,
        simd: S,
        others: Range<usize>,
        entries: &Range<usize>,
        panel: &mut Slabs<T>,
    ) {
        for (other, slab) in others.zip(panel) {
            copy(self.other, self.first_other + other, entries, slab);
            let next = other + SIDE;
            if next < self.others() {
                ask_for(simd, self.other, self.first_other + next, entries);
            }
        }
    }
}

/// Adds the sums of some trees to those of all, the first vectors of each.
#[inline(always)]
fn settle<S: Isa>(
    simd: S,
    sums: &mut [[Sum<S>; VECTORS]],
    some: &mut [[Sum<S>; VECTORS]],
    vectors: usize,
) {
    for (sums, some) in sums.iter_mut().zip(some) {
        for (sum, some) in sums[..vectors].iter_mut().zip(some) {
            *sum = sum.plus(*some);
            *some = Sum::zero(simd);
        }
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
