use super::ask_for;
use super::tree::{self, MOST_AT_ONCE, Products, TREE, holds_several};
use crate::Exec;
use crate::drivers::{Aligned, Gathered};
use crate::element::Element;
use crate::parallel::{self, for_each_part};
use crate::simd::{Isa, Kernel, Lanes, Sum, dispatch};
use crate::tensor::Source;
use core::ops::Range;

/// Rows that share what is read of the others.
const OWN: usize = 32;

const _: () = assert!(OWN.is_multiple_of(MOST_AT_ONCE));

/// Entries of rows that are worked on at a time: a whole number of trees, and of vectors.
const SLAB: usize = 128;

/// Writes minus the squared distance between each of `rows` of `own` and every one of `others` rows
/// of `other`: a row of the matrix for each of `rows`. Rows have `len` entries.
pub(crate) fn distances<T: Element>(
    exec: Exec,
    own: &Source<'_, T>,
    rows: Range<usize>,
    other: &Source<'_, T>,
    others: usize,
    len: usize,
    matrix: &mut [T],
) {
    let matrix = parallel::Rows {
        values: matrix,
        columns: others,
    };
    let cost = others.saturating_mul(len.max(1));
    for_each_part(exec, rows, matrix, OWN, cost, &|rows, matrix| {
        let kernel = Distances {
            own,
            rows,
            other,
            others,
            len,
            matrix: matrix.values,
        };
        dispatch(exec.level, kernel);
    });
}

struct Distances<'d, 'a, T> {
    own: &'d Source<'a, T>,
    rows: Range<usize>,
    other: &'d Source<'a, T>,
    others: usize,
    len: usize,
    matrix: &'d mut [T],
}

impl<T: Element> Kernel for Distances<'_, '_, T> {
    type Home = Self;
    type Output = ();

    #[inline(always)]
    fn run<S: Isa>(self, simd: S) {
        if const { holds_several::<T, S>() } {
            self.run_rows::<S, MOST_AT_ONCE>(simd);
        } else {
            self.run_rows::<S, 1>(simd);
        }
    }
}

impl<T: Element> Distances<'_, '_, T> {
    /// Works on `N` own rows at once.
    #[inline(always)]
    fn run_rows<S: Isa, const N: usize>(self, simd: S) {
        let mut rooms = [[T::ZERO; SLAB]; N];
        // Rows that lie beside each other in a vector, and the same with a column for each.
        let Aligned(slabs) = &mut Aligned([[T::ZERO; SLAB]; 16]);
        let Aligned(panel) = &mut Aligned([[T::ZERO; 16]; SLAB]);
        let mut start = 0;
        while start < self.others {
            let beside = T::LANES.min(self.others - start);
            let mut sums = [Gathered::zero(simd); OWN];
            let mut at = 0;
            while at < self.len {
                let entries = at..self.len.min(at + SLAB);
                let padded = entries.len().next_multiple_of(TREE);
                // Behind the last entry zeros; behind the last row whatever was there, since
                // nobody reads what comes of it.
                for (lane, slab) in slabs[..beside].iter_mut().enumerate() {
                    let other = start + lane;
                    let row = self.other.row(0, other, entries.clone(), &mut rooms[0]);
                    slab[..row.len()].copy_from_slice(row);
                    let next = other + T::LANES;
                    if next < self.others {
                        ask_for(simd, self.other, next, &entries);
                    }
                    slab[row.len()..padded].fill(T::ZERO);
                }
                turn(simd, slabs, &mut panel[..padded]);
                for (first, sums) in self.rows.clone().step_by(N).zip(sums.chunks_exact_mut(N)) {
                    let mut rows = [&[][..]; N];
                    for (number, (row, room)) in rows.iter_mut().zip(&mut rooms).enumerate() {
                        // Behind the last row once more that one.
                        let number = (first + number).min(self.rows.end - 1);
                        *row = self.own.row(0, number, entries.clone(), room);
                    }
                    for (sum, squares) in sums.iter_mut().zip(squares(simd, rows, panel)) {
                        sum.gather(squares);
                    }
                }
                at = entries.end;
            }
            let rows = self.matrix.chunks_exact_mut(self.others);
            for (row, sum) in rows.zip(sums) {
                let sums = sum.total().to_array();
                for (place, sum) in row[start..start + beside].iter_mut().zip(sums) {
                    *place = T::from_f64(-within_range::<T>(sum));
                }
            }
            start += beside;
        }
    }
}

