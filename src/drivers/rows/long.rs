use super::RowLoss;
use super::leaf::{LONGEST_CHUNK, Rows};
use super::outcome::{First, Outcome, Second};
use super::room::{PIECE, Room};
use super::row::{LeftOut, Sums, subtracted};
use crate::drivers::unit_scale::UnitScale;
use crate::drivers::{Aligned, Outputs, Plan};
use crate::element::Element;
use crate::math;
use crate::simd::{Isa, Kernel, dispatch};
use crate::tensor::Along;
use crate::{Level, Threading};
use core::ops::Range;

/// Chunks that a row has at most: what is known of each has its place on the stack.
const MOST_CHUNKS: usize = 128;

/// Classes from which on a row is shared among threads, where there are few rows.
const SHARED_CLASSES: usize = 1 << 15;

/// Rows up to which each is shared among threads: more keep all threads busy by themselves.
const FEW_ROWS: usize = 32;

/// Bytes of a row up to which its exponentials are kept where the gradient will stand, unless that goes
/// past the caches or its classes lie apart: half of a second-level cache of 1 MiB, which they share with
/// the logits. Those of longer rows are computed twice: to keep them would take more traffic than that
/// takes time.
const MOST_KEPT: usize = 512 << 10;

/// Rows that are cut into chunks, for threads to share, each chunk with a largest logit of its own, of
/// which its exponentials are multiples.
pub(super) struct LongRow<'r, 'i, 'a, T, R, const DENSE: bool> {
    pub(super) rows: &'r Rows<'i, T, R, DENSE>,
    pub(super) plan: &'r Plan<'a, T>,
}

