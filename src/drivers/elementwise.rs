use super::schedule::{self, Leaf};
use super::terms::{Terms, block, sum_terms};
use super::{Outputs, Plan, Work};
use crate::element::Element;
use crate::simd::{InOut, Isa, Kernel, Lanes, Mask, Sum, Trail, dispatch, prefetch};
use crate::tensor::Source;
use core::ops::Range;

/// A loss of one prediction at a time: one formula gives the value and its derivative.
///
/// `inputs` are the label and, for some losses, more (a weight of positive examples, say).
pub trait Elementwise<T: Element, const K: usize>: Copy + Send + Sync {
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

/// How many bytes ahead memory is asked for.
const AHEAD: usize = 1536;

/// The same beside stores past the caches, which delay what is read.
const AHEAD_OF_STORES: usize = 2048;

/// The same for a page that gradients will be written to: finding it takes the processor longer than a
/// line does.
const PAGES_AHEAD: usize = 8192;

/// Gradients that are written past the caches at a time, a whole number of blocks.
const STREAMED: usize = 1024;

/// The longest block of any type, in elements: what a copied stretch needs room for.
const LONGEST_BLOCK: usize = block::<f32>();

/// Computes an elementwise loss, its gradient, or both.
pub(crate) fn run<T: Element, const K: usize>(
    formula: impl Elementwise<T, K>,
    work: Work<'_, T, [Source<'_, T>; K]>,
) {
    let Work {
        plan,
        inputs,
        mut outputs,
    } = work;
    let loss = outputs.each.is_some() || outputs.totals.is_some();
    let grad = outputs.wants_gradient();
    match (loss, grad) {
        (true, true) => {
            schedule::run(
                plan,
                outputs,
                &Driver::<T, _, K, true, true> { formula, inputs },
            );
        }
        (true, false) => {
            schedule::run(
                plan,
                outputs,
                &Driver::<T, _, K, true, false> { formula, inputs },
            );
        }
        (false, _) => {
            schedule::run(
                plan,
                outputs,
                &Driver::<T, _, K, false, true> { formula, inputs },
            );
        }
    }
}

struct Driver<'i, T, E, const K: usize, const LOSS: bool, const GRAD: bool> {
    formula: E,
    inputs: [Source<'i, T>; K],
}

impl<T, E, const K: usize, const LOSS: bool, const GRAD: bool> Leaf<T>
    for Driver<'_, T, E, K, LOSS, GRAD>
where
    T: Element,
    E: Elementwise<T, K>,
{
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
        let mut run = Run::<'_, '_, '_, _, _, K, LOSS, GRAD> {
            formula: self.formula,
            plan,
            inputs: &self.inputs,
            outputs,
            samples,
            units,
            finish,
            scratch: None,
        };
        if in_runs {
            dispatch(plan.exec.level, run)
        } else {
            let mut scratch = Scratch::new();
            run.scratch = Some(&mut scratch);
            dispatch(plan.exec.level, run)
        }
    }
}

/// Room for the operands of one block that do not lie in runs.
struct Scratch<T, const K: usize> {
    pred: [T; LONGEST_BLOCK],
    inputs: [[T; LONGEST_BLOCK]; K],
    each: [T; LONGEST_BLOCK],
    factors: [[T; LONGEST_BLOCK]; 3],
}

/// The same room as slices, empty where none is needed.
struct Buffers<'b, T, const K: usize> {
    pred: &'b mut [T],
    inputs: [&'b mut [T]; K],
    each: &'b mut [T],
    factors: [&'b mut [T]; 3],
}

impl<T: Element, const K: usize> Scratch<T, K> {
    fn new() -> Self {
        let zeros = [T::ZERO; LONGEST_BLOCK];
        Self {
            pred: zeros,
            inputs: [zeros; K],
            each: zeros,
            factors: [zeros; 3],
        }
    }

    fn buffers(scratch: Option<&mut Self>) -> Buffers<'_, T, K> {
        match scratch {
            Some(scratch) => Buffers {
                pred: &mut scratch.pred,
                inputs: scratch.inputs.each_mut().map(|buffer| &mut buffer[..]),
                each: &mut scratch.each,
                factors: scratch.factors.each_mut().map(|buffer| &mut buffer[..]),
            },
            None => Buffers {
                pred: &mut [],
                inputs: core::array::from_fn(|_| &mut [][..]),
                each: &mut [],
                factors: core::array::from_fn(|_| &mut [][..]),
            },
        }
    }
}

/// The work of one leaf, or of a run of samples that have one leaf each.
struct Run<'r, 'a, 'o, T, E, const K: usize, const LOSS: bool, const GRAD: bool> {
    formula: E,
    plan: &'r Plan<'a, T>,
    inputs: &'r [Source<'a, T>; K],
    outputs: &'r mut Outputs<'o, T>,
    samples: Range<usize>,
    units: Range<usize>,
    finish: bool,
    scratch: Option<&'r mut Scratch<T, K>>,
}

impl<T, E, const K: usize, const LOSS: bool, const GRAD: bool> Kernel
    for Run<'_, '_, '_, T, E, K, LOSS, GRAD>
