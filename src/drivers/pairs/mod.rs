//! Losses of several vectors that belong together: triplets, and pairs compared by their angle.
//!
//! A unit is a row of each of the `K` operands. The first pass adds a few sums of products over the
//! entries of the rows; from these the loss makes its value and a few factors; with them the second
//! pass turns entries into gradients, each row still in the cache. Rows too long for one thread are
//! cut into chunks ([`long`]).

mod long;
mod row;
mod scratch;

use super::schedule::{self, Leaf};
use super::unit_scale::UnitScale;
use super::{Outputs, Plan, Work};
use crate::element::Element;
use crate::simd::{Isa, Kernel, Lanes, Sum, dispatch};
use core::ops::Range;
use scratch::Scratch;

/// A loss of rows of `K` operands, made from `J` sums over their entries.
pub trait PairLoss<T: Element, const K: usize, const J: usize>: Copy + Send + Sync {
    /// The labels of all units.
    type Labels<'a>: Sync;
    /// The label of one unit.
    type Label: Copy;
    /// What the gradients of all entries of a unit are made with.
    type Factors: Copy + Send + Sync;

    /// Whether the loss is the same for rows multiplied by a number, which then may be done where
    /// [`are_reliable`](Self::are_reliable) says that products of their entries leave the range of
    /// f64.
    const SCALE_INVARIANT: bool;

    /// The label of a unit.
    fn label(labels: &Self::Labels<'_>, sample: usize, unit: usize) -> Self::Label;

    /// Adds what some entries contribute to the sums.
    fn add<S: Isa>(self, entries: [Lanes<T, S>; K], sums: &mut [Sum<S>; J]);

    /// Whether no product has left the range of f64.
    fn are_reliable(sums: [f64; J]) -> bool;

    /// The loss, and the factors of its gradient times `coefficient`; no factors where the gradient
    /// is 0. The sums are those of the entries times 2 to the power of `exponents`.
    fn finish(
        self,
        sums: [f64; J],
        exponents: [i32; K],
        label: Self::Label,
        coefficient: f64,
    ) -> (T, Option<Self::Factors>);

    /// The gradients of some entries.
    fn grads<S: Isa>(self, entries: [Lanes<T, S>; K], factors: Self::Factors) -> [Lanes<T, S>; K];
}

/// Entries in a leaf of several units, of each operand.
const LEAF_ENTRIES: usize = 1 << 13;

/// The most units in a leaf.
const LEAF_UNITS: usize = 1024;

/// The operands' rows, and their labels.
struct Pairs<'i, T: Element, L: PairLoss<T, K, J>, const K: usize, const J: usize> {
    loss: L,
    labels: L::Labels<'i>,
    /// Entries in a row.
    len: usize,
    /// Whether operands and gradients are too large for the caches. Gradients are written through
    /// them all the same: rows of several operands in turn, past them, are slower.
    large: bool,
}

/// Computes a loss of several operands and the gradients that are wanted, given the labels and the
/// length of the rows.
pub(crate) fn run<'a, T: Element, L: PairLoss<T, K, J>, const K: usize, const J: usize>(
    loss: L,
    work: Work<'a, T, (L::Labels<'a>, usize), K>,
) {
    let (labels, len) = work.inputs;
    let pairs = Pairs::<_, _, K, J> {
        loss,
        labels,
        len,
        large: work.plan.stream,
    };
    schedule::run(work.plan, work.outputs, &pairs);
}

impl<T, L, const K: usize, const J: usize> Leaf<T, K> for Pairs<'_, T, L, K, J>
where
    T: Element,
    L: PairLoss<T, K, J>,
{
    fn units(&self) -> usize {
        (LEAF_ENTRIES / self.len.max(1)).clamp(1, LEAF_UNITS)
    }

    fn cost(&self) -> usize {
        K * self.len.max(1)
    }

    fn run(
        &self,
        plan: &Plan<'_, T>,
        outputs: &mut Outputs<'_, T, K>,
        samples: Range<usize>,
        units: Range<usize>,
        finish: bool,
    ) -> f64 {
        if self.len > long::CHUNK {
            return self.run_long(plan, outputs, samples, units, finish);
        }
        let mut scratch = Scratch::for_rows_of(outputs);
        let run = Run {
            pairs: self,
            plan,
            outputs,
            samples,
            units,
            finish,
            scratch: scratch.as_mut(),
        };
        dispatch(plan.exec.level, run)
    }
}

/// The work of one leaf of short rows, or of a run of samples that have one leaf each.
struct Run<'r, 'i, 'a, 'o, T: Element, L: PairLoss<T, K, J>, const K: usize, const J: usize> {
    pairs: &'r Pairs<'i, T, L, K, J>,
    plan: &'r Plan<'a, T>,
    outputs: &'r mut Outputs<'o, T, K>,
    samples: Range<usize>,
    units: Range<usize>,
    finish: bool,
    scratch: Option<&'r mut Scratch<T, K>>,
}

impl<T, L, const K: usize, const J: usize> Kernel for Run<'_, '_, '_, '_, T, L, K, J>
where
    T: Element,
    L: PairLoss<T, K, J>,
{
    type Home = L;
    type Output = f64;

    #[inline(always)]
    fn run<S: Isa>(self, simd: S) -> f64 {
        let Self {
            pairs,
            plan,
            outputs,
            samples,
            units,
            finish,
            mut scratch,
        } = self;
        let mut sum = 0.0;
        for sample in samples {
            sum = 0.0;
            for unit in units.clone() {
                let Some(scale) = UnitScale::of(plan, sample, unit) else {
                    outputs.mask(sample, unit..unit + 1);
                    continue;
                };
                let at = (sample, unit);
                let loss = pairs.row(simd, outputs, at, scale.grad, &mut scratch);
                sum += scale.emit(outputs, sample, unit, loss);
            }
            if finish {
                outputs.finish(plan, sample, sum);
            }
        }
        sum
    }
}
