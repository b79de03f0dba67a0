//! Losses of one prediction at a time.
//!
//! The driver finds the memory of a stretch of neighbouring units and hands it to the formula's kernel
//! ([`stretch`]), the only part that is compiled for each formula and instruction set. What does not lie
//! in runs is copied to and from a room of its own ([`room`]), a block at a time.

mod room;
mod stretch;

use super::flat::{Losses, MOST_SAMPLES, MOST_VALUES};
use super::plan::Scale;
use super::schedule::{self, Leaf};
use super::terms::block;
use super::{Flat, Outputs, Plan, Work};
use crate::element::Element;
use crate::simd::{Float, Isa, LaneTotals, Lanes, fence};
use crate::tensor::{Lines, Source};
use core::ops::Range;
use room::Copies;
use stretch::{Formulas, Kernels, Stretches};

/// A loss of one prediction at a time: one formula gives the value and its derivative.
///
/// `inputs` are the label and, for some losses, more (a weight of positive examples, say).
pub trait Elementwise<T: Element, const K: usize>: Copy + Send + Sync {
    /// Whether it takes less time than memory does: arithmetic alone, no functions.
    const LIGHT: bool = false;

    fn eval<S: Isa>(self, pred: Lanes<T, S>, inputs: [Lanes<T, S>; K]) -> ValueGrad<T, S>;
}

/// A loss and its derivative with respect to the prediction.
#[derive(Clone, Copy)]
pub struct ValueGrad<T: Element, S: Isa> {
    pub(crate) value: Lanes<T, S>,
    pub(crate) grad: Lanes<T, S>,
}

/// Vectors in a leaf: 64 KiB of each operand, enough to hide a task's cost, few enough to share.
const LEAF_VECTORS: usize = 1024;

// The samples of a flat call are one leaf each, as they would be in any other call, and one group.
const _: () = assert!(MOST_VALUES <= LEAF_VECTORS * <f64 as Float>::LANES);
const _: () = assert!(MOST_SAMPLES <= stretch::SAMPLES);

/// A checked call of an elementwise loss with `K` inputs.
pub(crate) trait Elements<T: Element, const K: usize> {
    /// Computes the loss, its gradient, or both.
    fn run<E: Elementwise<T, K>>(self, formula: E);
}

impl<T: Element, const K: usize> Elements<T, K> for Work<'_, '_, T, [Source<'_, T>; K]> {
    fn run<E: Elementwise<T, K>>(self, formula: E) {
        let Work {
            plan,
            inputs,
            outputs,
        } = self;
        let loss = outputs.each.is_some() || outputs.totals.is_some();
        let grad = outputs.wants_gradient();
        // Past the caches there is time enough for losses that nobody asked for.
        let stream = grad && plan.streams(E::LIGHT, 1) && (loss || outputs.is_run());
        let formulas = Formulas::new(formula);
        let driver = Driver {
            kernels: formulas.kernels(loss || stream, grad),
            inputs: &inputs,
            stream,
        };
        schedule::run(plan, outputs, &driver);
    }
}

impl<T: Element, const K: usize> Elements<T, K> for Flat<'_, T, [&[T]; K]> {
    fn run<E: Elementwise<T, K>>(self, formula: E) {
        let Flat {
            level,
            scaling,
            samples,
            units,
            operands: [pred],
            inputs,
            losses,
            ..
        } = self;
        let (each, totals) = match losses {
            Losses::Unwanted => (None, None),
            Losses::Units(each) => (Some(Lines::of_slice_mut(each).cut(samples, units)), None),
            Losses::Samples(totals) => (None, Some(totals)),
        };
        let formulas = Formulas::new(formula);
        let kernels = formulas.kernels(each.is_some() || totals.is_some(), pred.is_written());
        let scales = [Some(scaling.scale(1.0, 1.0)); MOST_SAMPLES];
        let mut sums = [0.0; MOST_SAMPLES];
        let mut stretches = Stretches {
            pred: pred.cut(samples, units),
            inputs: inputs.map(|input| Lines::of_slice(input).cut(samples, units)),
            factors: None,
            each,
            scales: &scales[..samples],
            carried: None,
            stream: false,
        };
        kernels.run(level, &mut stretches, &mut sums[..samples]);
        if let Some(totals) = totals {
            for (total, sum) in totals.iter_mut().zip(sums) {
                *total = scaling.total(1.0, sum);
            }
        }
    }
}

struct Driver<'i, T, const K: usize> {
    kernels: &'i dyn Kernels<T, K>,
    inputs: &'i [Source<'i, T>; K],
    /// Whether gradients go past the caches.
    stream: bool,
}

impl<T: Element, const K: usize> Leaf<T> for Driver<'_, T, K> {
    fn units(&self) -> usize {
        LEAF_VECTORS * T::LANES
    }

    fn cost(&self) -> usize {
        1
    }

    fn run(
        &self,
        plan: &Plan<'_, T>,
        outputs: &mut Outputs<'_, T>,
        samples: Range<usize>,
        units: Range<usize>,
        finish: bool,
    ) -> f64 {
        let in_runs =
            plan.is_uniform() && outputs.is_run() && self.inputs.iter().all(|input| input.is_run());
        let run = Run {
            driver: self,
            plan,
            outputs,
            units,
            finish,
        };
        let sum = match in_runs {
            true => run.samples(samples, None),
            false => run.samples_with_room(samples),
        };
        if self.stream {
            fence(plan.exec.level);
        }
        sum
    }
}

