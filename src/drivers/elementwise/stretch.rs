use super::{Elementwise, ValueGrad};
use crate::drivers::plan::Scale;
use crate::drivers::terms::{Terms, sum_terms};
use crate::element::Element;
use crate::simd::{
    InOut, Isa, Kernel, LaneTotals, Lanes, Level, Mask, Sum, dispatch, is_intel, prefetch,
};
use crate::tensor::Lines;

/// How many bytes ahead memory is asked for.
const AHEAD: usize = 1536;

/// How many bytes ahead memory is asked for beside stores past the caches, which delay what is read.
/// AMD's processors (Zen 4) ask for as much by themselves, and are 1.05 times as fast if they are not
/// told; to ask for what is at hand costs nothing.
fn ahead_of_stores() -> usize {
    if is_intel() { 2048 } else { 0 }
}

/// The shortest stretch of gradients that go past the caches.
const LEAST_STREAMED: usize = 256;

/// The same where its end is written by way of them: who then writes the rest of that line past them
/// takes many times as long.
const LEAST_WITH_AN_END: usize = 8192;

/// Samples whose stretches a kernel computes at a time.
pub(super) const SAMPLES: usize = 16;

/// Neighbouring units, the same ones of some samples, a line for each sample, and everything that
/// belongs to them.
pub(super) struct Stretches<'s, T, const K: usize> {
    pub(super) pred: Lines<'s, T>,
    pub(super) inputs: [Lines<'s, T>; K],
    /// Each unit's weight and what its loss and its derivative are multiplied by, where these are
    /// not the same for all. There is only one sample then.
    pub(super) factors: Option<[&'s [T]; 3]>,
    pub(super) each: Option<Lines<'s, T>>,
    /// The factors of each sample, unless it is masked.
    pub(super) scales: &'s [Option<Scale<T>>],
    /// What the terms before these have summed, where the stretches are a sample's next block.
    pub(super) carried: Option<&'s mut LaneTotals>,
    /// Whether gradients, where losses are computed beside them, go past the caches.
    pub(super) stream: bool,
}

/// A formula that is compiled for every level.
pub(super) trait Kernels<T, const K: usize>: Sync {
    /// Computes stretches and writes the sum of each sample's terms.
    fn run(&self, level: Level, stretches: &mut Stretches<'_, T, K>, sums: &mut [f64]);
}

/// A formula, compiled for what is wanted of it. Only where both are, gradients go past the caches.
struct Formula<E, const LOSS: bool, const GRAD: bool>(E);

/// A formula, for whatever is wanted of it.
pub(super) struct Formulas<E> {
    both: Formula<E, true, true>,
    loss: Formula<E, true, false>,
    grad: Formula<E, false, true>,
}

impl<E: Copy> Formulas<E> {
    pub(super) fn new(formula: E) -> Self {
        Self {
            both: Formula(formula),
            loss: Formula(formula),
            grad: Formula(formula),
        }
    }

    /// The kernels for losses, gradients or both.
    pub(super) fn kernels<T: Element, const K: usize>(
        &self,
        loss: bool,
        grad: bool,
    ) -> &dyn Kernels<T, K>
    where
        E: Elementwise<T, K>,
    {
        match (loss, grad) {
            (true, true) => &self.both,
            (true, false) => &self.loss,
            (false, _) => &self.grad,
        }
    }
}

impl<T, E, const K: usize, const LOSS: bool, const GRAD: bool> Kernels<T, K>
    for Formula<E, LOSS, GRAD>
where
    T: Element,
    E: Elementwise<T, K>,
{
    fn run(&self, level: Level, stretches: &mut Stretches<'_, T, K>, sums: &mut [f64]) {
        let run = Run::<_, _, K, LOSS, GRAD> {
            formula: self.0,
            stretches,
            sums,
        };
        dispatch(level, run);
    }
}

struct Run<'r, 's, T, E, const K: usize, const LOSS: bool, const GRAD: bool> {
    formula: E,
    stretches: &'r mut Stretches<'s, T, K>,
    sums: &'r mut [f64],
}

impl<T, E, const K: usize, const LOSS: bool, const GRAD: bool> Kernel
    for Run<'_, '_, T, E, K, LOSS, GRAD>
where
    T: Element,
    E: Elementwise<T, K>,
{
    type Home = E;
    type Output = ();

    #[inline(always)]
    fn run<S: Isa>(self, simd: S) {
        let Stretches {
            pred,
            inputs: lines,
            factors,
            each,
            scales,
            carried,
            stream,
        } = self.stretches;
        let len = pred.line_len();
        let ahead_of_stores = ahead_of_stores();
        for (line, (scale, total)) in scales.iter().zip(self.sums).enumerate() {
            let Some(scale) = scale else {
                continue;
            };
            let mut inputs = [&[][..]; K];
            for (input, lines) in inputs.iter_mut().zip(&*lines) {
                *input = lines.values(line);
            }
            let mut vectors = Vectors::<'_, _, _, _, K, LOSS, GRAD> {
                simd,
                formula: self.formula,
                io: pred.line(line),
                inputs,
                factors: *factors,
                each: each.as_mut().map(|each| each.written(line)),
                loss_scale: Lanes::splat(simd, scale.loss),
                grad_scale: Lanes::splat(simd, scale.grad),
                ahead: AHEAD,
            };
            let mut sums = [match carried {
                Some(carried) => Sum::resume(simd, carried),
                None => Sum::zero(simd),
            }];
            if LOSS && GRAD && *stream && is_streamed(&vectors.io) {
                vectors.ahead = ahead_of_stores;
                sum_terms(simd, &mut PastCaches(vectors), len, &mut sums);
            } else {
                sum_terms(simd, &mut vectors, len, &mut sums);
            }
            *total = sums[0].fold();
            if let Some(carried) = carried {
                **carried = sums[0].totals();
            }
        }
    }
}

/// A stretch as vectors.
struct Vectors<'s, T: Element, S: Isa, E, const K: usize, const LOSS: bool, const GRAD: bool> {
    simd: S,
    formula: E,
    io: InOut<'s, T>,
    inputs: [&'s [T]; K],
    factors: Option<[&'s [T]; 3]>,
    each: Option<&'s mut [T]>,
    loss_scale: Lanes<T, S>,
    grad_scale: Lanes<T, S>,
    ahead: usize,
}

/// Vectors whose gradients go past the caches.
struct PastCaches<V>(V);

/// Whether a stretch of gradients that are too large for the caches goes past them.
#[inline(always)]
fn is_streamed<T: Element>(io: &InOut<'_, T>) -> bool {
    match io.is_streamable_to_its_end() {
        true => io.len() >= LEAST_STREAMED,
        false => io.len() >= LEAST_WITH_AN_END && io.is_streamable(),
    }
}

impl<T, S, E, const K: usize, const LOSS: bool, const GRAD: bool> Terms<T, S, 1>
    for Vectors<'_, T, S, E, K, LOSS, GRAD>
where
    T: Element,
    S: Isa,
    E: Elementwise<T, K>,
{
    type Part<'p>
        = Vectors<'p, T, S, E, K, LOSS, GRAD>
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
        Vectors {
            io: self.io.part(at, len),
            inputs,
            factors,
            each,
            ..*self
        }
    }

    #[inline(always)]
    fn step<const FULL: bool>(&mut self, at: usize) -> [Lanes<T, S>; 1] {
        [self.term::<FULL, false>(at)]
    }

    #[inline(always)]
    fn has_full_steps(&self) -> bool {
        self.factors.is_none()
    }
}

impl<T, S, E, const K: usize, const LOSS: bool, const GRAD: bool> Terms<T, S, 1>
    for PastCaches<Vectors<'_, T, S, E, K, LOSS, GRAD>>
where
    T: Element,
    S: Isa,
    E: Elementwise<T, K>,
{
    type Part<'p>
        = PastCaches<Vectors<'p, T, S, E, K, LOSS, GRAD>>
    where
        Self: 'p;

    #[inline(always)]
    fn part(&mut self, at: usize, len: usize) -> Self::Part<'_> {
        PastCaches(self.0.part(at, len))
    }

    #[inline(always)]
    fn step<const FULL: bool>(&mut self, at: usize) -> [Lanes<T, S>; 1] {
        [self.0.term::<FULL, true>(at)]
    }

    #[inline(always)]
    fn has_full_steps(&self) -> bool {
        self.0.has_full_steps()
    }
}

