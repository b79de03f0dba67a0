//! Losses of several vectors that belong together: triplets, and pairs compared by their angle.
//!
//! A unit is a row of each of the `K` operands. The first pass adds a few sums of products over the
//! entries of the rows; from these the loss makes its value and a few factors; with them the second
//! pass turns entries into gradients, each row still in the cache. Where rows lie in lines, the second
//! pass of a group of units is one loop with the first of the next ([`groups`]), since memory that is
//! read and written in turns is idle half of the time. Rows too long for one thread are cut into chunks
//! ([`long`]).

mod entries;
mod groups;
mod long;
mod row;
mod scratch;

use super::schedule::{self, Leaf};
use super::unit_scale::UnitScales;
use super::{Operand, Outputs, Plan, TreeSum, Work};
use crate::Stores;
use crate::element::Element;
use crate::simd::{Isa, Kernel, Lanes, Sum, dispatch, is_intel};
use crate::tensor::Lines;
use core::ops::Range;
use entries::{Ahead, PastCaches};
use row::{InPieces, Passes};
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

// Units of several chunks are leaves of their own.
const _: () = assert!(long::CHUNK >= LEAF_ENTRIES);

/// The most units in a leaf.
const LEAF_UNITS: usize = 1024;

/// Units whose rows are found at a time.
const UNITS: usize = 64;

/// How many bytes ahead memory is asked for, to read and to write.
pub(super) const AHEAD: usize = 1536;

/// The shortest rows whose gradients are written late: pairs by their angle of half the length take 1.3
/// times as long if they are late.
const LEAST_LATE: usize = 64;

/// Entries of all rows of a unit from which on its gradients go past the caches: with triplets of 100
/// nothing is won, with pairs of 128 up to a fifth is lost.
const LEAST_STREAMED: usize = 384;

/// The operands' rows, and their labels.
struct Pairs<'i, T: Element, L: PairLoss<T, K, J>, const K: usize, const J: usize> {
    loss: L,
    labels: L::Labels<'i>,
    /// Entries in a row.
    len: usize,
    ahead: Ahead,
    /// Whether all gradients are wanted and, where rows lie in lines, written late: while the next group
    /// of units is summed.
    late: bool,
    /// Which gradients go past the caches, of rows that lie in lines.
    past_caches: PastCaches,
}

/// Computes a loss of several operands and the gradients that are wanted, given the labels and the
/// length of the rows.
pub(crate) fn run<'a, T: Element, L: PairLoss<T, K, J>, const K: usize, const J: usize>(
    loss: L,
    work: Work<'_, '_, T, (L::Labels<'a>, usize), K>,
) {
    let (labels, len) = work.inputs;
    let all_wanted = work
        .outputs
        .operands
        .iter_mut()
        .all(|operand| operand.grad().is_some());
    // Reading and writing at once, both losses take no longer than memory does.
    let light = true;
    let late = all_wanted && len >= LEAST_LATE;
    let past_caches = match work.plan.exec.stores {
        _ if !late || K * len < LEAST_STREAMED || !work.plan.streams(light, K) => {
            PastCaches::Nothing
        }
        // Several runs that are written in parts of lines take from 0.8 to 2.2 times as long as by way of
        // the caches: which of it differs from program to program.
        Stores::Auto => PastCaches::WholeLines,
        _ => PastCaches::Everything,
    };
    let pairs = Pairs::<_, _, K, J> {
        loss,
        labels,
        len,
        ahead: match (is_intel(), past_caches != PastCaches::Nothing) {
            // Others ask for as much by themselves, and are up to a tenth slower if they are told.
            (false, _) => Ahead::Nothing,
            (true, false) => Ahead::SourcesAndTargets,
            (true, true) => Ahead::Sources,
        },
        late,
        past_caches,
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
        self.run_whole_leaves(plan, outputs, samples, units, finish)
    }

    /// In one kernel.
    fn run_leaves(
        &self,
        plan: &Plan<'_, T>,
        outputs: &mut Outputs<'_, T, K>,
        sample: usize,
        units: Range<usize>,
    ) -> f64 {
        self.run_whole_leaves(plan, outputs, sample..sample + 1, units, false)
    }
}

