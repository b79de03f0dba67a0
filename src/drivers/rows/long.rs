use super::RowLoss;
use super::leaf::{LONGEST_CHUNK, Rows, Scratch};
use super::row::{Chunk, Row};
use crate::Threading;
use crate::drivers::unit_scale::UnitScale;
use crate::drivers::{Outputs, Plan};
use crate::element::Element;
use crate::math;
use crate::simd::{Isa, Kernel, dispatch};
use crate::tensor::Along;
use core::ops::Range;

/// Chunks that a row has at most: what is known of each has its place on the stack.
const MOST_CHUNKS: usize = 128;

/// Classes in the chunks of a long row, unless it is so long that there would be too many of them.
const CHUNK: usize = 1024;

/// Classes from which on a row is shared among threads, where there are few rows.
const SHARED_CLASSES: usize = 1 << 15;

/// Rows up to which each is shared among threads: more keep all threads busy by themselves.
const FEW_ROWS: usize = 32;

/// Rows that are cut into chunks, each with a maximum of its own.
pub(super) struct LongRow<'r, 'i, 'a, T, R, const DENSE: bool, const GRAD: bool> {
    pub(super) rows: &'r Rows<'i, T, R, DENSE, GRAD>,
    pub(super) plan: &'r Plan<'a, T>,
}

impl<T, R, const DENSE: bool, const GRAD: bool> LongRow<'_, '_, '_, T, R, DENSE, GRAD>
where
    T: Element,
    R: RowLoss<T>,
{
    pub(super) fn run(
        &self,
        outputs: &mut Outputs<'_, T>,
        samples: Range<usize>,
        units: Range<usize>,
        finish: bool,
    ) -> f64 {
        let mut sum = 0.0;
        for sample in samples {
            sum = 0.0;
            for unit in units.clone() {
                match UnitScale::of(self.plan, sample, unit) {
                    None => outputs.mask(sample, unit..unit + 1),
                    Some(scale) => {
                        let loss = self.row(outputs, (sample, unit), scale.grad);
                        sum += scale.emit(outputs, sample, unit, loss);
                    }
                }
            }
            if finish {
                outputs.finish(self.plan, sample, sum);
            }
        }
        sum
    }

    fn row(&self, outputs: &mut Outputs<'_, T>, at: (usize, usize), grad_scale: f64) -> T {
        let (rows, level) = (self.rows, self.plan.exec.level);
        let class = rows.class(at.0, at.1);
        let logit = match class {
            Some(class) => outputs.pred().class(at.0, at.1, class).to_f64(),
            None => 0.0,
        };

        let classes = rows.classes;
        let step = classes.div_ceil(MOST_CHUNKS).next_power_of_two().max(CHUNK);
        debug_assert!(step <= classes && classes > LONGEST_CHUNK);
        let mut chunks = [Chunk::new(); MOST_CHUNKS];
        let chunks = &mut chunks[..classes.div_ceil(step)];
        let span = Span { at, step, first: 0 };
        self.forward(outputs.reborrow(), span, chunks);

        let mut weights = [0.0; MOST_CHUNKS];
        let weights = &mut weights[..chunks.len()];
        let mut row = gather::<T>(chunks, weights, R::NORMALISE, |weights| {
            math::exp_nonpos(level, weights)
        });
        rows.set_class(&mut row, logit);
        let mut ln_sum = [T::ZERO];
        if R::NORMALISE {
            ln_sum = [T::from_f64(row.rest)];
            math::log1p(level, &mut ln_sum);
        }
        if GRAD {
            for weight in weights.iter_mut() {
                *weight = row.factor::<f64>(grad_scale * *weight);
            }
            self.backward(outputs.reborrow(), span, weights, T::from_f64(grad_scale));
            rows.patch(outputs, &row, at.0, at.1, class, grad_scale);
        }
        row.loss(ln_sum[0])
    }

    fn forward(&self, mut outputs: Outputs<'_, T>, span: Span, chunks: &mut [Chunk<T>]) {
        if chunks.len() > 1 && self.shares_rows() {
            let middle = chunks.len() / 2;
            let (head, tail) = chunks.split_at_mut(middle);
            let (left, right) = outputs.split(Along::Classes, span.start(middle));
            rayon::join(
                || self.forward(left, span, head),
                || self.forward(right, span.skip(middle), tail),
            );
            return;
        }
        let mut room = (!self.rows.in_runs(&outputs)).then(Scratch::new);
        for (k, chunk) in chunks.iter_mut().enumerate() {
            let pass = Pass {
                rows: self.rows,
                outputs: &mut outputs,
                at: span.at,
                classes: span.classes(k, self.rows.classes),
                scratch: room.as_mut(),
                factors: None,
            };
            *chunk = dispatch(self.plan.exec.level, pass);
        }
    }

    fn backward(&self, mut outputs: Outputs<'_, T>, span: Span, factors: &[f64], grad_scale: T) {
        if factors.len() > 1 && self.shares_rows() {
            let middle = factors.len() / 2;
            let (head, tail) = factors.split_at(middle);
            let (left, right) = outputs.split(Along::Classes, span.start(middle));
            rayon::join(
                || self.backward(left, span, head, grad_scale),
                || self.backward(right, span.skip(middle), tail, grad_scale),
            );
            return;
        }
        let mut room = (!self.rows.in_runs(&outputs)).then(Scratch::new);
        for (k, &factor) in factors.iter().enumerate() {
            let pass = Pass {
                rows: self.rows,
                outputs: &mut outputs,
                at: span.at,
                classes: span.classes(k, self.rows.classes),
                scratch: room.as_mut(),
                factors: Some([T::from_f64(factor), grad_scale]),
            };
            dispatch(self.plan.exec.level, pass);
        }
    }

    /// Whether one row is shared among threads.
    fn shares_rows(&self) -> bool {
        let rows = self.plan.grid.samples * self.plan.grid.units;
        let auto = self.plan.exec.threading == Threading::Auto;
        auto && rows <= FEW_ROWS && self.rows.classes >= SHARED_CLASSES
    }
}

