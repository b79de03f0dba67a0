use super::long::LongRow;
use super::short::Short;
use super::{RowLabel, RowLoss};
use crate::drivers::schedule::Leaf;
use crate::drivers::{Operand, Outputs, Plan};
use crate::element::Element;
use core::ops::Range;

/// Elements in a leaf of several rows.
pub(super) const LEAF_ELEMENTS: usize = 1 << 14;

/// The most rows in a leaf.
const LEAF_ROWS: usize = 1024;

/// Classes up to which a row goes through one chunk, and those of a chunk of a longer one: so many
/// logits and exponentials of f32 fill a first-level cache of 32 KiB.
pub(super) const LONGEST_CHUNK: usize = 4096;

/// Classes of a row from which on its gradient goes past the caches: the lines at its ends, which are
/// not written whole, take longer than others.
const LEAST_STREAMED: usize = 512;

/// The same of log-probabilities, of which a line in the middle, the label's, is written twice.
const LEAST_LOG_PROBS: usize = 4000;

/// The driver of rows with its operands; `DENSE` if the label gives every class a share.
pub(super) struct Rows<'i, T, R, const DENSE: bool> {
    pub(super) loss: R,
    pub(super) label: RowLabel<'i, T>,
    pub(super) classes: usize,
    /// Whether gradients are wanted.
    pub(super) grad: bool,
}

impl<T, R, const DENSE: bool> Leaf<T> for Rows<'_, T, R, DENSE>
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
        Short::new(self, plan, outputs, samples, units, finish).run()
    }
}

impl<T, R, const DENSE: bool> Rows<'_, T, R, DENSE>
where
    T: Element,
    R: RowLoss<T>,
{
    /// Whether gradients of rows whose classes are neighbours go past the caches.
    pub(super) fn streams(&self, plan: &Plan<'_, T>) -> bool {
        let (least, light) = match self.loss.normalises() {
            true => (LEAST_STREAMED, false),
            false => (LEAST_LOG_PROBS, true),
        };
        self.grad && self.classes >= least && plan.streams(light, 1)
    }

    /// Whether gradients of rows side by side go past the caches, class by class.
    pub(super) fn streams_columns(&self, plan: &Plan<'_, T>) -> bool {
        self.grad && plan.streams(false, 1)
    }

    /// Whether the classes of every row are neighbours in memory, in all operands.
    #[inline]
    pub(super) fn in_runs(&self, outputs: &Outputs<'_, T>) -> bool {
        self.in_runs_of(&outputs.operands[0])
    }

    /// Whether the classes of every row are neighbours in memory, in pred and label.
    #[inline]
    pub(super) fn in_runs_of(&self, pred: &Operand<'_, T>) -> bool {
        let label = match &self.label {
            RowLabel::Class(_) => true,
            RowLabel::Shares(shares) => shares.classes_contiguous(),
        };
        label && pred.classes_contiguous()
    }

    /// The label's class, where it is one.
    #[inline]
    pub(super) fn class(&self, (sample, unit): (usize, usize)) -> Option<usize> {
        match &self.label {
            RowLabel::Class(classes) => Some(classes.get(sample, unit)),
            RowLabel::Shares(_) => None,
        }
    }

    /// The share that a class has of the label.
    #[inline]
    pub(super) fn share_of(&self, (sample, unit): (usize, usize), class: usize) -> f64 {
        match &self.label {
            RowLabel::Class(_) => 1.0,
            RowLabel::Shares(shares) => shares.class(sample, unit, class).to_f64(),
        }
    }

    /// Whether a class has a gradient that a scaled exponential, or a share, cannot give.
    pub(super) fn leaves_out(&self) -> bool {
        self.loss.normalises() || !DENSE
    }

    /// Sets the gradient that a scaled exponential cannot give, of the class that was left out.
    #[inline]
    pub(super) fn patch(
        &self,
        outputs: &mut Outputs<'_, T>,
        (sample, unit): (usize, usize),
        class: usize,
        value: T,
    ) {
        if self.leaves_out()
            && let Some(grad) = outputs.pred().grad()
        {
            grad.set_class(sample, unit, class, value);
        }
    }
}