/// The work of some leaves of short rows of a sample, or of a run of samples that have one leaf each.
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
        let leaf = pairs.units();
        if units.is_empty() && finish {
            for sample in samples.clone() {
                outputs.finish(plan, sample, 0.0);
            }
        }
        let scales = UnitScales::new(plan);
        let mut losses = [T::ZERO; UNITS];
        let (mut sum, mut total) = (0.0, TreeSum::new());
        // Several samples, or several units of one.
        let many = (UNITS / units.len().max(1)).max(1);
        for first in samples.clone().step_by(many) {
            let some = first..samples.end.min(first + many);
            for start in units.clone().step_by(UNITS) {
                let part = start..units.end.min(start + UNITS);
                let which = [&some, &part];
                pairs.rows(simd, outputs, &scales, which, &mut losses, &mut scratch);
                let mut losses = &mut losses[..];
                for sample in some.clone() {
                    if part.start == units.start {
                        total.clear();
                    }
                    let mut start = part.start;
                    while start < part.end {
                        let left_of_leaf = leaf - (start - units.start) % leaf;
                        let end = part.end.min(start + left_of_leaf);
                        let (of_leaf, others) = losses.split_at_mut(end - start);
                        losses = others;
                        scales.emit(outputs, sample, start..end, of_leaf, &mut sum);
                        if end - start == left_of_leaf || end == units.end {
                            total.add(sum);
                            sum = 0.0;
                        }
                        start = end;
                    }
                    if finish && part.end == units.end {
                        outputs.finish(plan, sample, total.total());
                    }
                }
            }
        }
        if pairs.past_caches != PastCaches::Nothing {
            simd.fence();
        }
        total.total()
    }
}

impl<T, L, const K: usize, const J: usize> Pairs<'_, T, L, K, J>
where
    T: Element,
    L: PairLoss<T, K, J>,
{
    /// As [`Leaf::run`], of units of whole leaves.
    fn run_whole_leaves(
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

    /// The losses of some units of some samples, in the order of visits, and their gradients.
    #[inline(always)]
    fn rows<S: Isa>(
        &self,
        simd: S,
        outputs: &mut Outputs<'_, T, K>,
        scales: &UnitScales<'_, '_, T>,
        [samples, units]: [&Range<usize>; 2],
        losses: &mut [T; UNITS],
        scratch: &mut Option<&mut Scratch<T, K>>,
    ) {
        let mut lines = None;
        if scratch.is_none() {
            lines = lines_of(&mut outputs.operands, samples, units);
        }
        let Some(mut lines) = lines else {
            let mut losses = losses.iter_mut();
            for sample in samples.clone() {
                for unit in units.clone() {
                    let loss = losses.next().expect("a place for each unit");
                    let Some(scale) = scales.of(sample, unit) else {
                        continue;
                    };
                    let mut row = InPieces {
                        simd,
                        pairs: self,
                        outputs: &mut *outputs,
                        at: (sample, unit),
                        scratch: scratch.as_deref_mut(),
                    };
                    let label = L::label(&self.labels, sample, unit);
                    *loss = row.complete(self.loss, label, scale.grad);
                }
            }
            return;
        };
        self.in_groups(simd, &mut lines, scales, [samples, units], losses);
    }
}

/// The rows of all operands, if those of each lie a stride apart.
fn lines_of<'o, T: Element, const K: usize>(
    operands: &'o mut [Operand<'_, T>; K],
    samples: &Range<usize>,
    units: &Range<usize>,
) -> Option<[Lines<'o, T>; K]> {
    let lines = operands
        .each_mut()
        .map(|operand| operand.rows(samples.clone(), units.clone()));
    if lines.iter().any(Option::is_none) {
        return None;
    }
    Some(lines.map(|lines| lines.expect("all of them were found")))
}
