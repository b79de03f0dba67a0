use super::tree::{self, Products, TREE};
use crate::Exec;
use crate::drivers::Gathered;
use crate::element::Element;
use crate::parallel::{self, for_each_part};
use crate::simd::{Isa, Kernel, Lanes, Sum, dispatch};
use crate::tensor::Source;
use core::ops::Range;

/// Rows that share what is read of the others.
const OWN: usize = 32;

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
        let mut room = [T::ZERO; SLAB];
        // Rows that lie beside each other in a vector, and the same with a column for each.
        let mut slabs = [[T::ZERO; SLAB]; 16];
        let mut panel = [[T::ZERO; 16]; SLAB];
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
                    let row = self.other.row(0, other, entries.clone(), &mut room);
                    slab[..row.len()].copy_from_slice(row);
                    slab[row.len()..padded].fill(T::ZERO);
                }
                turn(simd, &slabs, &mut panel[..padded]);
                for (row, sum) in self.rows.clone().zip(&mut sums) {
                    let row = self.own.row(0, row, entries.clone(), &mut room);
                    sum.gather(squares(simd, row, &panel));
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

/// The squared differences between the entries of a slab of a row and those of every row of a panel.
#[inline(always)]
fn squares<T: Element, S: Isa>(simd: S, row: &[T], panel: &[[T; 16]; SLAB]) -> Sum<S> {
    let mut sum = Sum::zero(simd);
    let (rows, rest) = row.as_chunks::<TREE>();
    let (panels, _) = panel.as_chunks::<TREE>();
    for (row, panel) in rows.iter().zip(panels) {
        sum.add(tree::sum(&Squares { simd, row, panel }));
    }
    if !rest.is_empty() {
        let mut last = [T::ZERO; TREE];
        last[..rest.len()].copy_from_slice(rest);
        let (row, panel) = (&last, &panels[rows.len()]);
        sum.add(tree::sum(&Squares { simd, row, panel }));
    }
    sum
}

struct Squares<'s, T, S> {
    simd: S,
    row: &'s [T; TREE],
    panel: &'s [[T; 16]; TREE],
}

impl<T: Element, S: Isa> Squares<'_, T, S> {
    #[inline(always)]
    fn difference(&self, at: usize) -> Lanes<T, S> {
        Lanes::splat(self.simd, self.row[at]) - Lanes::load(self.simd, &self.panel[at])
    }
}

impl<T: Element, S: Isa> Products<T, S> for Squares<'_, T, S> {
    #[inline(always)]
    fn product(&self, at: usize) -> Lanes<T, S> {
        let difference = self.difference(at);
        difference * difference
    }

    #[inline(always)]
    fn plus(&self, at: usize, sum: Lanes<T, S>) -> Lanes<T, S> {
        let difference = self.difference(at);
        difference.mul_add(difference, sum)
    }
}