impl<T, S, E, const K: usize, const LOSS: bool, const GRAD: bool>
    Vectors<'_, T, S, E, K, LOSS, GRAD>
where
    T: Element,
    S: Isa,
    E: Elementwise<T, K>,
{
    /// The terms of the vector at `at`, which is `FULL` only where all units have the same factors.
    #[inline(always)]
    fn term<const FULL: bool, const STREAM: bool>(&mut self, at: usize) -> Lanes<T, S> {
        let simd = self.simd;
        let zero = Lanes::splat(simd, T::ZERO);
        if FULL {
            self.io.prefetch(simd, at, self.ahead);
            for input in self.inputs {
                prefetch(simd, &input[at..], self.ahead);
            }
            if GRAD && !STREAM {
                self.io.prefetch_target(simd, at, self.ahead);
            }
        }
        let pred = self.io.load::<S, FULL>(simd, at);
        let mut inputs = [pred; K];
        for (lanes, input) in inputs.iter_mut().zip(self.inputs) {
            *lanes = load::<T, S, FULL>(simd, &input[at..]);
        }
        let ValueGrad { value, grad } = eval(self.formula, pred, inputs);
        let mut term = value;
        let mut loss = self.loss_scale * value;
        let mut scaled = self.grad_scale * grad;
        if !FULL && let Some([weight, loss_scale, grad_scale]) = self.factors {
            let weight = load::<T, S, FULL>(simd, &weight[at..]);
            let masked = weight.eq(zero);
            term = masked.select(zero, weight * value);
            loss = masked.select(zero, load::<T, S, FULL>(simd, &loss_scale[at..]) * value);
            scaled = masked.select(zero, load::<T, S, FULL>(simd, &grad_scale[at..]) * grad);
        }
        if STREAM && FULL {
            self.io.stream(at, scaled);
        } else if STREAM {
            self.io.stream_some(at, scaled);
        } else if GRAD {
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

/// Evaluates the formula; on the scalar level as a call, which every use of the formula shares.
#[inline(always)]
fn eval<T: Element, S: Isa, const K: usize>(
    formula: impl Elementwise<T, K>,
    pred: Lanes<T, S>,
    inputs: [Lanes<T, S>; K],
) -> ValueGrad<T, S> {
    if S::IS_SCALAR {
        called(formula, pred, inputs)
    } else {
        formula.eval(pred, inputs)
    }
}

#[inline(never)]
fn called<T: Element, S: Isa, const K: usize>(
    formula: impl Elementwise<T, K>,
    pred: Lanes<T, S>,
    inputs: [Lanes<T, S>; K],
) -> ValueGrad<T, S> {
    formula.eval(pred, inputs)
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
