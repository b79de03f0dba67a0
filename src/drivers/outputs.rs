use super::{Operand, Plan};
use crate::element::Element;
use crate::tensor::{Along, Target};
use core::ops::Range;

/// What a call writes, with the `K` inputs that it has gradients of. A task owns the part of its
/// samples and units.
pub struct Outputs<'a, T, const K: usize = 1> {
    /// Inputs and their gradients.
    pub(crate) operands: [Operand<'a, T>; K],
    /// The losses of the units, where each is wanted.
    pub(crate) each: Option<Target<'a, T>>,
    /// The losses of the samples, where those are wanted.
    pub(crate) totals: Option<Target<'a, T>>,
}

impl<'a, T: Element, const K: usize> Outputs<'a, T, K> {
    /// Splits into the parts before and after a sample, a unit or a class.
    pub(crate) fn split(self, along: Along, at: usize) -> (Self, Self) {
        // A unit has one place for its loss, and a sample one for its total, which belong to the
        // leaves of all its classes, or units: they are written by who gathers those.
        let (each, each_tail) = match along {
            Along::Samples | Along::Units => split_target(self.each, along, at),
            Along::Classes => (None, None),
        };
        let (totals, totals_tail) = match along {
            Along::Samples => split_target(self.totals, along, at),
            Along::Units | Along::Classes => (None, None),
        };
        let mut tails = [const { None }; K];
        let mut tail = tails.iter_mut();
        let operands = self.operands.map(|operand| {
            let (head, rest) = operand.split(along, at);
            if let Some(tail) = tail.next() {
                *tail = Some(rest);
            }
            head
        });
        let tails = tails.map(|tail| tail.expect("one tail for each operand"));
        (
            Self {
                operands,
                each,
                totals,
            },
            Self {
                operands: tails,
                each: each_tail,
                totals: totals_tail,
            },
        )
    }

    /// Whether a gradient is wanted.
    pub(crate) fn wants_gradient(&mut self) -> bool {
        self.operands
            .iter_mut()
            .any(|operand| operand.grad().is_some())
    }

    /// Whether the units of every sample are neighbours in memory, in all of them.
    pub(crate) fn is_run(&self) -> bool {
        self.operands.iter().all(Operand::is_run) && self.each.as_ref().is_none_or(Target::is_run)
    }

    /// Writes zeros for units that a weight of 0 masks.
    pub(crate) fn mask(&mut self, sample: usize, units: Range<usize>) {
        for operand in &mut self.operands {
            if let Some(grad) = operand.grad() {
                grad.fill(sample, units.clone(), T::ZERO);
            }
        }
        if let Some(each) = &mut self.each {
            each.fill(sample, units, T::ZERO);
        }
    }

    /// A shorter loan of the same part.
    pub(crate) fn reborrow(&mut self) -> Outputs<'_, T, K> {
        Outputs {
            operands: self.operands.each_mut().map(Operand::reborrow),
            each: self.each.as_mut().map(Target::reborrow),
            totals: self.totals.as_mut().map(Target::reborrow),
        }
    }

    /// Writes a sample's loss, given the sum of its terms.
    #[inline]
    pub(crate) fn finish(&mut self, plan: &Plan<'_, T>, sample: usize, sum: f64) {
        if let Some(totals) = &mut self.totals {
            totals.set(sample, 0, plan.total(sample, sum));
        }
    }
}

impl<'a, T: Element> Outputs<'a, T> {
    /// The only operand, for the losses that have one.
    #[inline]
    pub(crate) fn pred(&mut self) -> &mut Operand<'a, T> {
        let [pred] = &mut self.operands;
        pred
    }
}

fn split_target<'a, T: Element>(
    target: Option<Target<'a, T>>,
    along: Along,
    at: usize,
) -> (Option<Target<'a, T>>, Option<Target<'a, T>>) {
    match target {
        Some(target) => {
            let (head, tail) = target.split(along, at);
            (Some(head), Some(tail))
        }
        None => (None, None),
    }
}