where
    T: Element,
    E: Elementwise<T, K>,
{
    type Home = E;
    type Output = f64;

    #[inline(always)]
    fn run<S: Isa>(mut self, simd: S) -> f64 {
        let mut room;
        let mut buffers = [&mut [][..], &mut [][..]];
        if GRAD && self.plan.stream {
            room = [[T::ZERO; STREAMED]; 2];
            buffers = room.each_mut().map(|buffer| &mut buffer[..]);
        }
        let mut sum = 0.0;
        for sample in self.samples.clone() {
            sum = if self.plan.is_masked(sample) {
                self.outputs.mask(sample, self.units.clone());
                0.0
            } else {
                self.sample(simd, sample, &mut buffers)
            };
            if self.finish {
                self.outputs.finish(self.plan, sample, sum);
            }
        }
        if self.plan.stream {
            simd.fence();
        }
        sum
    }
}

impl<T, E, const K: usize, const LOSS: bool, const GRAD: bool> Run<'_, '_, '_, T, E, K, LOSS, GRAD>
where
    T: Element,
    E: Elementwise<T, K>,
{
    /// Runs a sample's units and sums its terms. Gradients that are written past the caches go through
    /// buffers, one of which is filled while the other is emptied.
    #[inline(always)]
    fn sample<S: Isa>(&mut self, simd: S, sample: usize, streamed: &mut [&mut [T]; 2]) -> f64 {
        let scale = self.plan.scale(sample);
        let mut sums = [Sum::zero(simd)];
        let mut at = self.units.start;
        while at < self.units.end {
            // All at once where they lie in runs, else a block at a time.
            let rest = self.units.end - at;
            let len = if self.scratch.is_none() {
                rest
            } else {
                rest.min(block::<T>())
            };
            let units = at..at + len;
            let buffers = Scratch::buffers(self.scratch.as_deref_mut());

            let mut inputs = [&[][..]; K];
            for ((input, source), buffer) in inputs.iter_mut().zip(self.inputs).zip(buffers.inputs)
            {
                *input = source.stretch(sample, units.clone(), buffer);
            }
            let mut factors = None;
            if !self.plan.is_uniform() {
                let [weight, loss, grad] = buffers.factors;
                self.plan.factors(
                    sample,
                    units.clone(),
                    [&mut *weight, &mut *loss, &mut *grad],
                );
                factors = Some([&weight[..len], &loss[..len], &grad[..len]]);
            }
            let mut each = match &mut self.outputs.each {
                Some(each) => Some(each.stretch_or(sample, units.clone(), buffers.each)),
                None => None,
            };
            let (mut io, copied) =
                self.outputs.operands[0].stretch(sample, units, &mut *buffers.pred);
            let mut past_caches = None;
            if GRAD && !copied && self.plan.stream {
                let (pred, grad) = io.apart();
                io = InOut::read(pred);
                past_caches = Some(grad);
            }
            let mut stretch = Stretch::<'_, '_, _, _, _, K, LOSS, GRAD> {
                simd,
                formula: self.formula,
                io,
                inputs,
                factors,
                each: each.as_mut().map(|(each, _)| &mut **each),
                loss_scale: Lanes::splat(simd, scale.loss),
                grad_scale: Lanes::splat(simd, scale.grad),
                trail: None,
            };
            match past_caches {
                Some(grad) => stretch.sum_past_caches(grad, streamed, &mut sums),
                None => sum_terms(simd, &mut stretch, len, &mut sums),
            }

            let each_copied = each.is_some_and(|(_, copied)| copied);
            if copied && let Some(grad) = self.outputs.pred().grad() {
                grad.write(sample, at, &buffers.pred[..len]);
            }
            if each_copied && let Some(each) = &mut self.outputs.each {
                each.write(sample, at, &buffers.each[..len]);
            }
            at += len;
        }
        sums[0].fold()
    }
}

