use super::Plan;
use crate::element::Element;
use crate::simd::InOut;
use crate::tensor::{Along, Columns, Source, Target};
use core::ops::Range;

/// The predictions, and the place of their gradient if one is wanted.
pub enum PredGrad<'a, T> {
    /// No gradient.
    Read(Source<'a, T>),
    /// The gradient goes elsewhere.
    Copy(Source<'a, T>, Target<'a, T>),
    /// The gradient takes the predictions' place.
    InPlace(Target<'a, T>),
}

impl<'a, T: Element> PredGrad<'a, T> {
    /// The predictions, to read.
    pub(crate) fn pred(&self) -> Source<'_, T> {
        match self {
            Self::Read(pred) | Self::Copy(pred, _) => pred.clone(),
            Self::InPlace(pred) => pred.as_source(),
        }
    }

    /// The gradient's place, if one is wanted.
    pub(crate) fn grad(&mut self) -> Option<&mut Target<'a, T>> {
        match self {
            Self::Read(_) => None,
            Self::Copy(_, grad) | Self::InPlace(grad) => Some(grad),
        }
    }

    /// Whether the units of every sample are neighbours in memory.
    pub(crate) fn is_run(&self) -> bool {
        match self {
            Self::Read(pred) => pred.is_run(),
            Self::Copy(pred, grad) => pred.is_run() && grad.is_run(),
            Self::InPlace(pred) => pred.is_run(),
        }
    }

    /// A stretch of units to read and write: where they lie if they are neighbours in memory, else
    /// in `buffer`; the flag says that the gradient is still to be written from there.
    #[inline]
    pub(crate) fn stretch<'b>(
        &'b mut self,
        sample: usize,
        units: Range<usize>,
        buffer: &'b mut [T],
    ) -> (InOut<'b, T>, bool) {
        let direct = match self {
            Self::Read(pred) => return (InOut::read(pred.stretch(sample, units, buffer)), false),
            Self::Copy(pred, grad) => {
                pred.contiguous(sample, units.clone()) == units.len()
                    && grad.contiguous(sample, units.clone()) == units.len()
            }
            Self::InPlace(pred) => pred.contiguous(sample, units.clone()) == units.len(),
        };
        if !direct {
            let buffer = &mut buffer[..units.len()];
            self.pred().copy(sample, units, buffer);
            return (InOut::in_place(buffer), true);
        }
        let grad = |grad: &'b mut Target<'a, T>| match grad.stretch(sample, units.clone()) {
            Some(stretch) => stretch,
            None => unreachable!("the stretch is contiguous"),
        };
        match self {
            Self::Read(_) => unreachable!("returned above"),
            Self::Copy(pred, target) => (
                InOut::copy(pred.stretch(sample, units.clone(), &mut []), grad(target)),
                false,
            ),
            Self::InPlace(target) => (InOut::in_place(grad(target)), false),
        }
    }

    /// Some classes of a row to read and write: where they lie if they are neighbours in memory,
    /// else in `buffer`; the flag says that the gradient is still to be written from there.
    #[inline]
    pub(crate) fn row<'b>(
        &'b mut self,
        sample: usize,
        unit: usize,
        classes: Range<usize>,
        buffer: &'b mut [T],
    ) -> (InOut<'b, T>, bool) {
        if !self.classes_contiguous() {
            let buffer = &mut buffer[..classes.len()];
            match self {
                Self::Read(pred) | Self::Copy(pred, _) => {
                    pred.copy_row(sample, unit, classes, buffer);
                }
                Self::InPlace(pred) => pred.as_source().copy_row(sample, unit, classes, buffer),
            }
            return (InOut::in_place(buffer), true);
        }
        match self {
            Self::Read(pred) => (InOut::read(pred.row(sample, unit, classes, &mut [])), false),
            Self::Copy(pred, grad) => {
                let pred = pred.row(sample, unit, classes.clone(), &mut []);
                (InOut::copy(pred, grad.row(sample, unit, classes)), false)
            }
            Self::InPlace(pred) => (InOut::in_place(pred.row(sample, unit, classes)), false),
        }
    }

    /// Whether the classes of a row are neighbours in memory, of predictions and gradient.
    #[inline]
    pub(crate) fn classes_contiguous(&self) -> bool {
        match self {
            Self::Read(pred) => pred.classes_contiguous(),
            Self::Copy(pred, grad) => pred.classes_contiguous() && grad.classes_contiguous(),
            Self::InPlace(pred) => pred.classes_contiguous(),
        }
    }

    /// How many of the rows `units` are neighbours in memory, of predictions and gradient.
    pub(crate) fn contiguous(&self, sample: usize, units: Range<usize>) -> usize {
        match self {
            Self::Read(pred) => pred.contiguous(sample, units),
            Self::Copy(pred, grad) => {
                let neighbours = pred.contiguous(sample, units.clone());
                neighbours.min(grad.contiguous(sample, units))
            }
            Self::InPlace(pred) => pred.contiguous(sample, units),
        }
    }

    /// Rows that are neighbours in memory, class by class.
    pub(crate) fn columns(&mut self, sample: usize, units: Range<usize>) -> Columns<'_, T> {
        match self {
            Self::Read(pred) => Columns::read(pred, sample, units),
            Self::Copy(pred, grad) => Columns::copy(pred, grad, sample, units),
            Self::InPlace(pred) => Columns::in_place(pred, sample, units),
        }
    }

    /// One prediction of a row.
    #[inline]
    pub(crate) fn class(&self, sample: usize, unit: usize, class: usize) -> T {
        match self {
            Self::Read(pred) | Self::Copy(pred, _) => pred.class(sample, unit, class),
            Self::InPlace(pred) => pred.class(sample, unit, class),
        }
    }

    /// Splits into the parts before and after a sample, a unit or a class.
    pub(crate) fn split(self, along: Along, at: usize) -> (Self, Self) {
        match self {
            Self::Read(pred) => (Self::Read(pred.clone()), Self::Read(pred)),
            Self::Copy(pred, grad) => {
                let (head, tail) = grad.split(along, at);
                (Self::Copy(pred.clone(), head), Self::Copy(pred, tail))
            }
            Self::InPlace(pred) => {
                let (head, tail) = pred.split(along, at);
                (Self::InPlace(head), Self::InPlace(tail))
            }
        }
    }

    /// A shorter loan of the same part.
    pub(crate) fn reborrow(&mut self) -> PredGrad<'_, T> {
        match self {
            Self::Read(pred) => PredGrad::Read(pred.clone()),
            Self::Copy(pred, grad) => PredGrad::Copy(pred.clone(), grad.reborrow()),
            Self::InPlace(pred) => PredGrad::InPlace(pred.reborrow()),
        }
    }
}

