use super::row::Passes;
use super::scratch::Scratch;
use super::{PairLoss, Pairs};
use crate::Threading;
use crate::drivers::unit_scale::UnitScale;
use crate::drivers::{Outputs, Plan, TreeSum};
use crate::element::Element;
use crate::simd::{Isa, Kernel, dispatch};
use crate::tensor::Along;
use core::ops::Range;

/// Entries of a row from which on it is cut into as many at a time, each with sums of its own.
pub(super) const CHUNK: usize = 1 << 14;

/// Rows up to which each is shared among threads: more keep all threads busy by themselves.
const FEW_ROWS: usize = 32;

impl<T, L, const K: usize, const J: usize> Pairs<'_, T, L, K, J>
where
    T: Element,
    L: PairLoss<T, K, J>,
{
    /// Runs units that are each a leaf, since their rows have several chunks.
    pub(super) fn run_long(
        &self,
        plan: &Plan<'_, T>,
        outputs: &mut Outputs<'_, T, K>,
        samples: Range<usize>,
        units: Range<usize>,
        finish: bool,
    ) -> f64 {
        let mut sum = TreeSum::new();
        for sample in samples {
            sum.clear();
            for unit in units.clone() {
                // As everywhere, the sum of a leaf starts from 0: that of −0 is 0.
                let mut leaf = 0.0;
                match UnitScale::of(plan, sample, unit) {
                    None => outputs.mask(sample, unit..unit + 1),
                    Some(scale) => {
                        let chunks = Chunks {
                            pairs: self,
                            plan,
                            at: (sample, unit),
                        };
                        let mut row = LongRow {
                            chunks,
                            outputs: &mut *outputs,
                        };
                        let label = L::label(&self.labels, sample, unit);
                        let loss = row.complete(self.loss, label, scale.grad);
                        leaf += scale.emit(outputs, sample, unit, loss);
                    }
                }
                sum.add(leaf);
            }
            if finish {
                outputs.finish(plan, sample, sum.total());
            }
        }
        sum.total()
    }
}

/// The rows of a unit, of several chunks.
struct LongRow<'r, 'i, 'a, 'o, T: Element, L: PairLoss<T, K, J>, const K: usize, const J: usize> {
    chunks: Chunks<'r, 'i, 'a, T, L, K, J>,
    outputs: &'r mut Outputs<'o, T, K>,
}

impl<T, L, const K: usize, const J: usize> Passes<T, L, K, J>
    for LongRow<'_, '_, '_, '_, T, L, K, J>
where
    T: Element,
    L: PairLoss<T, K, J>,
{
    fn sums(&mut self, exponents: Option<[i32; K]>) -> [f64; J] {
        let all = 0..self.chunks.pairs.len;
        self.chunks.sums(self.outputs, all, exponents)
    }

    fn largest(&mut self) -> [T; K] {
        self.chunks.largest(self.outputs)
    }

    fn write(&mut self, factors: Option<L::Factors>) {
        let all = 0..self.chunks.pairs.len;
        self.chunks.write(self.outputs.reborrow(), all, factors);
    }
}

/// The chunks that a unit's rows are cut into.
struct Chunks<'r, 'i, 'a, T: Element, L: PairLoss<T, K, J>, const K: usize, const J: usize> {
    pairs: &'r Pairs<'i, T, L, K, J>,
    plan: &'r Plan<'a, T>,
    at: (usize, usize),
}