/// Neighbouring chunks of a row.
#[derive(Clone, Copy)]
struct Span {
    /// The row's sample and unit.
    at: (usize, usize),
    /// Classes in a chunk.
    step: usize,
    /// The first chunk.
    first: usize,
}

impl Span {
    /// The first class of chunk `k` of the span.
    fn start(self, k: usize) -> usize {
        (self.first + k) * self.step
    }

    /// The classes of chunk `k` of the span.
    fn classes(self, k: usize, classes: usize) -> Range<usize> {
        self.start(k)..self.start(k + 1).min(classes)
    }

    /// The span without its first `k` chunks.
    fn skip(self, k: usize) -> Self {
        Self {
            first: self.first + k,
            ..self
        }
    }
}

/// Gathers what is known of a row's chunks, in their order. `weights` takes the chunks' exponentials
/// to the row's: `e^(chunk's maximum − row's maximum)`.
fn gather<T: Element>(
    chunks: &[Chunk<T>],
    weights: &mut [f64],
    normalise: bool,
    exp_nonpos: impl FnOnce(&mut [f64]),
) -> Row {
    let mut best = &chunks[0];
    for chunk in chunks {
        if chunk.max > best.max {
            best = chunk;
        }
    }
    let max = best.max.to_f64();
    for (weight, chunk) in weights.iter_mut().zip(chunks) {
        // Without a finite logit the weight stays 1, and the sum is made NaN below.
        *weight = if chunk.max == best.max {
            0.0
        } else {
            chunk.max.to_f64() - max
        };
    }
    exp_nonpos(weights);

    let mut row = Row::of_chunk(best);
    (row.share, row.terms) = (0.0, 0.0);
    for (chunk, &weight) in chunks.iter().zip(weights.iter()) {
        if !core::ptr::eq(chunk, best) {
            row.rest += weight * (1.0 + chunk.rest);
        }
        row.share += chunk.share;
        row.terms += chunk.terms;
        if normalise && chunk.share != 0.0 {
            row.terms += chunk.share * (max - chunk.shift().to_f64());
        }
    }
    row
}

/// One pass over a chunk of a row: the first, or with factors the second.
struct Pass<'p, 'i, 'o, T, R, const DENSE: bool, const GRAD: bool> {
    rows: &'p Rows<'i, T, R, DENSE, GRAD>,
    outputs: &'p mut Outputs<'o, T>,
    at: (usize, usize),
    classes: Range<usize>,
    scratch: Option<&'p mut Scratch<T>>,
    factors: Option<[T; 2]>,
}

impl<T, R, const DENSE: bool, const GRAD: bool> Kernel for Pass<'_, '_, '_, T, R, DENSE, GRAD>
where
    T: Element,
    R: RowLoss<T>,
{
    type Output = Chunk<T>;

    #[inline(always)]
    fn run<S: Isa>(mut self, simd: S) -> Chunk<T> {
        let Self {
            rows,
            outputs,
            at,
            classes,
            factors,
            ..
        } = self;
        match factors {
            None => rows.forward(simd, outputs, at, classes, &mut self.scratch),
            Some(factors) => {
                rows.backward(simd, outputs, at, classes, &mut self.scratch, factors);
                Chunk::new()
            }
        }
    }
}