/// The work of one leaf, or of a run of samples that have one leaf each.
struct Run<'r, 'i, 'a, 'o, T, const K: usize> {
    driver: &'r Driver<'i, T, K>,
    plan: &'r Plan<'a, T>,
    outputs: &'r mut Outputs<'o, T>,
    units: Range<usize>,
    finish: bool,
}

impl<T: Element, const K: usize> Run<'_, '_, '_, '_, T, K> {
    /// A function of its own, so that who needs no room does not wait until it is cleared.
    #[inline(never)]
    fn samples_with_room(self, samples: Range<usize>) -> f64 {
        self.samples(samples, Some(&mut Copies::new()))
    }

    /// Computes the units of all samples, with `room` if not all of them lie in runs.
    fn samples(mut self, samples: Range<usize>, mut room: Option<&mut Copies<T, K>>) -> f64 {
        let shared = self.plan.is_constant().then(|| self.scale(0));
        let mut sum = 0.0;
        for first in samples.clone().step_by(stretch::SAMPLES) {
            let some = first..samples.end.min(first + stretch::SAMPLES);
            let mut scales = [shared.unwrap_or(None); stretch::SAMPLES];
            let mut sums = [0.0; stretch::SAMPLES];
            if shared.is_none() {
                for (scale, sample) in scales.iter_mut().zip(some.clone()) {
                    *scale = self.scale(sample);
                }
            }
            let (scales, sums) = (&scales[..some.len()], &mut sums[..some.len()]);
            if let Some(copies) = &mut room {
                for (sample, (scale, sum)) in some.clone().zip(scales.iter().zip(&mut *sums)) {
                    if scale.is_some() {
                        *sum = self.in_blocks(sample, scale, copies);
                    }
                }
            } else if !self.units.is_empty() {
                self.in_lines(some.clone(), scales, sums);
            }
            for (sample, (scale, total)) in some.zip(scales.iter().zip(sums)) {
                if scale.is_none() {
                    self.outputs.mask(sample, self.units.clone());
                }
                sum = *total;
                if self.finish {
                    self.outputs.finish(self.plan, sample, sum);
                }
            }
        }
        sum
    }

    /// The factors of a sample's units, unless it is masked.
    fn scale(&self, sample: usize) -> Option<Scale<T>> {
        (!self.plan.is_masked(sample)).then(|| self.plan.scale(sample))
    }

    /// Computes the units of some samples, all of which lie in runs.
    fn in_lines(&mut self, samples: Range<usize>, scales: &[Option<Scale<T>>], sums: &mut [f64]) {
        let units = &self.units;
        let inputs = self.driver.inputs.each_ref();
        let each = self.outputs.each.as_mut();
        let mut stretches = Stretches {
            inputs: inputs.map(|input| input.stretches(samples.clone(), units.clone())),
            factors: None,
            each: each.map(|each| each.stretches(samples.clone(), units.clone())),
            pred: self.outputs.operands[0].stretches(samples, units.clone()),
            scales,
            carried: None,
            stream: self.driver.stream,
        };
        let kernels = self.driver.kernels;
        kernels.run(self.plan.exec.level, &mut stretches, sums);
    }

    /// Computes the units of a sample, a block at a time, and returns the sum of their terms.
    fn in_blocks(
        &mut self,
        sample: usize,
        scale: &Option<Scale<T>>,
        copies: &mut Copies<T, K>,
    ) -> f64 {
        let mut sum = [0.0];
        let mut carried = LaneTotals::default();
        for at in self.units.clone().step_by(block::<T>()) {
            let units = at..self.units.end.min(at + block::<T>());
            let len = units.len();
            let mut buffers = copies.inputs.iter_mut();
            let inputs = self.driver.inputs.each_ref().map(|input| {
                let buffer = buffers.next().expect("a buffer for each input");
                Lines::of_slice(input.stretch_or(sample, units.clone(), buffer))
            });
            let mut factors = None;
            if !self.plan.is_uniform() {
                let [weight, loss, grad] = copies.factors.each_mut().map(|buffer| &mut buffer[..]);
                let buffers = [&mut *weight, &mut *loss, &mut *grad];
                self.plan.factors(sample, units.clone(), buffers);
                factors = Some([&weight[..len], &loss[..len], &grad[..len]]);
            }
            let mut each_copied = false;
            let each = self.outputs.each.as_mut().map(|each| {
                let (place, copied) = each.stretch_or(sample, units.clone(), &mut copies.each);
                each_copied = copied;
                Lines::of_slice_mut(place)
            });
            let (pred, copied) =
                self.outputs.operands[0].stretch_or(sample, units, &mut copies.pred);
            let mut stretches = Stretches {
                pred,
                inputs,
                factors,
                each,
                scales: core::slice::from_ref(scale),
                carried: Some(&mut carried),
                stream: self.driver.stream && !copied,
            };
            let kernels = self.driver.kernels;
            kernels.run(self.plan.exec.level, &mut stretches, &mut sum);

            if copied && let Some(grad) = self.outputs.pred().grad() {
                grad.write(sample, at, &copies.pred[..len]);
            }
            if each_copied && let Some(each) = &mut self.outputs.each {
                each.write(sample, at, &copies.each[..len]);
            }
        }
        sum[0]
    }
}
