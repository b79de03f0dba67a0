use super::{Outputs, Plan, TreeSum};
use crate::Threading;
use crate::element::Element;
use crate::parallel::TASK_WORK;
use crate::tensor::Along;
use core::ops::Range;

/// Elements of work below which a call stays on its thread: waking another costs some
/// microseconds, which is what this many elements take.
const PARALLEL_WORK: usize = 1 << 15;

/// The most tasks for each thread, and at least half of them where all are large enough: several, so
/// that threads which are held up take fewer than others; few, for each costs half a microsecond.
const TASKS_A_THREAD: usize = 16;

/// A driver's unit of work: some units of a sample.
pub(crate) trait Leaf<T: Element, const K: usize = 1>: Sync {
    /// How many units a leaf has; a function of the units' own extent.
    fn units(&self) -> usize;

    /// How many elements a unit stands for.
    fn cost(&self) -> usize;

    /// Runs `units`, at most a leaf, of each of `samples`. Where `units` are all that a sample has,
    /// `finish` is set and each sample's loss is to be written; the sum of the last one's terms is
    /// returned.
    fn run(
        &self,
        plan: &Plan<'_, T>,
        outputs: &mut Outputs<'_, T, K>,
        samples: Range<usize>,
        units: Range<usize>,
        finish: bool,
    ) -> f64;

    /// Runs the leaves that `units` of a sample are cut into, and returns the sum of all terms: of the
    /// leaves' sums as a [`TreeSum`].
    fn run_leaves(
        &self,
        plan: &Plan<'_, T>,
        outputs: &mut Outputs<'_, T, K>,
        sample: usize,
        units: Range<usize>,
    ) -> f64 {
        let mut sum = TreeSum::new();
        for start in units.clone().step_by(self.units()) {
            let leaf = start..units.end.min(start + self.units());
            sum.add(self.run(plan, outputs, sample..sample + 1, leaf, false));
        }
        sum.total()
    }
}

/// Runs every leaf of every sample, on the calling thread or spread over the current pool.
///
/// A sample's leaves and the tree that adds their sums depend on how many units a sample has and
/// on nothing else, so neither threads nor the rest of the batch change its bits.
pub(crate) fn run<T: Element, const K: usize>(
    plan: &Plan<'_, T>,
    outputs: &mut Outputs<'_, T, K>,
    leaf: &dyn Leaf<T, K>,
) {
    let work = plan
        .grid
        .samples
        .saturating_mul(plan.grid.units)
        .saturating_mul(leaf.cost());
    let mut task = usize::MAX;
    if plan.exec.threading == Threading::Auto && work >= PARALLEL_WORK {
        let threads = rayon::current_num_threads();
        if threads > 1 {
            task = TASK_WORK.max(work / threads.saturating_mul(TASKS_A_THREAD));
        }
    }
    Schedule { plan, leaf, task }.samples(outputs, 0..plan.grid.samples);
}

struct Schedule<'s, 'a, T, const K: usize> {
    plan: &'s Plan<'a, T>,
    leaf: &'s dyn Leaf<T, K>,
    /// Elements of work in a task, which are not shared among threads.
    task: usize,
}

impl<T: Element, const K: usize> Schedule<'_, '_, T, K> {
    fn samples(&self, outputs: &mut Outputs<'_, T, K>, samples: Range<usize>) {
        let units = self.plan.grid.units;
        let work = samples
            .len()
            .saturating_mul(units)
            .saturating_mul(self.leaf.cost());
        if samples.len() > 1 && self.shares(work) {
            let middle = samples.start + samples.len() / 2;
            let (mut head, mut tail) = outputs.reborrow().split(Along::Samples, middle);
            rayon::join(
                || self.samples(&mut head, samples.start..middle),
                || self.samples(&mut tail, middle..samples.end),
            );
        } else if units <= self.leaf.units() {
            self.leaf.run(self.plan, outputs, samples, 0..units, true);
        } else {
            for sample in samples {
                let sum = self.leaves(outputs, sample, 0..units);
                outputs.finish(self.plan, sample, sum);
            }
        }
    }

    /// Whether so many elements of work are shared by two threads.
    fn shares(&self, work: usize) -> bool {
        work / 2 >= self.task
    }

    /// The sum of a sample's terms: a binary tree over leaves, the left half the largest power of
    /// two of them.
    fn leaves(&self, outputs: &mut Outputs<'_, T, K>, sample: usize, units: Range<usize>) -> f64 {
        let leaves = units.len().div_ceil(self.leaf.units());
        let work = units.len().saturating_mul(self.leaf.cost());
        if leaves <= 1 || !self.shares(work) {
            return self.leaf.run_leaves(self.plan, outputs, sample, units);
        }
        let middle = units.start + leaves.next_power_of_two() / 2 * self.leaf.units();
        let (mut head, mut tail) = outputs.reborrow().split(Along::Units, middle);
        let (left, right) = rayon::join(
            || self.leaves(&mut head, sample, units.start..middle),
            || self.leaves(&mut tail, sample, middle..units.end),
        );
        left + right
    }
}