/// Makes a column of each slab, of whole vectors.
#[inline(always)]
fn turn<T: Element, S: Isa>(simd: S, slabs: &[[T; SLAB]; 16], panel: &mut [[T; 16]]) {
    for (start, columns) in (0..SLAB)
        .step_by(T::LANES)
        .zip(panel.chunks_exact_mut(T::LANES))
    {
        let mut vectors = [Lanes::splat(simd, T::ZERO); 16];
        for (vector, slab) in vectors.iter_mut().zip(&slabs[..T::LANES]) {
            *vector = Lanes::load(simd, &slab[start..]);
        }
        for (lanes, column) in Lanes::transpose(vectors).iter().zip(columns) {
            lanes.store(column);
        }
    }
}

/// A distance, as the largest number there is where it is beyond: as a logit, minus infinity would be
/// a masked vector. The comparison keeps a NaN.
fn within_range<T: Element>(distance: f64) -> f64 {
    match distance > T::LARGEST_FINITE {
        true => T::LARGEST_FINITE,
        false => distance,
    }
}

/// The squared differences between the entries of slabs of rows and those of every row of a panel.
#[inline(always)]
fn squares<T: Element, S: Isa, const N: usize>(
    simd: S,
    rows: [&[T]; N],
    panel: &[[T; 16]; SLAB],
) -> [Sum<S>; N] {
    let mut sums = [Sum::zero(simd); N];
    let (panels, _) = panel.as_chunks::<TREE>();
    let (zeros, mut last) = ([T::ZERO; TREE], [[T::ZERO; TREE]; N]);
    let len = rows[0].len();
    for (at, panel) in (0..len).step_by(TREE).zip(panels) {
        let mut trees = [&zeros; N];
        for ((tree, row), last) in trees.iter_mut().zip(rows).zip(&mut last) {
            *tree = match row[at..].first_chunk() {
                Some(tree) => tree,
                None => {
                    last[..len - at].copy_from_slice(&row[at..]);
                    last
                }
            };
        }
        let terms = tree::sums(&Squares {
            simd,
            rows: trees,
            panel,
        });
        for (sum, terms) in sums.iter_mut().zip(terms) {
            sum.add(terms);
        }
    }
    sums
}

struct Squares<'s, T, S, const N: usize> {
    simd: S,
    rows: [&'s [T; TREE]; N],
    panel: &'s [[T; 16]; TREE],
}

impl<T: Element, S: Isa, const N: usize> Products<T, S, N> for Squares<'_, T, S, N> {
    #[inline(always)]
    fn products(&self, at: usize) -> [Lanes<T, S>; N] {
        let mut squares = self.differences(at);
        for square in &mut squares {
            *square = *square * *square;
        }
        squares
    }

    #[inline(always)]
    fn plus(&self, at: usize, mut sums: [Lanes<T, S>; N]) -> [Lanes<T, S>; N] {
        for (sum, difference) in sums.iter_mut().zip(self.differences(at)) {
            *sum = difference.mul_add(difference, *sum);
        }
        sums
    }
}

impl<T: Element, S: Isa, const N: usize> Squares<'_, T, S, N> {
    #[inline(always)]
    fn differences(&self, at: usize) -> [Lanes<T, S>; N] {
        let others = Lanes::load(self.simd, &self.panel[at]);
        let mut differences = [others; N];
        for (difference, row) in differences.iter_mut().zip(self.rows) {
            *difference = Lanes::splat(self.simd, row[at]) - others;
        }
        differences
    }
}