impl<T, R, const DENSE: bool> LongRow<'_, '_, '_, T, R, DENSE>
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
        let classes = rows.classes;
        let step = classes
            .div_ceil(MOST_CHUNKS)
            .next_power_of_two()
            .max(LONGEST_CHUNK);
        debug_assert!(classes > LONGEST_CHUNK);
        let span = Span { at, step, first: 0 };
        let mut found = [Found::NONE; MOST_CHUNKS];
        let found = &mut found[..classes.div_ceil(step)];

        let class = rows.class(at);
        // Read first: exponentials may take its place.
        let logit = class.map(|class| outputs.pred().class(at.0, at.1, class));
        let keep = self.keeps(outputs);
        if rows.loss.normalises() || class.is_none() {
            let pass = Pass::Sum { class, keep };
            self.each_chunk(outputs.reborrow(), span, found, pass);
        }
        let (left_out, sums) = if rows.loss.normalises() {
            let (max, position) = largest(found);
            let (class, logit) = (class.unwrap_or(position), logit.unwrap_or(max));
            let left_out = dispatch(level, Choose { class, logit, max });
            weigh(found, max, level);
            (left_out, gather::<_, DENSE>(found, &left_out))
        } else {
            let class = class.unwrap_or(0);
            let logit = logit.unwrap_or(T::ZERO);
            let sums = if DENSE {
                added(found)
            } else {
                Sums::of_class(-logit.to_f64())
            };
            (LeftOut::of_log_probabilities(class, logit), sums)
        };
        let finish = Finish {
            rows,
            share: rows.share_of(at, left_out.class),
            left_out,
            sums,
            grad_scale,
        };
        let outcome = dispatch(level, finish);
        if rows.grad {
            let pass = Pass::Write {
                factor: outcome.factor,
                grad_scale: T::from_f64(grad_scale),
                kept: keep,
                stream: rows.streams(self.plan),
            };
            self.each_chunk(outputs.reborrow(), span, found, pass);
            rows.patch(outputs, at, left_out.class, outcome.grad);
        }
        outcome.loss
    }

    /// Runs a pass over every chunk of a span, each on its own.
    fn each_chunk(
        &self,
        mut outputs: Outputs<'_, T>,
        span: Span,
        found: &mut [Found<T>],
        pass: Pass<T>,
    ) {
        if found.len() > 1 && self.shares_rows() {
            let middle = found.len() / 2;
            let (head, tail) = found.split_at_mut(middle);
            let (left, right) = outputs.split(Along::Classes, span.start(middle));
            rayon::join(
                || self.each_chunk(left, span, head, pass),
                || self.each_chunk(right, span.skip(middle), tail, pass),
            );
            return;
        }
        let mut pieces;
        let mut room = Room::none();
        if !self.rows.in_runs(&outputs) {
            pieces = Aligned([[T::ZERO; PIECE]; 2]);
            room = Room::of_pieces(&mut pieces.0);
        }
        for (k, found) in found.iter_mut().enumerate() {
            let chunk = Chunk {
                rows: self.rows,
                outputs: &mut outputs,
                at: span.at,
                classes: span.classes(k, self.rows.classes),
                room: &mut room,
                pass,
                found,
            };
            dispatch(self.plan.exec.level, chunk);
        }
    }

    /// Whether exponentials are kept where the gradient will stand.
    fn keeps(&self, outputs: &Outputs<'_, T>) -> bool {
        let rows = self.rows;
        let made_of_them = rows.grad && rows.loss.normalises();
        let stays_near = rows.classes * size_of::<T>() <= MOST_KEPT && !rows.streams(self.plan);
        made_of_them && stays_near && rows.in_runs(outputs)
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

/// The largest logit of a row and the first class that has it.
fn largest<T: Element>(found: &[Found<T>]) -> (T, usize) {
    let mut best = &found[0];
    for chunk in found {
        if chunk.max > best.max {
            best = chunk;
        }
    }
    (best.max, best.position)
}

/// Adds what was found in a row's chunks, in their order.
fn added<T: Element>(found: &[Found<T>]) -> Sums {
    let mut sums = Sums::NONE;
    for chunk in found {
        sums.add(chunk.sums);
    }
    sums
}

/// Weighs the chunks of a row of logits, given the largest of all.
fn weigh<T: Element>(found: &mut [Found<T>], max: T, level: Level) {
    let mut weights = [0.0; MOST_CHUNKS];
    let weights = &mut weights[..found.len()];
    for (weight, chunk) in weights.iter_mut().zip(&*found) {
        // Without a finite logit the weight stays 1, and nothing of it is seen.
        if chunk.max != max {
            *weight = chunk.max.to_f64() - max.to_f64();
        }
    }
    math::exp_nonpos(level, weights);
    for (chunk, &mut weight) in found.iter_mut().zip(weights) {
        chunk.weight = weight;
    }
}

/// Adds what was found in the chunks of a row of logits, which have been weighed, in their order.
fn gather<T: Element, const DENSE: bool>(found: &[Found<T>], left_out: &LeftOut<T>) -> Sums {
    let max = left_out.max.to_f64();
    let mut sums = Sums::NONE;
    for chunk in found {
        let mut next = chunk.sums;
        if DENSE && chunk.position != left_out.class {
            next.rest += 1.0;
        }
        next.rest *= chunk.weight;
        if next.share != 0.0 {
            next.terms += next.share * (max - subtracted(chunk.max).to_f64());
        }
        sums.add(next);
    }
    sums
}

/// A pass over a chunk of a row.
#[derive(Clone, Copy)]
enum Pass<T> {
    /// Finds the largest logit and sums exponentials as multiples of its own, shares and terms. The
    /// label's class is left out of the sum or, where it is none, the chunk's likeliest.
    Sum { class: Option<usize>, keep: bool },
    /// Writes the gradient: exponentials that are multiples of the row's largest logit's are multiplied
    /// by `factor`.
    Write {
        factor: f64,
        grad_scale: T,
        kept: bool,
        stream: bool,
    },
}

/// What passes find in a chunk.
#[derive(Clone, Copy)]
struct Found<T> {
    max: T,
    /// The first class that has the largest logit.
    position: usize,
    sums: Sums,
    /// What takes its exponentials to the row's: `e^(the chunk's largest logit − the row's)`.
    weight: f64,
}

impl<T: Element> Found<T> {
    const NONE: Self = Self {
        max: T::ZERO,
        position: 0,
        sums: Sums::NONE,
        weight: 1.0,
    };
}

struct Chunk<'p, 'i, 'o, 'r, T, R, const DENSE: bool> {
    rows: &'p Rows<'i, T, R, DENSE>,
    outputs: &'p mut Outputs<'o, T>,
    at: (usize, usize),
    classes: Range<usize>,
    room: &'p mut Room<'r, T>,
    pass: Pass<T>,
    found: &'p mut Found<T>,
}

impl<T, R, const DENSE: bool> Kernel for Chunk<'_, '_, '_, '_, T, R, DENSE>
where
    T: Element,
    R: RowLoss<T>,
{
    type Home = R;
    type Output = ();

    #[inline(always)]
    fn run<S: Isa>(self, simd: S) {
        let Self {
            rows,
            outputs,
            at,
            classes,
            room,
            pass,
            found,
        } = self;
        match pass {
            Pass::Sum { class, keep } => {
                if rows.loss.normalises() {
                    let classes = classes.clone();
                    (found.max, found.position) = rows.largest(simd, outputs, at, classes, room);
                }
                let mut left_out = class.unwrap_or(found.position);
                // Without a finite logit there is no likeliest class, but perhaps a NaN to be seen.
                if class.is_none() && found.max == T::from_f64(f64::NEG_INFINITY) {
                    left_out = usize::MAX;
                }
                let first = First {
                    left_out,
                    max: found.max,
                    keep,
                };
                found.sums = rows.forward(simd, outputs, (at, classes), room, first);
            }
            Pass::Write {
                factor,
                grad_scale,
                kept,
                stream,
            } => {
                // Exponentials of the row itself would be 0 too, and subnormal numbers are slow.
                let weight = match found.weight < T::SMALLEST_NORMAL {
                    true => 0.0,
                    false => found.weight,
                };
                let second = Second {
                    max: found.max,
                    factor: factor * weight,
                    grad_scale,
                    kept,
                    stream,
                };
                rows.backward(simd, outputs, at, classes, room, second);
                if stream {
                    simd.fence();
                }
            }
        }
    }
}

/// Computes the exponential of the class that is left out.
struct Choose<T> {
    class: usize,
    logit: T,
    max: T,
}

impl<T: Element> Kernel for Choose<T> {
    type Home = Self;
    type Output = LeftOut<T>;

    #[inline(always)]
    fn run<S: Isa>(self, simd: S) -> LeftOut<T> {
        LeftOut::new(simd, self.class, self.logit, self.max)
    }
}

/// Computes what a row comes to.
struct Finish<'p, 'i, T, R, const DENSE: bool> {
    rows: &'p Rows<'i, T, R, DENSE>,
    /// The share of the class that is left out.
    share: f64,
    left_out: LeftOut<T>,
    sums: Sums,
    grad_scale: f64,
}

impl<T, R, const DENSE: bool> Kernel for Finish<'_, '_, T, R, DENSE>
where
    T: Element,
    R: RowLoss<T>,
{
    type Home = R;
    type Output = Outcome<T>;

    #[inline(always)]
    fn run<S: Isa>(self, simd: S) -> Outcome<T> {
        self.rows
            .outcome(simd, self.share, &self.left_out, self.sums, self.grad_scale)
    }
}