/// What a call writes. A leaf owns the part of its samples and units.
pub struct Outputs<'a, T> {
    /// Predictions and gradient.
    pub(crate) pred: PredGrad<'a, T>,
    /// The losses of the units, where each is wanted.
    pub(crate) each: Option<Target<'a, T>>,
    /// The losses of the samples, where those are wanted.
    pub(crate) totals: Option<Target<'a, T>>,
}

impl<'a, T: Element> Outputs<'a, T> {
    /// Splits into the parts before and after a sample, a unit or a class.
    pub(crate) fn split(self, along: Along, at: usize) -> (Self, Self) {
        let (pred, pred_tail) = self.pred.split(along, at);
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
        (
            Self { pred, each, totals },
            Self {
                pred: pred_tail,
                each: each_tail,
                totals: totals_tail,
            },
        )
    }

    /// Whether the units of every sample are neighbours in memory, in all of them.
    pub(crate) fn is_run(&self) -> bool {
        self.pred.is_run() && self.each.as_ref().is_none_or(Target::is_run)
    }

    /// Writes zeros for units that a weight of 0 masks.
    pub(crate) fn mask(&mut self, sample: usize, units: Range<usize>) {
        if let Some(grad) = self.pred.grad() {
            grad.fill(sample, units.clone(), T::ZERO);
        }
        if let Some(each) = &mut self.each {
            each.fill(sample, units, T::ZERO);
        }
    }

    /// A shorter loan of the same part.
    pub(crate) fn reborrow(&mut self) -> Outputs<'_, T> {
        Outputs {
            pred: self.pred.reborrow(),
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
