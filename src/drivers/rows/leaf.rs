use super::columns::Tile;
use super::long::LongRow;
use super::row::{self, Backward, Chunk, Forward, Row};
use super::{RowLabel, RowLoss};
use crate::drivers::schedule::Leaf;
use crate::drivers::unit_scale::UnitScale;
use crate::drivers::{Outputs, Plan};
use crate::element::Element;
use crate::simd::{InOut, Isa, Kernel, Lanes, Sum, dispatch};
use core::ops::Range;

/// Elements in a leaf of several rows.
const LEAF_ELEMENTS: usize = 1 << 14;

/// The most rows in a leaf.
const LEAF_ROWS: usize = 1024;

/// Classes up to which a row has one chunk: so many logits and exponentials share a first-level
/// cache of 32 KiB.
pub(super) const LONGEST_CHUNK: usize = 4096;

/// Classes that are copied at a time where they are no neighbours in memory.
pub(super) const PIECE: usize = 1024;

/// The driver of rows with its operands; `DENSE` if the label gives every class a share.
pub(super) struct Rows<'i, T, R, const DENSE: bool, const GRAD: bool> {
    pub(super) loss: R,
    pub(super) label: RowLabel<'i, T>,
    pub(super) classes: usize,
}

impl<T, R, const DENSE: bool, const GRAD: bool> Leaf<T> for Rows<'_, T, R, DENSE, GRAD>
where
    T: Element,
    R: RowLoss<T>,
{
    fn units(&self) -> usize {
        (LEAF_ELEMENTS / self.classes).clamp(1, LEAF_ROWS)
    }

    fn cost(&self) -> usize {
        self.classes
    }

    fn run(
        &self,
        plan: &Plan<'_, T>,
        outputs: &mut Outputs<'_, T>,
        samples: Range<usize>,
        units: Range<usize>,
        finish: bool,
    ) -> f64 {
        if self.classes > LONGEST_CHUNK {
            return LongRow { rows: self, plan }.run(outputs, samples, units, finish);
        }
        let in_runs = self.in_runs(outputs);
        let run = Run {
            rows: self,
            plan,
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
            dispatch(
                plan.exec.level,
                Run {
                    scratch: Some(&mut scratch),
                    ..run
                },
            )
        }
    }
}

/// The work of one leaf of short rows, or of a run of samples that have one leaf each.
struct Run<'r, 'i, 'a, 'o, T, R, const DENSE: bool, const GRAD: bool> {
    rows: &'r Rows<'i, T, R, DENSE, GRAD>,
    plan: &'r Plan<'a, T>,
    outputs: &'r mut Outputs<'o, T>,
    samples: Range<usize>,
    units: Range<usize>,
    finish: bool,
    scratch: Option<&'r mut Scratch<T>>,
}

impl<T, R, const DENSE: bool, const GRAD: bool> Kernel for Run<'_, '_, '_, '_, T, R, DENSE, GRAD>
where
    T: Element,
    R: RowLoss<T>,
{
    type Output = f64;

    #[inline(always)]
    fn run<S: Isa>(self, simd: S) -> f64 {
        let Self {
            rows,
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
            if plan.is_masked(sample) {
                outputs.mask(sample, units.clone());
            } else {
                let mut unit = units.start;
                while unit < units.end {
                    let beside = rows.neighbours(outputs, sample, unit..units.end);
                    if beside > 1 {
                        let units = unit..unit + beside.min(T::LANES);
                        let tile = Tile {
                            simd,
                            rows,
                            plan,
                            sample,
                            units: units.clone(),
                        };
                        tile.run(outputs, &mut sum);
                        unit = units.end;
                        continue;
                    }
                    match UnitScale::of(plan, sample, unit) {
                        None => outputs.mask(sample, unit..unit + 1),
                        Some(scale) => {
                            let loss =
                                rows.row(simd, outputs, sample, unit, scale.grad, &mut scratch);
                            sum += scale.emit(outputs, sample, unit, loss);
                        }
                    }
                    unit += 1;
                }
            }
            if finish {
                outputs.finish(plan, sample, sum);
            }
        }
        sum
    }
}