impl<T, L, const K: usize, const J: usize> Chunks<'_, '_, '_, T, L, K, J>
where
    T: Element,
    L: PairLoss<T, K, J>,
{
    /// The sums over whole chunks, added as a binary tree whose left half is the largest power of
    /// two of them.
    fn sums(
        &self,
        outputs: &Outputs<'_, T, K>,
        entries: Range<usize>,
        exponents: Option<[i32; K]>,
    ) -> [f64; J] {
        let Some(middle) = middle(&entries) else {
            let mut scratch = Scratch::for_rows_of(outputs);
            let pass = SumPass {
                chunks: self,
                outputs,
                entries,
                exponents,
                scratch: scratch.as_mut(),
            };
            return dispatch(self.plan.exec.level, pass);
        };
        let (left, right) = self.join(
            || self.sums(outputs, entries.start..middle, exponents),
            || self.sums(outputs, middle..entries.end, exponents),
        );
        let mut sums = left;
        for (sum, right) in sums.iter_mut().zip(right) {
            *sum += right;
        }
        sums
    }

    fn largest(&self, outputs: &Outputs<'_, T, K>) -> [T; K] {
        let mut scratch = Scratch::for_rows_of(outputs);
        let pass = LargestPass {
            chunks: self,
            outputs,
            scratch: scratch.as_mut(),
        };
        dispatch(self.plan.exec.level, pass)
    }

    fn write(
        &self,
        mut outputs: Outputs<'_, T, K>,
        entries: Range<usize>,
        factors: Option<L::Factors>,
    ) {
        match middle(&entries) {
            Some(middle) => {
                let (left, right) = outputs.split(Along::Classes, middle);
                self.join(
                    || self.write(left, entries.start..middle, factors),
                    || self.write(right, middle..entries.end, factors),
                );
            }
            None => {
                let mut scratch = Scratch::for_rows_of(&outputs);
                let pass = GradPass {
                    chunks: self,
                    outputs: &mut outputs,
                    entries,
                    factors,
                    scratch: scratch.as_mut(),
                };
                dispatch(self.plan.exec.level, pass);
            }
        }
    }

    fn join<A: Send, B: Send>(
        &self,
        left: impl FnOnce() -> A + Send,
        right: impl FnOnce() -> B + Send,
    ) -> (A, B) {
        let rows = self.plan.grid.samples * self.plan.grid.units;
        if self.plan.exec.threading == Threading::Auto && rows <= FEW_ROWS {
            rayon::join(left, right)
        } else {
            (left(), right())
        }
    }
}

/// Where entries of several chunks are cut in two.
fn middle(entries: &Range<usize>) -> Option<usize> {
    let chunks = entries.len().div_ceil(CHUNK);
    (chunks > 1).then(|| entries.start + chunks.next_power_of_two() / 2 * CHUNK)
}

struct SumPass<'p, 'r, 'i, 'a, 'o, T: Element, L: PairLoss<T, K, J>, const K: usize, const J: usize>
{
    chunks: &'p Chunks<'r, 'i, 'a, T, L, K, J>,
    outputs: &'p Outputs<'o, T, K>,
    entries: Range<usize>,
    exponents: Option<[i32; K]>,
    scratch: Option<&'p mut Scratch<T, K>>,
}

impl<T, L, const K: usize, const J: usize> Kernel for SumPass<'_, '_, '_, '_, '_, T, L, K, J>
where
    T: Element,
    L: PairLoss<T, K, J>,
{
    type Home = L;
    type Output = [f64; J];

    #[inline(always)]
    fn run<S: Isa>(mut self, simd: S) -> [f64; J] {
        let Chunks { pairs, at, .. } = *self.chunks;
        let (entries, scratch) = (self.entries, &mut self.scratch);
        pairs.sums(simd, self.outputs, at, entries, self.exponents, scratch)
    }
}

struct LargestPass<
    'p,
    'r,
    'i,
    'a,
    'o,
    T: Element,
    L: PairLoss<T, K, J>,
    const K: usize,
    const J: usize,
> {
    chunks: &'p Chunks<'r, 'i, 'a, T, L, K, J>,
    outputs: &'p Outputs<'o, T, K>,
    scratch: Option<&'p mut Scratch<T, K>>,
}

impl<T, L, const K: usize, const J: usize> Kernel for LargestPass<'_, '_, '_, '_, '_, T, L, K, J>
where
    T: Element,
    L: PairLoss<T, K, J>,
{
    type Home = L;
    type Output = [T; K];

    #[inline(always)]
    fn run<S: Isa>(mut self, simd: S) -> [T; K] {
        let Chunks { pairs, at, .. } = *self.chunks;
        let (all, scratch) = (0..pairs.len, &mut self.scratch);
        pairs.largest(simd, self.outputs, at, all, scratch)
    }
}

struct GradPass<
    'p,
    'r,
    'i,
    'a,
    'o,
    T: Element,
    L: PairLoss<T, K, J>,
    const K: usize,
    const J: usize,
> {
    chunks: &'p Chunks<'r, 'i, 'a, T, L, K, J>,
    outputs: &'p mut Outputs<'o, T, K>,
    entries: Range<usize>,
    factors: Option<L::Factors>,
    scratch: Option<&'p mut Scratch<T, K>>,
}

impl<T, L, const K: usize, const J: usize> Kernel for GradPass<'_, '_, '_, '_, '_, T, L, K, J>
where
    T: Element,
    L: PairLoss<T, K, J>,
{
    type Home = L;
    type Output = ();

    #[inline(always)]
    fn run<S: Isa>(mut self, simd: S) {
        let Chunks { pairs, at, .. } = *self.chunks;
        let (entries, scratch) = (self.entries, &mut self.scratch);
        pairs.write(simd, self.outputs, at, entries, self.factors, scratch);
    }
}
