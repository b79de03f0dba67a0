use super::row::exponents_of;
use super::scratch::Scratch;
use super::{PairLoss, Pairs};
use crate::Threading;
use crate::drivers::unit_scale::UnitScale;
use crate::drivers::{Outputs, Plan};
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
    /// Runs units whose rows have several chunks.
    pub(super) fn run_long(
        &self,
        plan: &Plan<'_, T>,
        outputs: &mut Outputs<'_, T, K>,
        samples: Range<usize>,
        units: Range<usize>,
        finish: bool,
    ) -> f64 {
        let mut sum = 0.0;
        for sample in samples {
            sum = 0.0;
            for unit in units.clone() {
                match UnitScale::of(plan, sample, unit) {
                    None => outputs.mask(sample, unit..unit + 1),
                    Some(scale) => {
                        let row = LongRow {
                            pairs: self,
                            plan,
                            at: (sample, unit),
                        };
                        let loss = row.run(outputs, scale.grad);
                        sum += scale.emit(outputs, sample, unit, loss);
                    }
                }
            }
            if finish {
                outputs.finish(plan, sample, sum);
            }
        }
        sum
    }
}

/// A row of several chunks.
struct LongRow<'r, 'i, 'a, T: Element, L: PairLoss<T, K, J>, const K: usize, const J: usize> {
    pairs: &'r Pairs<'i, T, L, K, J>,
    plan: &'r Plan<'a, T>,
    at: (usize, usize),
}

impl<T, L, const K: usize, const J: usize> LongRow<'_, '_, '_, T, L, K, J>
where
    T: Element,
    L: PairLoss<T, K, J>,
{
    fn run(&self, outputs: &mut Outputs<'_, T, K>, coefficient: f64) -> T {
        let all = 0..self.pairs.len;
        let mut exponents = [0; K];
        let mut sums = self.sums(outputs, all.clone(), None);
        if L::SCALE_INVARIANT && !L::are_reliable(sums) {
            exponents = exponents_of(self.largest(outputs));
            sums = self.sums(outputs, all.clone(), Some(exponents));
        }
        let label = L::label(&self.pairs.labels, self.at.0, self.at.1);
        let (loss, factors) = self.pairs.loss.finish(sums, exponents, label, coefficient);
        self.grads(outputs.reborrow(), all, factors);
        loss
    }

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
                row: self,
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
            row: self,
            outputs,
            scratch: scratch.as_mut(),
        };
        dispatch(self.plan.exec.level, pass)
    }

    fn grads(
        &self,
        mut outputs: Outputs<'_, T, K>,
        entries: Range<usize>,
        factors: Option<L::Factors>,
    ) {
        match middle(&entries) {
            Some(middle) => {
                let (left, right) = outputs.split(Along::Classes, middle);
                self.join(
                    || self.grads(left, entries.start..middle, factors),
                    || self.grads(right, middle..entries.end, factors),
                );
            }
            None => {
                let mut scratch = Scratch::for_rows_of(&outputs);
                let pass = GradPass {
                    row: self,
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
    row: &'p LongRow<'r, 'i, 'a, T, L, K, J>,
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
        let LongRow { pairs, at, .. } = *self.row;
        let (outputs, entries, scratch) = (self.outputs, self.entries, &mut self.scratch);
        match self.exponents {
            None => pairs.sums::<S, false>(simd, outputs, at, entries, [0; K], scratch),
            Some(by) => pairs.sums::<S, true>(simd, outputs, at, entries, by, scratch),
        }
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
    row: &'p LongRow<'r, 'i, 'a, T, L, K, J>,
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
        let all = 0..self.row.pairs.len;
        Pairs::<T, L, K, J>::largest(simd, self.outputs, self.row.at, all, &mut self.scratch)
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
    row: &'p LongRow<'r, 'i, 'a, T, L, K, J>,
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
        let LongRow { pairs, at, .. } = *self.row;
        let (outputs, scratch) = (self.outputs, &mut self.scratch);
        pairs.grads(simd, outputs, at, self.entries, self.factors, scratch);
    }
}