impl<T, R, const DENSE: bool, const GRAD: bool> Rows<'_, T, R, DENSE, GRAD>
where
    T: Element,
    R: RowLoss<T>,
{
    /// How many rows, from the first of `units` on, are better taken side by side: those that are
    /// neighbours in memory where their classes are not.
    #[inline]
    fn neighbours(&self, outputs: &Outputs<'_, T>, sample: usize, units: Range<usize>) -> usize {
        let pred = &outputs.operands[0];
        let beside = match &self.label {
            _ if pred.classes_contiguous() => return 1,
            RowLabel::Class(_) => usize::MAX,
            RowLabel::Shares(shares) => shares.contiguous(sample, units.clone()),
        };
        beside.min(pred.contiguous(sample, units))
    }

    /// The loss of a row of one chunk, and its gradient.
    #[inline(always)]
    fn row<S: Isa>(
        &self,
        simd: S,
        outputs: &mut Outputs<'_, T>,
        sample: usize,
        unit: usize,
        grad_scale: f64,
        scratch: &mut Option<&mut Scratch<T>>,
    ) -> T {
        let class = self.class(sample, unit);
        let logit = match class {
            Some(class) => outputs.pred().class(sample, unit, class).to_f64(),
            None => 0.0,
        };
        let all = 0..self.classes;
        let chunk = self.forward(simd, outputs, (sample, unit), all.clone(), scratch);
        let mut row = Row::of_chunk(&chunk);
        self.set_class(&mut row, logit);
        let mut ln_sum = T::ZERO;
        if R::NORMALISE {
            ln_sum = row::ln_sum(simd, row.rest);
        }
        if GRAD {
            let factor = row.factor(grad_scale);
            let factors = [factor, T::from_f64(grad_scale)];
            self.backward(simd, outputs, (sample, unit), all, scratch, factors);
            self.patch(outputs, &row, sample, unit, class, grad_scale);
        }
        row.loss(ln_sum)
    }

    /// Whether the classes of every row are neighbours in memory, in all operands.
    pub(super) fn in_runs(&self, outputs: &Outputs<'_, T>) -> bool {
        let label = match &self.label {
            RowLabel::Class(_) => true,
            RowLabel::Shares(shares) => shares.classes_contiguous(),
        };
        label && outputs.operands[0].classes_contiguous()
    }

    /// The label's class, where it is one.
    #[inline]
    pub(super) fn class(&self, sample: usize, unit: usize) -> Option<usize> {
        match &self.label {
            RowLabel::Class(classes) => Some(classes.get(sample, unit)),
            RowLabel::Shares(_) => None,
        }
    }

    /// Adds to a row what a label of one class contributes, given that class's logit.
    #[inline]
    pub(super) fn set_class(&self, row: &mut Row, logit: f64) {
        if !R::NORMALISE {
            row.max = 0.0;
            row.rest = 0.0;
        }
        if !DENSE {
            row.share = 1.0;
            row.terms = row.max - logit;
        }
    }

    /// Sets the gradients that a scaled exponential cannot give: of the label's class, and of the
    /// likeliest one.
    #[inline]
    pub(super) fn patch(
        &self,
        outputs: &mut Outputs<'_, T>,
        row: &Row,
        sample: usize,
        unit: usize,
        class: Option<usize>,
        grad_scale: f64,
    ) {
        let share_of_argmax = match &self.label {
            RowLabel::Class(_) => f64::from(u8::from(class == Some(row.argmax))),
            RowLabel::Shares(shares) => shares.class(sample, unit, row.argmax).to_f64(),
        };
        let Some(grad) = outputs.pred().grad() else {
            return;
        };
        if let Some(class) = class {
            let scaled = grad.class(sample, unit, class).to_f64();
            grad.set_class(sample, unit, class, T::from_f64(scaled - grad_scale));
        }
        if R::NORMALISE {
            let value = row.grad_of_argmax(share_of_argmax, grad_scale);
            grad.set_class(sample, unit, row.argmax, value);
        }
    }

    /// The first pass over some classes of a row, which are one of its chunks.
    #[inline(always)]
    pub(super) fn forward<S: Isa>(
        &self,
        simd: S,
        outputs: &mut Outputs<'_, T>,
        (sample, unit): (usize, usize),
        classes: Range<usize>,
        scratch: &mut Option<&mut Scratch<T>>,
    ) -> Chunk<T> {
        let mut chunk = Chunk::new();
        if !R::NORMALISE && !DENSE {
            return chunk;
        }
        let (logits, label) = Scratch::rooms(scratch);
        if R::NORMALISE {
            for part in parts(&classes, logits.len()) {
                let (run, _) = outputs.pred().row(sample, unit, part, logits);
                let max = row::max(simd, &run);
                if max > chunk.max {
                    chunk.max = max;
                }
            }
            for part in parts(&classes, logits.len()) {
                let (run, _) = outputs.pred().row(sample, unit, part.clone(), logits);
                if let Some(at) = row::position(simd, &run, chunk.max) {
                    chunk.argmax = part.start + at;
                    break;
                }
            }
        }
        let shift = if R::NORMALISE { chunk.shift() } else { T::ZERO };
        let mut sums = [Sum::zero(simd); 3];
        for part in parts(&classes, logits.len()) {
            let shares = match &self.label {
                RowLabel::Class(_) => &[],
                RowLabel::Shares(shares) => shares.row(sample, unit, part.clone(), label),
            };
            let (run, copied) = outputs.pred().row(sample, unit, part.clone(), logits);
            let mut forward = Forward::<_, _, _, GRAD> {
                simd,
                loss: self.loss,
                run,
                shares,
                shift: Lanes::splat(simd, shift),
                left_out: chunk.argmax as isize - part.start as isize,
            };
            forward.sum::<DENSE>(&mut sums);
            if GRAD
                && copied
                && R::NORMALISE
                && let Some(grad) = outputs.pred().grad()
            {
                grad.write_row(sample, unit, part.start, &logits[..part.len()]);
            }
        }
        let [rest, share, terms] = sums;
        (chunk.rest, chunk.share, chunk.terms) = (rest.fold(), share.fold(), terms.fold());
        chunk
    }

    /// The second pass over some classes of a row.
    #[inline(always)]
    pub(super) fn backward<S: Isa>(
        &self,
        simd: S,
        outputs: &mut Outputs<'_, T>,
        (sample, unit): (usize, usize),
        classes: Range<usize>,
        scratch: &mut Option<&mut Scratch<T>>,
        [factor, grad_scale]: [T; 2],
    ) {
        let (exponentials, label) = Scratch::rooms(scratch);
        let Some(grad) = outputs.pred().grad() else {
            return;
        };
        for part in parts(&classes, exponentials.len()) {
            let shares = match &self.label {
                RowLabel::Class(_) => &[],
                RowLabel::Shares(shares) => shares.row(sample, unit, part.clone(), label),
            };
            let direct = grad.classes_contiguous();
            let run = if direct {
                grad.row(sample, unit, part.clone())
            } else {
                let room = &mut exponentials[..part.len()];
                grad.as_source().copy_row(sample, unit, part.clone(), room);
                room
            };
            Backward {
                simd,
                run: InOut::in_place(run),
                shares,
                factor: Lanes::splat(simd, factor),
                grad_scale: Lanes::splat(simd, grad_scale),
            }
            .run::<DENSE>(R::NORMALISE);
            if !direct {
                grad.write_row(sample, unit, part.start, &exponentials[..part.len()]);
            }
        }
    }
}

/// Room for pieces of rows whose classes are no neighbours in memory.
pub(super) struct Scratch<T> {
    logits: [T; PIECE],
    label: [T; PIECE],
}

impl<T: Element> Scratch<T> {
    pub(super) fn new() -> Self {
        Self {
            logits: [T::ZERO; PIECE],
            label: [T::ZERO; PIECE],
        }
    }

    /// The room for logits and for shares of the label; none where all lie in runs.
    #[inline]
    fn rooms<'s>(scratch: &'s mut Option<&mut Self>) -> (&'s mut [T], &'s mut [T]) {
        match scratch {
            Some(scratch) => (&mut scratch.logits, &mut scratch.label),
            None => (&mut [], &mut []),
        }
    }
}

/// Cuts classes into pieces of at most `room`; one piece where no room is needed.
#[inline(always)]
pub(super) fn parts(
    classes: &Range<usize>,
    room: usize,
) -> impl Iterator<Item = Range<usize>> + use<> {
    let Range { start, end } = *classes;
    let step = if room == 0 { end - start } else { room };
    (start..end)
        .step_by(step)
        .map(move |at| at..end.min(at + step))
}