/// Neighbouring units of a sample and everything that belongs to them.
struct Stretch<'s, 't, T: Element, S: Isa, E, const K: usize, const LOSS: bool, const GRAD: bool> {
    simd: S,
    formula: E,
    io: InOut<'s, T>,
    inputs: [&'s [T]; K],
    /// Each unit's weight and what its loss and its derivative are multiplied by, where these are
    /// not the same for all.
    factors: Option<[&'s [T]; 3]>,
    each: Option<&'s mut [T]>,
    loss_scale: Lanes<T, S>,
    grad_scale: Lanes<T, S>,
    /// Gradients on their way past the caches, where they take it.
    trail: Option<&'s mut Trail<'t, T>>,
}

impl<'t, T, S, E, const K: usize, const LOSS: bool, const GRAD: bool> Terms<T, S, 1>
    for Stretch<'_, 't, T, S, E, K, LOSS, GRAD>
where
    T: Element,
    S: Isa,
    E: Elementwise<T, K>,
{
    type Part<'p>
        = Stretch<'p, 't, T, S, E, K, LOSS, GRAD>
    where
        Self: 'p;

    #[inline(always)]
    fn part(&mut self, at: usize, len: usize) -> Self::Part<'_> {
        let mut inputs = self.inputs;
        for input in &mut inputs {
            *input = &input[at..at + len];
        }
        let mut factors = self.factors;
        if let Some(factors) = &mut factors {
            for factor in factors {
                *factor = &factor[at..at + len];
            }
        }
        let each = self.each.as_mut().map(|each| &mut each[at..at + len]);
        Stretch {
            io: self.io.part(at, len),
            inputs,
            factors,
            each,
            trail: self.trail.as_deref_mut(),
            ..*self
        }
    }

    #[inline(always)]
    fn step<const FULL: bool>(&mut self, at: usize) -> [Lanes<T, S>; 1] {
        if FULL && self.factors.is_none() {
            return [self.term::<true>(at, None)];
        }
        [self.term::<false>(at, self.factors)]
    }
}

impl<T, S, E, const K: usize, const LOSS: bool, const GRAD: bool>
    Stretch<'_, '_, T, S, E, K, LOSS, GRAD>
where
    T: Element,
    S: Isa,
    E: Elementwise<T, K>,
{
    /// Sums the terms of all units; their gradients go to `grad` past the caches, those of one buffer
    /// while the next is filled. Of a single block there is no next.
    #[inline(always)]
    fn sum_past_caches(
        &mut self,
        grad: &mut [T],
        [filled, emptied]: &mut [&mut [T]; 2],
        sums: &mut [Sum<S>; 1],
    ) {
        let (simd, len) = (self.simd, grad.len());
        let mut before = 0..0;
        while before.end < len {
            let units = before.end..len.min(before.end + STREAMED);
            // A line of a page that is written soon, so that it is found by then.
            prefetch(simd, &grad[units.start..], PAGES_AHEAD);
            let mut trail = Trail::new(simd, &emptied[..before.len()], &mut grad[before]);
            let part = self.part(units.start, units.len());
            let mut part = Stretch::<'_, '_, _, _, _, K, LOSS, GRAD> {
                io: part.io.written_to(&mut filled[..units.len()]),
                trail: Some(&mut trail),
                ..part
            };
            sum_terms(simd, &mut part, units.len(), sums);
            trail.finish(simd);
            core::mem::swap(filled, emptied);
            before = units;
        }
        Trail::new(simd, &emptied[..before.len()], &mut grad[before]).finish(simd);
    }

    /// The terms of the vector at `at`, given the factors of all units, unless they are the same.
    #[inline(always)]
    fn term<const FULL: bool>(&mut self, at: usize, factors: Option<[&[T]; 3]>) -> Lanes<T, S> {
        let simd = self.simd;
        let zero = Lanes::splat(simd, T::ZERO);
        if FULL {
            let ahead = match &mut self.trail {
                Some(trail) => {
                    trail.line(simd);
                    AHEAD_OF_STORES
                }
                None => AHEAD,
            };
            self.io.prefetch(simd, at, ahead);
            for input in self.inputs {
                prefetch(simd, &input[at..], ahead);
            }
            if GRAD && self.trail.is_none() {
                self.io.prefetch_target(simd, at, ahead);
            }
        }
        let pred = self.io.load::<S, FULL>(simd, at);
        let mut inputs = [pred; K];
        for (lanes, input) in inputs.iter_mut().zip(self.inputs) {
            *lanes = load::<T, S, FULL>(simd, &input[at..]);
        }
        let ValueGrad { value, grad } = self.formula.eval(pred, inputs);
        let mut term = value;
        let mut loss = self.loss_scale * value;
        let mut scaled = self.grad_scale * grad;
        if let Some([weight, loss_scale, grad_scale]) = factors {
            let weight = load::<T, S, FULL>(simd, &weight[at..]);
            let masked = weight.eq(zero);
            term = masked.select(zero, weight * value);
            loss = masked.select(zero, load::<T, S, FULL>(simd, &loss_scale[at..]) * value);
            scaled = masked.select(zero, load::<T, S, FULL>(simd, &grad_scale[at..]) * grad);
        }
        if GRAD {
            self.io.store::<S, FULL>(at, scaled);
        }
        if !LOSS {
            return zero;
        }
        if let Some(each) = &mut self.each {
            store::<T, S, FULL>(loss, &mut each[at..]);
        }
        if FULL {
            term
        } else {
            Mask::first(simd, self.io.len() - at).select(term, zero)
        }
    }
}

/// Loads a vector, whole or as far as there is one.
#[inline(always)]
fn load<T: Element, S: Isa, const FULL: bool>(simd: S, from: &[T]) -> Lanes<T, S> {
    if FULL {
        Lanes::load(simd, from)
    } else {
        Lanes::load_partial(simd, from)
    }
}

/// Stores a vector, whole or as far as there is room.
#[inline(always)]
fn store<T: Element, S: Isa, const FULL: bool>(lanes: Lanes<T, S>, to: &mut [T]) {
    if FULL {
        lanes.store(to)
    } else {
        lanes.store_partial(to)
    }
}
