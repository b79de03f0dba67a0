use crate::element::Element;
use crate::simd::InOut;
use crate::tensor::{Along, Lines, Source, Target};
use core::ops::Range;

/// An input that a loss has a gradient of, and the place of that gradient if it is wanted.
pub enum Operand<'a, T> {
    /// No gradient.
    Read(Source<'a, T>),
    /// The gradient goes elsewhere.
    Copy(Source<'a, T>, Target<'a, T>),
    /// The gradient takes the input's place.
    InPlace(Target<'a, T>),
}

impl<'a, T: Element> Operand<'a, T> {
    /// The input, to read.
    pub(crate) fn input(&self) -> Source<'_, T> {
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

    /// The same units of several samples, to read and write. They must be neighbours in memory, of
    /// input and gradient.
    #[inline]
    pub(crate) fn stretches(&mut self, samples: Range<usize>, units: Range<usize>) -> Lines<'_, T> {
        match self {
            Self::Read(pred) => pred.stretches(samples, units),
            Self::Copy(pred, grad) => {
                let to = grad.stretches(samples.clone(), units.clone());
                Lines::copy(pred.stretches(samples, units), to)
            }
            Self::InPlace(pred) => pred.stretches(samples, units),
        }
    }

    /// A stretch of units to read and write: where they lie if they are neighbours in memory, else
    /// in `buffer`; the flag says that the gradient is still to be written from there.
    pub(crate) fn stretch_or<'b>(
        &'b mut self,
        sample: usize,
        units: Range<usize>,
        buffer: &'b mut [T],
    ) -> (Lines<'b, T>, bool) {
        if self.contiguous(sample, units.clone()) == units.len() {
            return (self.stretches(sample..sample + 1, units), false);
        }
        let buffer = &mut buffer[..units.len()];
        self.input().copy(sample, units, buffer);
        (Lines::of_slice_mut(buffer), !matches!(self, Self::Read(_)))
    }

    /// Some classes of a row, to read: where they lie if they are neighbours in memory, else copied
    /// into `buffer`.
    #[inline]
    pub(crate) fn read_row<'b>(
        &'b self,
        sample: usize,
        unit: usize,
        classes: Range<usize>,
        buffer: &'b mut [T],
    ) -> &'b [T] {
        match self {
            Self::Read(input) | Self::Copy(input, _) => input.row(sample, unit, classes, buffer),
            Self::InPlace(input) => input.read_row(sample, unit, classes, buffer),
        }
    }

    /// Copies some classes of a row.
    pub(crate) fn copy_row(
        &self,
        sample: usize,
        unit: usize,
        classes: Range<usize>,
        buffer: &mut [T],
    ) {
        match self {
            Self::Read(input) | Self::Copy(input, _) => {
                input.copy_row(sample, unit, classes, buffer);
            }
            Self::InPlace(input) => input.as_source().copy_row(sample, unit, classes, buffer),
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
            self.copy_row(sample, unit, classes, buffer);
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

    /// Some classes of a row's gradient, to read and write. It must be wanted, and they neighbours in
    /// memory.
    #[inline]
    pub(crate) fn grad_row(
        &mut self,
        sample: usize,
        unit: usize,
        classes: Range<usize>,
    ) -> InOut<'_, T> {
        let grad = self.grad().expect("a gradient that is wanted");
        InOut::in_place(grad.row(sample, unit, classes))
    }

    /// Whether the classes of a row are neighbours in memory, of input and gradient.
    #[inline]
    pub(crate) fn classes_contiguous(&self) -> bool {
        match self {
            Self::Read(pred) => pred.classes_contiguous(),
            Self::Copy(pred, grad) => pred.classes_contiguous() && grad.classes_contiguous(),
            Self::InPlace(pred) => pred.classes_contiguous(),
        }
    }

    /// How many of the rows `units` are neighbours in memory, of input and gradient.
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
    pub(crate) fn columns(&mut self, sample: usize, units: Range<usize>) -> Lines<'_, T> {
        match self {
            Self::Read(pred) => pred.columns(sample, units),
            Self::Copy(pred, grad) => {
                let to = grad.columns(sample, units.clone());
                Lines::copy(pred.columns(sample, units), to)
            }
            Self::InPlace(pred) => pred.columns(sample, units),
        }
    }

    /// Rows whose classes are neighbours, row by row, if they lie a stride apart.
    pub(crate) fn rows(
        &mut self,
        samples: Range<usize>,
        units: Range<usize>,
    ) -> Option<Lines<'_, T>> {
        match self {
            Self::Read(pred) => pred.rows(samples, units),
            Self::Copy(pred, grad) => {
                let to = grad.rows(samples.clone(), units.clone())?;
                Some(Lines::copy(pred.rows(samples, units)?, to))
            }
            Self::InPlace(pred) => pred.rows(samples, units),
        }
    }

    /// One entry of a row.
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
    pub(crate) fn reborrow(&mut self) -> Operand<'_, T> {
        match self {
            Self::Read(pred) => Operand::Read(pred.clone()),
            Self::Copy(pred, grad) => Operand::Copy(pred.clone(), grad.reborrow()),
            Self::InPlace(pred) => Operand::InPlace(pred.reborrow()),
        }
    }
}
